"""A killed build is gone on with by the next one, where it stopped; what no longer fits is removed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from assets.files import remove_folder
from assets.published.service import begin_build
from assets.replica.adoption import leftovers
from assets.replica.tables import CORE_TABLES
from assets.replica.workspace import Workspace, build_lock
from schemas.errors import NcrsError, ReconcileError
from schemas.generation import GenerationManifest
from tests.lib import forked
from tests.lib.validated import NUMBERS, Home, change, patient, removal, summary

# State records of a build of five extracts, in order: begun, prepared, each extract, settled, index, reconciled.
EXTRACTS = 5
SAVES = 2 + EXTRACTS + 3


def world(folder: Path) -> Home:
    """A published generation, and five pending extracts of all feeds."""
    home = Home(folder)
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:12]], "full")
    home.build()
    home.extract("pds_number_change", [change(NUMBERS[0], NUMBERS[1])])
    home.extract("pds_patient", [patient(number, 2) for number in NUMBERS[3:6]])
    home.extract("pds_patient", [patient(NUMBERS[4], 3, security="REDACTED"), patient(NUMBERS[13])])
    home.extract("scr_summary", [summary(number) for number in NUMBERS[:3]], "full")
    home.extract("scr_summary", [summary(NUMBERS[5]), removal(NUMBERS[2])])
    return home


def killed(home: Home, at: int) -> Workspace | None:
    """Build in a process that dies at the N-th record; what it left."""
    done = forked.run("tests.faults.build_killed", str(home.folder), str(at))
    assert done.returncode == -signal.SIGKILL, done.stderr
    return Workspace(home.stores.building / "killed") if leftovers(home.stores) else None


def built(home: Home, build_id: str = "next", *, anew: bool = False) -> GenerationManifest:
    manifest = home.build(build_id, anew=anew).manifest
    assert manifest is not None
    return manifest


def content(manifest: GenerationManifest) -> tuple[object, ...]:
    tables = [table for table in manifest.tables if table.table in CORE_TABLES]
    return (*tables, manifest.index.documents, manifest.index.checksum)


def reason(home: Home, manifest: GenerationManifest) -> str:
    return next(event.reason for event in home.builder.events.of(manifest.generation) if event.event == "built")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "home"
    world(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("undisturbed") / "home"
    shutil.copytree(template, folder)
    return content(built(Home(folder)))


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    shutil.copytree(template, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.mark.parametrize("at", range(1, SAVES + 1))
def test_a_build_killed_between_any_work_and_its_record_is_gone_on_with(
    home: Home, undisturbed: tuple[object, ...], at: int
) -> None:
    """What is on record is not done again: the validated rows of those extracts are not even there any more."""
    place = killed(home, at)
    applied = place.state.applied if place is not None and at > 1 else ()
    assert len(applied) == min(max(at - 3, 0), EXTRACTS)
    for item in applied:
        remove_folder(home.stores.stage("validated", item.step.feed, item.step.source, item.step.sequence))
    manifest = built(home)
    assert content(manifest) == undisturbed
    assert ("Resumed" in reason(home, manifest)) == (at > 2)
    assert at <= 2 or f"{len(applied)} of {EXTRACTS} extracts" in reason(home, manifest)
    assert leftovers(home.stores) == []


def test_a_build_killed_again_and_again_ends_all_the_same(home: Home, undisturbed: tuple[object, ...]) -> None:
    for at in (4, 3, 2, 4, 3):
        killed(home, at)
    assert content(built(home)) == undisturbed


def test_an_extract_that_came_meanwhile_makes_another_plan_and_the_left_over_goes(home: Home) -> None:
    killed(home, 6)
    home.extract("pds_patient", [patient(NUMBERS[7], 2)])
    manifest = built(home)
    assert "Resumed" not in reason(home, manifest)
    assert leftovers(home.stores) == []


def test_building_from_nothing_takes_nothing_from_a_build_on_a_base(
    home: Home, undisturbed: tuple[object, ...]
) -> None:
    killed(home, SAVES)
    manifest = built(home, anew=True)
    assert manifest.base is None
    assert "Resumed" not in reason(home, manifest)
    assert content(manifest) == undisturbed


@pytest.mark.parametrize("name", ["state.json", "generation/replica.duckdb"])
def test_a_left_over_that_cannot_be_read_is_not_adopted(home: Home, undisturbed: tuple[object, ...], name: str) -> None:
    place = killed(home, SAVES)
    assert place is not None
    (place.folder / name).write_bytes(b"{}")
    manifest = built(home)
    assert "Resumed" not in reason(home, manifest)
    assert content(manifest) == undisturbed


def test_a_build_that_did_not_reconcile_is_not_adopted(home: Home, undisturbed: tuple[object, ...]) -> None:
    place = killed(home, SAVES)
    assert place is not None
    index = place.state.index
    assert index is not None
    remove_folder(place.generation / "index")
    shutil.copytree(next(home.stores.generations.glob("000001-*")) / "index", place.generation / "index")
    with pytest.raises(ReconcileError):
        built(home)
    manifest = built(home)
    assert "Resumed" not in reason(home, manifest)
    assert content(manifest) == undisturbed


def test_a_build_that_failed_is_tried_once_more_and_then_begun_again(
    home: Home, undisturbed: tuple[object, ...]
) -> None:
    """The rows of an extract were lost and come back: no attempt is poisoned for ever by what it left."""
    missing = home.stores.stage("validated", "scr_summary", "SCR", 2)
    missing.rename(missing.with_name("elsewhere"))
    for _ in range(2):
        with pytest.raises(NcrsError, match="validated rows"):
            built(home)
    missing.with_name("elsewhere").rename(missing)
    manifest = built(home)
    assert "Resumed" not in reason(home, manifest)
    assert content(manifest) == undisturbed


def test_what_follows_a_stopped_run_of_the_same_name_goes_on_in_its_place(home: Home) -> None:
    killed(home, 6)
    with build_lock(home.stores):
        place = begin_build(home.builder, "killed")
    assert len(place.state.applied) == 3
    assert [path.name for path in leftovers(home.stores)] == ["killed"]
