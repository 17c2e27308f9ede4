"""Metrics in Prometheus form: counts and times by route template, never by path, patient or user.

Belongs here: every metric of the API and the text of ``/metrics``. Does not belong here: logs, audit.
Labels are route templates, methods, statuses, feed names, generation names: closed sets all.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.generation import GenerationManifest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 200)


class Metrics:
    """One registry a process; one process serves one app."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = self._counter("ncrs_http_requests", "Requests answered.", ("route", "method", "status"))
        self.seconds = self._histogram("ncrs_http_request_seconds", "Time to answer.", SECONDS, ("route",))
        self.in_flight = Gauge("ncrs_http_in_flight", "Requests being answered.", registry=self.registry)
        self.shed = self._counter("ncrs_shed", "Requests refused because all threads were busy.")
        self.overdue = self._counter("ncrs_overdue", "Requests that ran out of their time budget.")
        self.cluster_refused = self._counter(
            "ncrs_cluster_refused",
            "Requests not answered because the search cluster gave no whole answer.",
            ("reason",),
        )
        self.unexpected = self._counter("ncrs_unexpected_errors", "Errors nobody expected.", ("route",))
        self.candidates = self._histogram("ncrs_search_candidates", "Candidates compared.", COUNTS, ("mode",))
        self.matches = self._histogram("ncrs_search_matches", "Patients matched.", COUNTS, ("mode",))
        self.truncated = self._counter("ncrs_search_truncated", "Searches that reached a limit.", ("mode",))
        self.audit_seconds = self._histogram("ncrs_audit_append_seconds", "Time until durable.", SECONDS, ())
        self.audit_failures = self._counter("ncrs_audit_failures", "Audit events that could not be written.")
        self.generation = Gauge(
            "ncrs_generation_info", "The generation served.", ("generation",), registry=self.registry
        )
        self.as_at = Gauge(
            "ncrs_data_as_at_timestamp_seconds", "As-at time of a feed.", ("feed", "source"), registry=self.registry
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request answered. The metrics of a route are looked up once: finding them costs more than counting."""
        found = self._of_request.get((route, method, status))
        if found is None:
            found = self.requests.labels(route, method, str(status)), self.seconds.labels(route)
            self._of_request[route, method, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def show_generation(self, manifest: GenerationManifest) -> None:
        """Make the gauges say which generation is served and how old its feeds are."""
        self.generation.clear()
        self.generation.labels(manifest.generation).set(1)
        for feed in manifest.feeds:
            self.as_at.labels(feed.feed, feed.source).set(feed.as_at.timestamp())

    def text(self) -> bytes:
        """All metrics as Prometheus reads them."""
        return generate_latest(self.registry)


def age_seconds(as_at: datetime, now: datetime) -> float:
    """Age of a time, in seconds; both with an offset."""
    return (now - as_at).total_seconds()
