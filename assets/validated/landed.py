"""A landed extract's rows: from the bytes as delivered to pieces of the feed's columns.

Belongs here: what an extract is to validation, and reading all of its rows or one of them. Does not
belong here: judging them (``extract.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from assets.stores import Stores
from assets.validated.expectations import ExpectationResult
from assets.validated.lines import Block, LineFinder, blocks
from assets.validated.parsing import BadLine, Job, parse_block, parse_blocks
from assets.validated.pieces import Piece, frames
from quality.reasons import refused
from quality.rule import Context
from schemas.extract import ExtractManifest
from schemas.feeds import FEEDS, Feed
from search_api.settings import Settings

# Below this many records a second process costs more than it saves.
_PARALLEL_RECORDS = 10_000

Auditor = Callable[[Feed, pl.DataFrame], list[ExpectationResult]]


@dataclass(frozen=True)
class Extract:
    """One landed extract and what judging it needs; ``auditor`` gives the second opinion."""

    stores: Stores
    settings: Settings
    manifest: ExtractManifest
    auditor: Auditor

    @property
    def feed(self) -> Feed:
        """The feed's entry in the catalogue."""
        return FEEDS[self.manifest.feed]

    @property
    def landed(self) -> Path:
        """Folder of the bytes as delivered."""
        return self.stage("landing")

    @property
    def context(self) -> Context:
        """What the rules may know."""
        return Context(self.manifest.kind, self.manifest.window_to, self.settings.record_limit)

    @property
    def packed_lines(self) -> bool:
        """Whether the data comes as NDJSON lines."""
        return any(file.format != "parquet" for file in self.manifest.files)

    def stage(self, stage: str) -> Path:
        """Folder of this extract in a stage."""
        return self.stores.stage(stage, self.manifest.feed, self.manifest.source, self.manifest.sequence)


@dataclass
class Rows:
    """The extract's rows as pieces, and the lines that are none."""

    pieces: list[Piece] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


def read_rows(extract: Extract, work: Path) -> Rows:
    """All rows as pieces; lines are parsed into ``work``. Raises FileRefused."""
    formats = {file.format == "parquet" for file in extract.manifest.files}
    if len(formats) > 1:
        raise refused("FILE_FORMAT", "parquet and NDJSON in one extract")
    return _read_lines(extract, work) if extract.packed_lines else _read_parquet(extract)


def _read_parquet(extract: Extract) -> Rows:
    rows, first = Rows(), 1
    for file in extract.manifest.files:
        rows.pieces.append(Piece(extract.landed / file.name, file.rows, first))
        first += file.rows
    return rows


def _read_lines(extract: Extract, work: Path) -> Rows:
    found = blocks(extract.landed, extract.manifest.files, extract.settings.record_limit)
    rows = Rows()
    for parsed in parse_blocks(found, _job(extract, work), _workers(extract)):
        rows.bad += parsed.bad
        if parsed.piece is not None:
            rows.pieces.append(Piece(parsed.piece, parsed.rows))
    return rows


def _workers(extract: Extract) -> int:
    if extract.manifest.record_count < _PARALLEL_RECORDS:
        return 1
    return min(extract.settings.build_threads, os.cpu_count() or 1)


def read_row(extract: Extract, row_no: int, work: Path) -> pl.DataFrame:
    """One row by its number; an empty frame when there is none, or when its line is no record."""
    finder = line_finder(extract)
    if finder is None:
        return _parquet_row(extract, row_no)
    line = finder.find({row_no}).get(row_no)
    if line is None:
        return pl.DataFrame(schema=extract.feed.polars_schema)
    parsed = parse_block(Block(row_no, [line]), _job(extract, work))
    pieces = [Piece(parsed.piece, parsed.rows)] if parsed.piece is not None else []
    return next(frames(pieces, extract.feed, 1), pl.DataFrame(schema=extract.feed.polars_schema))


def _parquet_row(extract: Extract, row_no: int) -> pl.DataFrame:
    for piece in _read_parquet(extract).pieces:
        first = piece.first_row or 1
        if first <= row_no < first + piece.rows:
            frame = pl.scan_parquet(piece.path).slice(row_no - first, 1).collect()
            numbered = frame.with_columns(pl.lit(row_no, dtype=pl.Int64).alias("row_no"))
            return numbered.select(list(extract.feed.polars_schema))
    return pl.DataFrame(schema=extract.feed.polars_schema)


def _job(extract: Extract, work: Path) -> Job:
    return Job(extract.feed.name, extract.manifest.window_to.isoformat(), extract.settings.record_limit, work)


def line_finder(extract: Extract) -> LineFinder | None:
    """Finds lines as delivered; None for parquet, whose rows are found by position."""
    if not extract.packed_lines:
        return None
    return LineFinder(extract.landed, extract.manifest.files, extract.settings.record_limit)


def check_decodable(rows: Rows) -> None:
    """A supplier's parquet may be broken inside though hash and footer are right: refuse it here."""
    for piece in rows.pieces:
        if piece.first_row is None:
            continue
        try:
            pl.scan_parquet(piece.path).select(pl.col("source_key").is_null().sum()).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            raise refused("FILE_FORMAT", piece.path.name) from None
