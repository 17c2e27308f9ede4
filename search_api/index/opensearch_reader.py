"""Reading an OpenSearch index: candidates by keys, non-fuzzy selection, checksum.

Belongs here: requests and what is made of their hits. Does not belong here: queries
(``opensearch_filter.py``), whether an answer is whole (``cluster/answers.py``), opening (``opensearch.py``).

Each shard holds one sentinel, which every request asks for and which comes first. An answer without as many
of them as there are shards is of another index, or not of the whole of this one, and is refused.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from schemas.errors import GenerationError
from search_api.cluster.answers import PARTIAL, TIMED_OUT, WRONG_INDEX, unavailable
from search_api.cluster.client import Cluster
from search_api.index import opensearch_filter as queries
from search_api.index.narrowing import clauses
from search_api.index.provider import TOO_MANY, CandidateSet, KeyQuery, SearchDocument, checksum_of
from search_api.index.selecting import FIRST_PAGE, PAGE_GROWTH, selected
from search_api.index.words import FINGERPRINT, LETTERS, PART_BITS, RESTRICTED
from search_api.matching import filtering
from search_api.matching.person import unpack
from search_api.matching.questions import Question
from search_api.matching.rarity import PARTS, WeighedKey
from search_api.matching.rules import PdsRules

MOST_PAGE = 8_192
FOUND_AT_ONCE = 1_000
COUNTED_AT_ONCE = 500
# For what no caller waits for: counting, sums, documents to compare.
PATIENT_SECONDS = 60.0

Hit = Mapping[str, Any]
_BARE = {"track_total_hits": False, "_source": False, "stored_fields": "_none_"}


@dataclass(frozen=True)
class Held:
    """One concrete index: its name, what tells it from another of that name, its shards and its token."""

    name: str
    uuid: str
    shards: int
    token: str


@dataclass(frozen=True)
class Census:
    """How many documents there are, and the sum of their fingerprints."""

    documents: int
    total: int


class OpenSearchReader:
    """A published index, asked through the shared cluster."""

    def __init__(self, cluster: Cluster, held: Held, rules: PdsRules, search_seconds: float = PATIENT_SECONDS) -> None:
        self._cluster = cluster
        self._held = held
        self._rules = rules
        self._seconds = search_seconds
        self._count: int | None = None

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """Documents with any of the keys: the more and the rarer the keys, the earlier; then by number."""
        asked = queries.by_keys(query.keys, self._held.token, open_only=query.open_only, beside=query.beside)
        body = {**_BARE, "query": asked, "sort": queries.BY_SCORE, "docvalue_fields": ["payload", LETTERS]}
        hits = self._people({**body, "size": query.limit + 1}, self._seconds)
        if query.all_or_none and len(hits) > query.limit:
            return TOO_MANY
        kept = hits[: query.limit]
        numbers, payloads = tuple([_number(hit) for hit in kept]), tuple([_payload(hit) for hit in kept])
        worths = tuple([round(hit["sort"][0] * PARTS) for hit in kept])
        letters = tuple(map(_letters, kept))
        return CandidateSet(numbers, payloads, len(hits) > query.limit, {"candidates": len(kept)}, worths, letters)

    def select(self, question: Question, limit: int) -> CandidateSet:
        """Non-fuzzy search: documents that answer every part, in ascending NHS number."""
        plan = filtering.plan(question, self._rules)
        return selected(plan, self._pages(plan, open_only=question.asks_location), limit)

    def _pages(self, plan: filtering.Plan, *, open_only: bool) -> Iterator[tuple[int, bytes]]:
        """Documents of a plan in ascending NHS number, a growing page at a time, up to the scan limit. Each page
        is a request of its own with its own proof; all of them together have the time of one search."""
        until = monotonic() + self._seconds
        wanted = tuple(clauses(plan))
        above, size, left = 0, FIRST_PAGE, self._rules.scan_limit
        while left > 0:
            size = min(size, left)
            query = queries.by_clauses(wanted, self._held.token, open_only=open_only, above=above)
            body = {**_BARE, "query": query, "sort": queries.BY_NUMBER, "docvalue_fields": ["payload"]}
            hits = self._people({**body, "size": size}, _seconds_left(until))
            for hit in hits:
                above = _number(hit)
                yield above, _payload(hit)
            if len(hits) < size:
                return
            size, left = min(size * PAGE_GROWTH, MOST_PAGE), left - size

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """Documents by number, with payload, fingerprint and numbers; keys and terms are not stored."""
        found: dict[int, SearchDocument] = {}
        for hit in self._by_numbers(nhs_numbers, ("payload", LETTERS)):
            document = _document(hit)
            found[document.nhs_number] = document
        return {number: found[number] for number in nhs_numbers if number in found}

    def fingerprints(self, nhs_numbers: Sequence[int]) -> dict[int, int]:
        """The fingerprints of those of these numbers that have a document."""
        return {_number(hit): _fingerprint(hit) for hit in self._by_numbers(nhs_numbers, ())}

    def _by_numbers(self, nhs_numbers: Sequence[int], fields: Sequence[str]) -> Iterator[Hit]:
        for start in range(0, len(nhs_numbers), FOUND_AT_ONCE):
            part = nhs_numbers[start : start + FOUND_AT_ONCE]
            query = queries.by_numbers(part, self._held.token)
            body = {**_BARE, "query": query, "sort": queries.BY_NUMBER, "docvalue_fields": [*FINGERPRINT, *fields]}
            yield from self._people({**body, "size": len(part)}, PATIENT_SECONDS)

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """How many documents have each key: one filter a key, over the documents that have any of them."""
        counts: dict[str, int] = {}
        for start in range(0, len(keys), COUNTED_AT_ONCE):
            part = keys[start : start + COUNTED_AT_ONCE]
            query = queries.by_keys([WeighedKey(key, 1) for key in part], self._held.token, open_only=False)
            aggregation = {"filters": {"filters": [queries.exact(key) for key in part]}}
            body = {**_BARE, "query": query, "sort": queries.BY_SCORE, "aggs": {"keys": aggregation}, "size": 0}
            found, _ = self._proved(body, PATIENT_SECONDS)
            buckets = found["aggregations"]["keys"]["buckets"]
            counts |= {key: int(bucket["doc_count"]) for key, bucket in zip(part, buckets, strict=True)}
        return counts

    def count(self) -> int:
        """Documents in the index, the sentinels left out: counted once, for what is published does not change."""
        if self._count is None:
            self._count = self.census().documents
        return self._count

    def checksum(self) -> str:
        """``checksum_of`` the fingerprints of all documents, added up by the cluster."""
        return checksum_of([self.census().total])

    def census(self) -> Census:
        """Count and sum of all documents, asked anew."""
        body: dict[str, Any] = {
            **_BARE,
            "track_total_hits": True,
            "query": queries.everybody(self._held.token),
            "sort": queries.BY_SCORE,
            "aggs": {part: {"sum": {"field": part}} for part in FINGERPRINT},
        }
        found, _ = self._proved({**body, "size": 0}, PATIENT_SECONDS)
        sums = (int(found["aggregations"][part]["value"]) for part in FINGERPRINT)
        total = sum(value << position * PART_BITS for position, value in enumerate(sums))
        return Census(int(found["hits"]["total"]["value"]) - self._held.shards, total)

    def close(self) -> None:
        """Nothing is held: the cluster's connections are shared."""

    def _people(self, body: dict[str, Any], seconds: float) -> list[Hit]:
        """Hits without the sentinels; ``size`` is of people."""
        return self._proved(body, seconds)[1]

    def _proved(self, body: dict[str, Any], seconds: float) -> tuple[dict[str, Any], list[Hit]]:
        """An answer of all shards of this very index, and its hits without the sentinels."""
        shards = self._held.shards
        found = self._cluster.search(self._held.name, {**body, "size": body["size"] + shards}, budget=seconds)
        if found["_shards"]["total"] != shards:
            raise unavailable(PARTIAL)
        hits: list[Hit] = found["hits"]["hits"]
        if [_number(hit) for hit in hits[: shards + 1]].count(0) != shards or any(map(_number, hits[:shards])):
            raise unavailable(WRONG_INDEX)
        return found, hits[shards:]


