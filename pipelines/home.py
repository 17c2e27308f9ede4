"""The home: the folder of everything the product stores, and what is opened in it.

Belongs here: making the home, the stores and the ledger from settings. Does not belong here: the
Dagster instance (``instance.py``); no orchestrator is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.stores import Stores
from search_api.settings import Settings

if TYPE_CHECKING:
    from search_api.ops.ledger import Ledger


def prepare_home(settings: Settings) -> None:
    """Make the home and the drop folder. The home holds patients: it is the owner's alone."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.drop_folder.mkdir(parents=True, exist_ok=True)


def stores_of(settings: Settings) -> Stores:
    """The folders that the settings name."""
    return Stores(home=settings.home, drop=settings.drop_folder)


def ledger_of(settings: Settings) -> Ledger:
    """The ledger in the control database that the settings name."""
    from search_api.ops.database import control_engine
    from search_api.ops.ledger import Ledger

    prepare_home(settings)
    return Ledger(control_engine(settings.control_url))
