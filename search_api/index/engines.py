"""Which search engine the settings name.

Belongs here: the choice. Does not belong here: any engine.
"""

from __future__ import annotations

from schemas.errors import ConfigurationError
from search_api.index.embedded import EmbeddedEngine
from search_api.index.provider import IndexEngine
from search_api.settings import Settings


def index_engine(settings: Settings) -> IndexEngine:
    """The engine the settings name. Raises ConfigurationError for one that does not exist."""
    if settings.index != "embedded":
        raise ConfigurationError("The search index of NCRS_INDEX is not known.", remedy="Set NCRS_INDEX to embedded.")
    return EmbeddedEngine()
