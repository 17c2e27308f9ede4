"""Judging the cuts of one extract on several threads, and where their rows go.

Belongs here: what one cut comes to, the files of its rows, the order in which outcomes arrive. Does
not belong here: the rules (``quality``), the extract as a whole (``extract.py``).

Threads, since polars works outside Python's lock; the cut in hand on each bounds the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.validated.adopted import Adoption, part_name
from assets.validated.expectations import ExpectationResult
from assets.validated.landed import Extract
from assets.validated.pieces import Cut, numbered, rows_of
from assets.validated.quarantined import as_received
from quality.judge import judge
from quality.verdict import Tally


@dataclass(frozen=True)
class Outcome:
    """What one cut came to. ``received`` are the rejected rows as sent, where they came as parquet."""

    number: int
    tally: Tally
    opinions: list[ExpectationResult]
    rejected: pl.DataFrame
    received: pl.DataFrame | None


@dataclass(frozen=True)
class Bench:
    """What every cut of an extract is judged with, and the folder of its validated parts."""

    extract: Extract
    losers: pl.Series
    adoption: Adoption
    folder: Path

    def outcomes(self, cuts: Iterable[Cut]) -> Iterator[Outcome]:
        """Judge the cuts and write their parts; outcomes in order.

        Raises FileRefused when a supplier's file cannot be decoded.
        """
        with _threads(self.extract.settings.build_threads) as pool:
            waiting: deque[Future[Outcome]] = deque()
            for cut in cuts:
                waiting.append(pool.submit(self._judged, cut))
                if len(waiting) >= 2 * self.extract.settings.build_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def settle(self) -> None:
        """Link the landed files that stand as parts, and write the cuts of those that do not after all."""
        with _threads(self.extract.settings.build_threads) as pool:
            list(pool.map(self._written, self.adoption.link(self.folder)))

    def _judged(self, cut: Cut) -> Outcome:
        raw = rows_of(cut, self.extract.feed)
        frame = numbered(cut, raw)
        verdict = judge(self.extract.feed, frame, self.extract.context, self.losers)
        if not self.adoption.keeps(cut, raw, frame, clean=verdict.rejected.is_empty()):
            self._write(cut, verdict.accepted)
        if not verdict.flagged.is_empty():
            verdict.flagged.write_parquet(self.folder / f"warnings-{cut.number:05d}.parquet")
        lost = verdict.rejected["row_no"]
        sent = None if cut.landed is None else as_received(frame.filter(pl.col("row_no").is_in(lost.implode())))
        opinions = self.extract.auditor(self.extract.feed, verdict.accepted)
        return Outcome(cut.number, verdict.tally, opinions, verdict.rejected, sent)

    def _written(self, cut: Cut) -> None:
        self._write(cut, numbered(cut, rows_of(cut, self.extract.feed)))

    def _write(self, cut: Cut, accepted: pl.DataFrame) -> None:
        if not accepted.is_empty():
            accepted.write_parquet(self.folder / part_name(cut.number), compression="zstd", compression_level=1)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops what it has not begun when the work ends early."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="ncrs-judge")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
