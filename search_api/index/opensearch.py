"""The search index on an OpenSearch cluster: one concrete index a generation, named in its manifest.

Belongs here: which index is made, gone on with, opened, copied or removed, and when it is refused. Does not
belong here: how (``opensearch_indices.py``), documents (``opensearch_writer.py``, ``opensearch_bulk.py``),
searching (``opensearch_reader.py``), the connection (``cluster/``).

A finished index is closed to writing and never changed. One that a killed build left is gone on with when the
progress beside that build is of this very index, and otherwise removed and made anew.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import metadata

import orjson

from schemas.errors import ClusterUnavailable, GenerationError
from search_api.cluster.answers import WRONG_INDEX
from search_api.cluster.client import Cluster
from search_api.cluster.installation import installation_of
from search_api.index.opensearch_indices import Found, Indices, taken
from search_api.index.opensearch_mapping import schema_digest
from search_api.index.opensearch_reader import Census, OpenSearchReader, another_index
from search_api.index.opensearch_writer import STREAM, OpenSearchWriter, Work
from search_api.index.progress import Filling, Progress, progress_path
from search_api.index.provider import IndexPlace
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules
from search_api.settings import Settings

_BUILD = "Build the generation in full with ncrs build --full."
_ROLL_BACK = "Roll back to another generation with ncrs rollback --to, or build anew with ncrs build --full."


class OpenSearchEngine:
    """Makes writers and readers of the indexes of one cluster."""

    name = "opensearch"

    def __init__(self, settings: Settings, cluster: Cluster, rules: PdsRules | None = None) -> None:
        self._settings = settings
        self._cluster = cluster
        self._rules = rules or shipped_rules()
        self._indices = Indices(cluster, settings)

    def new_location(self, build: str) -> str:
        """The concrete index name of a build."""
        return f"{self._settings.opensearch_prefix}patients-{build}"

    def create(self, at: IndexPlace) -> OpenSearchWriter:
        """A writer on a new index, or on the unfinished one of the same build.

        Raises:
            PermanentFault: an index of this name is there and is not of this build (names are never reused).
        """
        work = self._begin(at, identity(at))
        return OpenSearchWriter(work, Census(0, 0), work.progress.reached().get(STREAM))

    def branch(self, base: IndexPlace, at: IndexPlace) -> OpenSearchWriter:
        """A writer on a copy of a published index; the base stays as it is. A half-made copy is made again.

        Raises:
            GenerationError: the base is not an index of ours. PermanentFault: the name is taken.
        """
        source = self._usable(base)
        held = OpenSearchReader(self._cluster, source.held, self._rules).census()
        self._clear(at)
        home = installation_of(self._settings.home)
        build = identity(at, source.uuid)
        found = self._indices.clone(source, at.location, home, build)
        return OpenSearchWriter(self._work(at, found, build), held)

    def open(self, at: IndexPlace) -> OpenSearchReader:
        """A reader on a finished index.

        Raises:
            GenerationError: it is missing, unfinished, of another schema, or not the one the manifest means.
            ClusterUnavailable: the cluster cannot be asked.
        """
        found = self._usable(at)
        reader = OpenSearchReader(self._cluster, found.held, self._rules, self._settings.search_deadline_ms / 1000)
        try:
            reader.count()
        except ClusterUnavailable as error:
            if error.reason != WRONG_INDEX:
                raise
            raise GenerationError(
                f"The search index {at.location} lacks the proof that it is whole.", remedy=_ROLL_BACK
            ) from None
        return reader

    def uuid(self, at: IndexPlace) -> str:
        """The uuid the cluster gave this index. Raises GenerationError when it is not there."""
        found = self._indices.look(at.location)
        if found is None:
            raise another_index(at.location)
        return found.uuid

    def remove(self, at: IndexPlace) -> None:
        """Delete the index, if this installation made it; nothing when it is gone.

        Raises:
            Refused: another installation made it, or the name is an alias.
        """
        self._indices.remove(at.location, installation_of(self._settings.home))
        progress_path(at).unlink(missing_ok=True)

    def _begin(self, at: IndexPlace, build: str) -> Work:
        """The index of this build, new or gone on with."""
        progress = Progress(progress_path(at))
        found = self._indices.look(at.location)
        if found is not None and progress.filling() == Filling(found.uuid, build):
            return self._work_on(self._indices.reopen(found), progress)
        self._clear(at)
        made = self._indices.make(at.location, installation_of(self._settings.home), build)
        return self._work(at, made, build)

    def _clear(self, at: IndexPlace) -> None:
        """Remove what an earlier attempt at this build left. Raises PermanentFault when it is something else."""
        found = self._indices.look(at.location)
        if found is None:
            return
        home = installation_of(self._settings.home)
        meta, filling = found.meta, Progress(progress_path(at)).filling()
        ours = meta is not None and meta.home == home
        # A copy just made says of itself what its base says; a finished index is ours to remove only when the
        # progress beside this build is of it.
        left_over = meta is not None and (not meta.finished or meta.location != at.location)
        if not ours or not (left_over or (filling is not None and filling.uuid == found.uuid)):
            raise taken(at.location)
        self._indices.remove(at.location, home)

    def _work(self, at: IndexPlace, found: Found, build: str) -> Work:
        progress = Progress(progress_path(at))
        progress.begin(Filling(found.uuid, build))
        return self._work_on(found, progress)

    def _work_on(self, found: Found, progress: Progress) -> Work:
        return Work(self._indices, found, progress, self._settings.opensearch_bulk_bytes, self._rules)

    def _usable(self, at: IndexPlace) -> Found:
        """A finished index of ours, of this release's fields, and the one that is meant."""
        found = self._indices.look(at.location)
        if found is None or (at.uuid and found.uuid != at.uuid):
            raise another_index(at.location)
        meta = found.meta
        if meta is None:
            raise GenerationError(f"{at.location} is no search index of this product.", remedy=_BUILD)
        if meta.schema != schema_digest():
            raise GenerationError(
                f"The search index {at.location} was built by a release with other fields.",
                remedy="Build the generation in full with this release.",
            )
        if found.closed:
            raise GenerationError(
                f"The search index {at.location} is closed.",
                remedy=f"Open it (POST /{at.location}/_open). {_ROLL_BACK}",
            )
        if not meta.finished or meta.location != at.location:
            raise GenerationError(f"The search index {at.location} was never finished.", remedy=_BUILD)
        return found


def identity(at: IndexPlace, *made_from: str) -> str:
    """Tells one build of an index from another: its name, fields, release, and what else it is made from."""
    try:
        release = metadata.version("ncrs-replica")
    except metadata.PackageNotFoundError:
        release = "source"
    return sha256(orjson.dumps([at.location, schema_digest(), release, *made_from])).hexdigest()[:16]
