"""Two homes with the same deliveries of the sandbox: one with the embedded engine, the other in a cluster.

Belongs here: delivering a day to both, bringing it in the real way, opening what is published. Does not
belong here: what is asked (``questions.py``) and compared (``agreement.py``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from assets.index.frames import document_frames
from assets.landing.land import land
from assets.published.service import build_and_publish, builder
from assets.stores import Stores
from assets.validated.validate import validate
from sandbox.extracts.extract import extract
from sandbox.extracts.plan import Plan
from schemas.feeds import FEEDS
from schemas.generation import FREQUENCIES_NAME, REPLICA_NAME, FileState, GenerationManifest
from search_api import db
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.opened import Generation
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.record_files import FOLDER
from search_api.settings import Settings
from tests.lib.engines import EMBEDDED, EngineKind
from tests.lib.extracts import no_opinion

BASE = date(2026, 3, 1)
# So few documents make a key crowded here: enough keys are then known and left out among 100,000 people.
KEY_CAP = 12


@dataclass
class Twin:
    """One of the two: a builder's home, and the settings of a node that serves it."""

    kind: EngineKind
    folder: Path
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.kind.building(self.folder, build_memory_gb=1.0, build_threads=1, key_cap=KEY_CAP)

    @property
    def serving(self) -> Settings:
        """The settings of a node."""
        return self.kind.serving(self.settings, self.folder / "node")

    def ingest(self) -> GenerationManifest:
        """Land, validate, build and publish what was delivered."""
        settings = self.settings
        stores, ledger = Stores(self.folder, settings.drop_folder), Ledger(control_engine(settings.control_url))
        for feed in FEEDS:
            land(stores, ledger, settings, feed)
            for entry in validate(stores, ledger, settings, feed, auditor=no_opinion):
                assert entry.outcome == "accepted", (feed, entry.code, entry.rule)
        made = build_and_publish(builder(stores, ledger, settings, "test"), "twins", "a test").manifest
        assert made is not None
        return made

    @contextmanager
    def open(self) -> Iterator[Generation]:
        """The published generation, as a node opens it."""
        with Generations(self.serving, index_engine(self.serving)) as generations, generations.pin() as opened:
            yield opened


class Twins:
    """Both homes, below one folder."""

    def __init__(self, folder: Path, cluster: EngineKind, patients: int, seed: int) -> None:
        self.one = Twin(EMBEDDED, folder / "one")
        self.other = Twin(cluster, folder / "other")
        self._patients, self._seed = patients, seed

    def deliver(self, day: int) -> list[int]:
        """The extracts of a day into both drop folders; the numbers of the people in them, day 0 left out."""
        drop, beside = (twin.settings.drop_folder for twin in (self.one, self.other))
        plan = Plan(drop, self._patients, self._seed, day, BASE, "parquet")
        extract(plan)
        for feed in FEEDS:
            made = plan.folder(feed)
            shutil.copytree(made, beside / made.relative_to(drop), copy_function=os.link)
        return _numbers(plan) if day else []

    def ingest(self) -> None:
        """Bring in what was delivered, in both. The same content is built, and counted, in both."""
        with ThreadPoolExecutor(2) as pool:  # the cluster's share of the work goes on beside ours
            mine, theirs = pool.map(Twin.ingest, (self.one, self.other))
        assert mine.tables == theirs.tables
        assert (mine.index.documents, mine.index.checksum) == (theirs.index.documents, theirs.index.checksum)
        assert mine.feeds == theirs.feeds
        assert _frequencies(mine) == _frequencies(theirs), "names and crowded keys are counted alike"

    @contextmanager
    def open(self) -> Iterator[tuple[Generation, Generation]]:
        """Both generations that are published."""
        with ExitStack() as stack:
            yield stack.enter_context(self.one.open()), stack.enter_context(self.other.open())

    def rows(self, generation: str) -> pl.DataFrame:
        """The people of a generation, in the form that documents are made of."""
        replica = self.one.settings.generations_folder / generation / REPLICA_NAME
        with tempfile.TemporaryDirectory() as folder:
            # A process has one way of opening a file, and readers of single rows may have this one open.
            copied = Path(shutil.copy(replica, folder))
            (copied.parent / FOLDER).symlink_to(replica.parent / FOLDER)
            with closing(db.open_scan(copied, 1.0, 2)) as connection:
                return pl.concat(document_frames(connection))


def _frequencies(manifest: GenerationManifest) -> list[FileState]:
    return [state for state in manifest.files if state.path == FREQUENCIES_NAME]


def _numbers(plan: Plan) -> list[int]:
    """The people of a day's extracts, old numbers and new."""
    found: set[int] = set()
    for feed in FEEDS:
        for part in plan.folder(feed).glob("*.parquet"):
            frame = pl.read_parquet(part)
            for column in {"nhs_number", "new_nhs_number"} & set(frame.columns):
                found.update(frame[column].drop_nulls().cast(pl.Int64).to_list())
    return sorted(found)
