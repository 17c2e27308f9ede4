"""The compiled form of the matcher: where it is, and whether it is that of these sources.

Belongs here: which package has one, its place, having Python import it. Does not belong here: making it
(``pipelines/compiling.py``).

The matcher is plain Python and runs as it is. mypyc makes machine code of the very same files, which asks a third less of the
processor (docs/decisions/0031). It lies in a folder named after what it was made from, so that no edit is answered by
what was compiled before it: without a folder of that name the sources are what runs.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGE = "search_api.matching"
ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / ".compiled"
_NAME_DIGITS = 16


def sources() -> list[Path]:
    """The files that are compiled, in order of name. What a package itself runs on import is none of them."""
    return [path for path in sorted((ROOT / Path(*PACKAGE.split("."))).glob("*.py")) if path.name != "__init__.py"]


@cache
def place() -> Path:
    """Where the compiled form of these sources is, for this Python on this kind of machine; it need not be there."""
    digest = sha256(str(sysconfig.get_config_var("EXT_SUFFIX")).encode())
    for path in sources():
        digest.update(path.name.encode() + sha256(path.read_bytes()).digest())
    return FOLDER / digest.hexdigest()[:_NAME_DIGITS]


def first(path: Iterable[str]) -> list[str]:
    """Where Python looks for the modules of the package: in the compiled form, if it is there, and beside the sources."""
    if not place().is_dir():
        return list(path)
    # The modules share one library, which they import by its name.
    sys.path.append(str(place()))
    return [str(place().joinpath(*PACKAGE.split("."))), *path]


def used() -> bool:
    """Whether this process runs the compiled form, or would."""
    return place().is_dir()
