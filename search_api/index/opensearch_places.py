"""Which index of the cluster stands at a place: begun, gone on with, cleared away, or fit for use.

Belongs here: whose an index is and whether it is finished. Does not belong here: the requests
(``opensearch_indices.py``), what is written into it.

A finished index is closed to writing and never changed. One that a killed build left is gone on with when the
progress beside that build is of this very index, and otherwise removed and made anew.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import metadata
from pathlib import Path

import orjson

from schemas.errors import GenerationError
from search_api.cluster.installation import installation_of
from search_api.index.opensearch_indices import Found, Indices, taken
from search_api.index.opensearch_reader import another_index
from search_api.index.progress import Filling, Progress, progress_path
from search_api.index.provider import IndexPlace

BUILD = "Build the generation in full with ncrs build --full."
ROLL_BACK = "Roll back to another generation with ncrs rollback --to, or build anew with ncrs build --full."


class Places:
    """The indexes of one form, as those of the installation with this home."""

    def __init__(self, indices: Indices, home: Path) -> None:
        self.indices = indices
        self._home = home

    def begin(self, at: IndexPlace, *made_from: str) -> tuple[Found, Progress]:
        """The index of this build, new or gone on with, and how far it has come.

        One whose shard is lost is begun anew: while it is filled there is no copy, and nothing was published from it.
        Raises PermanentFault when an index of this name is there and is not of this build.
        """
        build = self._identity(at, made_from)
        progress = Progress(progress_path(at))
        found = self.indices.look(at.location)
        if (
            found is not None
            and progress.filling() == Filling(found.uuid, build)
            and not self.indices.health.lost(found.name)
        ):
            return self.indices.reopen(found), progress
        self.clear(at)
        made = self.indices.make(at.location, installation_of(self._home), build)
        progress.begin(Filling(made.uuid, build))
        return made, progress

    def copy(self, base: IndexPlace, at: IndexPlace, *made_from: str) -> tuple[Found, Progress]:
        """A copy of a finished index, to be changed; what an earlier attempt left is made again."""
        source = self.usable(base)
        self.clear(at)
        build = self._identity(at, (source.uuid, *made_from))
        found = self.indices.clone(source, at.location, installation_of(self._home), build)
        progress = Progress(progress_path(at))
        progress.begin(Filling(found.uuid, build))
        return found, progress

    def clear(self, at: IndexPlace) -> None:
        """Remove what an earlier attempt at this build left. Raises PermanentFault when it is something else."""
        found = self.indices.look(at.location)
        if found is None:
            return
        home = installation_of(self._home)
        meta, filling = found.meta, Progress(progress_path(at)).filling()
        ours = meta is not None and meta.home == home
        # A copy just made says of itself what its base says; a finished index is ours to remove only when the
        # progress beside this build is of it.
        left_over = meta is not None and (not meta.finished or meta.location != at.location)
        if not ours or not (left_over or (filling is not None and filling.uuid == found.uuid)):
            raise taken(at.location)
        self.indices.remove(at.location, home)

    def usable(self, at: IndexPlace) -> Found:
        """A finished index of ours, of this release's fields, and the one that is meant. Raises GenerationError."""
        found = self.indices.look(at.location)
        if found is None or (at.uuid and found.uuid != at.uuid):
            raise another_index(at.location)
        meta = found.meta
        if meta is None:
            raise GenerationError(f"{at.location} is no index of this product.", remedy=BUILD)
        if meta.schema != self.indices.form.digest:
            raise GenerationError(
                f"The index {at.location} was built by a release with other fields.",
                remedy="Build the generation in full with this release.",
            )
        if found.closed:
            raise GenerationError(
                f"The index {at.location} is closed.",
                remedy=f"Open it (POST /{at.location}/_open). {ROLL_BACK}",
            )
        if not meta.finished or meta.location != at.location:
            raise GenerationError(f"The index {at.location} was never finished.", remedy=BUILD)
        return found

    def uuid(self, at: IndexPlace) -> str:
        """The uuid the cluster gave this index. Raises GenerationError when it is not there."""
        found = self.indices.look(at.location)
        if found is None:
            raise another_index(at.location)
        return found.uuid

    def remove(self, at: IndexPlace) -> None:
        """Delete the index and its progress; nothing when it is gone. Raises Refused when it is another's."""
        self.indices.remove(at.location, installation_of(self._home), at.uuid)
        progress_path(at).unlink(missing_ok=True)

    def _identity(self, at: IndexPlace, made_from: tuple[str, ...]) -> str:
        """Tells one build of an index from another: its name, fields, release, and what else it is made from."""
        try:
            release = metadata.version("ncrs-replica")
        except metadata.PackageNotFoundError:
            release = "source"
        return sha256(orjson.dumps([at.location, self.indices.form.digest, release, *made_from])).hexdigest()[:16]
