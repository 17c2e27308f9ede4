"""Asking two engines the same, and saying where they differ.

Belongs here: one question to both, candidates included, and the comparison. Does not belong here: the
questions (``questions.py``), requests of the API (``answers.py``), the homes (``twins.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Answer, Question
from search_api.opened import Generation
from tests.lib.questions import Asked
from tests.lib.twins import KEY_CAP

# The second one cuts early: who is kept of many equals then decides the answer.
MATCHERS = (Matcher(), Matcher(candidate_limit=2, key_cap=KEY_CAP))
THREADS = 6


@dataclass
class Watched:
    """A reader that keeps what it gave to one question."""

    reader: IndexReader
    sets: list[CandidateSet] = field(default_factory=list)

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """As the reader's, kept."""
        return self._kept(self.reader.candidates(query))

    def select(self, question: Question, limit: int) -> CandidateSet:
        """As the reader's, kept."""
        return self._kept(self.reader.select(question, limit))

    def count(self) -> int:
        """As the reader's."""
        return self.reader.count()

    def _kept(self, found: CandidateSet) -> CandidateSet:
        self.sets.append(found)
        return found


@dataclass(frozen=True)
class Seen:
    """What one engine made of a question: the candidates of each search, and the answer."""

    sets: tuple[CandidateSet, ...]
    answer: Answer


@dataclass
class Report:
    """What was asked and found, by kind, and the first differences of each sort."""

    asked: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    too_many: int = 0
    truncated: int = 0
    differences: dict[str, list[Asked]] = field(default_factory=dict)

    def note(self, asked: Asked, one: Seen, other: Seen) -> None:
        """Count a question, and its difference if there is one."""
        self.asked[asked.kind] += 1
        self.found[asked.kind] += bool(one.answer.total)
        self.too_many += one.answer.too_many
        self.truncated += one.answer.truncated
        part = difference(one, other)
        if part:
            self.differences.setdefault(f"{asked.kind}: {part}", []).append(asked)

    def __str__(self) -> str:
        """Each sort of difference with its number, and two questions of each; the people are invented."""
        count = sum(map(len, self.differences.values()))
        lines = [f"{count} of {self.asked.total()} questions are answered otherwise"]
        for sort, examples in sorted(self.differences.items()):
            lines.append(f"{len(examples):>6}  {sort}")
            lines += [f"        {asked.place}: {asked.question}" for asked in examples[:2]]
        return "\n".join(lines)


def ask(asked: Asked, generation: Generation) -> Seen:
    """One question to one engine. Every fourth is cut early."""
    watched = Watched(generation.index)
    matcher = MATCHERS[asked.place % 4 == 3]
    answer = matcher.answer(asked.question, watched, generation.frequencies)  # type: ignore[arg-type]
    return Seen(tuple(watched.sets), answer)


def compare(asked: Iterable[Asked], one: Generation, other: Generation) -> Report:
    """Every question to both, several at a time."""
    report = Report()

    def both(question: Asked) -> tuple[Asked, Seen, Seen]:
        return question, ask(question, one), ask(question, other)

    with ThreadPoolExecutor(THREADS) as pool:
        for question, seen, other_seen in pool.map(both, asked):
            report.note(question, seen, other_seen)
    return report


def difference(one: Seen, other: Seen) -> str:
    """The first part that differs; empty when nothing does. Counters are each engine's own."""
    if len(one.sets) != len(other.sets):
        return "searches made"
    for mine, theirs in zip(one.sets, other.sets, strict=True):
        for name, part in _CANDIDATE_PARTS.items():
            if part(mine) != part(theirs):
                return name
    for name, read in _ANSWER_PARTS.items():
        if read(one.answer) != read(other.answer):
            return name
    return "" if replace(one.answer, counters={}) == replace(other.answer, counters={}) else "answer"


_CANDIDATE_PARTS: dict[str, Callable[[CandidateSet], object]] = {
    "candidates": lambda found: frozenset(found.numbers),
    "order of candidates": lambda found: found.numbers,
    "payloads": lambda found: found.payloads,
    "letters": lambda found: found.letters,
    "candidates truncated": lambda found: found.truncated,
}
_ANSWER_PARTS: dict[str, Callable[[Answer], object]] = {
    "total": lambda answer: answer.total,
    "too many": lambda answer: answer.too_many,
    "truncated": lambda answer: answer.truncated,
    "matches": lambda answer: [match.nhs_number for match in answer.matches],
    "scores": lambda answer: [match.score for match in answer.matches],
    "posteriors": lambda answer: [match.posterior for match in answer.matches],
    "grades": lambda answer: [match.grade for match in answer.matches],
    "evidence": lambda answer: [match.evidence for match in answer.matches],
}


def documents_differ(numbers: Iterable[int], one: IndexReader, other: IndexReader) -> Iterator[str]:
    """The numbers whose documents are not the same in both, by what is stored of them."""
    wanted = list(numbers)
    mine, theirs = one.find(wanted), other.find(wanted)
    if mine.keys() != theirs.keys():
        yield "which numbers have a document"
    for number in mine.keys() & theirs.keys():
        # Words need not be stored: what an engine finds by them is asked elsewhere.
        if mine[number]._replace(keys=(), terms={}) != theirs[number]._replace(keys=(), terms={}):
            yield f"the document of {number}"
