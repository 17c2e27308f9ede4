"""The gate: every request with a policy passes here, and a refusal is recorded before it is told.

Belongs here: the order of the checks and their joining. Does not belong here: any single check.
Order, as live PDS has it (pds.md 4.3): token, access mode, format of X-Request-ID, user role, rules of
the mode. A missing X-Request-ID is reported later, by the slice, as Spine does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from starlette.requests import Request

from schemas.errors import ConfigurationError
from search_api import logging
from search_api.access.context import AccessEvent, Caller
from search_api.access.identity import (
    END_USER_ORGANISATION,
    SESSION_ROLE,
    Identity,
    IdentityReader,
    end_user_organisation,
)
from search_api.access.keys import KeyStore, http_fetch
from search_api.access.policy import Decision, PolicyTable, refusal
from search_api.access.rates import Rates
from search_api.access.tables import Rbac, load_applications
from search_api.access.tokens import Claims, InvalidToken, TokenVerifier, bearer_token
from search_api.errors import SpineError
from search_api.headers import CORRELATION_ID, check_request_id, well_formed_request_id
from search_api.settings import Settings

RECORD_PARAMETER = "id"
MOST_CALLERS = 32  # of one token: a user has a handful of roles


class Recorder(Protocol):
    """What the gate needs of the audit log."""

    async def record(self, event: AccessEvent) -> None:
        """Return when the event is durable."""
        ...


@dataclass(frozen=True)
class _Chosen:
    """A caller of one token, the organisation of the same headers, and the policies that it may use with any record."""

    caller: Caller
    organisation: str | None
    allowed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Proved:
    """What one token proves, and what was chosen of it by the headers that choose."""

    identity: Identity
    chosen: dict[tuple[str, str], _Chosen] = field(default_factory=dict)


class AccessGate:
    """Decides each request. ``audit`` receives refusals; what is allowed is recorded with its answer.

    ``table`` (PolicyTable) is public: a slice that shows part of an answer asks ``table.allows``.
    """

    def __init__(self, settings: Settings, *, audit: Recorder, keys: KeyStore | None = None) -> None:
        rbac = Rbac.load()
        applications = load_applications(settings.applications_file)
        self.table = PolicyTable.load(rbac=rbac)
        self.table.check_applications(applications)
        self.keys = keys or key_store(settings)
        self._verifier = TokenVerifier(settings, self.keys)
        self._reader = IdentityReader(settings, rbac, applications)
        # As long as the verifier remembers the claims, and no longer: expired or of other keys, they are gone.
        self._proved: WeakKeyDictionary[Claims, _Proved] = WeakKeyDictionary()
        self._rates = Rates(settings.rate_limit)
        self._audit = audit

    async def warm(self) -> None:
        """Fetch the key set before the first request; a failure is logged, the first token tries again."""
        await asyncio.to_thread(self.keys.refresh)

    async def identify(self, authorization: list[str]) -> Identity:
        """Who the Authorization header(s) prove. Raises SpineError (401)."""
        return (await self._prove(authorization)).identity

    async def _prove(self, authorization: list[str]) -> _Proved:
        """What the token proves; read once for each token that the verifier remembers."""
        claims = await self._verifier.verify(bearer_token(authorization))
        proved = self._proved.get(claims)
        if proved is None:
            proved = self._proved[claims] = _Proved(self._reader.identity(claims))
        return proved

    def _choose(self, proved: _Proved, headers: Mapping[str, str]) -> _Chosen:
        """What these headers choose; each choice is read once for each token."""
        choice = headers.get(SESSION_ROLE, ""), headers.get(END_USER_ORGANISATION, "")
        chosen = proved.chosen.get(choice)
        if chosen is None:
            chosen = _Chosen(self._reader.caller(proved.identity, headers), end_user_organisation(headers))
            if len(proved.chosen) < MOST_CALLERS:
                proved.chosen[choice] = chosen
        return chosen

    async def authorise_token(self, token: str, policy: str, *, role: str = "") -> Caller:
        """The caller of a command. Raises SpineError; a refusal is recorded first, as a request's is.

        What is allowed is recorded by the command, which knows whom it shows.
        """
        seen: dict[str, Any] = {}
        try:
            seen["identity"] = identity = await self.identify([f"Bearer {token}"])
            seen["caller"] = caller = self._reader.caller(identity, {SESSION_ROLE: role} if role else {})
            seen["decision"] = self.table.decide(policy, caller, None)
            if seen["decision"] is not Decision.ALLOWED:
                raise refusal(caller, "GET")
        except SpineError as error:
            await self._audit.record(_refusal_event(policy, seen, error))
            raise
        return caller

    async def authorise(self, request: Request, policy: str) -> Caller:
        """The caller, who may use the policy. Raises SpineError: 401, 400 or 403; refusals are recorded
        first, and when that fails the answer is AuditUnavailable (503). Raises 429 for one who asks too often,
        which is no refusal of access: it is counted, not recorded.

        Afterwards ``request.state.caller`` and ``request.state.end_user_organisation`` are set.
        """
        if self.table.policy(policy).public:
            raise ConfigurationError(f"Policy {policy} is public: it has no caller.", remedy="Use open_to_all.")
        seen: dict[str, Caller | Identity] = {}
        try:
            caller = await self._authorise(request, policy, seen)
        except SpineError as error:
            await self._record_refusal(request, policy, seen, error)
            raise
        self._rates.take((caller.client_id, caller.user_id, caller.own_number))
        return caller

    async def _authorise(self, request: Request, policy: str, seen: dict[str, Any]) -> Caller:
        headers = request.headers
        proved = await self._prove(headers.getlist("authorization"))
        seen["identity"] = proved.identity
        check_request_id(headers)
        chosen = self._choose(proved, headers)
        seen["caller"] = caller = chosen.caller
        if policy not in chosen.allowed:
            decision = self.table.decide(policy, caller, request.path_params.get(RECORD_PARAMETER))
            if decision is not Decision.ALLOWED:
                seen["decision"] = decision
                raise refusal(caller, request.method)
            if not self.table.own_record(policy, caller):
                chosen.allowed.add(policy)
        state = request.state
        state.caller, state.end_user_organisation = caller, chosen.organisation
        return caller

    async def _record_refusal(self, request: Request, policy: str, seen: dict[str, Any], error: SpineError) -> None:
        event = _refusal_event(policy, seen, error)
        logging.event("API040", policy=policy, status=error.status, error=event.detail)
        request.state.refusal_recorded = True
        await self._audit.record(
            replace(
                event,
                request_id=well_formed_request_id(request.headers) or "",
                correlation_id=request.headers.get(CORRELATION_ID),
                end_user_organisation=_sent_organisation(request.headers),
            )
        )


def _refusal_event(policy: str, seen: Mapping[str, Any], error: SpineError) -> AccessEvent:
    """The event of a refusal: who asked as far as it is known, and why not."""
    decision = seen.get("decision")
    reason = error.reason if isinstance(error, InvalidToken) else decision.name if decision else error.spine_code
    return AccessEvent(
        policy=policy,
        caller=seen.get("caller") or _unchosen(seen.get("identity")),
        request_id="",
        correlation_id=None,
        end_user_organisation=None,
        generation="",
        status=error.status,
        patients=(),
        detail=reason,
    )


def key_store(settings: Settings) -> KeyStore:
    """Keys from the pinned address of the settings. Raises ConfigurationError for a plain http one."""
    url = settings.jwks_url or f"{settings.issuer.rstrip('/')}/jwks"
    fetch = http_fetch(url, settings.jwks_timeout)
    return KeyStore(fetch, min_refetch=settings.jwks_min_refetch, max_age=settings.jwks_max_age)


def _sent_organisation(headers: Mapping[str, str]) -> str | None:
    try:
        return end_user_organisation(headers)
    except SpineError:
        return None


def _unchosen(identity: Identity | None) -> Caller | None:
    """The user or application of a request that was refused before a role was chosen."""
    if identity is None:
        return None
    return Caller(
        mode=identity.mode,
        user_id=identity.user_id,
        client_id=identity.application.client_id,
        role_profile_id=None,
        role_code=None,
        organisation=None,
        activities=frozenset(),
        own_number=identity.own_number,
    )
