"""A process that fills an index of the cluster, to be killed: run as a module by ``test_index_load_killed.py``.

Belongs here: the filling, always of the same people in the same frames. Does not belong here: killing,
comparing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from search_api.cluster.shared import cluster_of
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.provider import IndexPlace
from search_api.settings import Settings
from tests.lib.crowd import crowd

PEOPLE = 4_000
FRAME = 500
PROCESSES = 2
BATCH_BYTES = 30_000
CHANGED = 2_000


@dataclass(frozen=True)
class Load:
    """What is filled, where; ``how`` is bulk, single or branch."""

    folder: Path
    address: str
    prefix: str
    how: str

    @property
    def settings(self) -> Settings:
        """Small requests, so that there are many moments."""
        return Settings(
            home=self.folder / "home",
            index=self.address,
            opensearch_prefix=self.prefix,
            opensearch_replicas=0,
            opensearch_bulk_bytes=BATCH_BYTES,
            search_deadline_ms=30_000,
        )

    @property
    def engine(self) -> OpenSearchEngine:
        """An engine; those of one process share their connections."""
        return OpenSearchEngine(self.settings, cluster_of(self.settings))

    def at(self, name: str) -> IndexPlace:
        """The place of an index."""
        return IndexPlace(self.folder / name / "generation", self.engine.new_location(name))

    def fill(self, name: str) -> int:
        """Fill the index of this name to the end, or go on with it; how many documents it has."""
        people, engine = self._people(), self.engine
        frequencies = Frequencies.build([people])
        if self.how == "bulk":
            bulk = engine.bulk(self.at(name), frequencies, processes=PROCESSES)
            for start in range(0, people.height, FRAME):
                bulk.add_frame(people.slice(start, FRAME))
            return bulk.commit()
        if self.how == "branch":
            writer = engine.branch(self.at("base"), self.at(name))
            writer.delete(people["nhs_number"].head(CHANGED).to_list())
            people = changed(people)
        else:
            writer = engine.create(self.at(name))
        writer.add(documents(people, frequencies))
        writer.commit()
        return engine.open(self.at(name)).count()

    def _people(self) -> pl.DataFrame:
        """Everybody, kept by the first filling: a process that is to be killed would take longer to make them than to fill."""
        kept = self.folder / "people.parquet"
        if not kept.exists():
            everybody().write_parquet(kept)
        return pl.read_parquet(kept)


@cache
def everybody() -> pl.DataFrame:
    """The people of every filling."""
    return crowd(PEOPLE, seed=12)


def changed(people: pl.DataFrame) -> pl.DataFrame:
    """Those whom a branch makes anew."""
    return people.head(CHANGED).with_columns(pl.lit("2001-02-03").alias("birth_date"))


if __name__ == "__main__":
    folder, address, prefix, how, name = sys.argv[1:]
    Load(Path(folder), address, prefix, how).fill(name)
