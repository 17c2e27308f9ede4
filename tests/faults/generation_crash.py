"""Builds and publishes over and over, each time dying or failing at another step; run by a test.

Run as ``python -m tests.faults.generation_crash MODE FOLDER``; prints one JSON object a case. Modes:

- ``kill``: SIGKILL right before the N-th change of the file system that Python makes, for a drawn third of all N;
- ``error``: that change fails with ENOSPC or EIO instead, for a drawn third of every second N;
- ``moment``: SIGKILL at seeded moments, which also falls into the work of DuckDB and tantivy;
- ``strace``: SIGKILL at sampled system calls of any code, injected by strace.

With ``NCRS_TEST_WHOLE=1`` every N is taken, and more moments and system calls. A draw has the first change, the last, and one of every kind: what is done
in which place, where files of one folder count as alike. After it come cases beyond the last change, until one ends.

Each case is a forked process on a copy of one home that holds a published generation and pending
extracts. Another process then looks at what is left, serves it, and builds again.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from assets.published.status import status
from assets.published.verify import verify
from assets.replica.adoption import leftovers
from assets.replica.tables import CORE_TABLES
from assets.replica.workspace import Workspace
from schemas.errors import NcrsError
from search_api import generation_files as files
from search_api import logging
from search_api.generations import Generations
from tests.lib.changes import Trap
from tests.lib.drawn import draw, whole
from tests.lib.validated import NUMBERS, Home, change, patient, summary

BESIDE = 2
MOMENTS, STRACED = (12, 8) if whole() else (8, 4)
CALLS = "renameat,renameat2,rename,fsync,fdatasync,pwrite64,write,unlink,linkat,link,ftruncate"
# Of the changes that a draw may take.
SHARE, SEED = 1 / 3, 17
# Names that differ from run to run: tantivy's segments.
_RANDOM = re.compile("[0-9a-f]{32}")
_PUBLISHED_AT = re.compile(rb'"(published_at|manifest_sha256)": *"[^"]*"')

Result = dict[str, Any]


def home_in(folder: Path) -> Home:
    home = Home(folder)
    # One generation is kept, so that the removal of the old one is among the steps.
    home.settings = home.settings.model_copy(update={"retention": 1})
    return home


def make_template(folder: Path) -> None:
    """A published generation, and extracts of every feed that are pending."""
    home = home_in(folder)
    home.extract("pds_patient", [patient(number) for number in NUMBERS[:12]], "full")
    home.build()
    home.extract("pds_patient", [patient(number, 2) for number in NUMBERS[3:6]])
    home.extract("pds_number_change", [change(NUMBERS[0], NUMBERS[1])])
    home.extract("scr_summary", [summary(number) for number in NUMBERS[:3]], "full")


def content(home: Home) -> str:
    """Checksums of the current generation, in one text."""
    current = files.read_current(home.stores.generations)
    assert current is not None
    manifest = files.read_manifest(home.stores.generations / current.generation, current.manifest_sha256)
    return " ".join(
        [*(each.checksum for each in manifest.tables if each.table in CORE_TABLES), manifest.index.checksum]
    )


def in_child(body: Callable[[], Result], out: Path) -> int:
    """Fork; the child writes the result of ``body`` to a file. Returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        out.write_text(json.dumps(body()))
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def finished(child: int, out: Path) -> Result:
    """Wait for a child; its result, and the signal or code it ended with."""
    _, waited = os.waitpid(child, 0)
    result: Result = json.loads(out.read_text()) if out.exists() else {}
    return {"ended": os.waitstatus_to_exitcode(waited), **result}


def alone(body: Callable[[], Result], out: Path) -> Result:
    return finished(in_child(body, out), out)


def inspect(folder: Path) -> Result:
    """What a kill left: served as it is, then built upon."""
    home = home_in(folder)
    adoptable = any(place.begun and place.replica.is_file() for place in map(Workspace, leftovers(home.stores)))
    started = time.monotonic()
    with Generations(home.settings, home.engine) as generations:
        serving = generations.serving
    ready = time.monotonic() - started
    found = content(home)
    whole = all(
        verify(home.stores, home.engine, each.name).passed for each in status(home.stores).generations if each.current
    )
    home.build("again")
    left = status(home.stores)
    events = home.builder.events.of(left.generations[0].name)
    return {
        "adoptable": adoptable,
        "resumed": any(event.event == "built" and "Resumed" in event.reason for event in events),
        "problem": serving.problem,
        "ready": ready,
        "whole": whole,
        "found": found,
        "rebuilt": content(home),
        "sound": [verify(home.stores, home.engine, each.name).passed for each in left.generations],
        "published": [each.published for each in left.generations],
        "building": list(left.building),
        "recorded": len({event.event for event in events} & {"published", "recovered"}),
    }


