"""Sending the same requests to two APIs, and saying where their answers differ.

Belongs here: sending, what of an answer is compared, the report. Does not belong here: the requests
(``requests.py``), candidates and scores by themselves (``agreement.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.lib.api import SIGNER, Api
from tests.lib.requests import Request
from tests.lib.tokens import bearer

HEADERS = ("content-type", "etag", "vary", "cache-control", "ncrs-as-at", "ncrs-generation", "retry-after")
# What an access event says of an answer: who was matched or shown, under which rule.
EVENT = ("policy", "status", "patients", "detail", "generation")


@dataclass
class AnswerReport:
    """How often each status was answered, and the requests that were answered otherwise, by kind."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    differences: dict[str, list[Request]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Each sort of difference with its number and two requests; the people are invented."""
        lines = [f"{self.statuses.total()} requests, statuses {dict(self.statuses)}"]
        for sort, examples in sorted(self.differences.items()):
            lines.append(f"{len(examples):>6}  {sort}")
            lines += [f"        {request}" for request in examples[:2]]
        return "\n".join(lines)


def compare_answers(requests: Iterable[Request], one: Api, other: Api) -> AnswerReport:
    """Every request to both; status, body, telling headers and access events are compared."""
    report = AnswerReport()
    for request in requests:
        sent = bearer(getattr(SIGNER, request.token)()) if request.headers is None else dict(request.headers)
        mine, theirs = _send(one, request, sent), _send(other, request, sent)
        report.statuses[mine.status_code] += 1
        report.kinds[request.kind] += 1
        part = _difference(mine, theirs)
        if part:
            report.differences.setdefault(f"{request.kind}: {part}", []).append(request)
    if _events(one) != _events(other):
        report.differences["access events"] = []
    return report


def _send(api: Api, request: Request, headers: dict[str, str]) -> httpx2.Response:
    more: dict[str, Any] = {"json": request.body} if request.body is not None else {}
    return api.send(request.method, request.url, headers=headers, params=list(request.items) or None, **more)


def _difference(one: httpx2.Response, other: httpx2.Response) -> str:
    if one.status_code != other.status_code:
        return f"status {one.status_code} and {other.status_code}"
    if _body(one) != _body(other):
        return "body"
    for name in HEADERS:
        if one.headers.get(name) != other.headers.get(name):
            return f"header {name}"
    return ""


def _body(response: httpx2.Response) -> Any:
    """The body without what is made for each answer: its time, its id, those of our own Composition."""
    body = response.json() if response.content else None
    if isinstance(body, dict) and body.get("resourceType") == "Bundle":
        _forget(body, "timestamp", "id")
        first: dict[str, Any] = next(iter(body.get("entry", ())), {})
        if first.get("resource", {}).get("resourceType") == "Composition" and body["type"] == "searchset":
            _forget(first, "fullUrl")
            _forget(first["resource"], "id", "date")
    return body


def _forget(made: dict[str, Any], *names: str) -> None:
    for name in names:
        made.pop(name, None)


def _events(api: Api) -> list[tuple[Any, ...]]:
    return [tuple(event[name] for name in EVENT) for event in api.events()]
