"""The same questions to several engines in turn: how long each takes, and whom each finds.

Belongs here: asking and tallying. Does not belong here: engines, names of figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Question
from tests.lib.mistakes import Case

BLOCK = 100


class Asker(Protocol):
    """Whoever answers a question with NHS numbers, best first."""

    def ask(self, question: Question) -> list[int]: ...


class Ours:
    """The matcher over an index reader; ``engine_ms`` is what the last question cost in the engine."""

    def __init__(self, reader: IndexReader, frequencies: Frequencies) -> None:
        self._matcher = Matcher()
        self._reader = _Timed(reader)
        self._frequencies = frequencies

    @property
    def engine_ms(self) -> float:
        return self._reader.spent_ms

    def ask(self, question: Question) -> list[int]:
        """At most 50 NHS numbers, best first."""
        self._reader.spent_ms = 0.0
        answer = self._matcher.answer(question, self._reader, self._frequencies)
        return [match.nhs_number for match in answer.matches]


class _Timed:
    """A reader that adds up the time spent in it."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self.spent_ms = 0.0

    def candidates(self, query: KeyQuery) -> CandidateSet:
        started = time.perf_counter()
        found = self._reader.candidates(query)
        self.spent_ms += (time.perf_counter() - started) * 1000
        return found

    def select(self, question: Question, limit: int) -> CandidateSet:
        started = time.perf_counter()
        found = self._reader.select(question, limit)
        self.spent_ms += (time.perf_counter() - started) * 1000
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


@dataclass
class Tally:
    """Times in milliseconds and how often the right person came."""

    times: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)
    first: int = 0
    found: int = 0

    def add(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.times + other.times,
            self.engine + other.engine,
            self.first + other.first,
            self.found + other.found,
        )

    def percentile(self, share: int, times: Sequence[float] | None = None) -> float:
        """The time that ``share`` per cent of the answers keep."""
        ordered = sorted(self.times if times is None else times)
        return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]

    @property
    def right_first(self) -> float:
        return self.first / len(self.times)

    @property
    def found_50(self) -> float:
        return self.found / len(self.times)


def in_turn(askers: Mapping[str, Asker], cases: Sequence[Case]) -> dict[str, Tally]:
    """Every question to every engine, a block at a time, who is first changing from block to block."""
    tallies = {name: Tally() for name in askers}
    for turn, block in enumerate(_blocks(cases)):
        order = list(askers)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            _ask(askers[name], block, tallies[name])
    return tallies


def warm(askers: Iterable[Asker], cases: Sequence[Case]) -> None:
    """Ask without measuring: caches, and the server's compiler."""
    for asker in askers:
        for case in cases:
            asker.ask(case.question)


def _blocks(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    for start in range(0, len(cases), BLOCK):
        yield cases[start : start + BLOCK]


def _ask(asker: Asker, cases: Sequence[Case], tally: Tally) -> None:
    for case in cases:
        started = time.perf_counter()
        found = asker.ask(case.question)
        took = (time.perf_counter() - started) * 1000
        tally.times.append(took)
        tally.engine.append(getattr(asker, "engine_ms", took))
        tally.first += found[:1] == [case.nhs_number]
        tally.found += case.nhs_number in found
