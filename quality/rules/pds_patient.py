"""Rules of ``pds_patient``: one function per rule, beside what the contract demands of every feed.

Belongs here: what makes a patient row rejected or flagged. Does not belong here: anything about
its place among other rows (duplicates) or other feeds (orphans).

PDS is the authority on people, so a doubtful *detail* is flagged and kept; a row is rejected only
where keeping it would be wrong for sure, or would break a promise of the replica (keys, versions,
confidentiality). A rule that keeps answers valid FHIR (codes, dates) cannot be overruled; one that only
doubts a value can. Sources: reference/pds.md 2.2, 3.2; services.md 19.4.
"""

from __future__ import annotations

import polars as pl

from quality.contract import live
from quality.expressions import after, any_item, is_date, is_moment, is_ods_code, outside, precedes
from quality.glance import Glance
from quality.placeholders import is_placeholder_birth_date, is_placeholder_name, is_placeholder_postcode
from quality.rule import Context, RuleSet
from quality.rules.json_text import any_not_json, not_json
from schemas.fields import STATES

PDS_PATIENT_RULES = RuleSet()
_rule = PDS_PATIENT_RULES.rule

SECURITY = ("U", "R", "V", "REDACTED")
GENDERS = ("male", "female", "other", "unknown")
DEATH_STATUS = ("1", "2", "U")
NAME_USES = ("usual", "temp", "nickname", "old", "maiden")
ADDRESS_USES = ("home", "temp", "billing", "work")
TELECOM_SYSTEMS = ("phone", "fax", "email", "other")
_POSTCODE = r"^[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}$"


@_rule("REC_INVALID_VALUE", "source_key", "services.md 19.7", releasable=False)
def key_not_number(_context: Context) -> pl.Expr:
    """The key of a patient is not the NHS number."""
    return pl.col("source_key") != pl.col("nhs_number")


@_rule("REC_INVALID_VALUE", "version_id", "pds.md 2.2", releasable=False)
def version_below_one(_context: Context) -> pl.Expr:
    """The version is below 1."""
    return pl.col("version_id") < 1


@_rule("REC_INVALID_VALUE", "security", "pds.md 1.9", releasable=False)
def security_unknown(_context: Context) -> pl.Expr:
    """The confidentiality code is not U, R, V or REDACTED, so who may see it is not known."""
    return outside(pl.col("security"), SECURITY)


@_rule("REC_INVALID_VALUE", "names, addresses, telecoms", "schemas/fields.py", releasable=False)
def state_unknown(_context: Context) -> pl.Expr:
    """A name, address or telecom is neither current, historic nor hidden, so who may match it is not known."""
    lost = [
        any_item(pl.col(column), lambda item: ~item.struct.field("state").is_in(list(STATES)).fill_null(value=False))
        for column in ("names", "addresses", "telecoms")
    ]
    return pl.any_horizontal(expression.fill_null(value=False) for expression in lost)


@_rule("REC_INVALID_VALUE", "gender", "pds.md 2.2", releasable=False)
def gender_unknown(_context: Context) -> pl.Expr:
    """The gender is none of male, female, other, unknown."""
    return outside(pl.col("gender"), GENDERS)


@_rule("REC_INVALID_VALUE", "birth_date", "pds.md 2.2", releasable=False)
def birth_date_shape(_context: Context) -> pl.Expr:
    """The birth date is not yyyy, yyyy-mm or yyyy-mm-dd of the calendar."""
    return ~is_date(pl.col("birth_date"))


@_rule("REC_INVALID_VALUE", "birth_date", "pds.md 3.2")
def birth_in_future(context: Context) -> pl.Expr:
    """The birth lies after the extract's as-at day."""
    return after(pl.col("birth_date"), context.day)


@_rule("REC_INVALID_VALUE", "birth_order", "pds.md 2.2")
def birth_order_unknown(_context: Context) -> pl.Expr:
    """The order in a multiple birth is not 1 to 9."""
    return ~pl.col("birth_order").is_between(1, 9)


@_rule("REC_INVALID_VALUE", "deceased", "pds.md 2.2", releasable=False)
def death_shape(_context: Context) -> pl.Expr:
    """The date of death is not a FHIR date or dateTime of the calendar."""
    return ~is_moment(pl.col("deceased"))


@_rule("REC_INVALID_VALUE", "deceased", "pds.md 3.2")
def death_in_future(context: Context) -> pl.Expr:
    """The death lies after the extract's as-at day."""
    return after(pl.col("deceased"), context.day)


@_rule("REC_INVALID_VALUE", "deceased", "pds.md 3.2")
def death_before_birth(_context: Context) -> pl.Expr:
    """The person died before they were born."""
    return precedes(pl.col("deceased"), pl.col("birth_date"))


@_rule("REC_INVALID_VALUE", "death_status", "pds.md 2.2", releasable=False)
def death_status_unknown(_context: Context) -> pl.Expr:
    """The death notification status is not 1, 2 or U."""
    return outside(pl.col("death_status"), DEATH_STATUS)


