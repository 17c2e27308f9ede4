"""What a run has done, on disk in its home: a killed run goes on at the stage it stopped in.

Belongs here: the file and what it says. Does not belong here: stages, measuring.

One line of JSON an event, written in one piece: a kill leaves whole lines and at most one torn one, which
counts for nothing. While a stage runs a line now and then tells how long and how large it has been, so that
the time of an attempt that was killed counts too, but for what came after its last line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import Refused
from search_api.durable import append_line, journal_lines

NAME = "national.jsonl"


@dataclass(frozen=True)
class Entry:
    """One finished stage: seconds and peaks of all its attempts, and what it measured. ``disk_gb`` is the most that the
    home took at any look, the one after the stage among them."""

    stage: str
    seconds: float
    peak_gb: float
    disk_gb: float
    attempts: int
    figures: dict[str, float] = field(default_factory=dict)


class Journal:
    """The journal of one home."""

    def __init__(self, home: Path) -> None:
        self._path = home / NAME

    def begin(self, conditions: Mapping[str, Any]) -> None:
        """Write down what the run is about, or see that it is about the same.

        Raises:
            Refused: the home holds a run of another size or seed.
        """
        told = next((line["run"] for line in journal_lines(self._path) if "run" in line), None)
        if told is None:
            append_line(self._path, {"run": dict(conditions)})
        elif told != dict(conditions):
            raise Refused(
                f"The home holds a national run of {told}, not of {dict(conditions)}.",
                remedy="Name another folder with --home, or the same size and seed.",
            )

    def started(self, stage: str) -> None:
        """A stage begins, once more if it was begun before."""
        append_line(self._path, {"stage": stage, "event": "started"})

    def running(self, stage: str, seconds: float, peak_gb: float, disk_gb: float) -> None:
        """How long this attempt has been at work, its largest size so far, and the disk of the home now."""
        size = {"seconds": seconds, "peak_gb": peak_gb, "disk_gb": disk_gb}
        append_line(self._path, {"stage": stage, "event": "running", **size})

    def done(self, stage: str, disk_gb: float, figures: Mapping[str, float]) -> Entry:
        """The stage is finished."""
        append_line(self._path, {"stage": stage, "event": "done", "disk_gb": disk_gb, "figures": dict(figures)})
        return self.entries()[stage]

    def spared(self, freed_gb: float) -> None:
        """So much of the drop folder was removed; the sizes before it hold it, those after do not."""
        append_line(self._path, {"spared_gb": freed_gb})

    def entries(self) -> dict[str, Entry]:
        """Every finished stage, in the order of finishing."""
        return {name: entry for name in self._stages() if (entry := self._entry(name)) is not None}

    def _stages(self) -> list[str]:
        return list(dict.fromkeys(line["stage"] for line in journal_lines(self._path) if line.get("event") == "done"))

    def _entry(self, stage: str) -> Entry | None:
        lines = [line for line in journal_lines(self._path) if line.get("stage") == stage]
        last = next((line for line in reversed(lines) if line["event"] == "done"), None)
        if last is None:
            return None
        longest: list[float] = []
        for line in lines:
            if line["event"] == "started":
                longest.append(0.0)
            elif line["event"] == "running":
                longest[-1] = line["seconds"]
        running = [line for line in lines if line["event"] == "running"]
        peak = max((line["peak_gb"] for line in running), default=0.0)
        disk = max(line.get("disk_gb", 0.0) for line in (*running, last))
        return Entry(stage, sum(longest), peak, disk, len(longest), last["figures"])
