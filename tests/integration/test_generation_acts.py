"""Roll back, verify, list, replay, retention, and the refusals of a build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from assets.index.build import build_index
from assets.index.reconcile import reconcile, require_equal
from assets.published.publish import publish_lock
from assets.published.retention import retire
from assets.published.rollback import rollback
from assets.published.service import begin_build, publish_build
from assets.published.status import opened, replay, status
from assets.published.verify import verify
from assets.replica.build import apply_feed, settle_replica
from assets.replica.workspace import build_lock
from schemas.errors import GenerationError, PassingFault, Refused
from schemas.feeds import FEEDS
from search_api import generation_files as files
from search_api.matching.questions import DateRange, Mode, Question
from tests.lib.validated import NUMBERS, Home, change, patient, summary

A, B = int(NUMBERS[0]), int(NUMBERS[1])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Three generations; person A has version 1, 2, 3 in them."""
    made = Home(tmp_path)
    made.extract("pds_patient", [patient(number) for number in NUMBERS[:6]], "full")
    made.build()
    for version in (2, 3):
        made.extract("pds_patient", [patient(NUMBERS[0], version)])
        made.build()
    return made


def names(home: Home) -> list[str]:
    return [path.name for path in files.folders(home.stores.generations)]


def current(home: Home) -> str:
    marker = files.read_current(home.stores.generations)
    assert marker is not None
    return marker.generation


def damage(path: Path) -> None:
    """Flip a bit of a copy, not of the file other generations may share by a link."""
    content = bytearray(path.read_bytes())
    content[-10] ^= 4
    path.unlink()
    path.write_bytes(content)


def events(home: Home) -> list[tuple[str, str]]:
    return [(event.event, event.generation[:6]) for event in reversed(home.builder.events.of())]


def test_every_act_is_recorded_with_actor_and_reason(home: Home) -> None:
    rollback(home.builder, to="previous", reason="bad extract")
    assert events(home)[-3:] == [("built", "000003"), ("published", "000003"), ("rolled back", "000002")]
    latest = home.builder.events.of(limit=1)[0]
    assert (latest.actor, latest.reason, latest.detail[:11]) == ("tester", "bad extract", "from 000003")


def test_roll_back_and_forward_without_building(home: Home) -> None:
    first, second, third = names(home)
    assert rollback(home.builder, to="previous", reason="r").generation == second
    assert rollback(home.builder, to=first, reason="r").generation == first
    assert rollback(home.builder, to=third, reason="r").generation == third
    assert names(home) == [first, second, third]


def test_a_build_after_a_roll_back_goes_on_from_there_with_a_new_number(home: Home) -> None:
    _, second, third = names(home)
    rollback(home.builder, to="previous", reason="r")
    made = home.build().manifest
    assert made is not None
    assert (made.number, made.base, made.previous) == (4, second, second)
    assert made.generation.partition("-")[2] == third.partition("-")[2], "the same extracts, the same content"


@pytest.mark.parametrize(
    ("to", "reason", "text"),
    [
        ("previous", " ", "needs a reason"),
        ("000099-aaaaaaaa", "r", "no published generation"),
        ("current", "r", "no published"),
    ],
)
def test_roll_backs_that_are_refused(home: Home, to: str, reason: str, text: str) -> None:
    before = current(home)
    with pytest.raises(Refused, match=text):
        rollback(home.builder, to=to, reason=reason)
    assert current(home) == before


def test_rolling_back_to_the_current_generation_is_refused(home: Home) -> None:
    with pytest.raises(Refused, match="current already"):
        rollback(home.builder, to=current(home), reason="r")


