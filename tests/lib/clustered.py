"""An index of a small crowd in a cluster of several nodes, and a load of searches that knows the right answers.

Belongs here: building it, asking from several threads, what was answered when. Does not belong here: the
faults (``tests/faults``), the nodes (``tests/lib/opensearch.py``).
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from schemas.errors import ClusterUnavailable
from search_api.cluster.client import Cluster
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.opensearch_reader import OpenSearchReader
from search_api.index.opensearch_writer import OpenSearchWriter
from search_api.index.provider import IndexPlace, SearchDocument
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Answer, DateRange, Mode, Question
from search_api.settings import Settings
from tests.lib.crowd import crowd

RIGHT, WRONG = "right", "wrong"
MODES = (Mode.FUZZY, Mode.WIDE, Mode.FILTER)


def settings_for(addresses: Sequence[str], home: Path, prefix: str, **more: Any) -> Settings:
    """Settings of the product on these nodes: one copy of each shard, and two shards, so that half can be lost."""
    return Settings(
        index=",".join(addresses),
        home=home,
        **{"opensearch_prefix": prefix, "opensearch_shards": 2, "opensearch_replicas": 1, **more},
    )


@dataclass
class Crowd:
    """People, what is known of their names, and an engine to index them with."""

    settings: Settings
    frame: pl.DataFrame
    frequencies: Frequencies = field(init=False)
    cluster: Cluster = field(init=False)
    engine: OpenSearchEngine = field(init=False)

    def __post_init__(self) -> None:
        self.frequencies = Frequencies.build([self.frame])
        self.cluster = Cluster(self.settings)
        self.engine = OpenSearchEngine(self.settings, self.cluster)

    @classmethod
    def of(cls, settings: Settings, count: int) -> Crowd:
        """A seeded crowd."""
        return cls(settings, crowd(count))

    def documents(self, start: int = 0, count: int | None = None) -> Iterator[SearchDocument]:
        """Documents of a part of the people."""
        return iter(documents(self.frame.slice(start, count), self.frequencies))

    def place(self, build: str) -> IndexPlace:
        """Where the index of a build is, with the folder for its progress."""
        folder = self.settings.home / build
        folder.mkdir(parents=True, exist_ok=True)
        return IndexPlace(folder, self.engine.new_location(build))

    def writer(self, build: str) -> OpenSearchWriter:
        """Begin an index, or go on with it."""
        return self.engine.create(self.place(build))

    def index(self, build: str) -> OpenSearchReader:
        """An index of all, finished and opened."""
        writer = self.writer(build)
        writer.add(self.documents())
        writer.commit()
        return self.engine.open(self.place(build))

    def asking(self, reader: OpenSearchReader, count: int, seed: int = 1) -> list[Callable[[], Answer]]:
        """Questions of three modes about people of the crowd, some with a mistake in the name."""
        dice, matcher = random.Random(seed), Matcher()
        rows = self.frame.sample(count, seed=seed).iter_rows(named=True)
        asked = [_question(row, MODES[place % 3], dice) for place, row in enumerate(rows)]
        return [partial(matcher.answer, one, reader, self.frequencies) for one in asked]


def _question(row: dict[str, Any], mode: Mode, dice: random.Random) -> Question:
    name = row["names"][0]
    family = name["family"]
    if mode is not Mode.FILTER and len(family) > 3 and dice.random() < 0.5:
        family = family[:1] + family[2] + family[1] + family[3:]
    born = DateRange(row["birth_date"], row["birth_date"])
    return Question(mode=mode, family=family, given=(name["given"][0],), birth=born)


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """The right answer, before any fault: a busy machine may need a second attempt."""
    for _ in range(20):
        try:
            return ask()
        except ClusterUnavailable:
            time.sleep(0.2)
    return ask()


@dataclass(frozen=True)
class Told:
    """One search: when it began and ended, and how: ``right``, ``wrong``, or the reason of its refusal."""

    began: float
    ended: float
    how: str

    @property
    def refused(self) -> bool:
        """Whether no answer was given."""
        return self.how not in (RIGHT, WRONG)


class SearchLoad:
    """Several threads that ask until the block ends, and compare each answer with the one before the fault."""

    def __init__(self, asking: Sequence[Callable[[], Answer]], threads: int = 4) -> None:
        self._asking = list(asking)
        self._right = [_patiently(ask) for ask in asking]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(threads)]
        self.told: list[Told] = []
        self.errors: list[BaseException] = []

    def __enter__(self) -> SearchLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def found(self) -> int:
        """How many of the questions have somebody to be found."""
        return sum(bool(answer.matches) for answer in self._right)

    def run(self, seconds: float) -> float:
        """Let it go on for a while; the moment it began."""
        began = time.monotonic()
        time.sleep(seconds)
        return began

    def count(self, how: str, since: float = 0.0) -> int:
        """How many searches that began after a moment ended so."""
        return sum(told.how == how and told.began >= since for told in list(self.told))

    def longest_without_success(self, since: float, until: float) -> float:
        """The longest time in which no search succeeded."""
        ended = sorted(told.ended for told in list(self.told) if told.how == RIGHT and since <= told.ended <= until)
        return max(later - earlier for earlier, later in pairwise([since, *ended, until]))

    def refusals(self, since: float) -> Counter[str]:
        """Reasons of the searches refused that began after a moment."""
        return Counter(told.how for told in list(self.told) if told.refused and told.began >= since)

    def slowest(self) -> float:
        """The longest that anybody waited."""
        return max(told.ended - told.began for told in list(self.told))

    def _ask(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self._stop.is_set():
            place = dice.randrange(len(self._asking))
            began = time.monotonic()
            try:
                answer = self._asking[place]()
            except ClusterUnavailable as error:
                how = error.reason
                # As a caller does that honours Retry-After, but sooner.
                self._stop.wait(0.02)
            except BaseException as error:  # noqa: BLE001 - shown by the test: a thread has nobody to raise it to
                self.errors.append(error)
                return
            else:
                how = RIGHT if answer == self._right[place] else WRONG
            self.told.append(Told(began, time.monotonic(), how))
