"""An index held in memory: locked while it is served, let go of for the next one, served all the same where it cannot be.

Belongs here: what the kernel says is locked. Does not belong here: serving and switching (``test_generations_serving.py``).
"""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from schemas.generation import GenerationManifest
from search_api.generation_files import index_files
from search_api.generations import Generations
from search_api.holding import Held
from tests.lib.house import ROOT
from tests.lib.validated import NUMBERS, Home, patient

PAGE = os.sysconf("SC_PAGE_SIZE")
NOBODY = 65534

# Somebody who may lock no memory, where a file can be read by all.
_DENIED = """
import os, resource, sys
from pathlib import Path
from search_api.holding import Held
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
if os.getuid() == 0:
    os.setgid({nobody}), os.setuid({nobody})
try:
    Held([Path(sys.argv[1])])
except OSError as error:
    print(type(error).__name__, Path("/proc/self/status").read_text().split("VmLck:")[1].split()[0])
"""


def build(home: Home, version: int) -> GenerationManifest:
    home.extract(
        "pds_patient", [patient(number, version) for number in NUMBERS[:5]], "full" if version == 1 else "delta"
    )
    made = home.build().manifest
    assert made is not None
    return made


def locked() -> int:
    """Bytes that this process has locked."""
    found = re.search(r"VmLck:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def whole_pages(manifest: GenerationManifest) -> int:
    return sum(-(-state.bytes // PAGE) * PAGE for state in index_files(manifest))


def test_the_index_that_is_served_is_locked_and_no_other(tmp_path: Path) -> None:
    home, before = Home(tmp_path), locked()
    first = build(home, 1)
    assert whole_pages(first) > 0
    settings = home.settings.model_copy(update={"hold_index": True})
    with Generations(settings, home.engine) as generations:
        assert locked() - before == whole_pages(first)
        second = build(home, 2)
        with generations.pin() as old:
            assert generations.refresh().generation == second.generation
            assert old.index.count() == second.index.documents
            assert locked() - before == whole_pages(second)
    assert locked() == before


def known(at: int) -> int:
    """Bytes of the mapping at an address whose pages the kernel has given this process."""
    found = re.search(rf"^{at:x}-.*?^Rss:\s+(\d+) kB", Path("/proc/self/smaps").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return int(found[1]) * 1024


def test_who_mapped_a_file_before_finds_all_its_pages_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(5_000_000))
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as searched:
        at = int(np.frombuffer(searched, np.uint8).ctypes.data)
        assert known(at) == 0
        held = Held([file])
        assert known(at) == -(-len(searched) // PAGE) * PAGE
        held.close()


def test_nothing_is_locked_unless_it_is_wished(tmp_path: Path) -> None:
    home, before = Home(tmp_path), locked()
    build(home, 1)
    with Generations(home.settings, home.engine):
        assert locked() == before


def test_an_index_that_cannot_be_held_is_served_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, before = Home(tmp_path), locked()
    manifest = build(home, 1)
    gone = manifest.model_copy(
        update={"files": (*manifest.files, manifest.files[-1].model_copy(update={"path": "index/x"}))}
    )
    monkeypatch.setattr("search_api.holding.index_files", lambda _: index_files(gone))
    with Generations(home.settings.model_copy(update={"hold_index": True}), home.engine) as generations:
        with generations.pin() as served:
            assert served.index.count() == 5
        assert locked() == before
    assert "GEN007" in capsys.readouterr().out


def test_who_may_not_lock_is_told_and_keeps_nothing() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x" * PAGE)
        file.flush()
        Path(file.name).chmod(0o644)
        program = [sys.executable, "-c", _DENIED.format(nobody=NOBODY), file.name]
        said = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] in ("PermissionError", "OSError")
    assert said[1] == "0"
