"""The generations there are, as ops list them.

Belongs here: what is said of a manifest. Does not belong here: reading, opening, publishing or removing a
generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.generation import GenerationManifest


def generations(kept: Mapping[str, GenerationManifest | None]) -> list[dict[str, Any]]:
    """Every generation, newest first; one whose manifest cannot be read is listed as such."""
    listed = [_describe(name, manifest) for name, manifest in kept.items()]
    return sorted(listed, key=lambda item: item.get("number") or -1, reverse=True)


def _describe(name: str, manifest: GenerationManifest | None) -> dict[str, Any]:
    if manifest is None:
        return {"generation": name, "readable": False}
    return {
        "generation": manifest.generation,
        "readable": True,
        "number": manifest.number,
        "base": manifest.base,
        "builtAt": manifest.built_at.isoformat(),
        "asAt": manifest.as_at.isoformat(),
        "documents": manifest.index.documents,
        "rows": {table.table: table.rows for table in manifest.tables},
        "feeds": [
            {"feed": state.feed, "source": state.source, "sequence": state.sequence, "asAt": state.as_at.isoformat()}
            for state in manifest.feeds
        ],
    }