def another_index(name: str) -> GenerationError:
    """The fault of an index that is not the one the manifest means."""
    return GenerationError(
        f"The search index {name} of the cluster is gone, or another one has its name.",
        remedy="Roll back to a generation whose index is there, or build anew with ncrs build --full.",
    )


def _seconds_left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise unavailable(TIMED_OUT)
    return left


def _number(hit: Hit) -> int:
    return int(hit["sort"][-1])


def _payload(hit: Hit) -> bytes:
    # Doc values come in the alphabet of addresses and without padding; more of it than needed is allowed.
    return urlsafe_b64decode(hit["fields"]["payload"][0] + "==")


def _letters(hit: Hit) -> int:
    return int(hit["fields"][LETTERS][0])


def _fingerprint(hit: Hit) -> int:
    fields = hit["fields"]
    return sum(int(fields[part][0]) << position * PART_BITS for position, part in enumerate(FINGERPRINT))


def _document(hit: Hit) -> SearchDocument:
    number, payload = _number(hit), _payload(hit)
    person = unpack(number, payload)
    return SearchDocument(
        nhs_number=number,
        open=RESTRICTED not in hit.get("matched_queries", ()),
        keys=(),
        terms={},
        numbers={"birth": person.birth, "death": person.death},
        payload=payload,
        fingerprint=_fingerprint(hit),
        letters=_letters(hit),
    )
