"""The shape of a record-level rule: one function from context to a polars expression.

Belongs here: ``Rule``, its context, the decorator that registers it. Does not belong here: rules.

A rule's expression is true where a row breaks it; null counts as not broken. The docstring of the
function is the rule's sentence in documentation and in the catalogue. A rule that looks at every text
has a second form, which is the first without the columns that a glance at the frame has cleared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from quality.glance import Glance
from quality.reasons import REASONS, Level

_LONDON = ZoneInfo("Europe/London")
# The national services' clocks and ours may differ a little; a day's date cannot.
_CLOCK_DIFFERENCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Context:
    """What a rule may know beside the row: the extract's kind and as-at time, and the size limit.

    "The future" is what lies after the as-at time, so the same bytes always get the same verdict.
    """

    kind: str
    as_at: datetime
    record_limit: int = 4_000_000

    @property
    def day(self) -> str:
        """The as-at day in England, yyyy-mm-dd: later dates are in the future."""
        return self.as_at.astimezone(_LONDON).date().isoformat()

    @property
    def instant(self) -> datetime:
        """The latest moment that is not in the future."""
        return self.as_at + _CLOCK_DIFFERENCE


Expression = Callable[[Context], pl.Expr]
Narrowed = Callable[[Context, Glance], pl.Expr]


@dataclass(frozen=True)
class Rule:
    """One record-level rule.

    ``releasable`` rules may be overruled by a person for a single row; the others protect the
    replica's integrity (keys, versions, states) and may not.
    """

    name: str
    code: str
    field: str
    sentence: str
    source: str
    releasable: bool
    broken: Expression
    narrowed: Narrowed | None = None

    def test(self, context: Context, glance: Glance) -> pl.Expr:
        """The expression for the frame of the glance: the same verdicts, at the least cost."""
        return self.broken(context) if self.narrowed is None else self.narrowed(context, glance)

    @property
    def level(self) -> Level:
        """The level of its code."""
        return REASONS[self.code].level


class RuleSet:
    """The rules of one feed, in the order they are judged; the first broken one gives the code."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def rule(
        self, code: str, field: str, source: str, *, releasable: bool = True, narrowed: Narrowed | None = None
    ) -> Callable[[Expression], Expression]:
        """Register a function as a rule; its name in capitals is the rule's name."""

        def register(function: Expression) -> Expression:
            sentence = " ".join((function.__doc__ or "").split())
            name = function.__name__.upper()
            self.rules.append(Rule(name, code, field, sentence, source, releasable, function, narrowed))
            return function

        return register
