"""The proposal of weights as Dagster sees it: an asset that is never part of a publication.

Belongs here: the Dagster face. Does not belong here: estimating (``propose.py``), review (``review.py``).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import keys
from assets.failures import Translated
from assets.weights.estimate import Rules
from assets.weights.propose import propose
from search_api.settings import Settings


def weights_assets() -> list[dg.AssetsDefinition]:
    """The proposal; resource ``settings``."""

    @dg.asset(
        key=keys.WEIGHTS_PROPOSED,
        deps=[keys.PUBLISHED],
        group_name="weights",
        owners=["team:ops"],
        kinds={"json"},
        description="Match weights estimated from the current generation, as a file for review. Nothing uses it until"
        " a person adopts it (ncrs weights diff, ncrs weights adopt).",
    )
    def proposed(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
        with Translated():
            log = dg.AssetExecutionContext.get().log
            made = propose(settings, Rules(), tell=log.info)
            return dg.MaterializeResult(metadata=_metadata(made.version, made.provenance))

    return [proposed]


def _metadata(version: str, provenance: dict[str, Any]) -> dict[str, Any]:
    trained = sum(level["source"] == "trained" for level in provenance["levels"].values())
    return {
        "version": version,
        "generation": provenance["generation"],
        "records": "history" if "history" in provenance["records"] else "as received",
        "questions": provenance["questions"],
        "levels_trained": trained,
        "levels_kept": len(provenance["levels"]) - trained,
    }
