"""Where a benchmark keeps its data: a folder named, or a temporary one that goes afterwards.

Belongs here: that choice, and whether the disk has room. Does not belong here: what is put there.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPARE_BYTES_PER_PATIENT = 20_000


@contextmanager
def bench_home(named: Path | None, patients: int) -> Iterator[Path]:
    """The folder of a run; ends the program when its disk has too little room."""
    home = named or Path(tempfile.mkdtemp(prefix="ncrs-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    try:
        if shutil.disk_usage(home).free < patients * SPARE_BYTES_PER_PATIENT:
            sys.exit(f"Too little disk free in {home}. Free some, or name another folder with --home.")
        yield home
    finally:
        if named is None:
            shutil.rmtree(home, ignore_errors=True)
