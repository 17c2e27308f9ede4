"""Both engines answer alike: candidates, order, scores, grades, limits and errors, and whole answers of the API.

Belongs here: 30,000 synthetic people brought in by both engines, asked after the full build and again after
three days of changes. Does not belong here: what a right answer is (``tests/spec``), faults of a cluster.

``make test WHOLE=1`` takes 100,000 people, and 10,000 questions each time instead of 3,000: more of the same sorts.

The embedded engine is the reference. A question that is answered otherwise is shown by its kind, its place in
the seeded sequence and its values: the people are invented.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from search_api.opened import Generation
from tests.api.test_ops import UNSUPPORTED
from tests.lib import agreement, cast
from tests.lib.answers import compare_answers
from tests.lib.api import Api
from tests.lib.drawn import whole
from tests.lib.engines import EngineKind
from tests.lib.people import People
from tests.lib.questions import KINDS, questions
from tests.lib.requests import Request, reads, requests
from tests.lib.resources import nhs_number
from tests.lib.twins import Twins
from tests.spec.test_pds_search_api import HEADERS, headers_with
from tests.spec.test_pds_search_parameters import ACCEPTED, REFUSED

pytestmark = pytest.mark.slow

PATIENTS, QUESTIONS = (100_000, 10_000) if whole() else (30_000, 3_000)
ASKED_ABOUT = 12_000
DAYS = (1, 2, 3)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, opensearch_kind: EngineKind) -> Twins:
    """Two homes with the first day's extracts brought in."""
    made = Twins(tmp_path_factory.mktemp("twins"), opensearch_kind, PATIENTS, seed=5)
    made.deliver(0)
    made.ingest()
    return made


@pytest.fixture(scope="module")
def changed(twins: Twins) -> list[int]:
    """After three days of changes; the numbers of those who are in them."""
    numbers: set[int] = set()
    for day in DAYS:
        numbers.update(twins.deliver(day))
        twins.ingest()
    return sorted(numbers)


def people_of(twins: Twins, generation: Generation, seed: int, changed: list[int]) -> People:
    """Some of the people, all who are restricted or of whom only a part of the birth date is held, and those who changed."""
    rows = twins.rows(generation.manifest.generation)
    special = rows.filter(pl.col("security").ne("U") | (pl.col("birth_date").str.len_chars() < 10))
    touched = rows.filter(pl.col("nhs_number").cast(pl.Int64).is_in(changed))
    some = pl.concat([rows.sample(ASKED_ABOUT, seed=seed), special, touched])
    return People(some.to_dicts(), touched.to_dicts())


def check_questions(twins: Twins, seed: int, changed: list[int]) -> None:
    """Thousands of questions: equal candidates and answers, and none of the kinds found nobody throughout."""
    with twins.open() as (one, other):
        people = people_of(twins, one, seed, changed)
        report = agreement.compare(questions(people, seed, QUESTIONS), one, other)
        assert not report.differences, str(report)
        assert report.asked.total() == QUESTIONS
        assert all(report.found[kind] for kind in KINDS if kind != "absent"), report.found
        assert report.found.total() > QUESTIONS / 2
        assert min(report.too_many, report.truncated) > QUESTIONS / 200, (report.too_many, report.truncated)
        numbers = [int(row["nhs_number"]) for row in [*people.rows[:500], *people.changed]]
        assert list(agreement.documents_differ(numbers, one.index, other.index)) == []
        assert (one.index.count(), one.index.checksum()) == (other.index.count(), other.index.checksum())


def check_answers(twins: Twins, seed: int, changed: list[int], folder: Path) -> None:
    """Some hundred requests over HTTP, and every error: equal status, body, headers and access events."""
    dice = random.Random(seed)
    with twins.open() as (one, _):
        people = people_of(twins, one, seed, changed)
        some = [int(row["nhs_number"]) for row in dice.sample(list(people.rows), 25)]
        numbers = [*some, *dice.sample(changed, min(len(changed), 60)), int(nhs_number(900)), int(cast.BAD_DIGIT)]
        read = list(reads(numbers, one.replica))
    with (
        Api(make(folder / "one"), twins.one.serving) as mine,
        Api(make(folder / "other"), twins.other.serving) as theirs,
    ):
        asked = [*requests(questions(people, seed + 1, 400), dice), *read, *errors()]
        report = compare_answers(asked, mine, theirs)
    assert not report.differences, str(report)
    assert report.statuses.keys() == {200, 400, 401, 403, 404, 502}, report.statuses
    assert report.statuses[200] > 300, report.statuses


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def errors() -> Iterator[Request]:
    """Every row of the parameter rules, of the headers, and of paths and methods that PDS does not have."""
    rules = [(row[0], tuple(row[1])) for row in REFUSED] + [(row[0], tuple(row[1])) for row in ACCEPTED]
    for rule, items in rules:
        yield Request(f"rule {rule}", "GET", "/Patient", items)
        yield Request(f"rule {rule}, application", "GET", "/Patient", items, token="application")
    for rule, changes, params, *_ in HEADERS:
        sent = tuple((name, str(value)) for name, value in params.items())
        yield Request(f"headers {rule}", "GET", "/Patient", sent, headers=headers_with(changes))
    for method, path, *_ in UNSUPPORTED:
        yield Request(f"unsupported {method} {path}", method, path)


def test_after_the_full_build(twins: Twins, tmp_path: Path) -> None:
    check_questions(twins, 1, [])
    check_answers(twins, 11, [], tmp_path)


@pytest.mark.last
def test_after_three_days_of_changes(twins: Twins, changed: list[int], tmp_path: Path) -> None:
    """OpenSearch clones its index for each day, the embedded engine links its segments."""
    assert len(changed) > 200
    check_questions(twins, 2, changed)
    check_answers(twins, 12, changed, tmp_path)


def test_a_difference_is_seen(twins: Twins) -> None:
    """The comparison itself: another generation of the same people, one of them left out, is not the same."""
    with twins.open() as (one, other):
        people = people_of(twins, one, 3, [])
        (asked,) = islice(questions(people, 3, 1), 1)
        seen, same = agreement.ask(asked, one), agreement.ask(asked, other)
        assert agreement.difference(seen, same) == ""
        first = seen.sets[0]
        fewer = replace(first, numbers=first.numbers[1:], payloads=first.payloads[1:])
        assert agreement.difference(seen, agreement.Seen((fewer, *seen.sets[1:]), same.answer)) == "candidates"
        turned = replace(first, numbers=first.numbers[::-1], payloads=first.payloads[::-1])
        expected = "order of candidates" if len(first.numbers) > 1 else ""
        assert agreement.difference(seen, agreement.Seen((turned, *seen.sets[1:]), same.answer)) == expected
