"""Commands that show a person's data: who asks is proved by a token, and recorded before anything is shown.

Belongs here: the one way from a token to a caller and into the access log, for ``quarantine`` and
``replay``. Does not belong here: deciding (``search_api/access``), the commands.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from schemas.errors import Refused

if TYPE_CHECKING:
    from search_api.access.context import Caller
    from search_api.settings import Settings

TokenOption = Annotated[
    str, typer.Option(envvar="NCRS_TOKEN", help="Access token of who asks; better in NCRS_TOKEN than on the line.")
]
RoleOption = Annotated[str, typer.Option(help="Role profile id, for a token with several roles.")]
T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What a command is about to show: the policy, whose data, from which generation."""

    policy: str
    patients: tuple[int, ...] = ()
    generation: str = ""
    detail: str = ""


def allowed_caller(settings: Settings, token: str, role: str, policy: str) -> Caller:
    """The caller behind a token. Raises Refused when the token proves nobody or the policy says no."""
    remedy = (
        "Take a new token, or select a role (--role) with the activities that search_api/access/policy.json "
        f"asks for under {policy}."
    )
    return guarded(lambda: asyncio.run(_caller(settings, token, role, policy)), remedy)


def record_access(settings: Settings, caller: Caller, seen: Seen) -> None:
    """Make the access durable in the log. Raises Refused when that fails: then nothing may be shown."""
    guarded(lambda: asyncio.run(_record(settings, caller, seen)))


async def _caller(settings: Settings, token: str, role: str, policy: str) -> Caller:
    from search_api.access.audit import AuditLog
    from search_api.access.gate import AccessGate

    audit = AuditLog(settings)
    try:
        return await AccessGate(settings, audit=audit).authorise_token(token, policy, role=role)
    finally:
        audit.close()


async def _record(settings: Settings, caller: Caller, seen: Seen) -> None:
    from search_api.access.audit import AuditLog
    from search_api.access.context import AccessEvent

    audit = AuditLog(settings)
    try:
        await audit.record(
            AccessEvent(
                policy=seen.policy,
                caller=caller,
                request_id=str(uuid.uuid4()),
                correlation_id=None,
                end_user_organisation=None,
                generation=seen.generation,
                status=200,
                patients=seen.patients,
                detail=seen.detail,
            )
        )
    finally:
        audit.close()


def guarded(act: Callable[[], T], remedy: str = "Check the number, and the token with its role and age.") -> T:
    """Run something of the API; its faults become Refused, without diagnostics, which may quote values."""
    from search_api.errors import SpineError

    try:
        return act()
    except SpineError as error:
        raise Refused(f"{error.display} ({error.status}).", remedy=remedy) from None
