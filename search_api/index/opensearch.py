"""The search index on an OpenSearch cluster: one concrete index a generation, named in its manifest.

Belongs here: the engine's face: writers, readers. Does not belong here: which index stands at a place
(``opensearch_places.py``), requests to it as a whole (``opensearch_indices.py``), documents (``opensearch_writer.py``, ``opensearch_bulk.py``),
searching (``opensearch_reader.py``), the connection (``cluster/``).
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import orjson

from schemas.errors import ClusterUnavailable, GenerationError
from search_api.cluster.answers import WRONG_INDEX
from search_api.cluster.client import Cluster
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch_bulk import OpenSearchBulk, SendJob
from search_api.index.opensearch_indices import Found, Indices, loading
from search_api.index.opensearch_mapping import FORM
from search_api.index.opensearch_places import ROLL_BACK, Places
from search_api.index.opensearch_reader import Census, OpenSearchReader
from search_api.index.opensearch_writer import STREAM, OpenSearchWriter, Work
from search_api.index.progress import Progress, progress_path
from search_api.index.provider import IndexPlace
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules
from search_api.settings import Settings


class OpenSearchEngine:
    """Makes writers and readers of the indexes of one cluster."""

    name = "opensearch"

    def __init__(self, settings: Settings, cluster: Cluster, rules: PdsRules | None = None) -> None:
        self._settings = settings
        self._cluster = cluster
        self._rules = rules or shipped_rules()
        self._places = Places(Indices(cluster, settings, FORM), settings.home)

    def new_location(self, build: str) -> str:
        """The concrete index name of a build."""
        return f"{self._settings.opensearch_prefix}patients-{build}"

    def create(self, at: IndexPlace) -> OpenSearchWriter:
        """A writer on a new index, or on the unfinished one of the same build.

        Raises:
            PermanentFault: an index of this name is there and is not of this build (names are never reused).
        """
        work = self._work(*self._places.begin(at))
        return OpenSearchWriter(work, Census(0, 0), work.progress.reached().get(STREAM))

    def bulk(
        self,
        at: IndexPlace,
        frequencies: Frequencies,
        *,
        show_very_restricted: bool = False,
        processes: int = 2,
        floor: int = 0,  # noqa: ARG002 - a filling that goes on sees only the rest, so keys are not watched here
    ) -> OpenSearchBulk:
        """A writer of whole frames that uses several processes (full builds), on a new index or on the unfinished
        one of the same build.

        Raises:
            PermanentFault: an index of this name is there and is not of this build.
        """
        work = self._work(*self._places.begin(at, _digest(frequencies), str(show_very_restricted)))
        job = SendJob(self._settings, loading(at.location), progress_path(at), frequencies, show_very_restricted)
        return OpenSearchBulk(work, job, processes)

    def branch(self, base: IndexPlace, at: IndexPlace) -> OpenSearchWriter:
        """A writer on a copy of a published index; the base stays as it is. A half-made copy is made again.

        Raises:
            GenerationError: the base is not an index of ours. PermanentFault: the name is taken.
        """
        source = self._places.usable(base)
        held = OpenSearchReader(self._cluster, source.held, self._rules).census()
        return OpenSearchWriter(replace(self._work(*self._places.copy(base, at)), copied=True), held)

    def open(self, at: IndexPlace) -> OpenSearchReader:
        """A reader on a finished index.

        Raises:
            GenerationError: it is missing, unfinished, of another schema, or not the one the manifest means.
            ClusterUnavailable: the cluster cannot be asked.
        """
        found = self._places.usable(at)
        reader = OpenSearchReader(self._cluster, found.held, self._rules, self._settings.search_deadline_ms / 1000)
        try:
            reader.count()
        except ClusterUnavailable as error:
            if error.reason != WRONG_INDEX:
                raise
            raise GenerationError(
                f"The search index {at.location} lacks the proof that it is whole.", remedy=ROLL_BACK
            ) from None
        return reader

    def uuid(self, at: IndexPlace) -> str:
        """The uuid the cluster gave this index. Raises GenerationError when it is not there."""
        return self._places.uuid(at)

    def remove(self, at: IndexPlace) -> None:
        """Delete the index, if this installation made it; nothing when it is gone.

        Raises:
            Refused: another installation made it, or the name is an alias.
        """
        self._places.remove(at)

    def _work(self, found: Found, progress: Progress) -> Work:
        return Work(self._places.indices, found, progress, self._settings.opensearch_bulk_bytes, self._rules)


def _digest(frequencies: Frequencies) -> str:
    """Tells the name frequencies, of which every document holds some, from others."""
    counted = [frequencies.population, frequencies.family, frequencies.given]
    return sha256(orjson.dumps(counted, option=orjson.OPT_SORT_KEYS)).hexdigest()
