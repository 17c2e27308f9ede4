"""Reviewing a weights file and putting it into force.

Belongs here: what differs between two files, checks before one is adopted, the record of who adopted what.
Does not belong here: making a file (``propose.py``), printing.

Adopted is a whole file. It is in force for the next generation; what is served stays as it was built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assets.files import private_folder, write_atomically
from schemas.errors import ConfigurationError, Refused
from schemas.generation import WeightsState
from search_api.matching.weights import Weights
from search_api.settings import Settings
from search_api.weights_in_force import adopted_path, checked, in_force, read, state_of

HISTORY = "adopted.ndjson"
# A level further from the prior than this is a mistake of the file rather than of people.
MOST_BITS = 30.0


@dataclass(frozen=True)
class Change:
    """One level: bits before and after, the pairs behind it, and what the proposal says of it."""

    comparison: str
    level: str
    before: float
    after: float
    true_pairs: float | None
    random_pairs: int | None
    source: str

    @property
    def moved(self) -> float:
        """Bits gained or lost."""
        return self.after - self.before


@dataclass(frozen=True)
class Review:
    """A file compared with what is in force. ``other``: parts besides m and u that differ."""

    version: str
    before: str
    changes: tuple[Change, ...]
    other: tuple[str, ...]


def review(settings: Settings, path: Path) -> Review:
    """What adopting this file would change. Raises ConfigurationError when it cannot be used."""
    held, text = in_force(settings), read(path)
    new, old = checked(text), Weights.parse(held.content)
    _check_bits(new)
    told = _provenance(text)
    changes = [
        _change(new, old, name, level, told.get(f"{name}.{level}", {}))
        for name, levels in new.levels.items()
        for level in levels
        if level in old.levels.get(name, {})
    ]
    return Review(new.version, old.version, tuple(changes), tuple(_others(new, old)))


def adopt(settings: Settings, path: Path, actor: str, reason: str) -> WeightsState:
    """Put a reviewed file into force for the next generation; it is recorded who did it and why.

    Raises ConfigurationError (a bad file), Refused (``NCRS_WEIGHTS`` names another file; nothing changes;
    the name of other weights).
    """
    if settings.weights is not None:
        raise Refused(
            f"NCRS_WEIGHTS names the file in force ({settings.weights.name}); adopting would have no effect.",
            remedy="Put the reviewed file there, or remove the setting.",
        )
    found, state = review(settings, path), state_of(read(path))
    held = in_force(settings)
    if state.sha256 == held.sha256:
        raise Refused(f"{state.version} is in force already.", remedy="Nothing is to be done.")
    if found.version == found.before:
        raise Refused(
            f"The file has other weights under the name {found.version}, which is in force.",
            remedy="Give the file a version of its own.",
        )
    target = adopted_path(settings)
    folder = private_folder(target.parent)
    write_atomically(folder / f"{state.sha256[:12]}.json", state.content.encode())
    _record(folder / HISTORY, state, held, actor, reason)
    write_atomically(target, state.content.encode())
    return state


def _change(new: Weights, old: Weights, name: str, level: str, told: dict[str, Any]) -> Change:
    return Change(
        name,
        level,
        old.levels[name][level].weight,
        new.levels[name][level].weight,
        told.get("true_pairs"),
        told.get("random_pairs"),
        str(told.get("source", "")),
    )


def _others(new: Weights, old: Weights) -> list[str]:
    parts = {
        "prior": new.minimum_population != old.minimum_population,
        "frequency rule": new.frequency != old.frequency,
        "grades": new.grades != old.grades,
    }
    pairs = {(name, level) for name, levels in new.levels.items() for level in levels}
    before = {(name, level) for name, levels in old.levels.items() for level in levels}
    added = [f"level {name}.{level} is new" for name, level in sorted(pairs - before)]
    gone = [f"level {name}.{level} is gone" for name, level in sorted(before - pairs)]
    return [f"the {part} differs" for part, differs in parts.items() if differs] + added + gone


def _check_bits(weights: Weights) -> None:
    for name, levels in weights.levels.items():
        for level in levels.values():
            if abs(level.weight) > MOST_BITS:
                raise ConfigurationError(
                    f"{name}.{level.name} of {weights.version} is worth {level.weight:.1f} bits; no level may be worth"
                    f" more than {MOST_BITS:.0f}.",
                    remedy="Look at its m and u; they are shares of pairs.",
                )


def _provenance(text: str) -> dict[str, dict[str, Any]]:
    told = json.loads(text).get("provenance")
    levels = told.get("levels") if isinstance(told, dict) else None
    return levels if isinstance(levels, dict) else {}


def _record(path: Path, state: WeightsState, held: WeightsState, actor: str, reason: str) -> None:
    """One line more; the whole file is written anew, so that a kill leaves no half line."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "actor": actor,
        "reason": reason,
        "version": state.version,
        "sha256": state.sha256,
        "instead_of": held.version,
        "instead_of_sha256": held.sha256,
    }
    before = path.read_bytes() if path.is_file() else b""
    write_atomically(path, before + json.dumps(line, ensure_ascii=False).encode() + b"\n")
