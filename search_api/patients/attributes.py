"""What an application's registered attributes open in a Patient: consent, removal reason, blank lines.

Belongs here: the three gates of pds.md 2.2, as pure functions on a resource. Does not belong here:
restricted records (``redaction.py``), or where the attributes come from (``access/``).
Each gate returns the resource it was given when there is nothing to change, and a copy otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.fhir import urls
from schemas.fhir.values import dicts, mapping

Resource = dict[str, Any]

CONSENT_ATTRIBUTE = "return-nhs-record-sharing-consent"
REMOVAL_ATTRIBUTE = "return-confidential-reason-for-removal"
LINES_ATTRIBUTE = "return-empty-address-lines"

HIDDEN_CONSENTS = frozenset({"3", "5"})  # unknown, call-centre callback
CONFIDENTIAL_REMOVALS = frozenset({"AFN", "SDN", "LDN"})
OTHER_REASON = {"code": "ORR", "display": "Other Reason"}


def gated(resource: Resource, attributes: frozenset[str]) -> Resource:
    """The resource as a caller with these attributes may see it."""
    if "extension" in resource:
        resource = _gate_extensions(resource, attributes)
    if LINES_ATTRIBUTE not in attributes and any(map(_has_blank, dicts(resource.get("address")))):
        resource = {**resource, "address": [_without_blanks(item) for item in dicts(resource["address"])]}
    return resource


def _gate_extensions(resource: Resource, attributes: frozenset[str]) -> Resource:
    extensions = dicts(resource["extension"])
    kept = [item for item in extensions if _consent_allowed(item, attributes)]
    if REMOVAL_ATTRIBUTE not in attributes:
        kept = [_with_other_reason(item) for item in kept]
    if kept == extensions:
        return resource
    rest = {name: value for name, value in resource.items() if name != "extension"}
    return {**rest, "extension": kept} if kept else rest


def _consent_allowed(extension: Resource, attributes: frozenset[str]) -> bool:
    if extension.get("url") != urls.CONSENT:
        return True
    return CONSENT_ATTRIBUTE in attributes and not HIDDEN_CONSENTS & set(_codes(extension, "consentValue"))


def _codes(extension: Resource, part: str) -> Iterable[str]:
    """Codes of a part of an extension, however it carries them (coding, concept, code, text)."""
    for item in dicts(extension.get("extension")):
        if item.get("url") != part:
            continue
        codings = [*dicts(mapping(item.get("valueCodeableConcept")).get("coding")), mapping(item.get("valueCoding"))]
        yield from (str(coding.get("code", "")) for coding in codings)
        yield from (str(item[name]) for name in ("valueCode", "valueString", "valueInteger") if name in item)


def _with_other_reason(extension: Resource) -> Resource:
    if extension.get("url") != urls.REMOVAL:
        return extension
    if not CONFIDENTIAL_REMOVALS & set(_codes(extension, "removalFromRegistrationCode")):
        return extension
    return {**extension, "extension": [_masked_removal(part) for part in dicts(extension["extension"])]}


def _masked_removal(part: Resource) -> Resource:
    if part.get("url") != "removalFromRegistrationCode":
        return part
    codings = dicts(mapping(part.get("valueCodeableConcept")).get("coding"))
    system = next((coding["system"] for coding in codings if "system" in coding), None)
    masked = {"system": system, **OTHER_REASON} if system else dict(OTHER_REASON)
    return {"url": part["url"], "valueCodeableConcept": {"coding": [masked]}}


def _blank(line: object) -> bool:
    return line is None or (isinstance(line, str) and not line.strip())


def _has_blank(address: Resource) -> bool:
    return any(_blank(line) for line in address.get("line") or ())


def _without_blanks(address: Resource) -> Resource:
    if not _has_blank(address):
        return address
    lines = [line for line in address["line"] if not _blank(line)]
    rest = {name: value for name, value in address.items() if name not in ("line", "_line")}
    return {**rest, "line": lines} if lines else rest