def test_a_publication_during_a_roll_back_takes_neither_target_nor_place(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build is published while the target is verified: it may not retire the target, nor be passed over."""
    first, *_ = names(home)
    home.settings = home.settings.model_copy(update={"retention": 1})
    published = []

    def verified(*given: Any, **named: Any) -> Any:
        found = verify(*given, **named)
        home.extract("pds_patient", [patient(NUMBERS[0], 9)])
        published.append(home.build().manifest)
        return found

    monkeypatch.setattr("assets.published.rollback.verify", verified)
    with pytest.raises(Refused, match="became current while"):
        rollback(home.builder, to=first, reason="r")
    assert current(home) == published[0].generation
    assert first in names(home)


def test_rolling_back_to_a_damaged_generation_is_refused(home: Home) -> None:
    damage(home.stores.generations / names(home)[1] / "replica.duckdb")
    before = current(home)
    with pytest.raises(GenerationError, match=r"does not verify: files \(damaged: replica.duckdb\)"):
        rollback(home.builder, to="previous", reason="r")
    assert current(home) == before


def test_a_roll_back_mends_an_unreadable_marker(home: Home) -> None:
    (home.stores.generations / files.CURRENT_NAME).write_text("")
    assert rollback(home.builder, to=names(home)[-1], reason="marker lost").generation == names(home)[-1]


def test_the_first_generation_has_no_previous(tmp_path: Path) -> None:
    only = Home(tmp_path)
    only.extract("pds_patient", [patient(NUMBERS[0])], "full")
    only.build()
    with pytest.raises(Refused, match="no earlier generation"):
        rollback(only.builder, to="previous", reason="r")


def test_the_marker_is_changed_by_one_at_a_time(home: Home) -> None:
    with publish_lock(home.stores), pytest.raises(PassingFault):
        rollback(home.builder, to="previous", reason="r")


def test_verify_finds_everything_in_order(home: Home) -> None:
    for name in names(home):
        found = verify(home.stores, home.engine, name)
        assert found.passed, found
        assert [check.name for check in found.checks] == ["manifest", "files", "tables", "index"]


def test_verify_names_what_is_damaged(home: Home) -> None:
    name = current(home)
    folder = home.stores.generations / name
    [store] = sorted((folder / "index").glob("*.store"))[:1]
    damage(store)
    found = verify(home.stores, home.engine, name)
    assert not found.passed
    assert store.name in found.checks[-1].text
    (folder / "manifest.json").write_text("{}")
    assert [check.passed for check in verify(home.stores, home.engine, name).checks] == [False]


def test_a_branch_shares_segments_and_leaves_its_base_alone(home: Home) -> None:
    assert all(verify(home.stores, home.engine, name).passed for name in names(home))
    links = {path.stat().st_nlink for path in (home.stores.generations / names(home)[0] / "index").glob("*.store")}
    assert max(links) > 1


def test_status_lists_generations_newest_first(home: Home) -> None:
    found = status(home.stores)
    assert [each.name for each in found.generations] == names(home)[::-1]
    assert [each.current for each in found.generations] == [True, False, False]
    assert {(each.patients, each.documents, each.problem) for each in found.generations} == {(6, 6, None)}
    assert found.building == ()
    (home.stores.generations / names(home)[0] / "manifest.json").write_text("?")
    assert "another shape" in str(status(home.stores).generations[-1].problem)


def test_replay_answers_from_the_named_generation(home: Home) -> None:
    home.extract("pds_number_change", [change(NUMBERS[0], NUMBERS[1])])
    home.extract("scr_summary", [summary(NUMBERS[1])], "full")
    home.build()
    _, second, fourth = names(home)[-3], names(home)[-3], names(home)[-1]
    then, now = replay(home.stores, home.engine, second, A), replay(home.stores, home.engine, fourth, A)
    assert then.record is not None
    assert (then.change, then.current_number, then.record.version_id) == (None, A, 2)
    assert now.record is not None
    assert (now.current_number, now.record.nhs_number) == (B, B)
    assert now.summary is not None
    with opened(home.stores, home.engine) as generation:
        assert generation.manifest.generation == fourth
        born = str(now.record.row["birth_date"])
        question = Question(mode=Mode.FILTER, family=now.record.row["names"][0]["family"], birth=DateRange(born, born))
        assert B in generation.index.select(question, 10).numbers
    with pytest.raises(Refused, match="no generation 7"):
        replay(home.stores, home.engine, "7", A)


def test_retention_keeps_the_chain_of_the_current_generation(home: Home) -> None:
    first, second, _ = names(home)
    rollback(home.builder, to=second, reason="r")
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    outcome = home.build()
    assert outcome.manifest is not None
    assert names(home) == [first, second, outcome.manifest.generation], "the one rolled back from goes first"
    assert ("deleted", "000003") in events(home)


def test_retention_never_removes_the_current_generation_and_repeats_safely(home: Home) -> None:
    older = names(home)[:-1]
    assert retire(home.stores, 0) == older
    assert names(home) == [current(home)]
    left = home.stores.generations / ".removing-000001-aaaaaaaa"
    left.mkdir()
    (left / "file").write_text("half removed")
    assert retire(home.stores, 1) == []
    assert not left.exists()


def test_leftovers_of_builds_and_of_publications_go_at_the_next_build(home: Home) -> None:
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    with build_lock(home.stores):
        begin_build(home.builder, "left over")
    never = home.stores.generations / "000009-abcdef01"
    shutil.copytree(home.stores.generations / names(home)[0], never)
    made = home.build().manifest
    assert made is not None
    assert made.number == 10, "a path is never used twice"
    assert not never.exists()
    assert list(home.stores.building.iterdir()) == []


def test_a_build_that_was_overtaken_is_not_published(home: Home) -> None:
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    made = home.builder
    with build_lock(home.stores):
        place = begin_build(made, "slow")
        for feed in FEEDS:
            apply_feed(made.site, place, feed)
        settle_replica(made.site, place)
        build_index(made.index, place)
        require_equal(reconcile(made.index, place))
        rollback(made, to="previous", reason="meanwhile")
        with pytest.raises(Refused, match="became current while"):
            publish_build(made, place, "r")
    assert current(home)[:6] == "000002"


def test_what_was_not_reconciled_is_not_published(home: Home) -> None:
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    made = home.builder
    with build_lock(home.stores):
        place = begin_build(made, "hasty")
        apply_feed(made.site, place, "pds_patient")
        settle_replica(made.site, place)
        build_index(made.index, place)
        with pytest.raises(Refused, match="not reconciled"):
            publish_build(made, place, "r")


def test_one_builder_at_a_time(home: Home) -> None:
    with build_lock(home.stores), pytest.raises(Refused, match="Another build is at work"):
        home.build()


def test_a_full_disk_is_foreseen(home: Home) -> None:
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    home.settings = home.settings.model_copy(update={"free_space_factor": 1e9})
    with pytest.raises(Refused, match="MB free") as refusal:
        home.build()
    assert refusal.value.code == "DISK_SPACE"
    assert list(home.stores.building.iterdir()) == []


def test_a_damaged_base_is_not_built_upon(home: Home) -> None:
    damage(home.stores.generations / current(home) / "replica.duckdb")
    home.extract("pds_patient", [patient(NUMBERS[3], 2)])
    with pytest.raises(GenerationError, match="was damaged on disk"):
        home.build()
    assert home.build(anew=True).manifest is not None
