"""The adapter to great-expectations: runs a feed's suite on accepted rows, one part at a time.

Belongs here: the only use of great-expectations. Does not belong here: which expectations a feed
has (``quality/expectations.py``).

It is imported inside the function, because importing it costs seconds (promises.md S3). It runs on
pandas, in an ephemeral context, and is asked for success or failure only: no value of a row can
end up in a result.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl

from quality.expectations import Expectation, suite
from schemas.feeds import Feed


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
    with _quietly():
        return [*_run(rows, every), *_run(rows.filter(pl.col("action") != "delete"), live)]


def _run(rows: pl.DataFrame, expectations: list[Expectation]) -> list[ExpectationResult]:
    if rows.is_empty() or not expectations:
        return []
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("part").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows.to_pandas()})
    configured = [ExpectationConfiguration(type=item.kind, kwargs=dict(item.arguments)) for item in expectations]
    outcome = batch.validate(
        gx.ExpectationSuite(name="accepted", expectations=configured), result_format="BOOLEAN_ONLY"
    )
    return [_result(item) for item in outcome.results]


def _result(item: Any) -> ExpectationResult:
    configuration = item.expectation_config
    return ExpectationResult(configuration.type, str(configuration.kwargs.get("column", "table")), bool(item.success))


@contextmanager
def _quietly() -> Iterator[None]:
    # Its own deprecations are not ours to report.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
