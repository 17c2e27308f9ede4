"""Generations as they are answered from: without the people whose number was withdrawn since they were made.

Belongs here: what is withdrawn now, a generation's index and records without it. Does not belong here: who withdraws
(``ops/withdrawals.py``), what a withdrawn number is answered with (``patients/records.py``: as an invalidated one).

What is withdrawn is looked for by a thread, twice a second, so that no request waits for the control database. Where that
cannot be asked, what was known last holds on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from search_api import logging
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery, SearchDocument
from search_api.matching.questions import Question
from search_api.opened import Generation
from search_api.ops.database import control_engine
from search_api.ops.withdrawals import Withdrawal, Withdrawals
from search_api.records import NumberChange, PatientRecord, RecordsReader, standing_number
from search_api.settings import Settings

POLL_SECONDS = 0.5


class Withdrawn:
    """The withdrawals that hold, followed until ``close``. ``over`` may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._kept = Withdrawals(engine)
        self._all: tuple[Withdrawal, ...] = ()
        self._mark: object = None
        self._numbers: tuple[str, object, frozenset[int]] = ("", None, frozenset())
        self._told = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look once, then follow."""
        self.look()
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="ncrs-withdrawn", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Look now. What cannot be asked is asked again; the log says so once."""
        try:
            self.read()
            self._told = False
        except SQLAlchemyError as error:
            if not self._told:
                logging.event("GEN008", "error", error=type(error).__name__)
            self._told = True

    def read(self) -> None:
        """Look now. Raises SQLAlchemyError where that is not possible."""
        mark = self._kept.mark()
        if mark != self._mark:
            # In this order: whoever sees the new mark sees what it is the mark of.
            self._all = self._kept.all()
            self._mark = mark

    def over(self, generation: Generation) -> Generation:
        """The generation without the people whose number was withdrawn since it was made."""
        if not self._all:
            return generation
        numbers = self._of(generation)
        if not numbers:
            return generation
        return replace(
            generation,
            index=_IndexWithout(generation.index, numbers),
            replica=_RecordsWithout(generation.replica, numbers),
        )

    def _of(self, generation: Generation) -> frozenset[int]:
        """Reckoned once for each generation and mark."""
        name, mark = generation.manifest.generation, self._mark
        held_name, held_mark, numbers = self._numbers
        if (held_name, held_mark) != (name, mark):
            holding = [each.numbers for each in self._all if each.holds_for(generation.manifest.feeds)]
            numbers = frozenset().union(*holding)
            self._numbers = name, mark, numbers
        return numbers

    def _follow(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


def withdrawn_now(settings: Settings) -> Withdrawn:
    """What is withdrawn at this moment, for a command; not followed. Raises SQLAlchemyError when it cannot be asked."""
    engine = control_engine(settings.control_url)
    try:
        withdrawn = Withdrawn(engine)
        withdrawn.read()
    finally:
        engine.dispose()
    return withdrawn


class _IndexWithout:
    """An index in which these people are not found."""

    def __init__(self, index: IndexReader, numbers: frozenset[int]) -> None:
        self._index, self._numbers = index, numbers
        self.key_counts: Callable[[Sequence[str]], dict[str, int]] = index.key_counts
        self.count, self.checksum, self.close = index.count, index.checksum, index.close

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """As many fewer as were withdrawn: their places are not filled by others."""
        return self._without(self._index.candidates(query))

    def select(self, question: Question, limit: int) -> CandidateSet:
        """Those of the first ``limit`` who were not withdrawn."""
        found = self._without(self._index.select(question, limit + len(self._numbers)))
        return found if len(found.numbers) <= limit else _those(found, range(limit))

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """Documents by number, of none withdrawn."""
        return self._index.find([number for number in nhs_numbers if number not in self._numbers])

    def _without(self, found: CandidateSet) -> CandidateSet:
        if self._numbers.isdisjoint(found.numbers):
            return found
        return _those(found, [at for at, number in enumerate(found.numbers) if number not in self._numbers])


def _those(found: CandidateSet, kept: Iterable[int]) -> CandidateSet:
    """Some of the candidates, by their places."""
    at = list(kept)
    return replace(
        found,
        numbers=tuple([found.numbers[each] for each in at]),
        payloads=tuple([found.payloads[each] for each in at]),
        worths=tuple([found.worths[each] for each in at]) if found.worths else (),
        letters=tuple([found.letters[each] for each in at]) if found.letters else (),
    )


class _RecordsWithout:
    """Records in which these numbers are invalidated: nothing is held under them and none stands for them."""

    def __init__(self, records: RecordsReader, numbers: frozenset[int]) -> None:
        self._records, self._numbers = records, numbers
        self.count, self.close = records.count, records.close

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number, None when it was withdrawn."""
        return None if nhs_number in self._numbers else self._records.patient(nhs_number)

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number, of none withdrawn."""
        return self._records.patients(number for number in nhs_numbers if number not in self._numbers)

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's RelatedPerson resources; none of one withdrawn."""
        return [] if nhs_number in self._numbers else self._records.related(nhs_number)

    def number_change(self, nhs_number: int) -> NumberChange | None:
        """What became of this number: invalidated, if it was withdrawn."""
        if nhs_number in self._numbers:
            return NumberChange(nhs_number, None, "invalidated")
        return self._records.number_change(nhs_number)

    def current_number(self, nhs_number: int) -> int | None:
        """The number that stands now; None when the last link was withdrawn."""
        return standing_number(nhs_number, self.number_change)

    def summary(self, nhs_number: int) -> dict[str, Any] | None:
        """The newest summary of a number that stands."""
        return None if nhs_number in self._numbers else self._records.summary(nhs_number)
