"""The stages of a national run: which commands they run, and that a run goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from schemas.errors import Refused
from schemas.feeds import FEEDS
from tests.performance.national import __main__ as national
from tests.performance.national import room, stages
from tests.performance.national.journal import Journal
from tests.performance.national.stages import CHANGES, STAGES, Run, Work, chosen
from tests.performance.national.watching import Watched

Told = Callable[[float, float], None]


class Commands:
    """Plays the commands: writes what the sandbox and landing would, fails where told, and keeps the list."""

    def __init__(self, run: Run) -> None:
        self.run, self.ran, self.fails = run, list[str](), ""
        self.records = CHANGES

    def __call__(self, arguments: list[str], settings: Mapping[str, str], told: Told) -> Watched:
        assert settings == {"NCRS_HOME": str(self.run.home), "NCRS_DROP": str(self.run.drop)}
        name = " ".join(argument for argument in arguments[:2])
        self.ran.append(name)
        told(10.0, 1.0)
        if name == self.fails:
            raise subprocess.CalledProcessError(1, arguments)
        if name == "sandbox extract":
            self._deliver(int(arguments[arguments.index("--day") + 1]))
        elif name == "pipelines.cli ingest":
            self._land()
        told(20.0, 2.0)
        return Watched(20.0, 2.0, json.dumps({"search_p50_ms": 0.5, "trace_rows": 100.0}))

    def _deliver(self, day: int) -> None:
        for feed in FEEDS:
            folder = self.run.drop / feed / "PDS" / f"{day + 1:08d}"
            folder.mkdir(parents=True)
            (folder / "part-00000.parquet").write_bytes(b"rows")
            records = self.records if feed == "pds_patient" else 0
            (folder / "manifest.json").write_text(json.dumps({"record_count": records}))

    def _land(self) -> None:
        for manifest in self.run.drop.glob("*/*/*/manifest.json"):
            landed = self.run.home / "landing" / manifest.relative_to(self.run.drop)
            landed.parent.mkdir(parents=True, exist_ok=True)
            landed.write_bytes(manifest.read_bytes())

    @property
    def data_files(self) -> int:
        """Data files in the drop folder."""
        return len(list(self.run.drop.glob("*/*/*/*.parquet")))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands(Run(tmp_path, 2_000_000, 1))
    monkeypatch.setattr(stages, "watch", made)
    monkeypatch.setattr(room, "available_gb", lambda: 100.0)
    monkeypatch.setattr(room, "free_gb", lambda _home: 100.0)
    return made


def _until(name: str) -> list[stages.Stage]:
    """Stages up to one that need neither a generation nor a server."""
    wanted = [stage for stage in STAGES if stage.name not in ("publish", "http")]
    return wanted[: [stage.name for stage in wanted].index(name) + 1]


def test_a_run_goes_through_its_stages_once(commands: Commands) -> None:
    entries = national.measured(commands.run, _until("trace"))
    assert list(entries) == [stage.name for stage in _until("trace")]
    first = list(commands.ran)
    assert first[:2] == ["sandbox extract", "pipelines.cli ingest"]
    assert national.measured(commands.run, _until("trace")) == entries
    assert commands.ran == first
    assert entries["changes"].figures == {"delta_changes": CHANGES, "delta_days": 1.0}


@pytest.mark.parametrize("stage", ["extract", "ingest", "replica", "search", "delta", "trace"])
def test_a_run_that_stopped_goes_on_with_the_stage_it_stopped_in(commands: Commands, stage: str) -> None:
    before = _until(stage)[:-1]
    national.measured(commands.run, before)
    commands.ran.clear()
    fails = {
        "extract": "sandbox extract",
        "ingest": "pipelines.cli ingest",
        "replica": f"{stages.BUILDING} replica",
        "search": f"{stages.ASKING} search",
        "delta": "pipelines.cli ingest",
        "trace": f"{stages.ASKING} trace_file",
    }
    commands.fails = fails[stage]
    with pytest.raises(subprocess.CalledProcessError):
        national.measured(commands.run, _until(stage))
    assert commands.ran == [commands.fails]
    commands.fails = ""
    entry = national.measured(commands.run, _until(stage))[stage]
    assert commands.ran[1] == commands.ran[0]
    # The ten seconds of the attempt that failed count; a trace has two commands.
    assert (entry.seconds, entry.attempts) == ({"trace": 50.0}.get(stage, 30.0), 2)


def test_a_delivery_that_lacks_a_feed_is_made_again(commands: Commands) -> None:
    commands._deliver(0)
    (commands.run.drop / "scr_summary" / "PDS" / "00000001" / "manifest.json").rename(commands.run.drop / "away")
    asked = list[str]()
    work = Work(commands.run, lambda _seconds, _peak: None)
    work.command = lambda *arguments: asked.append(arguments[0]) or Watched(1.0, 0.1, "")  # type: ignore[assignment]
    stages.extract(work)
    assert asked == ["sandbox"]
    (commands.run.drop / "away").rename(commands.run.drop / "scr_summary" / "PDS" / "00000001" / "manifest.json")
    stages.extract(work)
    assert asked == ["sandbox"]


def test_a_small_country_takes_several_days_for_its_changes(commands: Commands) -> None:
    commands.records = CHANGES // 4
    entries = national.measured(commands.run, _until("changes"))
    assert entries["changes"].figures == {"delta_changes": CHANGES, "delta_days": 4.0}


def test_what_has_landed_leaves_the_drop_folder_when_the_disk_is_short(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    national.measured(commands.run, _until("ingest"))
    assert commands.data_files == len(FEEDS)
    monkeypatch.setattr(room, "free_gb", lambda _home: 0.0 if commands.data_files else 100.0)
    national.measured(commands.run, _until("replica"))
    assert commands.data_files == 0


def test_changes_that_wait_are_never_spared(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    national.measured(commands.run, _until("changes"))
    monkeypatch.setattr(room, "free_gb", lambda _home: 0.0)
    with pytest.raises(Refused, match="delta needs about"):
        national.measured(commands.run, _until("delta"))
    assert commands.data_files == len(FEEDS)


def test_a_drop_folder_that_others_filled_is_never_spared(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    commands._deliver(0)
    run = Run(commands.run.home, commands.run.patients, 1, spare_drop=True)
    national.measured(run, chosen(["ingest"]))
    monkeypatch.setattr(room, "free_gb", lambda _home: 0.0)
    with pytest.raises(Refused, match="replica needs about"):
        national.measured(run, chosen(["replica"]))
    assert commands.data_files == len(FEEDS)


def test_asked_for_it_is_spared_though_there_is_room(commands: Commands) -> None:
    run = Run(commands.run.home, commands.run.patients, 1, spare_drop=True)
    national.measured(run, _until("ingest"))
    assert commands.data_files == 0


def test_another_runs_home_is_refused(commands: Commands) -> None:
    Journal(commands.run.home).begin({"patients": 5, "seed": 1})
    with pytest.raises(Refused, match="holds a national run"):
        national.measured(commands.run, _until("extract"))
    assert commands.ran == []


def test_stages_are_chosen_by_name_and_run_in_their_order() -> None:
    assert [stage.name for stage in chosen(["index", "replica"])] == ["replica", "index"]
    assert chosen([]) == list(STAGES)
    with pytest.raises(ValueError, match="nonsense is no stage; there are extract, ingest"):
        chosen(["nonsense"])
