"""Access events for tests: callers, events, a log in a folder.

Belongs here: builders. Does not belong here: what is checked about them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from search_api.access.audit import AuditLog
from search_api.access.context import AccessEvent, AccessMode, Caller
from search_api.settings import Settings

CLINICIAN = Caller(
    mode=AccessMode.HEALTHCARE_WORKER,
    user_id="910000000001",
    client_id="ncrs-portal",
    role_profile_id="920000000001",
    role_code="S8000:G8000:R8000",
    organisation="RX898",
    activities=frozenset({"B0264"}),
)
APPLICATION = Caller(
    mode=AccessMode.APPLICATION,
    user_id=None,
    client_id="sandbox-app",
    role_profile_id=None,
    role_code=None,
    organisation="RX898",
    activities=frozenset(),
)


def request_id(number: int) -> str:
    """A UUID that says which event of a test it is."""
    return str(UUID(int=number))


def an_event(number: int = 1, *patients: int, caller: Caller | None = CLINICIAN, **changes: Any) -> AccessEvent:
    """An event; ``number`` becomes its request id."""
    values = {
        "policy": "patient-search",
        "caller": caller,
        "request_id": request_id(number),
        "correlation_id": None,
        "end_user_organisation": "A83008",
        "generation": "20261124T000000Z-0001",
        "status": 200,
        "patients": patients,
        "detail": "",
    }
    return AccessEvent(**{**values, **changes})


def audit_url(folder: Path) -> str:
    """Address of an SQLite audit database in the folder."""
    return f"sqlite:///{folder / 'audit.db'}"


def a_log(folder: Path, **settings: Any) -> AuditLog:
    """A log in the folder. Close it."""
    return AuditLog(Settings(home=folder, **settings), audit_url(folder))
