"""The application as a server runs it: every part made from the settings of the environment.

Belongs here: the factory for uvicorn (``uvicorn --factory search_api.serve:build_app``). Does not
belong here: routes, or anything a test would want to replace.
"""

from __future__ import annotations

from fastapi import FastAPI

from search_api import logging
from search_api.access.audit import AuditLog
from search_api.access.gate import AccessGate
from search_api.app import create_app
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.matching.matcher import Matcher
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.services import Services
from search_api.settings import Settings


def build_app() -> FastAPI:
    """The API as the environment sets it up. Raises ConfigurationError."""
    settings = Settings()
    logging.configure(settings.log_level)
    return create_app(build_services(settings))


def build_services(settings: Settings) -> Services:
    """Every part from the settings. Raises ConfigurationError."""
    audit = AuditLog(settings)
    return Services(
        settings=settings,
        generations=Generations(settings, index_engine(settings)),
        matcher=Matcher(candidate_limit=settings.candidate_limit, key_cap=settings.key_cap),
        gate=AccessGate(settings, audit=audit),
        audit=audit,
        ledger=Ledger(control_engine(settings.control_url)),
    )
