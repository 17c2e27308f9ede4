"""Both index engines give the same for any question: numbers, payloads, order, cut, and how many were looked at.

Belongs here: generated questions to the readers themselves, over people chosen to be awkward. Does not belong
here: whole answers of the API (``test_engines_agree.py``), what a right answer is (``tests/spec``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_api.cluster.shared import cluster_of
from search_api.index import opensearch_filter
from search_api.index.documents import documents
from search_api.index.embedded import EmbeddedEngine
from search_api.index.frequencies import Frequencies
from search_api.index.opensearch import OpenSearchEngine
from search_api.index.provider import IndexReader, KeyQuery
from search_api.matching import blocking
from search_api.matching.asked import ask
from search_api.matching.questions import DateRange, Mode, Question
from search_api.matching.rarity import WeighedKey, weigh
from search_api.matching.rules import shipped as shipped_rules
from tests.lib import drawn, odd_values
from tests.lib.crowd import crowd
from tests.lib.engines import EngineKind
from tests.lib.index import Site, address, frame, name, nhs_number, person, telecom

# Seeded, of each property; ``make test WHOLE=1`` takes more.
EXAMPLES = 800 if drawn.whole() else 250
# Low, so that questions reach it and both must be cut at the same document.
SCAN_LIMIT = 60
ODD = 700
calm = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Readers:
    """The reference and the two to compare with it, over the same people."""

    reference: IndexReader
    others: Sequence[IndexReader]
    frequencies: Frequencies
    keys: list[str]


def _odd_people() -> pl.DataFrame:
    """People of awkward values: placeholders, partial dates, marks of query languages, the dead, the restricted."""
    rng = random.Random(11)
    texts = [*odd_values.TEXTS, *odd_values.NAMES, "Smith", "Smithson", "Smythe", "O*Neil", "A" * 9_000]
    dates = [*odd_values.DATES, "1980", "1980-02", "1980-02-03", "1980-03-02", "1979-12-31", "1981-01-01", None]
    postcodes = [*odd_values.POSTCODES, "LS1 4AP", "LS1 4AQ", "LS14 4AP", None]
    rows = []
    for serial in range(ODD):
        emails = [telecom("email", rng.choice([*odd_values.EMAILS, f"{rng.choice(odd_values.TEXTS)}@x.example"]))]
        rows.append(
            person(
                nhs_number(serial),
                name(rng.choice(texts), rng.choice(texts), rng.choice(texts)),
                name(rng.choice(texts), "John", state=rng.choice(["current", "historic"])),
                born=rng.choice(dates),
                gender=rng.choice(["male", "female", "other", None]),
                security=rng.choice(["U", "U", "U", "R", None]),
                died=rng.choice([None, None, "2020-05-06", "2021-01-01"]),
                gp=rng.choice([None, "A20047", "Y12345"]),
                addresses=[address(rng.choice(postcodes)), address(rng.choice(postcodes), state="historic")],
                telecoms=[telecom("phone", rng.choice(odd_values.PHONES)), *emails],
            )
        )
    return frame(rows)


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return pl.concat([_odd_people(), crowd(4_000, seed=8).with_columns(pl.col("nhs_number") + 900_000_000)])


@pytest.fixture(scope="module")
def readers(
    people: pl.DataFrame, opensearch_kind: EngineKind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Readers]:
    folder = tmp_path_factory.mktemp("agreement")
    rules = replace(shipped_rules(), scan_limit=SCAN_LIMIT)
    frequencies = Frequencies.build([people])
    opened = [Site(EmbeddedEngine(rules), folder / "embedded").build("people", people, frequencies)]
    for shards in (1, 3):
        chosen = opensearch_kind.building(folder / f"home-{shards}", opensearch_shards=shards)
        engine = OpenSearchEngine(chosen, cluster_of(chosen), rules)
        opened.append(Site(engine, folder / f"shards-{shards}").build("people", people, frequencies))
    keys = sorted({key for document in documents(people, frequencies) for key in document.keys})
    yield Readers(opened[0], opened[1:], frequencies, keys)
    for reader in opened:
        reader.close()


def same(readers: Readers, query: KeyQuery) -> int:
    """That all give the same candidates; how many there are."""
    expected = readers.reference.candidates(query)
    for reader in readers.others:
        assert reader.candidates(query) == expected
    return len(expected.numbers)


def test_the_people_are_the_same(readers: Readers) -> None:
    for reader in readers.others:
        assert reader.count() == readers.reference.count()
        assert reader.checksum() == readers.reference.checksum()


@calm
@given(seed=st.integers(0, 10**9), count=st.integers(1, 60), limit=st.integers(1, 300), located=st.booleans())
def test_candidates_of_any_keys(readers: Readers, seed: int, count: int, limit: int, located: bool) -> None:
    rng = random.Random(seed)
    chosen = rng.sample(readers.keys, count)
    query = KeyQuery(tuple(WeighedKey(key, rng.randint(1, 40)) for key in chosen), located, limit)
    assert same(readers, query) > 0 or located


@calm
@given(seed=st.integers(0, 10**9), limit=st.integers(1, 300), located=st.booleans())
def test_candidates_all_or_none(readers: Readers, seed: int, limit: int, located: bool) -> None:
    """As many as there are where the limit holds them, else nobody but that there are more."""
    rng = random.Random(seed)
    query = KeyQuery(tuple(WeighedKey(key, 7) for key in rng.sample(readers.keys, 20)), located, limit)
    cut, whole = (readers.reference.candidates(replace(query, all_or_none=each)) for each in (False, True))
    same(readers, replace(query, all_or_none=True))
    assert whole.truncated == cut.truncated
    assert whole.numbers == (() if cut.truncated else cut.numbers)


@calm
@given(seed=st.integers(0, 10**9), count=st.integers(1, 20), limit=st.integers(1, 300), located=st.booleans())
def test_candidates_with_keys_that_find_nobody(
    readers: Readers, seed: int, count: int, limit: int, located: bool
) -> None:
    """They are those found without, with other worths and so in another order."""
    rng = random.Random(seed)
    keys, beside = (
        tuple(WeighedKey(key, rng.randint(1, 40)) for key in rng.sample(readers.keys, count)) for _ in range(2)
    )
    whole = readers.reference.candidates(KeyQuery(keys, located, 100_000))
    marked = readers.reference.candidates(KeyQuery(keys, located, 100_000, beside=beside))
    assert sorted(marked.numbers) == sorted(whole.numbers)
    same(readers, KeyQuery(keys, located, limit, beside=beside))


@pytest.mark.parametrize("most", [3, opensearch_filter.MOST_CLAUSES])
def test_candidates_of_more_keys_than_a_query_has_clauses(
    readers: Readers, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(opensearch_filter, "MOST_CLAUSES", most)
    rng = random.Random(4)
    undated = [key for key in readers.keys if key[0] in "pt@"]
    many = tuple(WeighedKey(key, rng.randint(1, 40)) for key in rng.sample(undated, 3_000))
    assert same(readers, KeyQuery(many, False, 5_000)) > 1_000
    assert same(readers, KeyQuery(many, True, 50)) == 50


@pytest.mark.parametrize("mode", [Mode.FUZZY, Mode.WIDE])
def test_candidates_of_questions(readers: Readers, people: pl.DataFrame, mode: Mode) -> None:
    found = 0
    for row in people.sample(150, seed=3).to_dicts():
        held = row["names"][0]
        dates = DateRange("1930-01-01", None) if row["nhs_number"] % 7 == 0 else _day(row["birth_date"])
        question = Question(
            mode, family=held["family"], given=tuple(held["given"][:2]), birth=dates, postcode="LS1 4AP"
        )
        keys = weigh(blocking.keys(ask(question), mode, readers.frequencies), readers.frequencies, 2_000).keys
        found += same(readers, KeyQuery(keys, True, 200)) if keys else 0
    assert found > 100


def _day(text: str | None) -> DateRange | None:
    return DateRange(text, text) if text else None


def _wild(text: str, rng: random.Random) -> str:
    """The text, or the start of a long one, with some of its letters behind wildcards."""
    text = text[:40]
    places = sorted(rng.sample(range(len(text) + 1), min(len(text) + 1, rng.randint(1, 3))))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    return "*".join(piece[: rng.randint(0, len(piece))] if rng.random() < 0.4 else piece for piece in pieces)


def _asked(people: pl.DataFrame, rng: random.Random) -> Question:
    """A question about somebody, or about nobody, by any of what may be asked."""
    row = people.row(rng.randrange(people.height), named=True)
    held = rng.choice(row["names"])
    family, names = held["family"], tuple(held["given"])
    places = [place["postcode"] for place in row["addresses"] if place["postcode"]] or ["LS1 4AP"]
    contacts = {
        system: [item["value"] for item in row["telecoms"] if item["system"] == system] for system in ("phone", "email")
    }

    def some(value: object) -> bool:
        return bool(value) and rng.random() < 0.4

    return Question(
        Mode.FILTER,
        family=_wild(family, rng) if rng.random() < 0.4 else rng.choice([family, family, None]),
        given=tuple(_wild(text, rng) if rng.random() < 0.3 else text for text in names if rng.random() < 0.5),
        gender=row["gender"] if some(row["gender"]) else None,
        birth=_dates(row["birth_date"], rng),
        death=_dates(row["deceased"] or "2020-05-06", rng) if rng.random() < 0.15 else None,
        postcode=_postcode(rng.choice(places), rng) if rng.random() < 0.3 else None,
        gp_code=row["gp_code"] if some(row["gp_code"]) else None,
        phones=tuple(contacts["phone"][:1]) if rng.random() < 0.2 else (),
        emails=tuple(contacts["email"][:1]) if rng.random() < 0.2 else (),
        history=rng.random() < 0.5,
        located=rng.random() < 0.3,
    )


def _dates(text: str | None, rng: random.Random) -> DateRange | None:
    day = text or "1980-02-03"
    return rng.choice(
        [
            DateRange(day, day), DateRange(day, day), DateRange(day, None), DateRange(None, day), None,
            DateRange("1980-01-01", "1980-12-31"), DateRange("1980-02-01", "1980-02-29"), DateRange("1980", "1980"),
            DateRange("1980-02", "1980-02"), DateRange(None, None), DateRange("1900-01-01", "1900-01-01"),
        ]
    )  # fmt: skip


def _postcode(text: str, rng: random.Random) -> str:
    return rng.choice([text, text.replace(" ", "").lower(), text[:-1] + "*", "*" + text[2:]])


@calm
@given(seed=st.integers(0, 10**9), limit=st.integers(1, 80))
def test_selection_of_any_question(readers: Readers, people: pl.DataFrame, seed: int, limit: int) -> None:
    """Engines look at different people, but where none stops at the scan limit they find the same. The reference looks
    at fewest, so it never stops where another does not; who is found before one stops is found by the others first."""
    question = _asked(people, random.Random(seed))
    expected = readers.reference.select(question, limit)
    for reader in readers.others:
        found = reader.select(question, limit)
        assert (found.truncated or not expected.truncated, len(found.numbers) <= len(expected.numbers)) == (True, True)
        if not found.truncated:
            assert (found.numbers, tuple(found.payloads)) == (expected.numbers, tuple(expected.payloads))
        assert found.numbers == expected.numbers[: len(found.numbers)]


def test_the_questions_reach_what_they_are_meant_to(readers: Readers, people: pl.DataFrame) -> None:
    found = [readers.others[0].select(_asked(people, random.Random(seed)), 80) for seed in range(400)]
    assert sum(bool(each.numbers) for each in found) > 100
    assert sum(each.truncated for each in found) > 10
    assert sum(each.counters["looked_at"] > 1 for each in found) > 40
