"""Judging a frame of rows: which are accepted, which rejected and why, which flagged.

Belongs here: applying the rules of a feed to one part of an extract. Does not belong here: the
rules, reading and writing parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quality.catalogue import DUPLICATE_RULE, rules_of
from quality.completeness import filled
from quality.expressions import control_number
from quality.marks import marks_of
from quality.reasons import REASONS, Level
from quality.rule import Context, Rule
from quality.verdict import Tally
from schemas.feeds import Feed

DUPLICATE_CODE = "REC_DUPLICATE_KEY"

REJECTED_SCHEMA: dict[str, pl.DataType] = {
    "row_no": pl.Int64(),
    "source_key": pl.String(),
    "nhs_number": pl.String(),
    "code": pl.String(),
    "rule": pl.String(),
    "level": pl.String(),
    "rules": pl.List(pl.String()),
}
FLAGGED_SCHEMA: dict[str, pl.DataType] = {"row_no": pl.Int64(), "rule": pl.String()}


@dataclass(frozen=True)
class Judgement:
    """Verdict on one frame. ``rejected`` and ``flagged`` have the schemas above, ``accepted`` the feed's."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    flagged: pl.DataFrame
    tally: Tally


def judge(
    feed: Feed, frame: pl.DataFrame, context: Context, losers: pl.Series, overruled: frozenset[str] = frozenset()
) -> Judgement:
    """Judge rows of a feed's schema.

    ``losers`` are the row numbers that lost to another row of the same key (``groups.py``).
    ``overruled`` names rules that a person overruled for these rows.
    """
    rules = [rule for rule in rules_of(feed.name) if rule.name not in overruled]
    marks = _marks(frame, rules, context, losers)
    binding = {rule.name: rule.code for rule in rules if rule.level is not Level.WARNING}
    binding[DUPLICATE_RULE] = DUPLICATE_CODE
    rejected_mask = marks.select(pl.any_horizontal(*binding)).to_series()
    rejected = _rejected(frame, marks, rejected_mask, binding)
    # Most frames have nothing to reject: no copy is made of them.
    accepted = frame.filter(~rejected_mask) if rejected_mask.any() else frame
    flagged = _flagged(marks.filter(~rejected_mask), accepted, rules)
    counts = Counter({name: int(marks[name].sum()) for name in marks.columns if marks[name].any()})
    tally = Tally(
        received=frame.height,
        accepted=accepted.height,
        quarantined=rejected.height,
        warnings=flagged.height,
        control=control_total(frame),
        rules=counts,
        completeness=filled(accepted, feed),
    )
    return Judgement(accepted, rejected, flagged, tally)


def control_total(frame: pl.DataFrame) -> int:
    """Exclusive or of the NHS numbers as 64-bit integers, over rows that hold ten digits."""
    total = frame.select(control_number(pl.col("nhs_number")).bitwise_xor()).item()
    return int(total or 0)


def _marks(frame: pl.DataFrame, rules: Sequence[Rule], context: Context, losers: pl.Series) -> pl.DataFrame:
    lost = frame["row_no"].is_in(losers.implode()).fill_null(value=False)
    return marks_of(frame, rules, context).with_columns(lost.alias(DUPLICATE_RULE))


def _rejected(frame: pl.DataFrame, marks: pl.DataFrame, mask: pl.Series, binding: dict[str, str]) -> pl.DataFrame:
    broken = marks.filter(mask).select(
        pl.concat_list([pl.when(pl.col(name)).then(pl.lit(name)) for name in binding]).list.drop_nulls().alias("rules")
    )
    levels = {name: REASONS[code].level.value for name, code in binding.items()}
    first = pl.col("rules").list.first()
    rows = frame.filter(mask).select("row_no", "source_key", "nhs_number")
    return pl.concat([rows, broken], how="horizontal").select(
        "row_no",
        "source_key",
        "nhs_number",
        first.replace_strict(binding, return_dtype=pl.String()).alias("code"),
        first.alias("rule"),
        first.replace_strict(levels, return_dtype=pl.String()).alias("level"),
        "rules",
    )


def _flagged(marks: pl.DataFrame, accepted: pl.DataFrame, rules: list[Rule]) -> pl.DataFrame:
    warnings = [rule.name for rule in rules if rule.level is Level.WARNING]
    found = [
        accepted.filter(marks[name]).select("row_no", pl.lit(name).alias("rule"))
        for name in warnings
        if marks[name].any()
    ]
    return pl.concat(found) if found else pl.DataFrame(schema=FLAGGED_SCHEMA)
