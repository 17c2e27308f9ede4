"""Which rules each row of a frame breaks, worked out at the least cost.

Belongs here: the ways round testing every value with every rule. Does not belong here: the rules, what
follows from a mark (``judge.py``).

A rule says of a row what its own values say, so a rule of one column gives equal values equal verdicts:
where values repeat, each distinct one is tested once. A rule that looks at every text has a form of its
own for that (``Rule.narrowed``).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from quality.glance import Glance
from quality.rule import Context, Rule
from quality.rules.json_text import with_verdicts

# Distinct values are counted where some of the first so many repeat, and used where they are a fourth of all at most.
_LOOK = 16_000
_REPEATING = 0.9
_FEW = 4


def marks_of(frame: pl.DataFrame, rules: Sequence[Rule], context: Context) -> pl.DataFrame:
    """One column of truth values a rule, named as it and in their order: whether each row breaks it."""
    glance = Glance(frame)
    repeating: dict[str, list[pl.Expr]] = {}
    # A test without a column has one value for all rows; beside their numbers it has one for each.
    tests = [pl.int_range(pl.len()).alias("row")]
    named = [rule.test(context, glance).fill_null(value=False).alias(rule.name) for rule in rules]
    frame = with_verdicts(frame, named)
    for test in named:
        column = _only_column(test)
        if column is not None and _repeats(frame[column]):
            repeating.setdefault(column, []).append(test)
        else:
            tests.append(test)
    for column, found in repeating.items():
        tests += _by_value(frame[column], found)
    return frame.select(*tests).select(rule.name for rule in rules)


def _only_column(test: pl.Expr) -> str | None:
    columns = set(test.meta.root_names())
    return columns.pop() if len(columns) == 1 else None


def _repeats(column: pl.Series) -> bool:
    if column.dtype.is_nested() or column.len() <= _LOOK:
        return False
    return column.head(_LOOK).n_unique() <= _LOOK * _REPEATING


def _by_value(column: pl.Series, tests: list[pl.Expr]) -> list[pl.Expr]:
    """The same verdicts from the column's distinct values; the tests themselves where those are many."""
    values = column.unique()
    if values.len() * _FEW > column.len():
        return tests
    verdicts = values.to_frame().select(pl.col(column.name).alias("value"), *tests)
    names = verdicts.columns[1:]
    return [_among(column.name, verdicts["value"].filter(verdicts[name])).alias(name) for name in names]


def _among(column: str, broken: pl.Series) -> pl.Expr:
    if broken.is_empty():
        return pl.lit(value=False)
    return pl.col(column).is_in(broken.implode(), nulls_equal=True)
