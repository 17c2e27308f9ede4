"""The adapter to great-expectations: runs a feed's suite on accepted rows, one part at a time.

Belongs here: the only use of great-expectations. Does not belong here: which expectations a feed
has (``quality/expectations.py``).

It is imported inside the function, because importing it costs seconds (promises.md S3). It runs on
pandas, in an ephemeral context, and is asked for success or failure only: no value of a row can
end up in a result.

Its data sources hash each frame they are given several times over, whole, to name it; that costs more
than all expectations together. So its validator is given the frame itself, which has a name already.
What is said of single values is asked of a column's distinct values, each once, and only what is said
of a column as a whole (unique) sees every row: the verdicts are the same.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from quality.expectations import Expectation, suite
from schemas.feeds import Feed

# Below this many rows a second batch costs more than it saves.
_WORTH_PARTING = 20_000
# A column with more distinct values than this share of its rows is left whole.
_FEW = 4
# So many values at the start of a column show whether counting its distinct ones is worth while.
_LOOK = 1_000
_UNIQUE = "expect_column_values_to_be_unique"
# Its contexts share state within a process: one part at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation on one part: its name, its column, whether it held."""

    kind: str
    column: str
    success: bool

    @property
    def name(self) -> str:
        """Name of the expectation in reports and checks."""
        return _name(self.kind, self.column)


def expectation_names(feed: Feed) -> list[str]:
    """Names of the feed's expectations, as they stand in reports and checks."""
    return [_name(expectation.kind, expectation.column or "table") for expectation in suite(feed)]


def _name(kind: str, column: str) -> str:
    return f"{column}__{kind.removeprefix('expect_column_values_to_')}"


def run_suite(feed: Feed, accepted: pl.DataFrame) -> list[ExpectationResult]:
    """Results of the feed's suite on accepted rows; an expectation that could not run has failed."""
    if accepted.is_empty():
        return []
    expectations = suite(feed)
    columns = sorted({expectation.column for expectation in expectations if expectation.column})
    rows = accepted.select(pl.col("action"), *(pl.col(name) for name in columns if name != "action"))
    every = [expectation for expectation in expectations if not expectation.live_only]
    live = [expectation for expectation in expectations if expectation.live_only]
    parts = [*_parted(rows, every), *_parted(rows.filter(pl.col("action") != "delete"), live)]
    with _ONE_AT_A_TIME, _quietly():
        return [result for frame, asked in parts for result in _run(frame, asked)]


_Part = tuple[pl.DataFrame, list[Expectation]]


def _parted(rows: pl.DataFrame, expectations: list[Expectation]) -> Iterator[_Part]:
    """What to ask of all rows, and what to ask of distinct values."""
    if rows.is_empty() or not expectations:
        return
    if rows.height < _WORTH_PARTING:
        yield rows, expectations
        return
    names = {item.column for item in expectations}
    whole = {item.column for item in expectations if item.kind == _UNIQUE or item.column is None}
    repeating = [name for name in sorted(names - whole, key=str) if name and _repeats(rows[name].head(_LOOK))]
    distinct = {name: rows[name].unique(maintain_order=True) for name in repeating}
    few = {name: values for name, values in distinct.items() if values.len() * _FEW <= rows.height}
    every = [item for item in expectations if item.column not in few]
    if every:
        yield rows.select(sorted({item.column for item in every if item.column})), every
    if few:
        yield _beside(few.values()), [item for item in expectations if item.column in few]


def _repeats(values: pl.Series) -> bool:
    return values.n_unique() < values.len()


def _beside(columns: Iterable[pl.Series]) -> pl.DataFrame:
    """Columns of different lengths in one frame: each is filled up with its own first value."""
    found = list(columns)
    most = max(column.len() for column in found)
    return pl.DataFrame([column.extend(column.head(1).new_from_index(0, most - column.len())) for column in found])


def _run(rows: pl.DataFrame, expectations: list[Expectation]) -> list[ExpectationResult]:
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.validator.validator import Validator

    engine = PandasExecutionEngine()
    # Its own annotation asks for the class where it takes an instance.
    data: Any = PandasBatchData(engine, rows.to_pandas())
    validator = Validator(engine, data_context=_context(), batches=[Batch(data=data)])
    configured = [ExpectationConfiguration(type=item.kind, kwargs=dict(item.arguments)) for item in expectations]
    found = validator.graph_validate(configured, {"result_format": "BOOLEAN_ONLY"})
    return [_result(item) for item in found]


@cache
def _context() -> Any:
    """The library's context: it holds settings, and nothing of a frame."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _result(item: Any) -> ExpectationResult:
    configuration = item.expectation_config
    return ExpectationResult(configuration.type, str(configuration.kwargs.get("column", "table")), bool(item.success))


@contextmanager
def _quietly() -> Iterator[None]:
    # Its own deprecations are not ours to report.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
