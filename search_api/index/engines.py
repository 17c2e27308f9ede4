"""Which search engine the settings name.

Belongs here: the choice. Does not belong here: any engine.
"""

from __future__ import annotations

from search_api.index.embedded import EmbeddedEngine
from search_api.index.provider import IndexEngine
from search_api.settings import Settings

EMBEDDED = "embedded"


def index_engine(settings: Settings) -> IndexEngine:
    """The engine the settings name: embedded, or OpenSearch at the addresses given instead.

    Raises ConfigurationError when those are no addresses, once the cluster is asked.
    """
    if settings.index == EMBEDDED:
        return EmbeddedEngine()
    # Only who uses a cluster pays for its client: importing it takes a third of a second.
    from search_api.cluster.shared import cluster_of
    from search_api.index.opensearch import OpenSearchEngine

    return OpenSearchEngine(settings, cluster_of(settings))
