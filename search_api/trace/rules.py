"""The rules of a trace that an operator may choose.

Belongs here: the choice and what of it an unfinished run is compared by. Does not belong here: applying them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson

from search_api.matching.weights import Weights
from search_api.settings import Settings
from search_api.trace.columns import ANSWER
from search_api.trace.outcomes import shipped


@dataclass(frozen=True)
class TraceRules:
    """Settings of the same names, which say what each means."""

    trace_name_needed: bool
    trace_partial_birth: bool
    trace_mistaken_birth: bool
    trace_against_number: bool
    trace_no_match: str
    trace_several: str
    show_very_restricted: bool
    candidate_limit: int
    key_cap: int
    unseen_odds: float
    unseen_odds_doubtful: float
    settled_odds: float
    most_compared: int
    second_look_documents: int
    second_look_candidates: int

    @classmethod
    def of(cls, settings: Settings) -> TraceRules:
        """As the settings say."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    def digest(self, weights: Weights) -> str:
        """Tells answers that these rules, weights, codes and columns make from others."""
        known: dict[str, Any] = {
            "rules": asdict(self),
            "weights": weights.version,
            "codes": shipped().version,
            "columns": list(ANSWER),
        }
        return sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()
