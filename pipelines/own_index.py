"""The index that ``ncrs run`` works on: files, a cluster of the settings, or a node that it brings with it.

Belongs here: what choosing means: settings, environment of the children, the node's program, whether the
published generation can be served from it. Does not belong here: the order of steps (``everything.py``),
how a node is run (the sandbox).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.supervise import Program
from schemas.errors import PermanentFault
from schemas.generation import GenerationManifest
from search_api.generation_files import index_place
from search_api.index.engines import index_engine
from search_api.settings import Settings

NAME = "opensearch"
HOST = "127.0.0.1"
HEAP = "1g"
Choice = Literal["embedded", "opensearch"]
# Answers with success only when every index can be searched whole, which a node just started again cannot.
_READY = "/_all/_search?size=0&allow_partial_search_results=false&expand_wildcards=all"


@dataclass(frozen=True)
class OwnIndex:
    """The choice (None: what the settings say), and the port of a node that is brought along."""

    choice: Choice | None
    port: int = 9200

    @property
    def own_node(self) -> bool:
        """Whether a node is started."""
        return self.choice == NAME

    @property
    def address(self) -> str:
        """Of that node."""
        return f"http://{HOST}:{self.port}"

    def applied(self, settings: Settings) -> Settings:
        """The settings with the choice in them."""
        return settings.model_copy(update=self._update())

    def environment(self) -> Mapping[str, str]:
        """The same for children, and for commands that somebody types meanwhile."""
        return {f"NCRS_{name.upper()}": str(value) for name, value in self._update().items()}

    def _update(self) -> dict[str, object]:
        if self.choice is None:
            return {}
        if not self.own_node:
            return {"index": "embedded", "records": "duckdb"}
        return {"index": self.address, "records": "opensearch", "opensearch_replicas": 0}

    def program(self, settings: Settings) -> Program:
        """The node; its data is kept in the home."""
        home = settings.home.resolve()
        options = ("--port", str(self.port), "--heap", HEAP, "--data", str(home / NAME))
        command = (sys.executable, "-m", "sandbox", NAME, *options)
        return Program(NAME, command, f"{self.address}{_READY}", home / "logs" / f"{NAME}.log")


def can_serve(settings: Settings, published: GenerationManifest) -> bool:
    """Whether the published generation has what these settings serve from: another engine may have built it."""
    engine = index_engine(settings)
    if published.index.engine != engine.name or (settings.records == NAME and published.records is None):
        return False
    try:
        engine.open(index_place(settings.generations_folder / published.generation, published)).close()
    except PermanentFault:
        return False
    return True
