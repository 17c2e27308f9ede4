"""From people to weights in force: proposed on a generation, adopted, built, and served with what is pinned."""

from __future__ import annotations

import csv
import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.index.frames import document_frames
from assets.published.service import build_and_publish, builder
from assets.stores import Stores
from assets.weights.estimate import Rules
from assets.weights.factory import weights_assets
from assets.weights.levels import question
from assets.weights.propose import propose
from assets.weights.review import adopt, review
from pipelines.definitions import build_definitions
from sandbox.extracts.extract import extract
from sandbox.extracts.plan import Plan
from schemas.errors import Refused
from search_api import db
from search_api.generation_files import read_current
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.matching.weights import Weights, shipped, shipped_text
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.settings import Settings
from search_api.trace.columns import REQUEST
from tests.lib.engines import EMBEDDED
from tests.lib.twins import BASE, Twin

pytest.importorskip("splink")

PATIENTS, SEED = 1_500, 11
RULES = Rules(people=600, random_pairs=30_000, records=600, seed=SEED)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """A home with one published generation of a synthetic population."""
    made = Twin(EMBEDDED, tmp_path_factory.mktemp("weights"))
    made.settings.drop_folder.mkdir(parents=True, exist_ok=True)
    drop = made.settings.drop_folder
    extract(Plan(drop, PATIENTS, SEED, 0, BASE, "parquet"))
    made.ingest()
    return made


def _records(twin: Twin, path: Path) -> Path:
    """What a department would send: people as they are, every fifth birth date with a day too few or many."""
    dice = random.Random(SEED)
    current = read_current(twin.settings.generations_folder)
    assert current is not None
    replica = twin.settings.generations_folder / current.generation / "replica.duckdb"
    with closing(db.open_reader(replica, 1.0)) as connection:
        rows = [row for frame in document_frames(connection) for row in frame.iter_rows(named=True)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in REQUEST])
        writer.writeheader()
        for serial, row in enumerate(rows):
            asked = question(row, earlier=False)
            born = asked.birth.low if asked.birth and asked.birth.low else ""
            if dice.random() < 0.2 and len(born) == 10:
                born = f"{born[:9]}{(int(born[9]) + 1) % 9 + 1}"
            writer.writerow(
                {
                    "UNIQUE_REFERENCE": str(serial),
                    "FAMILY_NAME": (asked.family or "")[:35],
                    "GIVEN_NAME": (asked.given[0] if asked.given else "")[:35],
                    "DATE_OF_BIRTH": born,
                    "POSTCODE": asked.postcode or "",
                    "GENDER": {"male": "1", "female": "2"}.get(asked.gender or "", ""),
                }
            )
    return path


def test_history_proposes_and_the_adopted_file_is_built_and_served(twin: Twin) -> None:
    settings = twin.settings
    made = propose(settings, RULES)
    again = propose(settings, RULES)
    assert json.loads(made.path.read_text())["comparisons"] == json.loads(again.path.read_text())["comparisons"]
    told = made.provenance
    assert told["population"] > PATIENTS * 0.9
    assert told["records"] == "the population's own history"
    assert told["levels"]["family.exact"]["source"] == "trained"
    assert told["levels"]["birth_date.one_digit"]["source"] == "kept: nothing taught it"
    found = review(settings, made.path)
    assert any(each.moved for each in found.changes)
    assert found.other == ()

    state = adopt(settings, made.path, "tester", "a test")
    ledger = Ledger(control_engine(settings.control_url))
    built = builder(Stores(twin.folder, settings.drop_folder), ledger, settings, "tester")
    outcome = build_and_publish(built, "adopted", "weights")
    assert "new index" in outcome.plan.reason
    assert outcome.manifest is not None
    assert outcome.manifest.weights == state
    assert build_and_publish(built, "nothing", "nothing").manifest is None
    with Generations(settings, index_engine(settings)) as generations, generations.pin() as opened:
        assert opened.weights == Weights.parse(state.content)
        assert opened.frequencies.rule == opened.weights.frequency


def test_records_as_received_teach_the_birth_date(twin: Twin, tmp_path: Path) -> None:
    path = _records(twin, tmp_path / "referrals.csv")
    settings = twin.settings.model_copy(update={"weights": _shipped(tmp_path)})
    one = propose(settings, RULES, path)
    assert one.provenance["records"] == "records as received (referrals.csv)"
    assert set(one.provenance["sessions"]) == {
        "birth date and outward postcode",
        "postcode and family name",
        "birth date and family name",
    }
    level = _level(one.path, "birth_date", "one_digit")
    assert one.provenance["levels"]["birth_date.one_digit"]["source"] == "trained"
    assert 0.1 < level["m"] < 0.25, "a fifth have another day, some of them in both digits"
    folder = propose(settings.model_copy(update={"training": path.parent}), RULES)
    assert folder.provenance["records"] == "records as received (1 files)"


def test_the_asset_writes_no_value_of_anybody_into_its_metadata(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.weights.factory.Rules", lambda: RULES)
    (asset,) = weights_assets()
    publish = build_definitions(settings=twin.settings).resolve_job_def("publish")
    assert asset.key not in publish.asset_layer.selected_asset_keys
    result = dg.materialize([asset], resources={"settings": twin.settings})
    (event,) = result.asset_materializations_for_node(asset.op.name)
    names = set(event.metadata)
    assert names >= {"version", "generation", "records", "questions", "levels_trained", "levels_kept"}
    assert event.metadata["records"].value == "history"


def test_nothing_published_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No generation"):
        propose(Settings(home=tmp_path), RULES)


def test_too_few_people_are_refused(twin: Twin) -> None:
    with pytest.raises(Refused, match="too few people"):
        propose(twin.settings, Rules(people=50))


def _shipped(folder: Path) -> Path:
    path = folder / "shipped.json.txt"
    path.write_text(shipped_text())
    assert Weights.load(path) == shipped()
    return path


def _level(path: Path, comparison: str, name: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = json.loads(path.read_text())["comparisons"][comparison]
    return next(each for each in items if each["level"] == name)
