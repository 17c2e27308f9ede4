"""Code tables: the systems, versions and display texts PDS uses, read from ``codes.json``.

Belongs here: building a Coding from a code and reading a code back. Does not belong here: which
field uses which table. A display that differs from the table's is no error: the resource is then
kept whole (``patient.py``). Sources: pds.md 2.2 and 2.4 and the published PDS examples; languages
are ISO 639-1 names plus PDS's q1 to q5. Systems of the consent codes are not published, so these
codings carry none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from schemas.fhir.values import Json, text


@dataclass(frozen=True)
class CodeTable:
    """One code system as PDS writes it; ``displays`` maps code to text."""

    system: str | None
    version: str | None
    displays: dict[str, str]
    default_display: str | None = None

    def coding(self, code: str) -> Json:
        """The Coding of a code; without ``display`` where the table has none."""
        coding: Json = {}
        if self.system is not None:
            coding["system"] = self.system
        if self.version is not None:
            coding["version"] = self.version
        coding["code"] = code
        display = self.displays.get(code, self.default_display)
        if display is not None:
            coding["display"] = display
        return coding

    def concept(self, code: str) -> Json:
        """The CodeableConcept holding the one Coding of a code."""
        return {"coding": [self.coding(code)]}


def _table(entry: dict[str, Any], default_display: str | None = None) -> CodeTable:
    return CodeTable(entry["system"], entry.get("version"), entry["displays"], default_display)


_TABLES: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("codes.json").read_text("utf-8"))

NUMBER_VERIFICATION = _table(_TABLES["number_verification"])
CONFIDENTIALITY = _table(_TABLES["confidentiality"])
DEATH_NOTIFICATION = _table(_TABLES["death_notification"])
WRITTEN_FORMAT = _table(_TABLES["written_format"])
CONTACT_METHOD = _table(_TABLES["contact_method"])
OTHER_CONTACT_SYSTEM = _table(_TABLES["other_contact_system"])
CONTACT_RELATIONSHIP = _table(_TABLES["contact_relationship"])
ADDRESS_KEY = _table(_TABLES["address_key"])
REMOVAL_REASON = _table(_TABLES["removal_reason"])
CONSENT_TYPE = _table(_TABLES["consent_type"])
CONSENT_VALUE = _table(_TABLES["consent_value"])
RELATED_ROLE = _table(_TABLES["related_role"])
RELATED_TYPE = _table(_TABLES["related_type"])
# "If there is a language code with no defined mapping, Unknown will be returned" (PDS schema).
LANGUAGE = _table(_TABLES["language"], default_display="Unknown")


def coding_code(coding: object) -> str | None:
    """The code of a Coding, or None."""
    return text(coding.get("code")) if isinstance(coding, dict) else None


def concept_code(concept: object) -> str | None:
    """The code of the first Coding of a CodeableConcept, or None."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return coding_code(codings[0]) if isinstance(codings, list) and codings else None
