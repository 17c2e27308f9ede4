"""The plan of a build: pure, so every rule is a small table here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assets.replica.plan import INDEX, RECORDS, BuildPlan, Standing, Step, Versions, plan_build
from schemas.generation import GENERATION_SCHEMA_VERSION, FeedState, GenerationManifest, RecordsState
from tests.lib.generations import manifest

VERSIONS = Versions(
    schema_version=GENERATION_SCHEMA_VERSION, code_version="0.1.0", weights_version="1", engine="embedded"
)
DAY = datetime(2026, 11, 1, tzinfo=UTC)


def step(feed: str, sequence: int, kind: Any = "delta", source: str = "PDS", **fields: Any) -> Step:
    made: dict[str, Any] = {
        "position": sequence,
        "after": sequence,
        "rows": 1,
        "as_at": DAY + timedelta(days=sequence),
        **fields,
    }
    return Step(feed=feed, source=source, sequence=sequence, kind=kind, **made)


def standing(made: GenerationManifest) -> Standing:
    return Standing(name=made.generation, manifest=made, highest_number=made.number)


def plan(*steps: Step, on: GenerationManifest | None = None, anew: bool = False) -> BuildPlan:
    return plan_build(steps, standing(on) if on else Standing(), VERSIONS, anew=anew)


def test_number_changes_come_first_then_patients_then_the_rest() -> None:
    made = plan(
        step("scr_summary", 1, "full", "SCR"),
        step("pds_patient", 2),
        step("pds_patient", 1, "full"),
        step("pds_number_change", 2),
        step("pds_number_change", 1),
    )
    assert [(each.feed, each.sequence) for each in made.steps] == [
        ("pds_number_change", 1),
        ("pds_number_change", 2),
        ("pds_patient", 1),
        ("pds_patient", 2),
        ("scr_summary", 1),
    ]


def test_released_rows_come_after_the_extract_that_was_last_when_they_were_released() -> None:
    made = plan(
        step("pds_patient", 2, source="PDS.released", position=2, after=3),
        step("pds_patient", 3, "full"),
        step("pds_patient", 1, source="PDS.released", position=1, after=2),
        step("pds_patient", 2),
        step("pds_patient", 1, "full"),
    )
    assert [(each.source, each.sequence) for each in made.steps] == [
        ("PDS", 1),
        ("PDS", 2),
        ("PDS.released", 1),
        ("PDS", 3),
        ("PDS.released", 2),
    ]
    assert {each.origin for each in made.steps} == {"PDS"}


def test_only_what_the_base_lacks_is_applied() -> None:
    base = manifest(4, pds_patient=2)
    made = plan(step("pds_patient", 1, "full"), step("pds_patient", 2), step("pds_patient", 3), on=base)
    assert [each.sequence for each in made.steps] == [3]
    assert (made.base, made.previous, made.number) == (base.generation, base.generation, 5)
    assert not made.fresh_index


def test_a_pending_full_of_patients_means_a_new_index_on_the_same_base() -> None:
    made = plan(step("pds_patient", 3, "full"), on=manifest(4, pds_patient=2))
    assert made.base is not None
    assert made.fresh_index


def test_a_pending_full_of_summaries_leaves_the_index_a_branch() -> None:
    base = manifest(4, pds_patient=2)
    made = plan(step("scr_summary", 1, "full", "SCR"), on=base)
    assert made.work
    assert not made.fresh_index


def test_nothing_new_is_said() -> None:
    base = manifest(4, pds_patient=2)
    made = plan(step("pds_patient", 2), on=base)
    assert not made.work
    assert made.steps == ()
    assert base.generation in made.reason


def test_without_any_patients_there_is_nothing_to_build() -> None:
    assert not plan(step("scr_summary", 1, "full", "SCR")).work
    assert "patient" in plan().reason


def test_from_nothing_when_asked() -> None:
    base = manifest(4, pds_patient=2)
    made = plan(step("pds_patient", 1, "full"), step("pds_patient", 2), on=base, anew=True)
    assert made.base is None
    assert made.previous == base.generation
    assert [each.sequence for each in made.steps] == [1, 2]
    assert made.fresh_index


def test_from_nothing_when_the_base_has_an_older_schema() -> None:
    base = manifest(4, pds_patient=2).model_copy(update={"schema_version": GENERATION_SCHEMA_VERSION - 1})
    made = plan(step("pds_patient", 1, "full"), step("pds_patient", 2), on=base)
    assert made.work
    assert made.base is None


def test_from_nothing_when_the_current_generation_is_broken_and_the_reason_says_so() -> None:
    broken = Standing(name="000004-00000004", fault="its manifest cannot be read.", highest_number=4)
    made = plan_build([step("pds_patient", 1, "full")], broken, VERSIONS)
    assert (made.base, made.previous, made.number) == (None, "000004-00000004", 5)
    assert "its manifest cannot be read" in made.reason


@pytest.mark.parametrize("change", [{"weights_version": "2"}, {"engine": "opensearch"}, {"code_version": "0.2.0"}])
def test_other_weights_engine_or_release_mean_a_new_index_though_nothing_is_pending(change: dict[str, str]) -> None:
    versions = VERSIONS.model_copy(update=change)
    made = plan_build([step("pds_patient", 2)], standing(manifest(4, pds_patient=2)), versions)
    assert made.work
    assert made.fresh_index
    assert made.steps == ()


def test_the_feeds_afterwards_are_those_of_the_base_and_of_the_steps() -> None:
    made = plan(step("pds_patient", 3), on=manifest(4, pds_patient=2, pds_number_change=7))
    assert {(feed.feed, feed.sequence) for feed in made.feeds} == {("pds_patient", 3), ("pds_number_change", 7)}
    [patients] = [feed for feed in made.feeds if feed.feed == "pds_patient"]
    assert patients.as_at == DAY + timedelta(days=3)


def test_released_rows_make_a_feed_no_older_than_its_supplier() -> None:
    made = plan(step("pds_patient", 1, "full"), step("pds_patient", 9), step("pds_patient", 1, source="PDS.released"))
    assert {feed.source: feed.as_at for feed in made.feeds} == {
        "PDS": DAY + timedelta(days=9),
        "PDS.released": DAY + timedelta(days=9),
    }


def test_the_number_follows_the_highest_on_disk_not_the_current() -> None:
    base = manifest(4, pds_patient=2)
    made = plan_build(
        [step("pds_patient", 3)], Standing(name=base.generation, manifest=base, highest_number=9), VERSIONS
    )
    assert made.number == 10


def test_a_plan_survives_its_trip_through_the_state_file() -> None:
    made = plan(step("pds_patient", 1, "full"))
    assert BuildPlan.model_validate_json(made.model_dump_json()) == made
    assert isinstance(made.feeds[0], FeedState)


@pytest.mark.parametrize(
    ("lost", "fresh"), [({INDEX}, (True, False)), ({RECORDS}, (False, True)), ({INDEX, RECORDS}, (True, True))]
)
def test_what_the_cluster_lost_is_made_again_without_an_extract(lost: set[str], fresh: tuple[bool, bool]) -> None:
    base = in_cluster(manifest(4, pds_patient=2))
    stands = standing(base).model_copy(update={"missing": frozenset(lost)})
    made = plan_build([step("pds_patient", 2)], stands, VERSIONS.model_copy(update={"records": True}))
    assert made.work
    assert (made.base, made.steps) == (base.generation, ())
    assert (made.fresh_index, made.fresh_records) == fresh
    assert all(part in made.reason for part in lost)


@pytest.mark.parametrize("wanted", [True, False])
def test_records_go_to_the_cluster_or_stay_away_as_the_setting_says(wanted: bool) -> None:
    base = manifest(4, pds_patient=2)
    base = base if wanted else in_cluster(base)
    made = plan_build([step("pds_patient", 2)], standing(base), VERSIONS.model_copy(update={"records": wanted}))
    assert made.work
    assert not made.fresh_index
    assert f"with{'' if wanted else 'out'} its records" in made.reason


def test_the_same_build_is_told_from_another() -> None:
    base = manifest(4, pds_patient=2)
    made = plan(step("pds_patient", 3), on=base)
    assert made.equals(made.model_copy(update={"reason": "in other words"}))
    assert not made.equals(plan(step("pds_patient", 3), step("pds_patient", 4), on=base))
    assert not made.equals(plan(step("pds_patient", 3), on=base, anew=True))
    assert not made.equals(plan(step("pds_patient", 3, rows=2), on=base))


def in_cluster(made: GenerationManifest) -> GenerationManifest:
    records = RecordsState(engine="opensearch", location="records-1", uuid="u", documents=1, checksum="0" * 16)
    return made.model_copy(update={"records": records})
