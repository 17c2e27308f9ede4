"""Our weights as a Splink model: the same levels, the same m and u, names by their own frequency.

Belongs here: settings for Splink, and letting its expectation maximisation estimate m. Does not belong
here: which pairs, which estimates are believed (``estimate.py``).

Pairs come with their levels worked out (``levels.py``). A pair is one row on the left, with its levels,
and one on the right under the same ``pair``; a level is a comparison of a column with its name. So Splink
judges by exactly what the scorer saw. A name's frequency is looked up by its steps, as the index holds
them: column ``{comparison}_steps``, zero or null where the average is to be used.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import polars as pl

from schemas.errors import Refused
from search_api.matching.weights import Level

if TYPE_CHECKING:
    from splink import Linker

PAIR = "pair"
_MOST_STEPS = 200
_MEMORY = "2GB"
Levels = Mapping[str, Mapping[str, Level]]


@dataclass(frozen=True)
class Learnt:
    """What one run of expectation maximisation gave: m of each level, and the true pairs among all."""

    m: dict[tuple[str, str], float]
    pairs: int
    matches: float


def require_splink() -> None:
    """Raises Refused, with the way out, where Splink is not installed."""
    if find_spec("splink") is None:
        raise Refused(
            "Splink is not installed: weights cannot be estimated.",
            remedy="Install the extra train: pip install 'ncrs-replica[train]'. Answering needs none of it.",
        )


def comparison(name: str, levels: Mapping[str, Level]) -> dict[str, Any]:
    """One comparison of ours as Splink's settings have it, levels in the file's order."""
    column = f"{name}_level"
    found: list[dict[str, Any]] = [
        {"sql_condition": f"{column}_l IS NULL", "label_for_charts": "null", "is_null_level": True}
    ]
    for level in levels.values():
        each: dict[str, Any] = {
            "sql_condition": f"{column}_l = '{level.name}'",
            "label_for_charts": level.name,
            "m_probability": level.m,
            "u_probability": level.u,
        }
        if level.frequency:
            each |= {"tf_adjustment_column": f"{name}_steps", "disable_tf_exact_match_detection": True}
        found.append(each)
    return {"output_column_name": name, "comparison_levels": found}


def settings(levels: Levels, population: int) -> dict[str, Any]:
    """A Splink model of these levels, with the prior of a population of this size."""
    return {
        "link_type": "link_only",
        "probability_two_random_records_match": 1.0 / (population + 1.0),
        "comparisons": [comparison(name, each) for name, each in levels.items()],
        "blocking_rules_to_generate_predictions": [f"l.{PAIR} = r.{PAIR}"],
        "retain_matching_columns": False,
        "max_iterations": 200,
        "em_convergence": 1e-5,
    }


def linker(pairs: pl.DataFrame, levels: Levels, population: int, steps_per_bit: int) -> Linker:
    """A Splink linker over pairs with their levels; columns as the module says."""
    import duckdb
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{_MEMORY}'")
    connection.execute("SET enable_progress_bar = false")
    api = DuckDBAPI(connection)
    rows = _rows(pairs, levels)
    tables = [
        api.register(rows.with_columns(unique_id=pl.format(f"{side}{{}}", PAIR)).to_arrow(), dataset_display_name=side)
        for side in ("asked", "held")
    ]
    made = Linker(tables, settings(levels, population), log_level=None, validate_settings=False)
    steps = pl.DataFrame({"steps": range(1, _MOST_STEPS)})
    for name in [name for name, each in levels.items() if any(level.frequency for level in each.values())]:
        share = pl.DataFrame(
            {f"{name}_steps": steps["steps"], f"tf_{name}_steps": 2.0 ** (-steps["steps"] / steps_per_bit)}
        )
        made.table_management.register_term_frequency_lookup(api.register(share.to_arrow()), f"{name}_steps")
    return made


def learn(pairs: pl.DataFrame, levels: Levels, steps_per_bit: int) -> Learnt:
    """m of these comparisons by expectation maximisation with u as given; the share of true pairs is free.

    One true pair is added for each level: without, the m of a level that no true pair reaches goes to zero,
    which Splink takes for an error.
    """
    from splink import block_on

    added = _one_of_each(levels)
    pairs = pl.concat([pairs.select(list(levels)), added])
    made = linker(pairs, levels, pairs.height, steps_per_bit)
    session = made.training.estimate_parameters_using_expectation_maximisation(
        block_on(PAIR), estimate_without_term_frequencies=True
    )
    found: dict[tuple[str, str], float] = {}
    for each in made.misc.save_model_to_json()["comparisons"]:
        for level in each["comparison_levels"]:
            m = level.get("m_probability")
            if isinstance(m, float):
                found[each["output_column_name"], level["label_for_charts"]] = m
    share = float(session.core_model_settings.probability_two_random_records_match)
    return Learnt(found, pairs.height - added.height, max(0.0, share * pairs.height - added.height))


def _one_of_each(levels: Levels) -> pl.DataFrame:
    """For each level a pair that reaches it, and the closest one of every other comparison."""
    closest = {name: next(iter(each)) for name, each in levels.items()}
    rows = [closest | {name: level} for name, each in levels.items() for level in each]
    return pl.DataFrame(rows, schema=dict.fromkeys(levels, pl.String()))


def _rows(pairs: pl.DataFrame, levels: Levels) -> pl.DataFrame:
    """Columns under Splink's names; steps only where they are known and count."""
    steps = [
        (pl.col(f"{name}_steps") if f"{name}_steps" in pairs.columns else pl.lit(None))
        .cast(pl.Int64)
        .replace(0, None)
        .alias(f"{name}_steps")
        for name in levels
    ]
    renamed = [pl.col(name).alias(f"{name}_level") for name in levels]
    return pairs.with_row_index(PAIR).select(pl.col(PAIR).cast(pl.Int64), *renamed, *steps)


def only(levels: Levels, names: Sequence[str]) -> dict[str, Mapping[str, Level]]:
    """The comparisons of these names."""
    return {name: each for name, each in levels.items() if name in names}
