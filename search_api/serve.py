"""The application as a server runs it: every part made from the settings of the environment.

Belongs here: the factory for uvicorn (``uvicorn --factory search_api.serve:build_app``). Does not
belong here: routes, or anything a test would want to replace.
"""

from __future__ import annotations

import gc
import sys
from functools import partial

from fastapi import FastAPI

from search_api import cores, logging
from search_api.access.audit import AuditLog
from search_api.access.gate import AccessGate
from search_api.app import create_app
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.matching.looking import Effort
from search_api.matching.matcher import Matcher
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.services import Services
from search_api.settings import Settings

SWITCH_S = 0.001
# Objects that may hold others. A search makes a few hundred, none of them in a circle: to look for some after every 700,
# as is usual, takes three hundredths of a search.
COLLECT_AFTER = 20_000


def build_app() -> FastAPI:
    """The API as the environment sets it up. Raises ConfigurationError."""
    settings = Settings()
    logging.configure(settings.log_level)
    return create_app(build_services(settings), partial(_settled, settings))


def _settled(settings: Settings) -> None:
    """What was made at the start stays: it need not be looked through for garbage again and again.

    A reading thread gives the interpreter up after a millisecond, not five: the event loop waits for it
    each time something arrives (docs/decisions/0021).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_S)
    if settings.one_core:
        cores.settle()


def build_services(settings: Settings) -> Services:
    """Every part from the settings. Raises ConfigurationError."""
    audit = AuditLog(settings)
    return Services(
        settings=settings,
        generations=Generations(settings, index_engine(settings)),
        matcher=Matcher(candidate_limit=settings.candidate_limit, key_cap=settings.key_cap, effort=Effort.of(settings)),
        gate=AccessGate(settings, audit=audit),
        audit=audit,
        ledger=Ledger(control_engine(settings.control_url)),
    )
