"""Which search engine the settings name.

Belongs here: the choice. Does not belong here: any engine.
"""

from __future__ import annotations

from search_api.cluster.addresses import check, on_cluster
from search_api.index.embedded import EmbeddedEngine
from search_api.index.provider import IndexEngine
from search_api.settings import Settings


def index_engine(settings: Settings) -> IndexEngine:
    """The engine the settings name: embedded, or OpenSearch at the addresses given instead.

    Raises ConfigurationError for settings of index and records that are wrong, not safe, or contradict each other.
    """
    check(settings)
    if not on_cluster(settings):
        return EmbeddedEngine()
    # Only who uses a cluster pays for its client: importing it takes a third of a second.
    from search_api.cluster.shared import cluster_of
    from search_api.index.opensearch import OpenSearchEngine

    return OpenSearchEngine(settings, cluster_of(settings))
