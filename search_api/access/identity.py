"""From believed claims to a caller: access mode, assurance, the selected role, its activities.

Belongs here: the reading of CIS2, NHS login and application claims. Does not belong here: whether the
token may be believed (``tokens.py``), what the caller may do (``policy.py``).
Sources: services.md 12 and 13 (CIS2 claims and their traps), pds.md 1.10 and 4.3 (modes, roles).

Readings, where the sources are thin:

- A user whose assurance is not in ``NCRS_USER_ASSURANCE``, or missing, is refused as an invalid token
  (401); a patient whose vector of trust is too low gets PDS's 403.
- ``NHSD-Session-URID`` may name any role of the user and goes before ``selected_roleid``, as in PDS.
- A client that is not registered, or not in this mode, is refused as an invalid token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.identifiers import is_nhs_number, is_ods_code
from search_api.access.context import AccessMode, Caller
from search_api.access.tables import Application, Rbac
from search_api.access.tokens import Claims, InvalidToken
from search_api.errors import invalid_role, invalid_value, missing_value, patient_refused
from search_api.settings import Settings

SESSION_ROLE = "NHSD-Session-URID"
END_USER_ORGANISATION = "NHSD-End-User-Organisation-ODS"
ODS_LIMIT = 20

_USER = re.compile(r"[0-9A-Za-z-]{1,64}")
_DIGITS = re.compile(r"[0-9]{1,32}")
_ROLE_CODE = re.compile(r"(?:S[0-9]{4}:G[0-9]{4}:)?(R[0-9]{4})")
_ACTIVITY = re.compile(r"[A-Z][0-9]{4}")
_LEVEL = re.compile(r"AAL([123])")


@dataclass(frozen=True)
class Role:
    """One role profile of a user; ``code`` as the token gives it (``S8000:G8000:R8000``)."""

    profile_id: str
    code: str | None
    organisation: str | None
    activities: frozenset[str]


@dataclass(frozen=True)
class Identity:
    """Who the token is about, before a role is chosen. ``level_ok`` is for patients only."""

    mode: AccessMode
    user_id: str | None
    application: Application
    roles: tuple[Role, ...] = ()
    selected: str | None = None
    own_number: int | None = None
    level_ok: bool = True


class IdentityReader:
    """Turns claims into an identity, and an identity with the request's headers into a caller."""

    def __init__(self, settings: Settings, rbac: Rbac, applications: Mapping[str, Application]) -> None:
        self._settings = settings
        self._rbac = rbac
        self._applications = applications

    def identity(self, claims: Claims) -> Identity:
        """Raises InvalidToken for claims that contradict each other or a client that is not registered."""
        raw = claims.raw
        user, patient = "nhsid_useruid" in raw, "nhs_number" in raw
        if user and patient:
            raise InvalidToken("user_and_patient")
        application = self._applications.get(claims.client_id)
        if application is None:
            raise InvalidToken("client_unknown")
        mode = self._mode(application, raw, user=user, patient=patient)
        if mode not in application.modes:
            raise InvalidToken("client_mode")
        if user:
            return self._worker(application, raw)
        return self._patient(application, raw) if patient else Identity(mode, None, application)

    def _mode(self, application: Application, raw: Mapping[str, Any], *, user: bool, patient: bool) -> AccessMode:
        if user:
            return AccessMode.HEALTHCARE_WORKER
        if patient:
            return AccessMode.PATIENT
        privileged = AccessMode.PRIVILEGED_APPLICATION in application.modes
        if privileged and self._settings.privileged_scope in _scopes(raw):
            return AccessMode.PRIVILEGED_APPLICATION
        return AccessMode.APPLICATION

    def _worker(self, application: Application, raw: Mapping[str, Any]) -> Identity:
        user = raw["nhsid_useruid"]
        if not isinstance(user, str) or not _USER.fullmatch(user):
            raise InvalidToken("claim_useruid")
        if assurance_level(raw) not in self._settings.user_assurance:
            raise InvalidToken("assurance")
        roles = tuple(self._role(row) for row in _role_rows(raw))
        selected = raw.get("selected_roleid")
        if selected is not None and selected not in [role.profile_id for role in roles]:  # may be unhashable
            raise InvalidToken("selected_role")
        return Identity(AccessMode.HEALTHCARE_WORKER, user, application, roles, selected)

    def _role(self, row: Any) -> Role:
        profile = row.get("person_roleid") if isinstance(row, dict) else None
        if not isinstance(profile, str) or not _DIGITS.fullmatch(profile):
            raise InvalidToken("role_profile")
        code, organisation = row.get("role_code"), row.get("org_code")
        match = _ROLE_CODE.fullmatch(code) if isinstance(code, str) else None
        if organisation is not None and not _is_organisation(organisation):
            raise InvalidToken("role_organisation")
        activities = self._rbac.of_role(match[1] if match else None, _added(row))
        return Role(profile, match[0] if match else None, organisation, activities)

    def _patient(self, application: Application, raw: Mapping[str, Any]) -> Identity:
        number = raw["nhs_number"]
        if not isinstance(number, str) or not is_nhs_number(number):
            raise InvalidToken("claim_nhs_number")
        level_ok = raw.get("vot") in self._settings.patient_vectors and raw.get("identity_proofing_level") == "P9"
        return Identity(AccessMode.PATIENT, None, application, own_number=int(number), level_ok=level_ok)

    def caller(self, identity: Identity, headers: Mapping[str, str]) -> Caller:
        """The caller of one request. Raises SpineError: 400 for a wrong or missing role or organisation
        header, 403 for a patient whose identity was not proved well enough."""
        if identity.mode is AccessMode.PATIENT and not identity.level_ok:
            raise patient_refused()
        role = _choose(identity, headers.get(SESSION_ROLE, ""))
        application = identity.application
        end_user = end_user_organisation(headers)
        return Caller(
            mode=identity.mode,
            user_id=identity.user_id,
            client_id=application.client_id,
            role_profile_id=role.profile_id if role else None,
            role_code=role.code if role else None,
            organisation=role.organisation if role else _acting_for(identity, end_user),
            activities=role.activities if role else frozenset(),
            attributes=frozenset(application.attributes),
            own_number=identity.own_number,
            granted=frozenset(application.policies),
        )


