"""The generation that is served: opened once, pinned by each request, exchanged while serving.

Belongs here: keeping one generation open, noticing a new marker within two seconds, keeping the old
one until its last pin is released, and refusing what cannot be served. Does not belong here: files
and checks (``generation_files.py``), publishing (``assets/published``).

Rules (promises.md R2, R16): a switch never blocks a request; a generation that cannot be read (an
unknown schema version, a missing file, counts that differ) is refused and the old one kept; at the
start, when the current one is broken, the one published before it is served and the fault reported.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from schemas.errors import GenerationError
from schemas.generation import (
    CURRENT_NAME,
    FREQUENCIES_NAME,
    REPLICA_NAME,
    CurrentGeneration,
    GenerationManifest,
)
from search_api import generation_files as files
from search_api import logging
from search_api.index.frequencies import Frequencies
from search_api.index.provider import IndexEngine, IndexReader
from search_api.records import RecordsReader
from search_api.replica import ReplicaReader
from search_api.settings import Settings

POLL_SECONDS = 0.5
RETRY_POLLS = 20
_NONE = "Bring in an extract with ncrs ingest; it publishes the first generation."


@dataclass(frozen=True)
class Generation:
    """One generation, open: replica and index belong together and never change."""

    manifest: GenerationManifest
    replica: RecordsReader
    index: IndexReader
    frequencies: Frequencies

    def close(self) -> None:
        """Close index and replica."""
        self.index.close()
        self.replica.close()


@dataclass(frozen=True)
class Serving:
    """What is served, and what is wrong if anything: ``problem`` holds no value of a row.

    ``degraded`` is True when the generation served is not the one that the marker names.
    """

    generation: str | None
    problem: str | None

    @property
    def degraded(self) -> bool:
        """Whether something else than the current generation is served, or nothing."""
        return self.problem is not None


class _Held:
    """An open generation with its lease and the number of pins on it."""

    def __init__(self, generation: Generation, lease: files.Lease) -> None:
        self.generation = generation
        self.lease = lease
        self.pins = 0
        self.retired = False

    def close(self) -> None:
        self.generation.close()
        self.lease.release()


def open_generation(folder: Path, engine: IndexEngine, memory_gb: float = 1.0) -> Generation:
    """Open a generation folder after the quick checks: versions, sizes, row and document counts.

    Raises GenerationError; nothing stays open then.
    """
    manifest = files.read_manifest(folder)
    files.check_sizes(folder, manifest)
    if manifest.index.engine != engine.name:
        raise GenerationError(
            f"Generation {folder.name} has an index of {manifest.index.engine}; {engine.name} is set up.",
            remedy="Set NCRS_INDEX as it was at the build, or build anew with ncrs build.",
        )
    frequencies = Frequencies.load(folder / FREQUENCIES_NAME)
    with ExitStack() as opened:
        replica = opened.enter_context(ReplicaReader(folder / REPLICA_NAME, memory_gb))
        index = opened.enter_context(closing(engine.open(files.index_place(folder, manifest))))
        generation = Generation(manifest, replica, index, frequencies)
        _check_counts(generation)
        opened.pop_all()
        return generation


def _check_counts(generation: Generation) -> None:
    manifest = generation.manifest
    for table in manifest.tables:
        if generation.replica.count(table.table) != table.rows:
            raise GenerationError(f"Table {table.table} of {manifest.generation} has not the rows of the manifest.")
    if generation.index.count() != manifest.index.documents:
        raise GenerationError(f"The index of {manifest.generation} has not the documents of the manifest.")


class Generations:
    """Opens the current generation and follows the marker.

    ``start`` (or the first ``pin``) opens what is current and starts a thread that looks at the
    marker every half second. ``close`` stops it. Both may be called from any thread.
    """

    def __init__(self, settings: Settings, engine: IndexEngine) -> None:
        self._folder = settings.generations_folder
        self._engine = engine
        self._memory_gb = settings.serve_memory_gb
        self._verify_at_start = settings.verify_at_start
        self._lock = threading.Lock()
        self._switching = threading.Lock()
        self._held: _Held | None = None
        self._problem: GenerationError | None = None
        self._seen: tuple[int, int, int] | None = None
        self._idle = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Serving:
        """Open what is current, or the one before it when that is broken. Never raises for a broken store."""
        with self._switching:
            if self._thread is None and not self._stop.is_set():
                self._look(first=True)
                self._thread = threading.Thread(target=self._watch, name="ncrs-generations", daemon=True)
                self._thread.start()
        return self.serving

    @property
    def serving(self) -> Serving:
        """What is served now, for readiness and for ops."""
        with self._lock:
            name = self._held.generation.manifest.generation if self._held else None
            return Serving(name, str(self._problem) if self._problem else None)

    @contextmanager
    def pin(self) -> Iterator[Generation]:
        """The generation to answer one request from; it stays open until the block ends.

        Raises GenerationError when there is none.
        """
        if self._thread is None:
            self.start()
        held = self._take()
        try:
            yield held.generation
        finally:
            self._give_back(held)

    def refresh(self) -> Serving:
        """Look at the marker now instead of within half a second."""
        with self._switching:
            self._look(first=False)
        return self.serving

    def close(self) -> None:
        """Stop following; the generation closes when its last pin is released."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            self._retire(held)

    def __enter__(self) -> Generations:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Held:
        with self._lock:
            if self._held is None:
                fault = self._problem or GenerationError("No generation is published.", remedy=_NONE)
                raise GenerationError(fault.message, remedy=fault.remedy)
            self._held.pins += 1
            return self._held

    def _give_back(self, held: _Held) -> None:
        with self._lock:
            held.pins -= 1
            done = held.retired and held.pins == 0
        if done:
            held.close()

    def _retire(self, held: _Held) -> None:
        with self._lock:
            held.retired = True
            done = held.pins == 0
        if done:
            held.close()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            with self._switching:
                self._look(first=False)

    def _look(self, *, first: bool) -> None:
        """Follow the marker when it changed; after a refusal try again every ten seconds."""
        seen = _identity(self._folder / CURRENT_NAME)
        self._idle += 1
        if seen == self._seen and not first and (self._problem is None or self._idle < RETRY_POLLS):
            return
        verify = self._verify_at_start and (first or self._problem is not None)
        self._seen, self._idle = seen, 0
        try:
            current = files.read_current(self._folder)
            if current is not None:
                self._follow(current, verify=verify)
            self._settle(None)
        except GenerationError as error:
            self._settle(error)
            if self._held is None:
                self._fall_back()

    def _follow(self, current: CurrentGeneration, *, verify: bool) -> None:
        if self._held is not None and self._held.generation.manifest.generation == current.generation:
            return
        self._exchange(self._open(current.generation, current.manifest_sha256, verify=verify))

    def _open(self, name: str, manifest_sha256: str | None, *, verify: bool) -> _Held:
        folder = self._folder / name
        with ExitStack() as opened:
            lease = files.Lease(self._folder, name)
            opened.callback(lease.release)
            manifest = files.read_manifest(folder, manifest_sha256)
            if verify:
                files.check_hashes(folder, manifest)
            held = _Held(open_generation(folder, self._engine, self._memory_gb), lease)
            opened.pop_all()
            return held

    def _exchange(self, new: _Held) -> None:
        with self._lock:
            old, self._held = self._held, new
        logging.event("GEN001", generation=new.generation.manifest.generation)
        if old is not None:
            self._retire(old)

    def _settle(self, error: GenerationError | None) -> None:
        with self._lock:
            changed = str(error) != str(self._problem)
            self._problem = error
        if error and changed:
            logging.event("GEN002", "error", error=error.code)

    def _fall_back(self) -> None:
        """Serve the generation before the broken one; ``problem`` goes on saying why."""
        for name in self._before_current():
            try:
                held = self._open(name, None, verify=self._verify_at_start)
            except GenerationError:
                continue
            self._exchange(held)
            logging.event("GEN003", "error", generation=name)
            return

    def _before_current(self) -> list[str]:
        """Lower-numbered generations, newest first; none when the marker itself cannot be read."""
        try:
            current = files.read_current(self._folder)
        except GenerationError:
            return []
        top = files.generation_number(current.generation) if current else None
        names = [path.name for path in reversed(files.folders(self._folder))]
        return [name for name in names if top is not None and (files.generation_number(name) or 0) < top]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
