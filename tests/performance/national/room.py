"""Whether a stage has the disk and the memory it needs, before it starts.

Belongs here: the check and its advice, what a stage leaves on the disk. Does not belong here: what a stage needs
(``stages.py``).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from schemas.errors import Refused


def require(home: Path, stage: str, disk_gb: float, memory_gb: float) -> None:
    """See that so much disk and memory is free.

    Raises:
        Refused: it is not; nothing was started.
    """
    free = shutil.disk_usage(home).free / 1e9
    if free < disk_gb:
        raise Refused(
            f"The stage {stage} needs about {disk_gb:.1f} GB of disk; {free:.1f} GB are free.",
            remedy="Free some and start again: it goes on here. With --spare-drop what has landed leaves the drop folder.",
        )
    available = available_gb()
    if available < memory_gb:
        raise Refused(
            f"The stage {stage} needs about {memory_gb:.1f} GB of memory; {available:.1f} GB are available.",
            remedy="End other programs and start again: it goes on here. NCRS_BUILD_MEMORY_GB lowers what a build takes.",
        )


def available_gb(table: Path = Path("/proc/meminfo")) -> float:
    """Memory that programs can get, as the kernel reckons."""
    lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 / 1e9


def used_gb(folder: Path) -> float:
    """Disk that a folder takes; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            told = path.stat()
            seen[told.st_dev, told.st_ino] = told.st_blocks * 512
    return sum(seen.values()) / 1e9


def spare_drop(drop: Path) -> float:
    """Remove the data files of extracts that have landed, manifests stay; GB freed. Only for a drop folder that the
    run has made itself."""
    freed = 0
    for path in drop.glob("*/*/*/*"):
        if path.name != "manifest.json" and path.is_file():
            freed += path.stat().st_size
            path.unlink()
    return freed / 1e9
