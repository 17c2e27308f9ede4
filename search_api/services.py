"""What a request needs of the process: made once by ``create_app``, found at ``app.state.services``.

Belongs here: the holder and the readers of it. Does not belong here: making any of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from search_api.access.audit import AuditLog
from search_api.access.gate import AccessGate
from search_api.generations import Generations
from search_api.matching.matcher import Matcher
from search_api.ops.ledger import Ledger
from search_api.ops.metrics import Metrics
from search_api.settings import Settings
from search_api.worker import Worker


@dataclass(frozen=True)
class Services:
    """The parts of a running API. ``metrics`` and ``worker`` are made with it; ``close`` ends them all."""

    settings: Settings
    generations: Generations
    matcher: Matcher
    gate: AccessGate
    audit: AuditLog
    ledger: Ledger
    metrics: Metrics = field(default_factory=Metrics)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "worker", Worker(self.settings, self.metrics))

    def close(self) -> None:
        """Running work and waiting audit events end first."""
        self.worker.close()
        self.audit.close()
        self.generations.close()


def services(request: Request) -> Services:
    """The parts that answer this request."""
    found: Services = request.app.state.services
    return found
