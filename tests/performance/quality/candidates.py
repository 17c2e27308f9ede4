"""What the index gives before anything is scored: recall against candidates, and what each kind of key costs and brings.

Belongs here: recall by how many candidates are taken, recall with one kind of key left out, documents, words
and bytes of each kind. Does not belong here: ranks after scoring (``measures.py``), the page (``report.py``).

A kind is left out on the way to the index: the question is asked as ever, second look and all, but the index never
hears of those keys. Bytes of a kind are those of an index that holds nothing else, term dictionary and postings.
Example: python -m tests.performance.quality.candidates --home HOME --queries 2000
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import tantivy

from search_api.index import crowding
from search_api.index.documents import no_collection, slices
from search_api.index.embedded import HEAP_BYTES, EmbeddedEngine
from search_api.index.embedded_writer import EmbeddedWriter, fresh_folder
from search_api.index.frequencies import Frequencies
from search_api.index.keying import keys, terms
from search_api.index.memo import Memos
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery, SearchDocument
from search_api.index.words import FIELDS
from search_api.matching.matcher import Matcher
from search_api.matching.questions import Question
from search_api.matching.rarity import KINDS
from tests.lib.index import at
from tests.performance.figures import Figure
from tests.performance.quality.cases import MOST, Labelled, Query
from tests.performance.quality.febrl import febrl4
from tests.performance.quality.labelled import labelled
from tests.performance.quality.measures import SETS
from tests.performance.quality.ours import KEY_CAP

QUERIES = 2_000
LIMITS = (25, 50, 100, 200)
START = "match.candidates"
# Kinds of exact terms, by what stands in front of them.
TERM_KINDS = {prefix: f"term_{name}" for prefix, name in FIELDS.items()}
_WORD = "word"


@dataclass
class Without:
    """A reader that never hears of one kind of key, and remembers whom it gave, in order."""

    reader: IndexReader
    kind: str = ""
    seen: dict[int, None] = field(default_factory=dict)

    def candidates(self, query: KeyQuery) -> CandidateSet:
        """As the real one for the other keys, remembered."""
        kept = tuple(each for each in query.keys if each.key[0] != self.kind)
        return self._kept(self.reader.candidates(replace(query, keys=kept)))

    def select(self, question: Question, limit: int) -> CandidateSet:
        """As the real one, remembered."""
        return self._kept(self.reader.select(question, limit))

    def find(self, nhs_numbers: Sequence[int]) -> dict[int, SearchDocument]:
        """As the real one."""
        return self.reader.find(nhs_numbers)

    def key_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """As the real one."""
        return self.reader.key_counts(keys)

    def count(self) -> int:
        """As the real one."""
        return self.reader.count()

    def checksum(self) -> str:
        """As the real one."""
        return self.reader.checksum()

    def close(self) -> None:
        """As the real one."""
        self.reader.close()

    def _kept(self, found: CandidateSet) -> CandidateSet:
        self.seen.update(dict.fromkeys(found.numbers))
        return found


@dataclass(frozen=True)
class Places:
    """Of questions about people who are held: the place of the right one among the candidates, None where they
    are not among them, and how many candidates there were."""

    place: tuple[int | None, ...]
    given: tuple[int, ...]

    def recall(self, limit: int) -> float:
        """Share of them found among the first so many candidates."""
        return sum(place is not None and place < limit for place in self.place) / max(len(self.place), 1)

    def mean(self, limit: int) -> float:
        """Candidates a question, when no more than so many are taken."""
        return sum(min(given, limit) for given in self.given) / max(len(self.given), 1)


def figures(groups: Sequence[Sequence[Labelled]]) -> Iterator[Figure]:
    """Of each group, whose sets are over one population: costs of its kinds of keys, and what they bring.

    Costs are told of the first population only: it is the one that is like a country's.
    """
    for number, group in enumerate(groups):
        people = group[0].people
        if not number:
            yield from costs(people)
        with _Index(people) as index:
            for each in group:
                yield from _brought(each, index)


def costs(people: pl.DataFrame) -> Iterator[Figure]:
    """Of each kind of key and term: share of people who have one, words and distinct words a person, bytes a person."""
    found = _words(people)
    count = people.height
    for kind, name in {**KINDS, **TERM_KINDS}.items():
        of_kind = found.filter(pl.col(_WORD).str.starts_with(kind))
        start, what = f"{START}.{name}.", f"{name.replace('_', ' ')}: "
        distinct = of_kind[_WORD].n_unique() if of_kind.height else 0
        yield Figure(
            f"{start}people", of_kind["row"].n_unique() / count, "share", f"{what}people who have one", of=count
        )
        yield Figure(f"{start}words", of_kind.height / count, "words", f"{what}words a person")
        yield Figure(f"{start}terms", distinct / count, "terms", f"{what}distinct words a person")
        yield Figure(f"{start}bytes", _bytes(of_kind, count) / count, "B", f"{what}bytes of the index a person")


def places(queries: Sequence[Query], index: _Index, kind: str = "") -> Places:
    """Ask them with one kind of key left out; none is where ``kind`` is empty."""
    reader, matcher = Without(index.reader, kind), Matcher(candidate_limit=MOST, key_cap=KEY_CAP)
    found: list[int | None] = []
    given: list[int] = []
    for query in queries:
        if query.truth is None:
            continue
        reader.seen.clear()
        matcher.answer(query.question, reader, index.frequencies)
        numbers = list(reader.seen)
        found.append(numbers.index(query.truth) if query.truth in reader.seen else None)
        given.append(len(numbers))
    return Places(tuple(found), tuple(given))


def _brought(asked: Labelled, index: _Index) -> Iterator[Figure]:
    start, what = f"{START}.{asked.name}.", f"{SETS[asked.name]}: "
    whole = places(asked.queries, index)
    held = len(whole.place)
    for limit in LIMITS:
        told = f"{what}the first {limit} candidates: "
        yield Figure(
            f"{start}recall_{limit}", whole.recall(limit), "share", f"{told}the right person is among them",
            more_is_better=True, of=held,
        )  # fmt: skip
        yield Figure(f"{start}mean_{limit}", whole.mean(limit), "people", f"{told}how many there are")
    for kind, name in KINDS.items():
        less = places(asked.queries, index, kind)
        told = f"{what}keys of {name.replace('_', ' ')} left out: "
        yield Figure(
            f"{start}without_{name}.recall_{MOST}", less.recall(MOST), "share", f"{told}the right person is a candidate",
            more_is_better=True, of=held,
        )  # fmt: skip
        yield Figure(f"{start}without_{name}.mean", less.mean(MOST), "people", f"{told}candidates a question")


class _Index:
    """An index of people in a folder of its own, while it is needed; crowded keys counted as in a full build."""

    def __init__(self, people: pl.DataFrame) -> None:
        self._folder = Path(mkdtemp(prefix="ncrs-candidates-"))
        location = self._folder / "index"
        counts = replace(Frequencies.build([people]), rule=Matcher().weights.frequency)
        suspects = _filled(people, counts, location)
        self.reader: IndexReader = EmbeddedEngine().open(at(location))
        self.frequencies = crowding.counted(counts, suspects, self.reader, crowding.floor_of(KEY_CAP))

    def __enter__(self) -> _Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _filled(people: pl.DataFrame, counts: Frequencies, location: Path) -> list[str]:
    """Write the index; the keys that may be crowded."""
    fresh_folder(location)
    writer = EmbeddedWriter(location, HEAP_BYTES, threads=1)
    watch = crowding.CrowdCounter(crowding.floor_of(KEY_CAP))
    for made in slices(people, Memos(counts), show_very_restricted=False):
        keyed = keys(made.parts, len(made.numbers))
        writer.add_columns(made, keyed)
        watch.count(keyed.explode(keep_nulls=False, empty_as_null=False))
    writer.commit()
    return watch.take()


def _words(people: pl.DataFrame) -> pl.DataFrame:
    """Row and word of everything that people are found by."""
    found, start = [], 0
    for made in slices(people, Memos(Frequencies.empty()), show_very_restricted=False):
        height = len(made.numbers)
        both = keys(made.parts, height).list.concat(terms(made.parts, height))
        rows = pl.Series("row", range(start, start + height), dtype=pl.UInt32)
        found.append(pl.DataFrame({"row": rows, _WORD: both}).explode(_WORD, keep_nulls=False, empty_as_null=False))
        start += height
    return pl.concat(found)


def _bytes(words: pl.DataFrame, count: int) -> int:
    """Size of term dictionary and postings of an index of these words alone, as one segment."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_WORD, tokenizer_name="whitespace", index_option="basic")
    folder = Path(mkdtemp(prefix="ncrs-kind-"))
    try:
        writer = tantivy.Index(builder.build(), path=str(folder)).writer(heap_size=HEAP_BYTES * 4, num_threads=1)
        rows = pl.DataFrame({"row": pl.Series(range(count), dtype=pl.UInt32)})
        texts = rows.join(words.group_by("row").agg(pl.col(_WORD).str.join(" ")), "row", "left", maintain_order="left")
        with no_collection():
            for text in texts[_WORD].fill_null("").to_list():
                made = tantivy.Document()
                made.add_text(_WORD, text)
                writer.add_document(made)
        writer.commit()
        writer.wait_merging_threads()
        return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".term", ".idx"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print the figures; nothing is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.quality.candidates", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a folder with extracts of day 0")
    parser.add_argument(
        "--queries", type=int, default=QUERIES, help="questions of each mix; the hard sets half as many"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    own = labelled(options.home, options.queries, options.seed)
    for figure in figures([own, [febrl4()]]):
        print(figure.line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
