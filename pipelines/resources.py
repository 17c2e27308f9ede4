"""What the assets get in each environment: settings, stores, ledger.

Belongs here: how a resource is made. Does not belong here: what a stage needs of it
(``assets/stores.py``). Nothing is opened before a run asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.stores import Stores
from pipelines.home import ledger_of, stores_of
from search_api.ops.ledger import Ledger
from search_api.settings import Settings


def resources(settings: Settings | None = None) -> Mapping[str, Any]:
    """Resource key to definition. Without settings they are read from the environment when a run starts."""

    @dg.resource(description="Settings of the product (NCRS_*).")
    def settings_resource(_context: dg.InitResourceContext) -> Settings:
        return settings or Settings()

    @dg.resource(description="Folders of the stages.", required_resource_keys={"settings"})
    def stores_resource(context: dg.InitResourceContext) -> Stores:
        return stores_of(context.resources.settings)

    @dg.resource(description="What was delivered and what became of it.", required_resource_keys={"settings"})
    def ledger_resource(context: dg.InitResourceContext) -> Ledger:
        return ledger_of(context.resources.settings)

    return {"settings": settings_resource, "stores": stores_resource, "ledger": ledger_resource}
