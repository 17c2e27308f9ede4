"""Who asks: the caller of one request, after the token was checked and the role chosen.

Belongs here: the frozen value every slice receives. Does not belong here: how it was proved.
Modes are PDS's access modes (reference/pds.md 1.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AccessMode(Enum):
    """PDS access modes; the value is the word in PDS's error texts."""

    HEALTHCARE_WORKER = "healthcare-worker"
    APPLICATION = "application-restricted"
    PRIVILEGED_APPLICATION = "privileged-application-restricted"
    PATIENT = "patient-access"


@dataclass(frozen=True)
class Caller:
    """One caller. ``activities`` is closed over inclusion and is of the selected role only.

    ``attributes`` are the application's registered attributes (pds.md 2.2), such as
    ``return-nhs-record-sharing-consent``. For a patient, ``own_number`` is the one record allowed.
    ``granted`` are the policies registered to the application; only application modes use it.
    """

    mode: AccessMode
    user_id: str | None
    client_id: str
    role_profile_id: str | None
    role_code: str | None
    organisation: str | None
    activities: frozenset[str]
    attributes: frozenset[str] = frozenset()
    own_number: int | None = None
    granted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AccessEvent:
    """One access to be audited: what was asked (a policy name, not the values) and who was shown.

    ``patients`` are the NHS numbers shown or matched. Values of a query never enter an event.
    ``caller`` is None when the token proved nothing (status 401).
    """

    policy: str
    caller: Caller | None
    request_id: str
    correlation_id: str | None
    end_user_organisation: str | None
    generation: str
    status: int
    patients: tuple[int, ...]
    detail: str = ""
