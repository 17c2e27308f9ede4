"""The catalogue in the cluster, kept like the marker of this home: what nodes without files follow.

Belongs here: announcing a generation before it is published, making the marker there follow the one
here, saying where it lags. Does not belong here: the catalogue's documents (``search_api/cluster``),
which generation is current (``generations/current.json`` alone decides, ``publish.py``).

The marker there is written after the one here. A kill or an unreachable cluster in between leaves it
behind; it is made to follow at the next build, publication or roll-back, and by a sensor.
"""

from __future__ import annotations

from pathlib import Path

from assets.published.publish import publish_lock
from assets.stores import Stores
from schemas.errors import GenerationError, PassingFault
from schemas.generation import FREQUENCIES_NAME, GENERATION_MANIFEST_NAME, CurrentGeneration
from search_api import generation_files as files
from search_api.cluster.catalogue import Catalogue
from search_api.cluster.installation import installation_of
from search_api.cluster.shared import cluster_of
from search_api.settings import Settings


class Mirror:
    """The catalogue of one installation. Raises ClusterUnavailable when the cluster cannot be asked."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self.catalogue = Catalogue(cluster_of(settings), settings)

    def claim(self) -> None:
        """Make the catalogue. Raises Refused when another installation has this prefix."""
        self.catalogue.claim(installation_of(self._home))

    def announce(self, folder: Path) -> None:
        """Write down a sealed generation, so that nodes can open it once the marker names it."""
        self.claim()
        manifest = (folder / GENERATION_MANIFEST_NAME).read_bytes()
        self.catalogue.announce(manifest, (folder / FREQUENCIES_NAME).read_bytes())

    def follow(self, stores: Stores) -> bool:
        """Make the marker there follow the one here; whether it had to. Announces what is not announced.

        Raises PassingFault while the marker here is being changed, GenerationError when it cannot be read.
        """
        with publish_lock(stores):
            current = files.read_current(stores.generations)
            if current is None:
                return False
            folder = stores.generations / current.generation
            files.read_manifest(folder, current.manifest_sha256)
            self.claim()
            if not self._holds(folder):
                self.announce(folder)
            return self.catalogue.mark(current)

    def lag(self, stores: Stores) -> str:
        """How the cluster lags behind, in one sentence; empty when it does not."""
        current = files.read_current(stores.generations)
        if current is None:
            return ""
        try:
            if not self._holds(stores.generations / current.generation):
                return f"The catalogue of the cluster does not hold {current.generation}, which is current."
            shown = self.catalogue.current()
        except GenerationError as error:
            return error.message
        return "" if shown == current else _behind(shown, current)

    def try_to_follow(self, stores: Stores) -> str:
        """As ``follow``, after a publication that is done whatever the cluster says; why it could not, or empty."""
        try:
            self.follow(stores)
        except (PassingFault, GenerationError) as error:
            return error.message
        return ""

    def _holds(self, folder: Path) -> bool:
        try:
            content = (folder / GENERATION_MANIFEST_NAME).read_bytes()
        except OSError as error:
            raise GenerationError(
                f"The manifest of {folder.name} cannot be read ({type(error).__name__}).",
                remedy="Roll back to another generation with ncrs rollback --to, or build anew with ncrs build.",
            ) from None
        return self.catalogue.holds(folder.name, content)


def _behind(shown: CurrentGeneration | None, current: CurrentGeneration) -> str:
    named = shown.generation if shown else "nothing"
    return f"The marker in the cluster names {named}; current since {current.published_at:%Y-%m-%d %H:%MZ} is {current.generation}."
