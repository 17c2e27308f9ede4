"""Whether a stage has the disk and the memory it needs, before it starts; and what may go when it has not.

Belongs here: the check and its advice, the disk that a home takes, removing what has landed from a drop folder. Does
not belong here: what a stage needs (``stages.py``).
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from schemas.errors import Refused
from schemas.extract import MANIFEST_NAME


def require(home: Path, stage: str, disk_gb: float, memory_gb: float) -> None:
    """See that so much disk and memory is free.

    Raises:
        Refused: it is not; nothing was started.
    """
    free = free_gb(home)
    if free < disk_gb:
        raise Refused(
            f"The stage {stage} needs about {disk_gb:.1f} GB of disk; {free:.1f} GB are free.",
            remedy="Free some and start again: it goes on here. What landed has left the drop folder if the run made it.",
        )
    available = available_gb()
    if available < memory_gb:
        raise Refused(
            f"The stage {stage} needs about {memory_gb:.1f} GB of memory; {available:.1f} GB are available.",
            remedy="End other programs and start again: it goes on here. NCRS_BUILD_MEMORY_GB lowers what a build takes.",
        )


def free_gb(home: Path) -> float:
    """Disk that is free where the home lies."""
    return shutil.disk_usage(home).free / 1e9


def available_gb(table: Path = Path("/proc/meminfo")) -> float:
    """Memory that programs can get, as the kernel reckons."""
    lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 / 1e9


def used_gb(folder: Path) -> float:
    """Disk that a folder takes; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            # A stage at work removes files while they are counted.
            with suppress(FileNotFoundError):
                told = Path(place, name).lstat()
                if stat.S_ISREG(told.st_mode):
                    seen[told.st_dev, told.st_ino] = told.st_blocks * 512
    return sum(seen.values()) / 1e9


def spare_drop(home: Path) -> float:
    """Remove the data files of extracts that have landed from the home's drop folder, manifests stay; GB freed. Only for
    a drop folder that the run has made itself."""
    freed = 0
    for manifest in (home / "drop").glob(f"*/*/*/{MANIFEST_NAME}"):
        if not (home / "landing" / manifest.relative_to(home / "drop")).exists():
            continue
        for path in manifest.parent.iterdir():
            if path != manifest:
                freed += path.stat().st_size
                path.unlink()
    return freed / 1e9
