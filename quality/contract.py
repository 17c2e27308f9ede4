"""The contract of an extract's rows, derived from the catalogue: columns, required values, codes.

Belongs here: what every feed has in common. Does not belong here: one feed's own rules
(``rules/``). Source: ``schemas/fields.py``, reference/services.md 19.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import polars as pl

from quality.expressions import CONTROL, after, any_text, is_date, nhs_number_valid, outside, precedes
from quality.glance import Glance, Texts
from quality.reasons import refused
from quality.rule import Context, Narrowed, Rule, RuleSet
from schemas.feeds import Feed
from schemas.fields import ENVELOPE, Field
from schemas.types import Scalar

ACTIONS = ("new", "update", "delete")
# Texts that hold whole documents; every other text is a value and far shorter.
DOCUMENTS = ("source_json", "related_persons", "bundle_json", "sections", "section_rows")
TEXT_LIMIT = 10_000

_ENVELOPE = RuleSet()
_TextTest: TypeAlias = Callable[[Context, pl.Expr], pl.Expr]


def check_columns(feed: Feed, found: dict[str, pl.DataType]) -> None:
    """Columns of a parquet file: exactly the feed's, in any order, each of its type.

    Raises FileRefused (FILE_COLUMNS) naming columns of the catalogue; a stranger is only counted.
    """
    wanted = feed.polars_schema
    missing = sorted(set(wanted) - set(found))
    extra = len(set(found) - set(wanted))
    retyped = sorted(name for name in wanted if name in found and found[name] != wanted[name])
    faults = [f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("retyped", retyped)) if names]
    if extra:
        faults.append(f"{extra} unknown")
    if faults:
        raise refused("FILE_COLUMNS", "; ".join(faults))


def contract_rules(feed: Feed) -> list[Rule]:
    """Rules every feed has, the envelope's first, then what its fields' declarations demand."""
    own = [field for field in feed.fields if field.name not in ENVELOPE]
    return [*_ENVELOPE.rules, *(_required(field) for field in own if field.required), *_text_rules(feed)]


def live() -> pl.Expr:
    """True for rows that carry a record: all but deletes, whose own fields may be empty."""
    return pl.col("action").ne_missing("delete")


@_ENVELOPE.rule("REC_INVALID_VALUE", "action", "services.md 19.3", releasable=False)
def action_unknown(_context: Context) -> pl.Expr:
    """The action is missing or none of new, update, delete."""
    return outside(pl.col("action"), ACTIONS).fill_null(value=True)


@_ENVELOPE.rule("REC_INVALID_VALUE", "source_key", "services.md 19.3", releasable=False)
def key_missing(_context: Context) -> pl.Expr:
    """The record has no key."""
    return pl.col("source_key").fill_null("").str.len_chars() == 0


@_ENVELOPE.rule("REC_NHS_NUMBER_INVALID", "nhs_number", "services.md 19.4", releasable=False)
def nhs_number_invalid(_context: Context) -> pl.Expr:
    """The NHS number is missing, not ten digits, all one digit, or fails Modulus 11."""
    return ~nhs_number_valid(pl.col("nhs_number")).fill_null(value=False)


@_ENVELOPE.rule("REC_INVALID_VALUE", "action", "services.md 19.3", releasable=False)
def delete_in_full(context: Context) -> pl.Expr:
    """A full holds a delete, though in a full absence is the delete."""
    return pl.lit(context.kind == "full") & (pl.col("action") == "delete")


@_ENVELOPE.rule("REC_QUESTIONABLE", "action", "services.md 19.3")
def update_in_full(context: Context) -> pl.Expr:
    """A full holds an update, though in a full every record is new; kept, it states the record."""
    return pl.lit(context.kind == "full") & (pl.col("action") == "update")


@_ENVELOPE.rule("REC_INVALID_VALUE", "effective_from", "services.md 19.3", releasable=False)
def effective_date_shape(_context: Context) -> pl.Expr:
    """An effective date is not a date, whole or partial."""
    return ~is_date(pl.col("effective_from")) | ~is_date(pl.col("effective_to"))


@_ENVELOPE.rule("REC_INVALID_VALUE", "effective_to", "services.md 19.4")
def effective_end_before_start(_context: Context) -> pl.Expr:
    """The record ends before it starts."""
    return precedes(pl.col("effective_to"), pl.col("effective_from"))


@_ENVELOPE.rule("REC_INVALID_VALUE", "recorded_at", "services.md 19.4", releasable=False)
def recorded_in_future(context: Context) -> pl.Expr:
    """The record was recorded after the extract's as-at time."""
    return (pl.col("recorded_at") > context.instant) | (pl.col("deleted_at") > context.instant)


