"""The catalogue in the cluster: which generations it holds, and which one is current.

Belongs here: marker, manifests and name frequencies as documents, written by the builder and read by
nodes that have no file of a generation. Does not belong here: the indexes of generations, leases
(``leases.py``), the decision to publish (``assets/published``): ``generations/current.json`` of the builder is what
counts, and the marker here follows it.

Documents: ``manifest:<generation>`` with the bytes of the manifest and their hash, ``frequencies:<generation>:<n>``
with a piece of the file each, ``marker``. A manifest is written after its frequencies, so one that is there is whole.
"""

from __future__ import annotations

import base64
from collections.abc import Hashable
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from schemas.errors import GenerationError, PassingFault, Refused
from schemas.generation import FREQUENCIES_NAME, CurrentGeneration, GenerationManifest
from search_api.cluster.client import Cluster
from search_api.cluster.leases import leases_index
from search_api.cluster.small import SmallIndex, Stored
from search_api.generation_files import parse_manifest
from search_api.settings import Settings

NAME = "ncrs-generations"
_MARKER, _MANIFEST, _FREQUENCIES = "marker", "manifest", "frequencies"
_PIECE = 3_000_000
# Seconds for a write, and for a read of a piece: publishing can wait, and so can opening.
_PATIENCE = 30.0
_AGAIN = "Announce the generation again with the next build, or roll back to another with ncrs rollback --to."


class Catalogue:
    """The catalogue of the installation that the settings name."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._index = SmallIndex(cluster, settings.opensearch_prefix + NAME, _PATIENCE)
        self._leases = leases_index(cluster, settings, _PATIENCE)

    def claim(self, home: str) -> None:
        """Make the catalogue, and the index of leases before it, for this installation.

        Raises Refused when the prefix is another installation's.
        """
        self._leases.make("leases", home, fleeting=True)
        self._index.make("catalogue", home)

    def announce(self, manifest: bytes, frequencies: bytes) -> None:
        """Write down a generation that is whole; again is harmless."""
        name = GenerationManifest.model_validate_json(manifest).generation
        pieces = [frequencies[at : at + _PIECE] for at in range(0, max(1, len(frequencies)), _PIECE)]
        for number, piece in enumerate(pieces):
            held = {"bytes": base64.b64encode(piece).decode()}
            self._index.put(Stored(_piece_id(name, number), _FREQUENCIES, name, held, (0, 0)))
        body = {"text": manifest.decode(), "sha256": sha256(manifest).hexdigest(), "pieces": len(pieces)}
        self._index.put(Stored(f"{_MANIFEST}:{name}", _MANIFEST, name, body, (0, 0)), refresh=True)

    def mark(self, current: CurrentGeneration) -> bool:
        """Point the marker at a generation; whether it pointed elsewhere before.

        Raises Refused when the generation was not announced, PassingFault when another process
        changed the marker in between.
        """
        before = self._index.get(_MARKER)
        body = current.model_dump(mode="json")
        if before is not None and before.body == body:
            return False
        if self._index.get(f"{_MANIFEST}:{current.generation}") is None:
            raise Refused(f"Generation {current.generation} is not in the catalogue of the cluster.", remedy=_AGAIN)
        if not self._index.replace(Stored(_MARKER, _MARKER, current.generation, body, (0, 0)), before):
            raise PassingFault("The marker in the cluster is being changed by another process.", remedy="Try again.")
        return True

    def marker(self) -> Hashable:
        """Something that changes whenever the marker does; None when nothing was ever published."""
        found = self._index.get(_MARKER)
        return (found.version, str(found.body)) if found else None

    def current(self) -> CurrentGeneration | None:
        """The marker, or None when nothing was ever published. Raises GenerationError when unreadable."""
        found = self._index.get(_MARKER)
        if found is None:
            return None
        try:
            return CurrentGeneration.model_validate(found.body)
        except ValidationError:
            raise GenerationError("The marker in the cluster has another shape.", remedy=_AGAIN) from None

    def names(self) -> list[str]:
        """The generations announced, in ascending order."""
        return [found.generation for found in self._index.of_kind(_MANIFEST, bodies=False)]

    def manifest(self, name: str, expected_sha256: str | None = None) -> GenerationManifest:
        """The manifest of a generation. Raises GenerationError as ``generation_files.read_manifest`` does."""
        content = self._manifest(name)
        if expected_sha256 is not None and sha256(content).hexdigest() != expected_sha256:
            raise GenerationError(f"The manifest of {name} is not the one that was published.", remedy=_AGAIN)
        return parse_manifest(name, content)

    def holds(self, name: str, manifest: bytes) -> bool:
        """Whether this generation is announced with these bytes."""
        found = self._index.get(f"{_MANIFEST}:{name}")
        return found is not None and found.body.get("sha256") == sha256(manifest).hexdigest()

    def frequencies(self, manifest: GenerationManifest) -> bytes:
        """The bytes of the frequency file, compared with the manifest's hash."""
        name = manifest.generation
        expected = {state.path: state.sha256 for state in manifest.files}.get(FREQUENCIES_NAME)
        found = self._index.get(f"{_MANIFEST}:{name}")
        pieces = [self._index.get(_piece_id(name, at), large=True) for at in range(_pieces(found))]
        content = b"".join(base64.b64decode(str(piece.body.get("bytes"))) for piece in pieces if piece)
        if expected is None or sha256(content).hexdigest() != expected:
            raise GenerationError(f"The name frequencies of {name} in the cluster are not whole.", remedy=_AGAIN)
        return content

    def forget(self, name: str) -> None:
        """Take a generation out; harmless when it is gone already. Raises Refused for the current one."""
        marker = self._index.get(_MARKER)
        if marker is not None and marker.generation == name:
            raise Refused(f"Generation {name} is current in the cluster.", remedy="Publish another one first.")
        found = self._index.get(f"{_MANIFEST}:{name}")
        for number in range(_pieces(found)):
            self._index.remove(_piece_id(name, number))
        self._index.remove(f"{_MANIFEST}:{name}", refresh=True)

    def _manifest(self, name: str) -> bytes:
        found = self._index.get(f"{_MANIFEST}:{name}")
        text: Any = found.body.get("text") if found else None
        if found is None or not isinstance(text, str):
            raise GenerationError(f"Generation {name} is not in the catalogue of the cluster.", remedy=_AGAIN)
        if sha256(text.encode()).hexdigest() != found.body.get("sha256"):
            raise GenerationError(f"The manifest of {name} in the cluster is damaged.", remedy=_AGAIN)
        return text.encode()


def _piece_id(name: str, number: int) -> str:
    return f"{_FREQUENCIES}:{name}:{number}"


def _pieces(manifest: Stored | None) -> int:
    return int(manifest.body.get("pieces", 0)) if manifest else 0
