"""Who answers a non-fuzzy search among the documents an engine lets through: the same for every engine.

Belongs here: the check of each document, the limit, when an answer is cut. Does not belong here: which documents
are let through (``narrowing.py``), how an engine pages through them.
"""

from __future__ import annotations

from collections.abc import Iterable

from search_api.index.provider import CandidateSet
from search_api.matching.filtering import Plan
from search_api.matching.person import unpack

# Pages grow: most questions end in the first.
FIRST_PAGE = 256
PAGE_GROWTH = 8


def selected(plan: Plan, documents: Iterable[tuple[int, bytes]], limit: int) -> CandidateSet:
    """The first ``limit`` documents that answer every part; ``documents`` come in ascending NHS number and end at
    the scan limit of the rules."""
    numbers: list[int] = []
    payloads: list[bytes] = []
    looked_at = 0
    for number, payload in documents:
        looked_at += 1
        if plan.admits(unpack(number, payload)):
            numbers.append(number)
            payloads.append(payload)
            if len(numbers) == limit:
                break
    truncated = looked_at >= plan.rules.scan_limit
    return CandidateSet(tuple(numbers), tuple(payloads), truncated, {"looked_at": looked_at})