@_ENVELOPE.rule("REC_INVALID_VALUE", "deleted_at", "services.md 19.3")
def deleted_without_delete(_context: Context) -> pl.Expr:
    """A record that is not deleted says when it was deleted."""
    return live() & pl.col("deleted_at").is_not_null()


@_ENVELOPE.rule("REC_QUESTIONABLE", "effective_from", "services.md 19.3")
def effective_in_future(context: Context) -> pl.Expr:
    """The record takes effect after the extract's as-at time."""
    return after(pl.col("effective_from"), context.day)


def _required(field: Field) -> Rule:
    def broken(_context: Context) -> pl.Expr:
        empty = pl.col(field.name).is_null()
        if field.kind is Scalar.TEXT:
            empty |= pl.col(field.name).str.len_chars() == 0
        return live() & empty

    name = f"{field.name.upper()}_MISSING"
    sentence = "A required value is missing."
    return Rule(name, "REC_INVALID_VALUE", field.name, sentence, "schemas/fields.py", releasable=False, broken=broken)


def _text_rules(feed: Feed) -> list[Rule]:
    plain = [field for field in feed.fields if field.name not in DOCUMENTS]
    documents = [field for field in feed.fields if field.name in DOCUMENTS]
    control = _text_rule("CONTROL_CHARACTER", "A text holds a control character.", plain, _holds_control)
    length = _text_rule("TEXT_TOO_LONG", "A text is longer than any real value.", plain, _too_long)
    size = _text_rule("DOCUMENT_TOO_LONG", "A document is longer than the record limit.", documents, _document_too_long)
    return [
        replace(control, narrowed=_narrowed(plain, _holds_control, lambda texts: texts.control)),
        replace(length, narrowed=_narrowed(plain, _too_long, lambda texts: texts.longest > TEXT_LIMIT)),
        size,
    ]


def _holds_control(_context: Context, text: pl.Expr) -> pl.Expr:
    return text.str.contains(CONTROL)


def _too_long(_context: Context, text: pl.Expr) -> pl.Expr:
    return text.str.len_bytes() > TEXT_LIMIT


def _document_too_long(context: Context, text: pl.Expr) -> pl.Expr:
    return text.str.len_bytes() > context.record_limit


def _text_rule(name: str, sentence: str, fields: list[Field], test: _TextTest) -> Rule:
    def broken(context: Context) -> pl.Expr:
        return _any_of(fields, test, context)

    source = "promises.md 5.2"
    return Rule(name, "REC_INVALID_VALUE", "any text", sentence, source, releasable=False, broken=broken)


def _narrowed(fields: list[Field], test: _TextTest, suspect: Callable[[Texts], bool]) -> Narrowed:
    """The test of those fields alone that a glance does not clear."""

    def narrowed(context: Context, glance: Glance) -> pl.Expr:
        return _any_of([field for field in fields if suspect(glance.texts(field.name))], test, context)

    return narrowed


def _any_of(fields: list[Field], test: _TextTest, context: Context) -> pl.Expr:
    found = [any_text(pl.col(field.name), field.kind, lambda text: test(context, text)) for field in fields]
    tests = [expression.fill_null(value=False) for expression in found if expression is not None]
    return pl.any_horizontal(tests) if tests else pl.lit(value=False)
