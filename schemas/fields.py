"""The catalogue of fields: one name, one meaning, one type, identifying or not.

Belongs here: every column of the row form of every feed. Dtypes, the contract of extracts, the
data dictionary and the expectation suites derive from it; a drift test compares them.
Does not belong here: which feed has which field (``schemas/feeds.py``), rules (``quality/``).

The row form of a Patient is flat columns plus nested lists; whatever PDS sends that these cannot
express (unknown extensions, other shapes) is kept whole in ``source_json``, so a resource always
comes back equal. Source of the fields: reference/pds.md sections 2.2 to 2.4, services.md 2 and 19.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.types import Kind, ListOf, Scalar, Struct

TEXT, DATE, INTEGER, BOOLEAN, TIMESTAMP = (
    Scalar.TEXT,
    Scalar.DATE_TEXT,
    Scalar.INTEGER,
    Scalar.BOOLEAN,
    Scalar.TIMESTAMP,
)

# A value is "current", "historic" (matches only with history) or "hidden" (never matches).
CURRENT, HISTORIC, HIDDEN = "current", "historic", "hidden"
STATES = (CURRENT, HISTORIC, HIDDEN)


@dataclass(frozen=True)
class Field:
    """One column: its name, kind, whether it can identify a person, and one sentence."""

    name: str
    kind: Kind
    identifying: bool
    meaning: str
    required: bool = False


def _texts(*names: str) -> tuple[tuple[str, Kind], ...]:
    return tuple((name, TEXT) for name in names)


_PERIOD: tuple[tuple[str, Kind], ...] = (("start", DATE), ("end", DATE))

NAME = Struct(
    (
        *_texts("state", "id", "use"),
        *_PERIOD,
        ("prefix", ListOf(TEXT)),
        ("given", ListOf(TEXT)),
        ("family", TEXT),
        ("suffix", ListOf(TEXT)),
    )
)
ADDRESS_KEY = Struct(_texts("type", "value"))
ADDRESS = Struct(
    (
        *_texts("state", "id", "use", "text"),
        *_PERIOD,
        ("lines", ListOf(TEXT)),
        ("postcode", TEXT),
        ("keys", ListOf(ADDRESS_KEY)),
    )
)
TELECOM = Struct((*_texts("state", "id", "system", "use", "value", "other_system"), *_PERIOD))
CONTACT = Struct((*_texts("id", "relationship"), *_PERIOD, ("telecoms", ListOf(TELECOM))))
ORGANISATION = Struct((*_texts("id", "code"), *_PERIOD))
CONTACT_PREFERENCE = Struct(_texts("written_format", "method", "times"))
BIRTH_PLACE = Struct(_texts("city", "district", "country"))
REMOVAL = Struct((("code", TEXT), *_PERIOD))
CONSENT = Struct(_texts("type", "value"))
SECTION = Struct(_texts("code", "title", "html"))
SECTION_ROW = Struct(
    (("header", TEXT), ("table", TEXT), ("row_no", INTEGER), ("cells", ListOf(Struct(_texts("column", "text")))))
)

_ALL = (
    # Envelope (services.md 19.3), on every feed.
    Field("action", TEXT, False, "new, update or delete, as the source sent it.", required=True),
    Field("source_key", TEXT, True, "Key of the record, stable within source and feed.", required=True),
    Field("nhs_number", TEXT, True, "The subject's NHS number as sent, ten digits.", required=True),
    Field("effective_from", DATE, False, "When it became true in the world, as sent."),
    Field("effective_to", DATE, False, "When it ended in the world, as sent; history is kept."),
    Field("recorded_at", TIMESTAMP, False, "When the source recorded it; orders records without a version."),
    Field("deleted_at", TIMESTAMP, False, "When the source removed it; only with delete."),
    Field("delete_reason", TEXT, False, "The source's reason for a delete."),
    Field("row_no", INTEGER, False, "Row in the extract, from 1: provenance.", required=True),
    # PDS patient.
    Field("version_id", INTEGER, False, "PDS's version of the record (meta.versionId).", required=True),
    Field("security", TEXT, False, "Confidentiality: U, R, V, or REDACTED (invalidated).", required=True),
    Field("verification", TEXT, False, "Status code of the NHS number's verification; 01 is verified."),
    Field("gender", TEXT, True, "Officially recorded gender: male, female, other, unknown."),
    Field("birth_date", DATE, True, "Birth date; yyyy or yyyy-mm where the day is not known."),
    Field("birth_order", INTEGER, True, "Order in a multiple birth, 1-7; 8 not applicable, 9 not known."),
    Field("deceased", TEXT, True, "Date and time of death as sent."),
    Field("death_status", TEXT, False, "Death notification: 1 informal, 2 formal, U removed."),
    Field("death_status_date", TEXT, False, "When the death notification took effect in the source."),
    Field("names", ListOf(NAME), True, "Names with use, period and state."),
    Field("addresses", ListOf(ADDRESS), True, "Addresses with use, period, keys and state."),
    Field("telecoms", ListOf(TELECOM), True, "Telephone, fax, e-mail, textphone, with use, period, state."),
    Field("contacts", ListOf(CONTACT), True, "Emergency contacts."),
    Field("general_practitioner", ORGANISATION, False, "Registered practice (ODS code)."),
    Field("managing_organisation", ORGANISATION, False, "Managing organisation (internal to PDS)."),
    Field("nominated_pharmacy", TEXT, False, "ODS code of the nominated pharmacy."),
    Field("preferred_dispenser", TEXT, False, "ODS code of the dispensing doctor."),
    Field("appliance_supplier", TEXT, False, "ODS code of the medical appliance supplier."),
    Field("language", TEXT, False, "Language code for communication; English is never stored."),
    Field("interpreter_required", BOOLEAN, False, "Whether an interpreter is required."),
    Field("contact_preference", CONTACT_PREFERENCE, True, "Preferred written format, method and times."),
    Field("birth_place", BIRTH_PLACE, True, "Place of birth."),
    Field("removal", REMOVAL, False, "Reason and time of removal from registration."),
    Field("consents", ListOf(CONSENT), False, "Record-sharing consents held by PDS."),
    Field("former_genders", ListOf(TEXT), True, "Genders recorded before."),
    Field("former_birth_dates", ListOf(DATE), True, "Birth dates recorded before; never indexed."),
    Field("related_persons", ListOf(TEXT), True, "FHIR RelatedPerson resources, JSON text each."),
    Field("source_json", TEXT, True, "The resource as sent, when the columns cannot express all of it."),
    # PDS number change.
    Field("new_nhs_number", TEXT, True, "The number that supersedes the subject's."),
    Field("change_type", TEXT, False, "superseded, or invalidated (no number follows).", required=True),
    # SCR summary.
    Field("scr_uuid", TEXT, False, "Identifier of this summary document.", required=True),
    Field("created", TEXT, False, "When the summary was created (Composition.date), as sent."),
    Field("sent", TEXT, False, "When the summary was sent (SendTime), as shown."),
    Field("practice_code", TEXT, False, "ODS code of the practice that wrote it."),
    Field("author_name", TEXT, False, "The author as the document names them (staff, not the patient)."),
    Field("permission", TEXT, False, "ACS permission: No, Ask or Yes.", required=True),
    Field("has_additional_information", BOOLEAN, False, "Whether an additional-information header has content."),
    Field("has_withheld_items", BOOLEAN, False, "Whether entries were deliberately withheld."),
    Field("sections", ListOf(SECTION), True, "Sections in order: code, title and HTML as sent."),
    Field("section_rows", ListOf(SECTION_ROW), True, "Rows read from the sections' tables, cells by column heading."),
    Field("bundle_json", TEXT, True, "The document Bundle as sent, JSON text."),
)

FIELDS: dict[str, Field] = {field.name: field for field in _ALL}

ENVELOPE = (
    "action",
    "source_key",
    "nhs_number",
    "effective_from",
    "effective_to",
    "recorded_at",
    "deleted_at",
    "delete_reason",
    "row_no",
)


def fields(names: tuple[str, ...]) -> tuple[Field, ...]:
    """The fields of these names, in this order."""
    return tuple(FIELDS[name] for name in names)
