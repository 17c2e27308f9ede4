"""Where each stage keeps its files: what a stage needs, not how it is configured.

Belongs here: paths and the names of files below the home. Does not belong here: reading settings
from the environment (``pipelines/resources.py``), content of the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stores:
    """The folders of one home. ``{stage}/{feed}/{source}/{sequence:08d}/`` for extract stages."""

    home: Path
    drop: Path

    def stage(self, stage: str, feed: str, source: str, sequence: int) -> Path:
        """Folder of one extract in a stage (landing, validated, quarantine)."""
        return self.home / stage / feed / source / f"{sequence:08d}"

    def ack(self, feed: str, source: str, sequence: int) -> Path:
        """Acknowledgement file of one extract, beside the drop folder."""
        return self.drop.parent / "ack" / feed / source / f"{sequence:08d}.json"

    @property
    def generations(self) -> Path:
        """Published generations and the current marker."""
        return self.home / "generations"

    @property
    def building(self) -> Path:
        """Generations under construction; anything here at start is left over and removed."""
        return self.home / "building"
