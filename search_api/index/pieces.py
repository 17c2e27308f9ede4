"""People handed to whoever makes their documents: at once as a frame, or as where to read them.

Belongs here: the one question of a piece. Does not belong here: where pieces come from (``assets/index``).

A piece that is read in the process that works on it is not packed, sent and unpacked on the way.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import polars as pl


class Piece(Protocol):
    """Somewhere a frame (``documents.COLUMNS``) is read from; ``len`` tells its people. May be sent to another process."""

    def __len__(self) -> int: ...

    def frame(self) -> pl.DataFrame:
        """Read it."""
        ...


People: TypeAlias = pl.DataFrame | Piece


def loaded(people: People) -> pl.DataFrame:
    """The frame, read now where it was not yet."""
    return people if isinstance(people, pl.DataFrame) else people.frame()
