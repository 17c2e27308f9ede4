"""``ncrs bench national``: a whole country, stage by stage; a killed run goes on where it stopped.

Belongs here: options and the order of a run. Does not belong here: stages (``stages.py``).
Example: python -m tests.performance.national --patients 63000000 --home /srv/national
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from schemas.errors import NcrsError
from schemas.generation import INDEX_NAME
from tests.performance.figures import hardware, stored
from tests.performance.national import results, room, stages
from tests.performance.national.journal import Entry, Journal
from tests.performance.national.stages import Run, Stage, Work
from tests.performance.page import write
from tests.performance.place import bench_home


def main() -> None:
    """Run what is not done yet, then write figures and page."""
    options = _options()
    # As Ctrl-C does: the command at work is ended too, and the home left as it is.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    print(hardware(), flush=True)
    with ExitStack() as stack:
        # A folder named is kept and may be gone on with; a temporary one goes afterwards.
        home = options.home or stack.enter_context(bench_home(None, options.patients))
        home.mkdir(parents=True, exist_ok=True)
        run = Run(home.resolve(), options.patients, options.seed, options.spare_drop)
        try:
            entries = measured(run, stages.chosen(options.stages))
        except (NcrsError, ValueError) as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error} What it said stands above; started again, the run goes on with this stage.")
    found = list(results.figures(entries, run.patients, stored()))
    for figure in found:
        print(figure.line, flush=True)
    if not options.dry:
        write(found, seed=run.seed)


def measured(run: Run, wanted: list[Stage]) -> Mapping[str, Entry]:
    """Every finished stage of the run, those wanted among them; what is done is not done again.

    Raises Refused (another run's home, too little disk or memory) and subprocess.CalledProcessError.
    """
    journal = Journal(run.home)
    journal.begin({"patients": run.patients, "seed": run.seed})
    for stage in wanted:
        if stage.name not in journal.entries():
            needed = stage.disk_bytes * run.patients / 1e9
            make_room(run, journal, needed)
            room.require(run.home, stage.name, needed, stage.memory_gb)
            _show(_done(run, stage, journal))
    make_room(run, journal, 0.0)
    return journal.entries()


def make_room(run: Run, journal: Journal, needed_gb: float) -> None:
    """Let what has landed leave the drop folder when that was asked for or so much disk is not free; only if it was this
    run that filled the folder."""
    short = room.free_gb(run.home) < needed_gb
    if "extract" in journal.entries() and (run.spare_drop or short) and (freed := room.spare_drop(run.home)):
        journal.spared(freed)
        print(f"What has landed left the drop folder: {freed:.2f} GB.", flush=True)


def _done(run: Run, stage: Stage, journal: Journal) -> Entry:
    print(f"{stage.name} ...", flush=True)
    journal.started(stage.name)
    work = Work(run, lambda seconds, peak: journal.running(stage.name, seconds, peak, room.used_gb(run.home)))
    found = {**stage.does(work), **sizes(run.home, stage)}
    return journal.done(stage.name, room.used_gb(run.home), found)


def sizes(home: Path, stage: Stage) -> dict[str, float]:
    """Disk of the generation, once it stands."""
    if stage.name != "publish":
        return {}
    newest = max(path for path in (home / "generations").iterdir() if (path / "manifest.json").exists())
    # The records lie in a folder beside it.
    return {"generation_gb": room.used_gb(newest), "index_gb": room.used_gb(newest / INDEX_NAME)}


def _show(entry: Entry) -> None:
    print(
        f"{entry.stage:10} {entry.seconds:10.1f} s {entry.peak_gb:7.2f} GB memory {entry.disk_gb:8.2f} GB disk"
        f"  {entry.attempts} attempts",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.national", description=__doc__)
    parser.add_argument("--patients", type=int, default=results.NATIONAL)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the data here, and go on with what is here; else a temporary")
    parser.add_argument("--stages", type=_names, default=[], help="only these, parted by commas")
    parser.add_argument("--spare-drop", action="store_true", help="remove what landed from the drop folder in any case")
    parser.add_argument("--dry", action="store_true", help="print only; do not write docs/figures.json")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