def assurance_level(raw: Mapping[str, Any]) -> str | None:
    """AAL1, AAL2 or AAL3 as the token says, or None when it says nothing (services.md 12).

    The level reached (``authentication_assurance_level``) goes before the class asked for (``acr``);
    of a class that admits several levels the lowest counts.
    """
    reached = raw.get("authentication_assurance_level")
    if reached is not None:
        digit = str(reached).removeprefix("AAL")
        return f"AAL{digit}" if digit in {"1", "2", "3"} else None
    asked = raw.get("acr")
    levels = _LEVEL.findall(asked) if isinstance(asked, str) else []
    return f"AAL{min(levels)}" if levels else None


def end_user_organisation(headers: Mapping[str, str]) -> str | None:
    """ODS code of NHSD-End-User-Organisation-ODS, or None. Raises SpineError (400) for another shape."""
    code = headers.get(END_USER_ORGANISATION)
    if not code or _is_organisation(code):
        return code or None
    raise invalid_value(code, END_USER_ORGANISATION, "header")


def _choose(identity: Identity, asked: str) -> Role | None:
    """The selected role: the header's, else the token's, else the only one (pds.md 4.3)."""
    if identity.mode is not AccessMode.HEALTHCARE_WORKER:
        return None
    wanted = asked or identity.selected
    if wanted is None:
        if len(identity.roles) > 1:
            raise invalid_role("")
        return identity.roles[0] if identity.roles else None
    for role in identity.roles:
        if role.profile_id == wanted:
            return role
    raise invalid_role(asked)


def _acting_for(identity: Identity, end_user: str | None) -> str | None:
    """The registered organisation that an application acts for; several need the header to say which."""
    organisations = identity.application.organisations
    if identity.mode is AccessMode.PATIENT or not organisations:
        return None
    if len(organisations) == 1:
        return organisations[0]
    if end_user is None:
        raise missing_value(END_USER_ORGANISATION)
    if end_user not in organisations:
        raise invalid_value(end_user, END_USER_ORGANISATION, "header")
    return end_user


def _is_organisation(code: Any) -> bool:
    return isinstance(code, str) and len(code) <= ODS_LIMIT and is_ods_code(code)


def _scopes(raw: Mapping[str, Any]) -> frozenset[str]:
    scope = raw.get("scope")
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()


def _role_rows(raw: Mapping[str, Any]) -> list[Any]:
    """The user's roles: CIS2 may send one object instead of a list, or nothing (services.md 12)."""
    rows = raw.get("nhsid_nrbac_roles")
    if rows is None:
        return []
    if isinstance(rows, dict):
        return [rows]
    if not isinstance(rows, list):
        raise InvalidToken("roles")
    return rows


def _added(row: Mapping[str, Any]) -> list[str]:
    codes = row.get("activity_codes") or []
    if not isinstance(codes, list) or not all(isinstance(code, str) and _ACTIVITY.fullmatch(code) for code in codes):
        raise InvalidToken("role_activities")
    return codes
