"""PDS's search rules that are observed, inferred or open: read from ``pds_rules.json``.

Belongs here: the data class of the rules. Does not belong here: their application
(``filtering.py``, ``fuzzy.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class PdsRules:
    """See ``pds_rules.json`` for each rule's meaning and source.

    ``partial_birth_dates``: contained (a stored yyyy-mm answers only a range that holds all of
    it) or overlap. ``given_position``: any, or first. ``likeness`` and ``field_weight`` make the
    score.
    """

    partial_birth_dates: Literal["contained", "overlap"]
    given_position: Literal["any", "first"]
    changed_family_needs: tuple[str, ...]
    field_weight: dict[str, float]
    likeness: dict[str, float]
    scan_limit: int

    @classmethod
    def load(cls, path: Path | None = None) -> PdsRules:
        """Read a rules file, by default the one shipped.

        Raises:
            ConfigurationError: a rule is missing or not one of its choices.
        """
        source = path or resources.files(__package__).joinpath("pds_rules.json")
        raw = json.loads(source.read_text("utf-8"))
        try:
            rules = cls(
                partial_birth_dates=raw["partial_birth_dates"]["value"],
                given_position=raw["given_position"]["value"],
                changed_family_needs=tuple(raw["changed_family_needs"]["value"]),
                field_weight={name: float(value) for name, value in raw["score"]["field_weight"].items()},
                likeness={name: float(value) for name, value in raw["score"]["likeness"].items()},
                scan_limit=int(raw["scan_limit"]["value"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"The PDS rules file lacks or misstates a rule: {error}.") from error
        if rules.partial_birth_dates not in ("contained", "overlap") or rules.given_position not in ("any", "first"):
            raise ConfigurationError("The PDS rules file names a choice that does not exist.")
        return rules


@cache
def shipped() -> PdsRules:
    """The rules that ship with the code, read once."""
    return PdsRules.load()
