"""Making the compiled form of the matcher, with mypyc and this machine's C compiler.

Belongs here: the build. Does not belong here: which modules, and where it goes (``search_api/compiled.py``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import Refused
from search_api import compiled

_NEEDS = "Install a C compiler and Python's headers (Debian and Ubuntu: apt-get install gcc python3-dev)."
# Types of libraries are not looked at: what comes from them is handled as Python handles it, and nothing is lost but a
# minute. ``make check`` is where types are proved.
_FLAGS = ["--config-file=", "--no-site-packages", "--ignore-missing-imports"]
_GROUP, _OPTIMISED = "ncrs", "2"


def make() -> Path:
    """Compile these sources unless that is done; the folder. Other compiled forms are removed.

    Raises Refused without mypyc or a C compiler, and where nothing can be written.
    """
    place = compiled.place()
    if not place.is_dir():
        try:
            place.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                _build(Path(folder))
                with contextlib.suppress(FileExistsError):  # another process was quicker
                    (Path(folder) / "made").rename(place)
        except OSError as error:
            where = f"The compiled form cannot be written ({error.strerror})."
            raise Refused(where, remedy="Run this as who owns the code.") from None
    _remove_all_but(place)
    return place


def undo() -> None:
    """Have the sources run as they are."""
    _remove_all_but(None)


def _remove_all_but(kept: Path | None) -> None:
    for path in compiled.FOLDER.glob("*"):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)


def _build(folder: Path) -> None:
    """The modules and their library, in ``folder/made``."""
    try:
        from mypyc.build import mypycify
        from setuptools import Distribution
        from setuptools.command.build_ext import build_ext
        from setuptools.errors import BaseError
    except ImportError:
        raise Refused("mypy and setuptools are needed.", remedy="Make the environment: make environment.") from None
    names = [str(path.relative_to(compiled.ROOT)) for path in compiled.sources()]
    with contextlib.chdir(compiled.ROOT), _quiet(folder / "said"):
        try:
            modules = mypycify(
                [*_FLAGS, *names],
                opt_level=_OPTIMISED,
                debug_level="0",
                multi_file=True,
                group_name=_GROUP,
                target_dir=str(folder / "c"),
            )
            command = build_ext(Distribution({"name": _GROUP, "ext_modules": modules}))
            command.build_lib, command.build_temp = str(folder / "made"), str(folder / "objects")
            command.ensure_finalized()
            command.run()
        except (BaseError, SystemExit):
            said = (folder / "said").read_text("utf-8", "replace").splitlines()
            why = next((line for line in reversed(said) if "error" in line), "no reason given")
            raise Refused(f"The matcher could not be compiled: {why}", remedy=_NEEDS) from None


@contextlib.contextmanager
def _quiet(file: Path) -> Iterator[None]:
    """Have what compilers print, themselves and the commands they start, go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with file.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
