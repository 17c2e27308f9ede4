"""The generations on disk, as ops list them.

Belongs here: reading manifests. Does not belong here: opening, publishing or removing a generation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.generation import GENERATION_MANIFEST_NAME, GenerationManifest


def generations(folder: Path) -> list[dict[str, Any]]:
    """Every generation with a manifest, newest first; an unreadable manifest is listed as such."""
    manifests = sorted(folder.glob(f"*/{GENERATION_MANIFEST_NAME}"))
    listed = [_describe(path) for path in manifests]
    return sorted(listed, key=lambda item: item.get("number") or -1, reverse=True)


def _describe(path: Path) -> dict[str, Any]:
    try:
        manifest = GenerationManifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {"generation": path.parent.name, "readable": False}
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
