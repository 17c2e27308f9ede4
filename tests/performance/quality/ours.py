"""Our matcher as one of those who answer: the real embedded index, the real matcher, as served.

Belongs here: building the index as a full build does (crowded keys counted too) and asking it. Does not
belong here: judging, questions, how long it takes (``bench_matching.py``).

A ranking holds what the matcher answers, in its order, and then whoever else it took for candidates, with
probability 0 and in the index's order: they count for recall at 200 and are never anybody's first.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

import polars as pl

from search_api.index import crowding
from search_api.index.documents import documents, no_collection
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery, SearchDocument
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Grade, Question
from search_api.matching.weights import FrequencyRule
from tests.lib.index import at
from tests.performance.quality.cases import MOST, Query, Ranked

KEY_CAP = 2000


@dataclass
class Candidates:
    """What the index gave before anything was scored; ranks are in the index's own order."""

    queries: int = 0
    given: int = 0
    truncated: int = 0
    present: int = 0
    in_50: int = 0
    in_200: int = 0

    def take(self, query: Query, numbers: Sequence[int], *, truncated: bool) -> None:
        """Count one question."""
        self.queries += 1
        self.given += len(numbers)
        self.truncated += truncated
        if query.truth is not None:
            self.present += 1
            self.in_50 += query.truth in numbers[:50]
            self.in_200 += query.truth in numbers[:MOST]


@dataclass
class Recording:
    """A reader that remembers whom it gave, in order; everything else goes straight to the real one. ``without``: a kind
    of key that it never hears of."""

    reader: IndexReader
    without: str = ""
    seen: dict[int, None] = field(default_factory=dict)

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """As the real one for the keys that it hears of, remembered."""
        kept = [tuple(each for each in keys if each.key[0] != self.without) for keys in (query.keys, query.beside)]
        return self._kept(self.reader.candidates(replace(query, keys=kept[0], beside=kept[1])))

    def select(self, question: Question, limit: int) -> CandidateSet:
        """As the real one, remembered."""
        return self._kept(self.reader.select(question, limit))

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """As the real one."""
        return self.reader.find(nhs_numbers)

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """As the real one."""
        return self.reader.key_counts(keys)

    def count(self) -> int:
        """As the real one."""
        return self.reader.count()

    def checksum(self) -> str:
        """As the real one."""
        return self.reader.checksum()

    def close(self) -> None:
        """As the real one."""
        self.reader.close()

    def _kept(self, found: CandidateSet) -> CandidateSet:
        self.seen.update(dict.fromkeys(found.numbers))
        return found


class PeopleIndex:
    """An index of people in a folder of its own, made as a full build makes it, crowded keys counted. Close it."""

    def __init__(self, people: pl.DataFrame, rule: FrequencyRule) -> None:
        self._folder = Path(mkdtemp(prefix="ncrs-quality-"))
        frequencies, suspects = _built(people, self._folder / "index", rule)
        self.reader: IndexReader = EmbeddedEngine().open(at(self._folder / "index"))
        self.frequencies = crowding.counted(frequencies, suspects, self.reader, crowding.floor_of(KEY_CAP))

    def __enter__(self) -> PeopleIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index, and remove its folder."""
        self.reader.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Ours:
    """Implements ``Rival``. ``candidates`` tells of the last ``rank`` as far as it was read."""

    name = "ours"

    def __init__(self, matcher: Matcher | None = None) -> None:
        self.matcher = matcher or Matcher(candidate_limit=MOST, key_cap=KEY_CAP)
        self.candidates = Candidates()
        self._index: PeopleIndex | None = None

    def prepare(self, people: pl.DataFrame) -> None:
        """Build and open an index of these people in a folder of its own."""
        self.close()
        self._index = PeopleIndex(people, self.matcher.weights.frequency)

    def rank(self, queries: Sequence[Query]) -> Iterator[list[Ranked]]:
        """The matcher's answer to each, and its other candidates behind it."""
        if self._index is None:
            raise RuntimeError("Nothing to ask: call prepare first.")
        self.candidates = Candidates()
        reader, frequencies = Recording(self._index.reader), self._index.frequencies
        for query in queries:
            yield self._ranked(query, reader, frequencies)

    def _ranked(self, query: Query, reader: Recording, frequencies: Frequencies) -> list[Ranked]:
        reader.seen.clear()
        answer = self.matcher.answer(query.question, reader, frequencies)
        numbers = tuple(reader.seen)
        self.candidates.take(query, numbers, truncated=answer.truncated)
        found = [Ranked(each.nhs_number, each.weight, each.posterior, each.graded.value) for each in answer.matches]
        shown = {each.nhs_number for each in found}
        rest = [Ranked(number, -math.inf, 0.0, Grade.CERTAINLY_NOT.value) for number in numbers if number not in shown]
        return [*found, *rest][:MOST]

    def close(self) -> None:
        """Let go of the index and its folder."""
        if self._index is not None:
            self._index.close()
        self._index = None


def _built(people: pl.DataFrame, folder: Path, rule: FrequencyRule) -> tuple[Frequencies, list[str]]:
    """The index, its frequencies, and keys that may be crowded."""
    frequencies = replace(Frequencies.build([people]), rule=rule)
    watch = crowding.CrowdCounter(crowding.floor_of(KEY_CAP))
    writer = EmbeddedEngine().create(at(folder))
    suspects: list[str] = []
    with no_collection():
        for batch in watch.watch(documents(people, frequencies)):
            writer.add(batch)
            suspects += watch.take()
    writer.commit()
    return frequencies, suspects
