"""How the cluster stands to this home: whether it lags behind, and what lies there that nothing names.

Belongs here: the two sentences for ops. Does not belong here: mending (``mirror.py``, ``elsewhere.py``),
whether searches are answered (readiness of the API says so).
"""

from __future__ import annotations

from dataclasses import dataclass

from assets.published.elsewhere import elsewhere
from assets.stores import Stores
from schemas.errors import GenerationError, PassingFault
from search_api.index.engines import index_engine
from search_api.settings import Settings


@dataclass(frozen=True)
class ClusterStatus:
    """``problem``: why the cluster could not be asked; ``lag``: how its catalogue lags behind; ``left``:
    indexes of this installation that nothing names, which the next build removes."""

    problem: str = ""
    lag: str = ""
    left: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say, if anything."""
        said = [self.problem, self.lag and f"{self.lag} The next build, publication or roll-back mends it."]
        if self.left:
            said.append(f"Left over in the cluster, removed by the next build: {', '.join(self.left)}")
        return [line for line in said if line]


def cluster_status(settings: Settings, stores: Stores) -> ClusterStatus | None:
    """What there is to say of the cluster that the settings name; None where they name none."""
    cluster, mirror = elsewhere(settings, index_engine(settings))
    if cluster is None:
        return None
    try:
        lag = mirror.lag(stores) if mirror else ""
        return ClusterStatus(lag=lag, left=tuple(cluster.left(stores)))
    except (PassingFault, GenerationError) as error:
        return ClusterStatus(problem=error.message)
