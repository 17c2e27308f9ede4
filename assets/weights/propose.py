"""A proposal of weights from the current generation, as a file to be reviewed.

Belongs here: the order of the steps, and what the file says of where it comes from. Does not belong here:
drawing, counting and estimating (``pairs.py``, ``estimate.py``), review (``review.py``).

The file has the form of ``weights.json`` and can be adopted as it is; ``provenance`` says which generation,
how many pairs, which commit and seed, and of each level whether it was trained or why it was kept. It holds
counts and shares, never a value of anybody.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from assets.files import private_folder, write_atomically
from assets.weights.estimate import Estimates, Rules, count, estimate
from assets.weights.levels import Sampled, level_table
from assets.weights.pairs import Session, Training, draw, own_history, random_pairs, received, session_pairs
from assets.weights.splink_model import require_splink
from schemas.errors import Refused
from schemas.generation import REPLICA_NAME
from search_api import db
from search_api import generation_files as files
from search_api.index.engines import index_engine
from search_api.matching.asked import Asked
from search_api.matching.person import Person
from search_api.matching.weights import Weights
from search_api.opened import Generation
from search_api.settings import Settings
from search_api.sources import open_generation
from search_api.weights_in_force import in_force

FOLDER, FILE = "weights", "proposed.json"
_ASKERS = 1_000
_LEAST_PEOPLE = 100
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Proposed:
    """The file, and what it says of itself."""

    path: Path
    version: str
    provenance: dict[str, Any]


def propose(settings: Settings, rules: Rules, records: Path | None = None, tell: Tell = lambda _text: None) -> Proposed:
    """Estimate weights and write ``{home}/weights/proposed.json``.

    ``records``: a file of records as received, in the batch trace's form; default ``NCRS_TRAINING``, and
    without either the population's own history. Raises Refused (no Splink, no generation, too few people),
    GenerationError, ConfigurationError, FileRefused.
    """
    require_splink()
    held = in_force(settings)
    weights = Weights.parse(held.content)
    with _current(settings) as (generation, connection):
        tell("Drawing people")
        people = draw(connection, generation.frequencies, rules.people, rules.seed)
        if len(people) < _LEAST_PEOPLE:
            raise Refused(f"The generation has too few people to estimate anything ({len(people)}).")
        training = _training(people, rules, records or settings.training)
        estimates = estimated(generation, weights, people, training, rules, tell)
        provenance = {
            "generation": generation.manifest.generation,
            "population": generation.frequencies.population,
            "from_weights": {"version": held.version, "sha256": held.sha256},
            "records": training.source,
            "questions": len(training.questions),
            "rules": vars(rules),
            "commit": commit(),
            "splink": metadata.version("splink"),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **_told(estimates),
        }
    return _write(settings, held.content, estimates, provenance)


def estimated(  # noqa: PLR0913 - what an estimate is made from
    generation: Generation, weights: Weights, people: list[Sampled], training: Training, rules: Rules, tell: Tell
) -> Estimates:
    """Count random pairs, then learn m from one kind of key after another."""
    tell("Counting random pairs")
    pairs = random_pairs(people, rules.random_pairs, rules.seed)
    counted = count(level_table(weights, generation.frequencies, piece) for piece in _pieces(pairs))

    def of(session: Session) -> pl.DataFrame:
        tell(f"Learning from {session.name}")
        return session_pairs(generation, weights, training, session)

    return estimate(weights, counted, of, rules, past=training.past)


def _pieces(pairs: Iterator[tuple[Asked, list[Person]]]) -> Iterator[list[tuple[Asked, list[Person]]]]:
    """Some askers at a time, so that a table of levels stays small."""
    while piece := list(islice(pairs, _ASKERS)):
        yield piece


def _training(people: list[Sampled], rules: Rules, records: Path | None) -> Training:
    if records is None:
        return own_history(people, rules.records)
    if not records.is_dir():
        return received(records, rules.records)
    found = sorted(path for path in records.iterdir() if path.suffix.lower() in (".csv", ".parquet"))
    if not found:
        raise Refused(f"The folder {records.name} holds no CSV or parquet file of records.")
    parts = [received(path, rules.records) for path in found]
    questions = tuple(question for part in parts for question in part.questions)[: rules.records]
    return Training(questions, False, f"records as received ({len(found)} files)")


@contextmanager
def _current(settings: Settings) -> Iterator[tuple[Generation, db.Connection]]:
    marker = files.read_current(settings.generations_folder)
    if marker is None:
        raise Refused("No generation is published.", remedy="Bring in an extract with ncrs ingest.")
    folder = settings.generations_folder / marker.generation
    engine = index_engine(settings)
    with closing(open_generation(folder, engine, settings.serve_memory_gb)) as generation:
        # One process opens a file in one way: here it is read whole, not record by record.
        generation.replica.close()
        with closing(db.open_reader(folder / REPLICA_NAME, settings.serve_memory_gb)) as connection:
            yield generation, connection


def _told(estimates: Estimates) -> dict[str, Any]:
    levels = {
        f"{name}.{level}": {
            "source": each.source,
            "true_pairs": round(each.true_pairs, 1),
            "random_pairs": each.random_pairs,
        }
        for (name, level), each in estimates.levels.items()
    }
    return {"sessions": estimates.sessions, "levels": levels}


def _write(settings: Settings, held: str, estimates: Estimates, provenance: dict[str, Any]) -> Proposed:
    raw = json.loads(held)
    for name, items in raw["comparisons"].items():
        for item in items:
            level = estimates.levels[name, item["level"]].level
            item["m"], item["u"] = level.m, level.u
    version = f"trained-{provenance['generation']}-{provenance['made_at'][:10]}"
    raw["version"], raw["provenance"] = version, provenance
    text = json.dumps(raw, indent=2, ensure_ascii=False) + "\n"
    path = private_folder(settings.home / FOLDER) / FILE
    write_atomically(path, text.encode())
    return Proposed(path, version, provenance)


def commit() -> str:
    """The commit of the source this runs from, or nothing."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(here), "rev-parse", "HEAD"],  # noqa: S607 - found on the path, like any tool
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
