"""Reading the embedded index: candidates by keys, non-fuzzy selection, checksum.

Belongs here: what is asked of parts, and what of tantivy. Does not belong here: writing (``embedded.py``), rules of matching.

One searcher is opened once and shared: searching releases the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tantivy
from tantivy import Order, Query

from schemas.errors import GenerationError
from search_api.index import places
from search_api.index.embedded_filter import Spelling, narrowing
from search_api.index.keytable import Ordinals
from search_api.index.parts import Entry, Parts, weighed
from search_api.index.payloads import Payloads, Placed
from search_api.index.provider import NOBODY, TOO_MANY, CandidateSet, KeyQuery, SearchDocument, checksum_of
from search_api.index.selecting import FIRST_PAGE, PAGE_GROWTH, selected
from search_api.matching import filtering
from search_api.matching.person import unpack
from search_api.matching.questions import Question
from search_api.matching.rules import PdsRules


class EmbeddedReader:
    """A published folder, open for reading until ``close``."""

    def __init__(self, index: tantivy.Index, rules: PdsRules, payloads: Payloads, folder: Path) -> None:
        """Raises GenerationError when a file is missing, or not all of them are of one index."""
        self._index: tantivy.Index | None = index
        self._payloads, self._parts = payloads, Parts(folder)
        self._searcher = index.searcher()
        self._places = places.read(folder, self._searcher)
        self._rules = rules
        if self._searcher.num_docs != self._parts.added():
            raise GenerationError(
                f"The files of the search index {folder.name} do not belong together.",
                remedy="Verify the generation; roll back if it is damaged.",
            )

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """Documents with any of the keys: the more and the rarer the keys, the earlier; then by number."""
        found = self._parts.candidates(weighed(query.keys), weighed(query.beside), open_only=query.open_only)
        if not found:
            return NOBODY
        if query.all_or_none and len(found) > query.limit:
            return TOO_MANY
        found.sort()
        worths, numbers, letters, at = zip(*found[: query.limit], strict=True)
        return CandidateSet(
            numbers,
            Placed(self._payload, list(at)),
            len(found) > query.limit,
            {"candidates": len(numbers)},
            tuple([-worth for worth in worths]),
            letters,
        )

    def _payload(self, address: int) -> bytes:
        return self._payloads.read(self._parts.place(address))

    def select(self, question: Question, limit: int) -> CandidateSet:
        """Non-fuzzy search: documents that answer every part, in ascending NHS number."""
        plan = filtering.plan(question, self._rules)
        asked = narrowing(plan, open_only=question.asks_location)
        spelling, query = Spelling.of(plan), asked.query
        if not asked.keyed:
            return selected(
                plan, self._pages(query or Query.all_query(), spelling if asked.opened else None, None), limit
            )
        numbers, places = self._keyed(asked.keyed, spelling, open_only=question.asks_location)
        # People found by keys are looked at one by one, but for those of a postcode of tens of thousands.
        if query is None or len(numbers) < self._rules.scan_limit:
            return selected(plan, self._each(numbers, places), limit)
        return selected(plan, self._pages(query, spelling, places), limit)

    def _keyed(self, keyed: list[list[str]], spelling: Spelling, *, open_only: bool) -> tuple[Ordinals, Ordinals]:
        """People with a key of each whose names may be meant, in ascending NHS number: numbers and places."""
        (numbers, places), *others = (self._parts.having(words, open_only=open_only) for words in keyed)
        for _, other in others:
            kept = np.isin(places, other)
            numbers, places = numbers[kept], places[kept]
        kept = spelling.among(self._parts.letters_at(places))
        return numbers[kept], places[kept]

    def _each(self, numbers: Ordinals, places: Ordinals) -> Iterator[tuple[int, bytes]]:
        limit = self._rules.scan_limit
        for number, place in zip(numbers[:limit].tolist(), places[:limit].tolist(), strict=True):
            yield number, self._payloads.read(place)

    def _pages(self, query: Query, spelling: Spelling | None, among: Ordinals | None) -> Iterator[tuple[int, bytes]]:
        """Documents of a query in ascending NHS number, a growing page at a time, up to the scan limit. ``spelling``,
        ``among``: only those with these letters, and whose payloads are at these places."""
        offset, size, left = 0, FIRST_PAGE, self._rules.scan_limit
        while left > 0:
            hits = self._searcher.search(
                query, limit=size, count=False, order_by_field="nhs", offset=offset, order=Order.Asc
            ).hits
            numbers = [int(number) for number, _ in hits]
            at = np.array([self._places[address.segment_ord].of(address.doc) for _, address in hits], np.int64)
            keep = self._parts.present(at)
            if spelling is not None:
                keep &= spelling.among(self._parts.letters_at(at))
            if among is not None:
                keep &= np.isin(at, among)
            for each in np.flatnonzero(keep)[:left].tolist():
                yield numbers[each], self._payloads.read(int(at[each]))
            if len(hits) < size:
                return
            left -= int(keep.sum())
            offset, size = offset + size, size * PAGE_GROWTH

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """Documents by number, with payload, fingerprint and numbers; keys and terms are not stored."""
        found = {number: self._parts.named(number) for number in nhs_numbers}
        return {number: self._document(number, entry) for number, entry in found.items() if entry}

    def _document(self, number: int, entry: Entry) -> SearchDocument:
        payload = self._payloads.read(entry.place)
        person = unpack(number, payload)
        return SearchDocument(
            nhs_number=number,
            open=entry.is_open,
            keys=(),
            terms={},
            numbers={"birth": person.birth, "death": person.death},
            payload=payload,
            letters=entry.letters,
            fingerprint=entry.fingerprint,
        )

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """How many documents have each key."""
        return self._parts.key_counts(keys)

    def count(self) -> int:
        """Documents in the index."""
        return self._parts.count()

    def checksum(self) -> str:
        """``checksum_of`` the fingerprints of all documents, read back from the index."""
        return checksum_of([self._parts.checksum()])

    def close(self) -> None:
        """Let go of the files; nothing may be asked afterwards."""
        self._index = None
        self._payloads.close()
