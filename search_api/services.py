"""What a request needs of the process: made once by ``create_app``, found at ``app.state.services``.

Belongs here: the holder and the readers of it. Does not belong here: making any of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from search_api.access.audit import AuditLog
from search_api.access.gate import AccessGate
from search_api.cluster.addresses import on_cluster
from search_api.draining import Draining
from search_api.generations import Generations
from search_api.matching.matcher import Matcher
from search_api.ops.ledger import Ledger
from search_api.ops.metrics import Metrics
from search_api.settings import Settings
from search_api.withdrawn import Withdrawn
from search_api.worker import Worker

if TYPE_CHECKING:
    from search_api.cluster.condition import Watch


@dataclass(frozen=True)
class Services:
    """The parts of a running API. ``metrics``, ``worker``, ``draining``, ``withdrawn`` and ``watch`` are made with it; ``close`` ends them all.

    ``watch`` looks at the search cluster; None for an embedded index.
    """

    settings: Settings
    generations: Generations
    matcher: Matcher
    gate: AccessGate
    audit: AuditLog
    ledger: Ledger
    metrics: Metrics = field(default_factory=Metrics)
    worker: Worker = field(init=False)
    draining: Draining = field(init=False)
    withdrawn: Withdrawn = field(init=False)
    watch: Watch | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "worker", Worker(self.settings, self.metrics))
        self.audit.coming = self.worker.pending
        object.__setattr__(self, "draining", Draining(self.settings.drain_seconds))
        object.__setattr__(self, "withdrawn", Withdrawn(self.ledger.engine))
        self.generations.shown = self.withdrawn.over
        object.__setattr__(self, "watch", _watch(self.settings))

    def close(self) -> None:
        """Running work and waiting audit events end first."""
        self.worker.close()
        self.audit.close()
        self.withdrawn.close()
        self.generations.close()
        if self.watch is not None:
            from search_api.cluster.shared import let_go

            let_go(self.settings)


def _watch(settings: Settings) -> Watch | None:
    """Only who uses a cluster pays for importing its client."""
    if not on_cluster(settings):
        return None
    from search_api.cluster.condition import Watch
    from search_api.cluster.shared import hold

    return Watch(hold(settings))


def services(request: Request) -> Services:
    """The parts that answer this request."""
    found: Services = request.app.state.services
    return found
