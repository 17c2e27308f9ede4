"""What happened to generations: built, published, rolled back, deleted, failed; by whom and why.

Belongs here: one table and its two uses. Does not belong here: publishing (``assets/published``),
the marker that says what is current (a file, not this table, decides that).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Engine
from sqlmodel import Field, SQLModel, col, select

from search_api.ops.database import UtcDateTime, create_tables, reading, writing

EventKind = Literal["built", "published", "rolled back", "deleted", "failed", "recovered"]


class GenerationEvent(SQLModel, table=True):
    """One event. ``generation`` is empty for a build that failed before it had a name.

    ``detail`` holds counts, codes and sentences of ours, never a value.
    """

    __tablename__ = "generation_event"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    generation: str = Field(index=True)
    event: str
    actor: str
    reason: str
    detail: str = ""


class GenerationEvents:
    """Writes and reads the events; each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, [SQLModel.metadata.tables[str(GenerationEvent.__tablename__)]])

    def record(self, event: EventKind, generation: str, *, actor: str, reason: str, detail: str = "") -> None:
        """Write one event; it survives a power cut when this returns."""
        with writing(self._engine) as session:
            session.add(
                GenerationEvent(
                    at=datetime.now(UTC), generation=generation, event=event, actor=actor, reason=reason, detail=detail
                )
            )

    def of(self, generation: str | None = None, limit: int = 200) -> list[GenerationEvent]:
        """Events of one generation or of all, newest first."""
        query = select(GenerationEvent)
        if generation is not None:
            query = query.where(GenerationEvent.generation == generation)
        with reading(self._engine) as session:
            return list(session.exec(query.order_by(col(GenerationEvent.id).desc()).limit(limit)))
