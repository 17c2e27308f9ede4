"""The OpenSearch distribution: fetched once, checked, unpacked into a cache outside the repository.

Belongs here: which release, where it is kept, that it is what it should be. Does not belong here: the
Java that runs it (``java.py``), a node (``node.py``).

What is unpacked under its final name is whole: it is unpacked beside it and renamed. Two variants lie
in the cache, the second made of hard links: as it is, and without the module that a runtime with few
languages cannot load.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from schemas.errors import ConfigurationError, PermanentFault

VERSION = "3.8.0"
GROUP = "org.opensearch.distribution.integ-test-zip"
NAME = "opensearch"
SHA256 = "196c3cf4602c394f2e40e6174ccbf2a924eae37246f08fa6bbb6b75f9fd5ff1f"
# Its analysers include a Thai one, which needs a dictionary that small runtimes leave out; then no index can be made.
LANGUAGES_MODULE = "analysis-common"
TIMEOUT_S = 120
_BLOCK = 1 << 20

# Called with the file's name and size; the context gives a function that is told of each further part.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def cache_folder() -> Path:
    """``NCRS_CACHE``, or the user's cache folder; never inside the repository."""
    chosen = os.environ.get("NCRS_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ncrs"


def fetch(progress: Progress | None = None, *, languages: bool = True, cache: Path | None = None) -> Path:
    """The home folder of the distribution; downloads it when the cache does not hold it yet.

    Raises ConfigurationError without the package that downloads, PermanentFault when the file cannot be
    had or is not the one whose checksum is pinned here.
    """
    cache = cache or cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    whole, lean = cache / f"opensearch-{VERSION}", cache / f"opensearch-{VERSION}-few-languages"
    with _locked(cache):
        if not whole.is_dir():
            _install(cache, whole, progress)
        if not languages and not lean.is_dir():
            with _beside(cache) as folder:
                link_tree(whole, folder / "home", leave_out=LANGUAGES_MODULE)
                (folder / "home").rename(lean)
    return whole if languages else lean


def link_tree(source: Path, target: Path, *, leave_out: str = "") -> None:
    """A second tree of the same files: hard links where the file system allows them, copies elsewhere."""
    shutil.copytree(
        source, target, copy_function=_link, ignore=shutil.ignore_patterns(leave_out) if leave_out else None
    )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One process at a time fetches; the others then find it there."""
    with (cache / "opensearch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _beside(cache: Path) -> Iterator[Path]:
    """A folder on the cache's file system that is gone afterwards; the lock holder clears what a kill left."""
    for left in cache.glob("unpacking-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(cache: Path, home: Path, progress: Progress | None) -> None:
    with _beside(cache) as folder:
        given = cache / f"opensearch-{VERSION}.zip"
        archive = given if given.is_file() else _download(folder / "download", progress)
        _require_pinned(archive)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder / "unpacked")
        (folder / "unpacked" / f"opensearch-{VERSION}").rename(home)


def _download(folder: Path, progress: Progress | None) -> Path:
    maven, resolver = _client(progress)
    context = maven(resolver=resolver, repo_cache=folder, timeout=TIMEOUT_S)
    try:
        found = context.project(GROUP, NAME).at_version(VERSION).artifact(packaging="zip").resolve()
    except (OSError, RuntimeError, AssertionError) as error:
        raise PermanentFault(
            f"OpenSearch {VERSION} could not be downloaded ({type(error).__name__}).", remedy=_other_ways()
        ) from error
    return Path(found)


def _client(progress: Progress | None) -> tuple[type, object]:
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        raise ConfigurationError(
            "The package jgo, which fetches OpenSearch, is not installed.",
            remedy="Install the extra dev: pip install -e '.[dev]' (make environment does).",
        ) from error
    return MavenContext, PythonResolver(progress_callback=progress)


def _require_pinned(archive: Path) -> None:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while part := file.read(_BLOCK):
            digest.update(part)
    if digest.hexdigest() != SHA256:
        raise PermanentFault(
            f"{archive.name} is not the file that is pinned: its SHA-256 is {digest.hexdigest()}.",
            remedy=f"Nothing was unpacked. Wanted is {SHA256}. {_other_ways()}",
        )


def _other_ways() -> str:
    return (
        f"Give OPENSEARCH_URL to use a cluster that runs already, or put opensearch-{VERSION}.zip"
        f" ({GROUP}:{NAME}:{VERSION}) into {cache_folder()}."
    )
