"""Reviewing and adopting a weights file: what is refused, what is shown, what comes into force."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.weights.review import adopt, review
from pipelines.cli import app
from schemas.errors import ConfigurationError, GenerationError, NcrsError, Refused
from schemas.generation import WeightsState
from search_api.index.frequencies import Frequencies
from search_api.matching.matcher import Matcher
from search_api.matching.weights import Weights, shipped, shipped_text
from search_api.settings import Settings
from search_api.weights_in_force import adopted_path, in_force, pinned, state_of
from tests.lib.generations import manifest

Edit = Callable[[dict[str, Any]], None]


def edited(path: Path, edit: Edit, version: str = "reviewed-1") -> Path:
    raw = json.loads(shipped_text())
    raw["version"] = version
    edit(raw)
    path.write_text(json.dumps(raw))
    return path


def item(raw: dict[str, Any], comparison: str, level: str) -> dict[str, Any]:
    return next(each for each in raw["comparisons"][comparison] if each["level"] == level)


def better_sex(raw: dict[str, Any]) -> None:
    item(raw, "sex", "other").update(m=0.003)
    raw["provenance"] = {"levels": {"sex.other": {"source": "trained", "true_pairs": 41.5, "random_pairs": 9}}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_the_shipped_file_is_in_force_until_one_is_adopted(settings: Settings, tmp_path: Path) -> None:
    assert in_force(settings) == state_of(shipped_text())
    state = adopt(settings, edited(tmp_path / "new.json", better_sex), "tester", "seen by the group")
    assert in_force(settings) == state
    assert state.version == "reviewed-1"
    assert state.sha256 == sha256(adopted_path(settings).read_bytes()).hexdigest()
    (line,) = (settings.home / "weights" / "adopted.ndjson").read_text().splitlines()
    told = json.loads(line)
    assert (told["actor"], told["reason"], told["instead_of"]) == ("tester", "seen by the group", shipped().version)
    named = settings.model_copy(update={"weights": edited(tmp_path / "named.json", better_sex, "named-1")})
    assert in_force(named).version == "named-1", "the setting comes first"


def test_the_review_shows_what_moves_and_the_pairs_behind_it(settings: Settings, tmp_path: Path) -> None:
    found = review(settings, edited(tmp_path / "new.json", better_sex))
    (moved,) = [each for each in found.changes if each.moved]
    assert (moved.comparison, moved.level) == ("sex", "other")
    assert moved.moved == pytest.approx(-1.0)
    assert (moved.true_pairs, moved.random_pairs, moved.source) == (41.5, 9, "trained")
    assert len(found.changes) == sum(len(levels) for levels in shipped().levels.values())
    assert found.other == ()


def test_the_review_names_what_else_differs(settings: Settings, tmp_path: Path) -> None:
    def edit(raw: dict[str, Any]) -> None:
        raw["grades"]["certain_gap_bits"] += 1
        raw["frequency"]["family"]["floor"] *= 2
        raw["comparisons"]["sex"].append({"level": "unsure", "m": 0.5, "u": 0.5})

    found = review(settings, edited(tmp_path / "new.json", edit))
    assert found.other == ("the frequency rule differs", "the grades differs", "level sex.unsure is new")


def _drop_level(raw: dict[str, Any]) -> None:
    raw["comparisons"]["sex"].pop()


def _drop_comparison(raw: dict[str, Any]) -> None:
    del raw["comparisons"]["postcode"]


def _no_m(raw: dict[str, Any]) -> None:
    del item(raw, "sex", "other")["m"]


def _above_one(raw: dict[str, Any]) -> None:
    item(raw, "sex", "other")["m"] = 1.5


def _zero(raw: dict[str, Any]) -> None:
    item(raw, "sex", "other")["u"] = 0


def _too_much(raw: dict[str, Any]) -> None:
    item(raw, "sex", "exact").update(m=1.0, u=1e-12)


def _no_grades(raw: dict[str, Any]) -> None:
    del raw["grades"]["certain_posterior"]


@pytest.mark.parametrize("edit", [_drop_level, _drop_comparison, _no_m, _above_one, _zero, _too_much, _no_grades])
@pytest.mark.parametrize("act", ["review", "adopt"])
def test_a_bad_file_is_refused_and_changes_nothing(settings: Settings, tmp_path: Path, edit: Edit, act: str) -> None:
    path = edited(tmp_path / "bad.json", edit)
    with pytest.raises(ConfigurationError):
        review(settings, path) if act == "review" else adopt(settings, path, "tester", "why")
    assert in_force(settings).version == shipped().version


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'"text"', b"\xff\xfe\x00", b"{}"])
def test_what_is_no_weights_file_is_refused(settings: Settings, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        adopt(settings, path, "tester", "why")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        adopt(settings, tmp_path / "nothing.json", "tester", "why")


def test_adopting_to_no_effect_is_refused(settings: Settings, tmp_path: Path) -> None:
    same = tmp_path / "same.json"
    same.write_text(shipped_text())
    with pytest.raises(Refused, match="in force already"):
        adopt(settings, same, "tester", "why")
    with pytest.raises(Refused, match="version of its own"):
        adopt(settings, edited(tmp_path / "new.json", better_sex, shipped().version), "tester", "why")
    named = settings.model_copy(update={"weights": same})
    with pytest.raises(Refused, match="NCRS_WEIGHTS"):
        adopt(named, edited(tmp_path / "new.json", better_sex), "tester", "why")


def test_a_generation_is_answered_with_the_weights_it_pins(tmp_path: Path) -> None:
    text = edited(tmp_path / "new.json", better_sex).read_text()
    made = manifest().model_copy(update={"weights": state_of(text)})
    assert pinned(made) == Weights.parse(text)
    assert pinned(manifest()) is shipped(), "from before weights were pinned"
    assert pinned(manifest().model_copy(update={"weights": state_of(shipped_text())})) is shipped()


@pytest.mark.parametrize(("edit", "damaged"), [(_drop_level, False), (better_sex, True)])
def test_weights_that_are_damaged_or_lack_a_level_are_not_served(tmp_path: Path, edit: Edit, damaged: bool) -> None:
    text = edited(tmp_path / "new.json", edit).read_text()
    digest = "0" * 64 if damaged else sha256(text.encode()).hexdigest()
    state = WeightsState(version="reviewed-1", sha256=digest, content=text)
    with pytest.raises(GenerationError, match=r"damaged|Build anew"):
        pinned(manifest().model_copy(update={"weights": state}))


def test_a_matcher_takes_the_weights_of_each_generation(tmp_path: Path) -> None:
    other = Weights.parse(edited(tmp_path / "new.json", better_sex).read_text())
    matcher = Matcher(candidate_limit=7, key_cap=5)
    assert matcher.under(shipped()) is matcher
    assert matcher.under(other).weights is other
    assert matcher.under(other) is matcher.under(other)
    assert matcher.under(other).under(other) is matcher.under(other)


def test_names_are_reckoned_by_the_rule_of_the_weights() -> None:
    rule = shipped().frequency
    counted = Frequencies(1_000_000, {"SMITH": 12_000}, {"JOHN": 30_000})
    finer = Frequencies(1_000_000, {"SMITH": 12_000}, {"JOHN": 30_000}, rule=replace(rule, steps=8))
    assert finer.family_steps("SMITH") == pytest.approx(2 * counted.family_steps("SMITH"), abs=1)
    assert finer.given_steps("JOHN") == pytest.approx(2 * counted.given_steps("JOHN"), abs=1)


def test_the_commands(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCRS_HOME", str(settings.home))
    runner = CliRunner()
    nothing = runner.invoke(app, ["weights", "diff"])
    assert isinstance(nothing.exception, NcrsError)
    path = edited(tmp_path / "new.json", better_sex)
    shown = runner.invoke(app, ["weights", "diff", str(path)])
    assert shown.exit_code == 0
    assert "sex" in shown.stdout
    assert "-1.00" in shown.stdout
    refused = runner.invoke(app, ["weights", "adopt", str(path), "--reason", "seen"], input="n\n")
    assert refused.exit_code == 1
    assert in_force(settings).version == shipped().version
    done = runner.invoke(app, ["weights", "adopt", str(path), "--reason", "seen", "--yes", "--json"])
    assert json.loads(done.stdout)["version"] == "reviewed-1"
    assert in_force(settings).version == "reviewed-1"
    after = runner.invoke(app, ["weights", "diff", str(path)])
    assert "No level moves" in after.stdout


def test_processes_of_a_build_reckon_names_by_the_rule_of_the_weights_too() -> None:
    counted = Frequencies(1_000_000, {"SMITH": 12_000}, {"JOHN": 30_000}, rule=replace(shipped().frequency, steps=8))
    sent = pickle.loads(pickle.dumps(counted))
    assert sent.rule == counted.rule
    assert sent.family_steps("SMITH") == counted.family_steps("SMITH")
    assert sent.family_steps("SMITH") > replace(counted, rule=None).family_steps("SMITH")
