"""What runs OpenSearch: which Java, the checked artefact, folders another user can reach."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from sandbox.opensearch import artefact
from sandbox.opensearch.artefact import LANGUAGES_MODULE, cache_folder, fetch
from sandbox.opensearch.java import find_java, heap_of, options, read_java
from sandbox.opensearch.node import Node, Plan
from sandbox.opensearch.room import Room, User, can_reach, node_user
from schemas.errors import ConfigurationError, PermanentFault, Refused


def _java(home: Path, version: str, modules: str = "java.base") -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch()
    (home / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return home


def _archive(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small distribution where a user would put the real one, pinned in its stead."""
    cache.mkdir()
    path = cache / f"opensearch-{artefact.VERSION}.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("lib/a.jar", f"modules/{LANGUAGES_MODULE}/b.jar", "modules/reindex/c.jar"):
            packed.writestr(f"opensearch-{artefact.VERSION}/{name}", name)
    monkeypatch.setattr(artefact, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_cache_is_outside_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NCRS_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("NCRS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ncrs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "ncrs"


def test_the_artefact_is_unpacked_once_in_both_variants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _archive(cache, monkeypatch)
    whole = fetch(cache=cache)
    assert (whole / "modules" / LANGUAGES_MODULE / "b.jar").is_file()
    few = fetch(cache=cache, languages=False)
    assert sorted(path.name for path in (few / "modules").iterdir()) == ["reindex"]
    (cache / f"opensearch-{artefact.VERSION}.zip").unlink()
    assert fetch(cache=cache) == whole
    assert not list(cache.glob("unpacking-*"))


def test_another_file_than_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _archive(cache, monkeypatch)
    monkeypatch.setattr(artefact, "SHA256", "0" * 64)
    with pytest.raises(PermanentFault, match=r"not the file that is pinned.*OPENSEARCH_URL"):
        fetch(cache=cache)
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_a_kill_while_unpacking_leaves_nothing_that_passes_for_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    _archive(cache, monkeypatch)
    left = cache / "unpacking-killed"
    (left / "unpacked" / f"opensearch-{artefact.VERSION}").mkdir(parents=True)
    assert (fetch(cache=cache) / "lib" / "a.jar").is_file()
    assert not left.exists()


def test_a_new_enough_java_of_the_machine_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, new = _java(tmp_path / "old", "17.0.9"), _java(tmp_path / "new", "21.0.1", "java.base jdk.incubator.vector")
    monkeypatch.setenv("OPENSEARCH_JAVA_HOME", str(old))
    monkeypatch.setenv("JAVA_HOME", str(new))
    java = find_java()
    assert (java.home, java.version, java.whole) == (new, 21, True)
    assert "--add-modules=jdk.incubator.vector" in options(java, tmp_path, "1g", quick=False)


def test_without_one_the_packaged_java_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENSEARCH_JAVA_HOME", str(_java(tmp_path / "old", "17.0.9")))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    java = find_java()
    assert java.version >= 21
    assert not java.whole
    assert not any("incubator" in word for word in options(java, tmp_path, "1g", quick=True))
    assert read_java(tmp_path / "nothing") is None


@pytest.mark.parametrize("heap", ["", "1", "0g", "1t", "-Xmx1g", "1g -XX:x"])
def test_a_heap_that_is_no_size_is_refused(heap: str) -> None:
    with pytest.raises(ConfigurationError, match="512m or 1g"):
        heap_of(heap)


def test_a_closed_folder_on_the_way_is_seen(tmp_path: Path) -> None:
    stranger = User(65533, 65533)
    folder = tmp_path / "open" / "inside"
    folder.mkdir(parents=True)
    for step in (folder, *folder.parents):
        if step.stat().st_uid == os.geteuid() and step.is_relative_to(tmp_path):
            step.chmod(0o755)
    reachable = can_reach(tmp_path, stranger)
    assert can_reach(folder, stranger) == reachable
    folder.parent.chmod(0o700)
    assert not can_reach(folder, stranger)
    assert can_reach(folder.parent, User(os.geteuid(), os.getegid())) or os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its nodes to another user")
def test_data_of_a_closed_home_lies_elsewhere_and_goes_with_the_home(tmp_path: Path) -> None:
    wanted = tmp_path / "home" / "opensearch"
    (tmp_path / "home").mkdir(mode=0o700)
    with Room() as room:
        folder = room.data_folder(wanted)
        try:
            assert folder != wanted
            assert room.user is not None
            assert can_reach(folder, room.user)
            assert not folder.stat().st_mode & 0o077
            (folder / "nodes").mkdir()
            assert room.data_folder(wanted) == folder
            assert (folder / "nodes").exists()
            wanted.rmdir()
            assert room.data_folder(wanted) == folder
            assert not (folder / "nodes").exists()
            folder.chmod(0o777)
            with pytest.raises(Refused, match="is not this node's"):
                room.data_folder(wanted)
        finally:
            shutil.rmtree(folder)


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    import socket

    with socket.socket() as held, Room() as room:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(Refused, match="is taken"):
            Node(room, Plan(port=held.getsockname()[1])).start()


def test_root_gives_the_node_to_another_user() -> None:
    user = node_user()
    assert (user is None) == (os.geteuid() != 0)
    assert user is None or user.uid != 0
