"""What of a patient's resource a caller may see: allow-lists for search results and restricted records.

Belongs here: pure functions from a whole Patient or RelatedPerson to the part that may be shown.
Does not belong here: what an application's attributes open (``attributes.py``), or whether a record
may be read at all (``access/``).
Source: pds.md 1.8, 1.9, 1.10 and 2.4. Everything here names what stays; what nobody named is left
out, so an extension that we do not know never shows where a restricted person lives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from typing import Any

from schemas.fhir import urls
from schemas.fhir.values import dicts
from search_api.access.context import AccessMode

Resource = dict[str, Any]

RELATED_EXTENSIONS = frozenset(
    {urls.CONTACT_RANK, urls.COPY_CORRESPONDENCE, urls.OLD_CONTACT_RANK, urls.OLD_COPY_CORRESPONDENCE}
)

IDENTITY = frozenset({"resourceType", "id", "meta", "identifier"})
BIRTH_AND_DEATH = frozenset(
    {"birthDate", "multipleBirthInteger", "multipleBirthBoolean", "deceasedDateTime", "deceasedBoolean"}
)
RESTRICTED_FIELDS = IDENTITY | BIRTH_AND_DEATH | {"name", "gender"}
SEARCH_FIELDS = RESTRICTED_FIELDS | {"address", "telecom", "contact", "generalPractitioner"}
RELATED_RESTRICTED = frozenset(
    {"resourceType", "id", "meta", "active", "identifier", "patient", "relationship", "period", "name", "gender"}
)

SEARCH_NAME_USES = frozenset({"usual", "nickname", "temp"})


class Security(Enum):
    """Confidentiality of a record (meta.security, and the column ``security``)."""

    UNRESTRICTED = "U"
    RESTRICTED = "R"
    VERY_RESTRICTED = "V"
    INVALIDATED = "REDACTED"


def search_view(resource: Resource, security: str, very_restricted_fields: Collection[str] = ()) -> Resource:
    """The subset a search returns (pds.md 1.8); a restricted record loses its location fields too."""
    if security not in (Security.UNRESTRICTED.value, Security.RESTRICTED.value):
        return very_restricted_view(resource, very_restricted_fields)
    fields = SEARCH_FIELDS if security == Security.UNRESTRICTED.value else RESTRICTED_FIELDS
    view = _only(resource, fields)
    _filter(view, "name", lambda name: name.get("use") in SEARCH_NAME_USES)
    _filter(view, "address", lambda address: address.get("use") == "home")
    _keep_extensions(view, resource, {urls.DEATH_NOTIFICATION})
    return view


def read_view(
    resource: Resource, security: str, mode: AccessMode, very_restricted_fields: Collection[str] = ()
) -> Resource:
    """What GET by number returns (pds.md 1.9): all of an unrestricted record, the rest by allow-list.

    A privileged application sees all of a restricted record; a very restricted one is never whole.
    An unknown confidentiality is treated as very restricted.
    """
    if security == Security.UNRESTRICTED.value:
        return resource
    if security == Security.RESTRICTED.value:
        if mode is AccessMode.PRIVILEGED_APPLICATION:
            return resource
        view = _only(resource, RESTRICTED_FIELDS)
        _keep_extensions(view, resource, {urls.DEATH_NOTIFICATION})
        return view
    return very_restricted_view(resource, very_restricted_fields)


def very_restricted_view(resource: Resource, fields: Collection[str] = ()) -> Resource:
    """The number, the label and the version; ``fields`` of birth, death and gender by setting."""
    allowed = (BIRTH_AND_DEATH | {"gender"}) - {"birthDate"}
    view = _only(resource, IDENTITY | (allowed & set(fields)))
    if "deceasedDateTime" in view:
        _keep_extensions(view, resource, {urls.DEATH_NOTIFICATION})
    return view


def related_view(resource: Resource, security: str) -> Resource:
    """A RelatedPerson who is a restricted patient, without location fields (pds.md 2.4)."""
    if security == Security.UNRESTRICTED.value:
        return resource
    fields = RELATED_RESTRICTED
    if security != Security.RESTRICTED.value:
        fields = fields - {"name", "gender"}
    view = _only(resource, fields)
    _keep_extensions(view, resource, RELATED_EXTENSIONS)
    return view


def _only(resource: Resource, fields: Collection[str]) -> Resource:
    return {name: value for name, value in resource.items() if name in fields}


def _filter(view: Resource, field: str, keep: Callable[[Resource], bool]) -> None:
    if field not in view:
        return
    kept = [item for item in dicts(view[field]) if keep(item)]
    if kept:
        view[field] = kept
    else:
        del view[field]


def _keep_extensions(view: Resource, resource: Resource, allowed: Collection[str]) -> None:
    kept = [item for item in dicts(resource.get("extension")) if item.get("url") in allowed]
    if kept:
        view["extension"] = kept