def killed(folder: Path, at: int) -> Result:
    Trap(folder, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    home_in(folder).build()
    return {"done": True}


def failed(folder: Path, at: int) -> Result:
    """The N-th change fails: the build must end in an error that says what, or be whole all the same."""
    number = (errno.ENOSPC, errno.EIO)[at // 2 % 2]

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    home = home_in(folder)
    trap = Trap(folder, at, fail)
    error = None
    try:
        home.build()
    except (OSError, NcrsError) as raised:
        error = type(raised).__name__
    return {"done": len(trap.kinds) < at, "error": error}


class Inspector:
    """Looks at what a case left, in a process of its own; once for cases that left the same.

    Names and sizes below ``generations/`` and ``building/`` and the marker's content tell cases apart.
    """

    def __init__(self) -> None:
        self._seen: dict[frozenset[tuple[str, int, bytes]], int] = {}

    def look(self, case: int, place: Path) -> tuple[int, Path] | None:
        """A child that inspects, or None when an earlier case left the same."""
        state = frozenset(self._files(place))
        if state in self._seen:
            return None
        self._seen[state] = case
        out = place.with_suffix(".inspected")
        return in_child(lambda: inspect(place), out), out

    def _files(self, place: Path) -> Iterator[tuple[str, int, bytes]]:
        for path in (*(place / "generations").rglob("*"), *(place / "building").rglob("*")):
            name = _RANDOM.sub("*", str(path.relative_to(place)))
            marker = _PUBLISHED_AT.sub(b"", path.read_bytes()) if path.name == files.CURRENT_NAME else b""
            yield name, path.stat().st_size, marker


def numbers(kinds: list[str], step: int = 1) -> Iterable[int]:
    """The cases to be had: 1, 1 + step and so on without end, or a draw of those and what is beyond the last."""
    if whole():
        return count(1, step)
    # A slow build may save its progress once more than the one that was counted.
    return chain((1 + step * place for place in draw(kinds[::step], SHARE, SEED)), count(len(kinds) + 1, step))


def numbered(
    template: Path, folder: Path, run: Callable[[Path, int], Result], numbers: Iterable[int]
) -> Iterator[Result]:
    """These cases, some side by side, until one was done before its number came."""
    inspector = Inspector()
    wanted, over = iter(numbers), False
    while not over and (batch := list(islice(wanted, BESIDE))):
        places = {number: folder / f"case-{number}" for number in batch}
        for place in places.values():
            shutil.copytree(template, place)
        children = {
            number: in_child(lambda place=place, number=number: run(place, number), place.with_suffix(".json"))
            for number, place in places.items()
        }
        results = {number: finished(child, places[number].with_suffix(".json")) for number, child in children.items()}
        over = any(result.get("done") for result in results.values())
        looks = {number: inspector.look(number, place) for number, place in places.items()}
        for number, look in looks.items():
            yield {"case": number, **results[number], "left": finished(*look) if look else None}


def moments(template: Path, folder: Path, seconds: float) -> Iterator[Result]:
    """Kills at seeded moments of a build that takes about ``seconds``."""
    chance = random.Random(11)
    for number in range(MOMENTS):
        place = folder / f"moment-{number}"
        shutil.copytree(template, place)
        child = in_child(lambda place=place: killed(place, 0), place.with_suffix(".json"))
        time.sleep(chance.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        result = finished(child, place.with_suffix(".json"))
        yield {
            "case": number,
            **result,
            "left": alone(lambda place=place: inspect(place), place.with_suffix(".inspected")),
        }


def traced(template: Path, folder: Path, options: list[str]) -> Result:
    """Build under strace, which attaches to a child that waits for it."""
    shutil.copytree(template, folder)

    def body() -> Result:
        os.kill(os.getpid(), signal.SIGSTOP)
        home_in(folder).build()
        return {"done": True}

    out = folder.with_suffix(".json")
    child = in_child(body, out)
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-p", str(child), *options], stderr=subprocess.DEVNULL)
    while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{child}/status").read_text() and tracer.poll() is None:
        time.sleep(0.005)
    os.kill(child, signal.SIGCONT)
    result = finished(child, out)
    tracer.wait()
    return result


def system_calls(template: Path, folder: Path) -> Iterator[Result]:
    """Kills at sampled system calls of the main thread (strace counts a thread at a time)."""
    log = folder / "calls.txt"
    traced(template, folder / "counted", ["-e", f"trace={CALLS}", "-o", str(log)])
    main_thread = [line.split()[0] for line in log.read_text().splitlines()]
    calls = main_thread.count(main_thread[0])
    for number in sorted(random.Random(13).sample(range(1, calls), min(STRACED, calls - 1))):
        place = folder / f"traced-{number}"
        options = ["-e", f"trace={CALLS}", "-e", f"inject={CALLS}:signal=KILL:when={number}", "-o", "/dev/null"]
        result = traced(template, place, options)
        yield {
            "case": number,
            **result,
            "left": alone(lambda place=place: inspect(place), place.with_suffix(".inspected")),
        }


def tell(result: Result) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def main(mode: str, folder: Path) -> None:
    template = folder / "template"

    def prepare() -> Result:
        make_template(template)
        return {"old": content(home_in(template))}

    def expect() -> Result:
        place = folder / "whole"
        shutil.copytree(template, place)
        home = home_in(place)
        started = time.monotonic()
        trap = Trap(place, 0, None)
        home.build()
        return {"seconds": time.monotonic() - started, "kinds": trap.kinds, "new": content(home)}

    expected = {**alone(prepare, folder / "prepared.json"), **alone(expect, folder / "expected.json")}
    tell(expected)
    made = {
        "kill": lambda: numbered(template, folder, killed, numbers(expected["kinds"])),
        "error": lambda: numbered(template, folder, failed, numbers(expected["kinds"], step=2)),
        "moment": lambda: moments(template, folder, expected["seconds"]),
        "strace": lambda: system_calls(template, folder),
    }[mode]
    for result in made():
        tell(result)


if __name__ == "__main__":
    logging.configure("CRITICAL")
    main(sys.argv[1], Path(sys.argv[2]))
