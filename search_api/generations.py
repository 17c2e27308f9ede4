"""The generation that is served: opened once, pinned by each request, exchanged while serving.

Belongs here: keeping one generation open, noticing a new marker within two seconds, keeping the old
one until its last pin is released, and refusing what cannot be served. Does not belong here: where
generations come from (``sources.py``), the parts of one (``opened.py``), publishing (``assets/published``).

Rules (promises.md R2, R16): a switch never blocks a request; a generation that cannot be read (an
unknown schema version, a missing file, counts that differ) is refused and the old one kept; at the
start, when the current one is broken, the one published before it is served and the fault reported.
An index in a cluster can be lost or replaced while it is served: that generation is let go of at the
next look, and what follows is as at the start. A store that cannot be reached is no broken one: what
is served stays pinned (its requests fail by themselves), nothing older is put in its place, and each
look tries again.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType

from schemas.errors import ClusterUnavailable, GenerationError, NcrsError, PassingFault
from schemas.generation import CurrentGeneration, GenerationManifest
from search_api import logging
from search_api.holding import HeldIndex
from search_api.index.provider import IndexEngine
from search_api.opened import Generation
from search_api.settings import Settings
from search_api.sources import GenerationSource, Lease, generation_source

POLL_SECONDS = 0.5
RETRY_POLLS = 20
_UNKNOWN = object()
_NONE = "Bring in an extract with ncrs ingest; it publishes the first generation."


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

    def __init__(self, generation: Generation, lease: Lease) -> None:
        self.generation = generation
        self.lease = lease
        self.pins = 0
        self.retired = False

    def close(self) -> None:
        self.generation.close()
        self.lease.release()


class Generations:
    """Opens the current generation and follows the marker.

    ``start`` (or the first ``pin``) opens what is current and starts a thread that looks at the
    marker every half second. ``close`` stops it. Both may be called from any thread. ``shown`` makes of a generation what
    requests see of it.
    """

    def __init__(self, settings: Settings, engine: IndexEngine, source: GenerationSource | None = None) -> None:
        self._source = source or generation_source(settings, engine)
        self._verify_at_start = settings.verify_at_start
        self._index = HeldIndex(settings)
        self.shown: Callable[[Generation], Generation] = lambda generation: generation
        self._lock = threading.Lock()
        self._switching = threading.Lock()
        self._held: _Held | None = None
        self._open: set[_Held] = set()
        self._problem: NcrsError | None = None
        self._seen: Hashable = None
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

        Raises GenerationError when there is none, PassingFault when it cannot be reached just now.
        """
        if self._thread is None:
            self.start()
        held = self._take()
        try:
            yield self.shown(held.generation)
        finally:
            self._give_back(held)

    def kept(self) -> dict[str, GenerationManifest | None]:
        """Every generation there is where this one comes from; None where a manifest cannot be read.

        Raises GenerationError and PassingFault as its source does.
        """
        return self._source.kept()

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
        self._index.close()

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
                raise copy.copy(self._problem or GenerationError("No generation is published.", remedy=_NONE))
            self._held.pins += 1
            return self._held

    def _give_back(self, held: _Held) -> None:
        with self._lock:
            held.pins -= 1
            done = held.retired and held.pins == 0
        if done:
            self._end(held)

    def _retire(self, held: _Held) -> None:
        with self._lock:
            held.retired = True
            done = held.pins == 0
        if done:
            self._end(held)

    def _end(self, held: _Held) -> None:
        with self._lock:
            self._open.discard(held)
        held.close()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            with self._switching:
                self._look(first=False)

    def _look(self, *, first: bool) -> None:
        """Keep hold of what is served; follow the marker when it changed; after a refusal try again
        every ten seconds, and at each look while the store cannot be reached."""
        try:
            self._keep_hold()
            seen = self._source.marker()
            self._idle += 1
            if seen != self._seen or first or (self._problem is not None and self._idle >= RETRY_POLLS):
                self._seen, self._idle = seen, 0
                self._try_current(verify=self._verify_at_start and (first or self._problem is not None))
        except NcrsError as error:  # not reached, or a cluster that nobody published to yet
            self._seen = _UNKNOWN
            self._settle(error)

    def _keep_hold(self) -> None:
        """Renew the leases; let go of a generation that is no longer the one that was published."""
        if self._held is not None:
            self._confirm(self._held)
        with self._lock:
            leased = list(self._open)
        for each in leased:
            each.lease.renew()

    def _confirm(self, held: _Held) -> None:
        """Before leases are renewed: where all was lost, a lease of what is not there would be the first thing made."""
        try:
            self._source.confirm(held.generation)
        except PassingFault:
            raise
        except NcrsError as error:
            with self._lock:
                self._held = None
            logging.event("GEN005", "error", generation=held.generation.manifest.generation)
            self._settle(error)
            self._seen = _UNKNOWN
            self._retire(held)

    def _try_current(self, *, verify: bool) -> None:
        try:
            current = self._source.current()
            if current is not None:
                self._follow(current, verify=verify)
            self._settle(None)
        except PassingFault:
            raise
        except NcrsError as error:
            self._settle(error)
            if self._held is None:
                self._fall_back()

    def _follow(self, current: CurrentGeneration, *, verify: bool) -> None:
        if self._held is not None and self._held.generation.manifest.generation == current.generation:
            return
        self._exchange(self._opened(current.generation, current.manifest_sha256, verify=verify))

    def _opened(self, name: str, manifest_sha256: str | None, *, verify: bool) -> _Held:
        with ExitStack() as begun:
            lease = self._source.lease(name)
            begun.callback(lease.release)
            generation = self._source.open(name, manifest_sha256, verify=verify)
            # Here, on the thread that opens: the first to ask would wait for it, past their deadline.
            generation.frequencies.prepare()
            begun.pop_all()
            return _Held(generation, lease)

    def _exchange(self, new: _Held) -> None:
        with self._lock:
            old, self._held = self._held, new
            self._open.add(new)
        logging.event("GEN001", generation=new.generation.manifest.generation)
        if old is not None:
            self._retire(old)
        self._index.turn_to(new.generation.manifest)

    def _settle(self, error: NcrsError | None) -> None:
        if error is not None and not isinstance(error, PassingFault | GenerationError):
            # Whatever else a store says of a generation, to who asks there is none to answer from.
            error = GenerationError(error.message, remedy=error.remedy)
        with self._lock:
            changed = str(error) != str(self._problem)
            self._problem = error
        if error and changed:
            cause = error.reason if isinstance(error, ClusterUnavailable) else error.code
            logging.event("GEN004" if isinstance(error, PassingFault) else "GEN002", "error", error=cause)

    def _fall_back(self) -> None:
        """Serve the generation before the broken one; ``problem`` goes on saying why."""
        for name in self._before_current():
            try:
                held = self._opened(name, None, verify=self._verify_at_start)
            except PassingFault:
                raise
            except NcrsError:
                continue
            self._exchange(held)
            logging.event("GEN003", "error", generation=name)
            return

    def _before_current(self) -> list[str]:
        """Lower-numbered generations, newest first; none when the marker itself cannot be read."""
        try:
            current = self._source.current()
            return self._source.before(current.generation) if current else []
        except GenerationError:
            return []
