"""Reading the embedded index: candidates by keys, non-fuzzy selection, checksum.

Belongs here: tantivy queries. Does not belong here: writing (``embedded.py``), rules of matching.

One searcher is opened once and shared: searching releases the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import tantivy
from tantivy import Occur, Order, Query

from search_api.index import places
from search_api.index.embedded_filter import CLOSED_TO_RESTRICTED, exact, narrowing
from search_api.index.payloads import Payloads, Placed
from search_api.index.provider import NOBODY, TOO_MANY, CandidateSet, KeyQuery, SearchDocument, checksum_of
from search_api.index.schema import SCHEMA, WORDS
from search_api.index.selecting import FIRST_PAGE, PAGE_GROWTH, selected
from search_api.index.words import FINGERPRINT, LETTERS, PART_BITS
from search_api.matching import filtering
from search_api.matching.person import unpack
from search_api.matching.questions import Question
from search_api.matching.rarity import PARTS, WeighedKey
from search_api.matching.rules import PdsRules

# Fetched beyond the limit, so that which of the last equals are kept depends on the NHS number.
TIE_MARGIN = 50
# Scores and addresses of documents.
Hits = list[tuple[float, tantivy.DocAddress]]


class EmbeddedReader:
    """A published folder, open for reading until ``close``."""

    def __init__(self, index: tantivy.Index, rules: PdsRules, payloads: Payloads, folder: Path) -> None:
        self._index: tantivy.Index | None = index
        self._payloads = payloads
        self._searcher = index.searcher()
        self._places = places.read(folder, self._searcher)
        self._rules = rules

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """Documents with any of the keys: the more and the rarer the keys, the earlier; then by number."""
        clauses = self._clauses(query.keys)
        if not clauses:
            return NOBODY
        if query.beside:
            clauses = [(Occur.Must, Query.boolean_query(clauses)), *map(_clause, query.beside)]
        if query.open_only:
            clauses.append((Occur.MustNot, CLOSED_TO_RESTRICTED))
        asked = Query.boolean_query(clauses)
        hits = self._all(asked, query.limit) if query.all_or_none else self._hits(asked, query.limit)
        if not hits:
            return NOBODY if hits is not None else TOO_MANY
        addresses = [address for _, address in hits]
        values = self._searcher.fast_field_values("nhs", addresses)
        ranked = sorted(zip([int(score * -PARTS) for score, _ in hits], values, range(len(hits)), strict=True))
        ranks, numbers, at = zip(*ranked[: query.limit], strict=True)
        kept = [addresses[each] for each in at]
        return CandidateSet(
            numbers,
            Placed(self._payload, kept),
            len(hits) > query.limit,
            {"candidates": len(numbers)},
            tuple([-rank for rank in ranks]),
            tuple(self._letters(kept)),
        )

    def _clauses(self, keys: Sequence[WeighedKey]) -> list[tuple[Occur, Query]]:
        """One clause a key that occurs. Most do not, and to look one up takes less time than to search for it;
        in how many documents it occurs does not matter."""
        has = self._searcher.doc_freq
        return [_clause(key) for key in keys if has(WORDS, key.key)]

    def _all(self, query: Query, limit: int) -> Hits | None:
        """All that there are, None when they are more than the limit."""
        hits: Hits = self._searcher.search(query, limit=limit + 1, count=False).hits
        return hits if len(hits) <= limit else None

    def _hits(self, query: Query, limit: int) -> Hits:
        """The best by score, with all that are equal to the last within the limit: the engine's order among
        equals is its own, and which of them come first is decided by number."""
        size = limit + TIE_MARGIN
        while True:
            hits: Hits = self._searcher.search(query, limit=size, count=False).hits
            if len(hits) < size or hits[-1][0] < hits[limit - 1][0]:
                return hits
            size *= PAGE_GROWTH

    def select(self, question: Question, limit: int) -> CandidateSet:
        """Non-fuzzy search: documents that answer every part, in ascending NHS number."""
        plan = filtering.plan(question, self._rules)
        query = narrowing(plan, open_only=question.asks_location)
        return selected(plan, self._pages(query), limit)

    def _pages(self, query: Query) -> Iterator[tuple[int, bytes]]:
        """Documents of a query in ascending NHS number, a growing page at a time, up to the scan limit."""
        offset, size = 0, FIRST_PAGE
        while offset < self._rules.scan_limit:
            size = min(size, self._rules.scan_limit - offset)
            hits = self._searcher.search(
                query, limit=size, count=False, order_by_field="nhs", offset=offset, order=Order.Asc
            ).hits
            for number, address in hits:
                yield int(number), self._payload(address)
            if len(hits) < size:
                return
            offset, size = offset + size, size * PAGE_GROWTH

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """Documents by number, with payload, fingerprint and numbers; keys and terms are not stored."""
        found: dict[int, SearchDocument] = {}
        for number in nhs_numbers:
            query = Query.term_query(SCHEMA, "nhs", number, "basic")
            addresses = [address for _, address in self._searcher.search(query, limit=1, count=False).hits]
            if addresses:
                found[number] = self._document(number, addresses[0])
        return found

    def _document(self, number: int, address: tantivy.DocAddress) -> SearchDocument:
        payload = self._payload(address)
        person = unpack(number, payload)
        restricted = Query.boolean_query(
            [
                (Occur.Must, Query.term_query(SCHEMA, "nhs", number, "basic")),
                (Occur.Must, CLOSED_TO_RESTRICTED),
            ]
        )
        return SearchDocument(
            nhs_number=number,
            open=not self._searcher.search(restricted, limit=1, count=False).hits,
            keys=(),
            terms={},
            numbers={"birth": person.birth, "death": person.death},
            payload=payload,
            letters=self._letters([address])[0],
            fingerprint=sum(
                int(self._searcher.fast_field_values(part, [address])[0] or 0) << position * PART_BITS
                for position, part in enumerate(FINGERPRINT)
            ),
        )

    def _letters(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        return [int(value or 0) for value in self._searcher.fast_field_values(LETTERS, addresses)]

    def _payload(self, address: tantivy.DocAddress) -> bytes:
        return self._payloads.read(self._places[address.segment_ord].of(address.doc))

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """How many documents have each key; deleted ones are not counted, as they are by ``doc_freq``."""
        return {key: self._having(exact(key)) for key in keys}

    def _having(self, query: Query) -> int:
        found = self._searcher.aggregate(query, {"documents": {"value_count": {"field": "nhs"}}})
        return int(found["documents"]["value"])

    def count(self) -> int:
        """Documents in the index."""
        return int(self._searcher.num_docs)

    def checksum(self) -> str:
        """``checksum_of`` the fingerprints of all documents, read back from the index."""
        return checksum_of(self._sum(part) << position * PART_BITS for position, part in enumerate(FINGERPRINT))

    def _sum(self, field: str) -> int:
        found = self._searcher.aggregate(Query.all_query(), {"total": {"sum": {"field": field}}})
        return int(found["total"]["value"])

    def close(self) -> None:
        """Let go of the files; nothing may be asked afterwards."""
        self._index = None
        self._payloads.close()


def _clause(key: WeighedKey) -> tuple[Occur, Query]:
    return Occur.Should, Query.const_score_query(exact(key.key), float(key.rarity))
