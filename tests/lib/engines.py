"""The two engines that a test can run over, by the settings that choose them.

Belongs here: the settings of a builder and of an API node for each engine, index names of one test
process, their removal. Does not belong here: starting a node (``tests/lib/opensearch.py``), what is asked.

With OpenSearch an API node gets a home of its own that stays empty: index, records, manifest and name
frequencies must come from the cluster, or the test shows that they do not. Only the control database is
shared with the builder, as it is in an installation of several machines.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_api.cluster.shared import close_all, cluster_of
from search_api.settings import Settings

NAMES = ("embedded", "opensearch")
# A test says what is answered, not how soon: a busy machine must not make an answer late.
PATIENT_MS = 30_000


@dataclass(frozen=True)
class EngineKind:
    """One engine. ``address`` is what NCRS_INDEX says: ``embedded``, or a node."""

    name: str
    address: str = "embedded"
    made: list[Settings] = field(default_factory=list, compare=False)

    @property
    def in_cluster(self) -> bool:
        """Whether generations are served from a cluster."""
        return self.address != "embedded"

    def building(self, home: Path, **more: Any) -> Settings:
        """Settings of a builder of this home; the names of its indexes begin with a prefix of their own."""
        if not self.in_cluster:
            return Settings(home=home, **{"search_deadline_ms": PATIENT_MS, **more})
        chosen = {
            "records": "opensearch",
            "opensearch_prefix": f"test-{secrets.token_hex(4)}-",
            "opensearch_replicas": 0,
            "search_deadline_ms": PATIENT_MS,
        }
        settings = Settings(home=home, index=self.address, **{**chosen, **more})
        self.made.append(settings)
        return settings

    def serving(self, built: Settings, home: Path, **more: Any) -> Settings:
        """Settings of an API node that serves what a builder published; ``home`` is used with a cluster only."""
        given = built.model_dump(exclude_unset=True)
        if not self.in_cluster:
            return Settings(**{**given, **more})
        home.mkdir(parents=True, exist_ok=True)
        return Settings(**{**given, "home": home, "control_db": built.control_url, **more})

    def clear(self) -> None:
        """Remove from the cluster every index that this process made, and close the connections."""
        for settings in self.made:
            cluster = cluster_of(settings)
            listed = {"format": "json", "h": "index", "expand_wildcards": "all"}
            found = cluster.call("GET", f"/_cat/indices/{settings.opensearch_prefix}*", params=listed, budget=30)
            for row in found.body:
                cluster.call("DELETE", f"/{row['index']}", budget=30)
        self.made.clear()
        close_all()


EMBEDDED = EngineKind("embedded")