@_rule("REC_INVALID_VALUE", "source_json", "schemas/fields.py", releasable=False)
def source_not_json(_context: Context) -> pl.Expr:
    """The resource as sent is not a JSON object."""
    return not_json("source_json")


@_rule("REC_INVALID_VALUE", "source_json", "schemas/fields.py", releasable=False)
def source_of_another(_context: Context) -> pl.Expr:
    """The resource as sent is another patient's: its id is not the row's NHS number."""
    return pl.col("source_json").str.json_path_match("$.id").ne_missing(pl.col("nhs_number")) & (
        pl.col("source_json").is_not_null()
    )


@_rule("REC_INVALID_VALUE", "related_persons", "schemas/fields.py", releasable=False)
def related_not_json(_context: Context) -> pl.Expr:
    """A related person is not a JSON object."""
    return any_not_json("related_persons")


@_rule("REC_NOT_VERIFIED", "verification", "services.md 19.4")
def not_verified(_context: Context) -> pl.Expr:
    """The NHS number's status is not "present and verified"; kept, because PDS itself says so."""
    return live() & (pl.col("verification") != "01")


def _placeholders_held(_context: Context, glance: Glance) -> pl.Expr:
    """The rule below with the placeholders that the names hold, told from each distinct name once."""
    families, firsts = (_placeholders_of(glance.distinct("names", part)) for part in ("family", "given"))
    if not families and not firsts:
        return pl.lit(value=False)
    return any_item(pl.col("names"), lambda item: _either(_family(item).is_in(families), _first(item).is_in(firsts)))


@_rule("REC_PLACEHOLDER", "names", "matching.md 1", narrowed=_placeholders_held)
def placeholder_name(_context: Context) -> pl.Expr:
    """A family or given name is a placeholder."""
    return any_item(pl.col("names"), _placeholder_in_name)


@_rule("REC_PLACEHOLDER", "birth_date", "matching.md 1")
def placeholder_birth_date(_context: Context) -> pl.Expr:
    """The birth date is one that systems fill in."""
    return is_placeholder_birth_date(pl.col("birth_date"))


@_rule("REC_PLACEHOLDER", "addresses", "pds.md 3.2")
def placeholder_postcode(_context: Context) -> pl.Expr:
    """A postcode is a ZZ99 code: no fixed abode, abroad, not known."""
    return any_item(pl.col("addresses"), lambda item: is_placeholder_postcode(item.struct.field("postcode")))


@_rule("REC_QUESTIONABLE", "birth_date", "pds.md 2.2")
def age_implausible(context: Context) -> pl.Expr:
    """The person would be older than 130."""
    earliest = f"{int(context.day[:4]) - 130:04d}"
    return pl.col("deceased").is_null() & (pl.col("birth_date") < earliest)


@_rule("REC_QUESTIONABLE", "names", "pds.md 2.2")
def name_use_unknown(_context: Context) -> pl.Expr:
    """A name's use is none that PDS knows."""
    return any_item(pl.col("names"), lambda item: outside(item.struct.field("use"), NAME_USES))


@_rule("REC_QUESTIONABLE", "addresses", "pds.md 2.2")
def address_use_unknown(_context: Context) -> pl.Expr:
    """An address's use is none that PDS knows."""
    return any_item(pl.col("addresses"), lambda item: outside(item.struct.field("use"), ADDRESS_USES))


@_rule("REC_QUESTIONABLE", "addresses", "pds.md 2.2")
def postcode_shape(_context: Context) -> pl.Expr:
    """A postcode has not a postcode's shape."""
    return any_item(
        pl.col("addresses"), lambda item: ~item.struct.field("postcode").str.to_uppercase().str.contains(_POSTCODE)
    )


@_rule("REC_QUESTIONABLE", "telecoms", "pds.md 2.2")
def telecom_system_unknown(_context: Context) -> pl.Expr:
    """A telecom's system is none that PDS knows."""
    return any_item(pl.col("telecoms"), lambda item: outside(item.struct.field("system"), TELECOM_SYSTEMS))


@_rule("REC_QUESTIONABLE", "general_practitioner", "pds.md 2.2")
def practice_code_shape(_context: Context) -> pl.Expr:
    """The practice's code has not an ODS code's shape."""
    return ~is_ods_code(pl.col("general_practitioner").struct.field("code"))


def _placeholder_in_name(item: pl.Expr) -> pl.Expr:
    return _either(is_placeholder_name(_family(item)), is_placeholder_name(_first(item)))


def _either(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return one.fill_null(value=False) | other.fill_null(value=False)


def _family(name: pl.Expr) -> pl.Expr:
    return name.struct.field("family")


def _first(name: pl.Expr) -> pl.Expr:
    return name.struct.field("given").list.first()


def _placeholders_of(texts: pl.Series) -> list[str]:
    return texts.to_frame("text").filter(is_placeholder_name(pl.col("text"))).to_series().to_list()
