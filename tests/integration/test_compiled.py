"""The compiled form of the matcher answers as its sources do, and is never one of other sources.

Belongs here: making it, choosing it, comparing both forms. Does not belong here: what is right (``tests/spec``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import compiling
from schemas.errors import Refused
from search_api import compiled
from tests.lib.engines import EMBEDDED
from tests.lib.house import ROOT
from tests.lib.twins import Twins

PATIENTS, QUESTIONS = 4_000, 1_500


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled form of these sources; the project's own stays as it is."""
    folder = tmp_path_factory.mktemp("compiled") / "forms"
    if compiled.place().is_dir():
        shutil.copytree(compiled.FOLDER, folder)
        return folder
    if not (shutil.which("cc") and Path(sysconfig.get_path("include"), "Python.h").exists()):
        pytest.skip("This machine has no C compiler, or not Python's headers.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FOLDER", folder)
        compiled.place.cache_clear()
        compiling.make()
    compiled.place.cache_clear()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sources, compiled to a folder beside it."""
    package = Path(*compiled.PACKAGE.split("."))
    shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "forms")
    compiled.place.cache_clear()
    yield tmp_path / package
    compiled.place.cache_clear()


def answers(*arguments: object) -> list[str]:
    """The file of the matcher, and what it answered."""
    command = [sys.executable, "-m", "tests.lib.one_form", *map(str, arguments)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [said[0], *(line for line in said if line.startswith("Answer("))]


def test_both_forms_answer_alike(made: Path, tmp_path: Path) -> None:
    twins = Twins(tmp_path, EMBEDDED, PATIENTS, seed=3)
    twins.deliver(0)
    generation = twins.one.ingest().generation
    rows = tmp_path / "rows.parquet"
    twins.rows(generation).write_parquet(rows)
    (source, *plain), (library, *quick) = (answers(twins.one.folder, rows, QUESTIONS, *form) for form in ((), (made,)))
    assert source.endswith("matcher.py")
    assert library.startswith(str(made))
    assert len(plain) == QUESTIONS
    assert sum("Match(" in line for line in plain) > QUESTIONS // 4
    assert [pair for pair in zip(plain, quick, strict=True) if pair[0] != pair[1]] == []


def test_an_edit_leaves_the_compiled_form_behind(elsewhere: Path) -> None:
    before = compiled.place()
    before.mkdir(parents=True)
    assert compiled.first(["here"]) == [str(before / "search_api" / "matching"), "here"]
    with (elsewhere / "rarity.py").open("a") as source:
        source.write("\n")
    compiled.place.cache_clear()
    assert compiled.place() != before
    assert not compiled.used()
    assert compiled.first(["here"]) == ["here"]


def test_without_a_compiler_nothing_is_left_and_the_way_out_is_told(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(Refused, match="could not be compiled") as refused:
        compiling.make()
    assert "gcc" in (refused.value.remedy or "")
    assert list((elsewhere.parents[1] / "forms").iterdir()) == []


def test_what_was_compiled_is_kept_until_it_is_undone(elsewhere: Path) -> None:
    kept = compiled.place()
    kept.mkdir(parents=True)
    (kept.parent / "of other sources").mkdir()
    assert compiling.make() == kept
    assert list(kept.parent.iterdir()) == [kept]
    compiling.undo()
    assert elsewhere.is_dir()
    assert not compiled.used()
