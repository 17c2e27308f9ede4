"""What the index gives before anything is scored: recall against candidates, and what each kind of key costs and brings.

Belongs here: recall by how many candidates are taken, recall with one kind of key left out, documents, words
and bytes of each kind. Does not belong here: ranks after scoring (``measures.py``), the page (``report.py``).

A kind is left out on the way to the index: the question is asked as ever, second look and all, but the index never
hears of those keys. Bytes of a kind are those of an index that holds nothing else: for keys their table, for exact terms
dictionary and postings.
Example: python -m tests.performance.quality.candidates --home HOME --queries 2000
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
import polars as pl
import tantivy

from search_api.index.documents import no_collection, slices
from search_api.index.embedded import HEAP_BYTES
from search_api.index.frequencies import Frequencies
from search_api.index.hashing import hashes
from search_api.index.keying import keys, terms
from search_api.index.keytable import RUN_DOCUMENTS, KeyRuns
from search_api.index.memo import Memos
from search_api.index.words import FIELDS, LISTED_TERMS
from search_api.matching.matcher import Matcher
from search_api.matching.rarity import KINDS
from search_api.matching.weights import shipped
from tests.performance.figures import Figure
from tests.performance.quality import report
from tests.performance.quality.cases import MOST, Labelled, Query
from tests.performance.quality.febrl import febrl4
from tests.performance.quality.labelled import labelled
from tests.performance.quality.measures import SETS
from tests.performance.quality.ours import KEY_CAP, PeopleIndex, Recording

QUERIES = 2_000
LIMITS = (25, 50, 100, 200)
START = "match.candidates"
# Kinds of exact terms, by what stands in front of them.
TERM_KINDS = {prefix: f"term_{name}" for prefix, name in FIELDS.items()}
_IN_DICTIONARY = {prefix for prefix, name in FIELDS.items() if name not in LISTED_TERMS}
_WORD = "word"


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
        with PeopleIndex(people, shipped().frequency) as index:
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
        size = _dictionary_bytes(of_kind, count) if kind in _IN_DICTIONARY else _table_bytes(of_kind)
        yield Figure(f"{start}bytes", size / count, "B", f"{what}bytes of the index a person")


def places(queries: Sequence[Query], index: PeopleIndex, kind: str = "") -> Places:
    """Ask them with one kind of key left out; none is where ``kind`` is empty."""
    reader, matcher = Recording(index.reader, kind), Matcher(candidate_limit=MOST, key_cap=KEY_CAP)
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


def _brought(asked: Labelled, index: PeopleIndex) -> Iterator[Figure]:
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


def _table_bytes(words: pl.DataFrame) -> int:
    """Size of a table of these keys alone."""
    with TemporaryDirectory(prefix="ncrs-kind-") as made:
        folder, runs = Path(made), KeyRuns(Path(made), 0)
        for start in range(0, words.height and int(words["row"].to_numpy()[-1]) + 1, RUN_DOCUMENTS):
            part = words.filter(pl.col("row").is_between(start, start + RUN_DOCUMENTS - 1))
            runs.add(hashes(part[_WORD]), part["row"].to_numpy().astype(np.int64))
        runs.finish()
        return sum(file.stat().st_size for file in folder.iterdir())


def _dictionary_bytes(words: pl.DataFrame, count: int) -> int:
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
    """Print the figures as they come, keep them, and make the page anew."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.quality.candidates", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a folder with extracts of day 0")
    parser.add_argument(
        "--queries", type=int, default=QUERIES, help="questions of each mix; the hard sets half as many"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print only; write nothing")
    options = parser.parse_args()
    own = labelled(options.home, options.queries, options.seed)
    found: list[Figure] = []
    for figure in figures([own, [febrl4()]]):
        print(figure.line, flush=True)
        found.append(figure)
    if not options.dry:
        report.write(found, seed=options.seed, instead=(f"{START}.",))


if __name__ == "__main__":
    main()
