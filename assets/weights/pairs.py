"""The pairs that weights are estimated from: random ones for u, candidates of records for m.

Belongs here: drawing people, records as received, the candidate search by one kind of key at a time.
Does not belong here: levels (``levels.py``), estimation (``estimate.py``), random pairs' counts.

Candidates that a key found agree in what the key is made of, so from one kind of key only the other
comparisons can be learnt (Splink's own rule for blocking). Three kinds cover all: birth date and outward
postcode teach the names; postcode and family name teach the birth date; birth date and family name teach
postcode and the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from assets.index.frames import frame_of
from assets.replica.tables import PATIENT_TABLE
from assets.weights.levels import Sampled, level_table, sampled
from search_api import db
from search_api.index.frequencies import Frequencies
from search_api.index.provider import KeyQuery
from search_api.matching import blocking
from search_api.matching.asked import Asked, ask
from search_api.matching.normalise import EMPTY
from search_api.matching.person import Person, unpack, without_history
from search_api.matching.questions import Mode, Question
from search_api.matching.rarity import weigh
from search_api.matching.weights import Weights
from search_api.opened import Generation
from search_api.trace.form import inspect
from search_api.trace.rows import Row, read

_PIECE = 2_000
_CANDIDATES = 200


@dataclass(frozen=True)
class Session:
    """One kind of key: the fields it holds, what its pairs may be judged by, and what is learnt from them."""

    name: str
    holds: frozenset[str]
    used: tuple[str, ...]
    learnt: tuple[str, ...]


_LIGHT = ("sex", "gp", "phone", "email", "death_date")
SESSIONS = (
    Session(
        "birth date and outward postcode",
        frozenset(("birth", "postcode")),
        ("family", "given", "middle_names", "sex", "phone", "email"),
        ("family", "given", "middle_names"),
    ),
    Session(
        "postcode and family name",
        frozenset(("postcode", "family")),
        ("given", "birth_date", "middle_names", "sex"),
        ("birth_date",),
    ),
    Session(
        "birth date and family name",
        frozenset(("birth", "family")),
        ("given", "middle_names", "postcode", "address", *_LIGHT),
        ("postcode", "address", *_LIGHT),
    ),
)
# What a person's own earlier record can tell of: names and addresses change, but nobody mistyped them.
HISTORY_TEACHES = frozenset(("family", "given", "middle_names", "postcode"))


@dataclass(frozen=True)
class Training:
    """Questions as records ask them. ``past``: they come from people's own history, which then is not held."""

    questions: tuple[Question, ...]
    past: bool
    source: str


def draw(connection: db.Connection, frequencies: Frequencies, people: int, seed: int) -> list[Sampled]:
    """So many unrestricted people, the same for one seed; fewer where there are no more."""
    chosen = db.rows(
        connection,
        f"SELECT nhs_number FROM \"{PATIENT_TABLE}\" WHERE security = 'U' "  # noqa: S608 - our own table's name
        "ORDER BY hash(nhs_number, ?), nhs_number LIMIT ?",
        [seed, people],
    )
    numbers = [row[0] for row in chosen]
    random.Random(seed).shuffle(numbers)
    found: dict[int, Sampled] = {}
    for start in range(0, len(numbers), _PIECE):
        frame = frame_of(connection, numbers[start : start + _PIECE])
        found.update((each.person.nhs_number, each) for each in (sampled(frame, frequencies) if frame.height else ()))
    return [found[number] for number in numbers if number in found]


def random_pairs(people: Sequence[Sampled], pairs: int, seed: int) -> Iterator[tuple[Asked, list[Person]]]:
    """About so many pairs of two different people: each asks for some of the others."""
    dice = random.Random(seed)
    each = max(1, min(-(-pairs // max(1, len(people))), len(people) - 1))
    for person in people:
        others = dice.sample(people, min(each + 1, len(people)))
        held = [other.person for other in others if other.person.nhs_number != person.person.nhs_number]
        yield ask(person.now), held[:each]


def received(path: Path, most: int) -> Training:
    """The rows of a file in the batch trace's form that have enough to be searched for, from its start.

    Raises FileRefused.
    """
    form = inspect(path)
    questions: list[Question] = []
    for chunk in form.chunks(path, _PIECE):
        rows = [read(fields) for fields in form.fields(chunk) if fields is not None]
        questions += [row.question for row in rows if isinstance(row, Row) and row.searchable]
        if len(questions) >= most:
            break
    return Training(tuple(questions[:most]), False, f"records as received ({path.name})")


def own_history(people: Sequence[Sampled], most: int) -> Training:
    """What the same people's earlier records would have asked; current ones where there is no earlier."""
    return Training(tuple(each.before for each in people[:most]), True, "the population's own history")


def session_pairs(generation: Generation, weights: Weights, training: Training, session: Session) -> pl.DataFrame:
    """Levels of each record against everybody whom this kind of key finds."""
    return level_table(weights, generation.frequencies, _candidates(generation, training, session))


def _candidates(generation: Generation, training: Training, session: Session) -> Iterator[tuple[Asked, list[Person]]]:
    for question in training.questions:
        asked = ask(question)
        keys = blocking.keys(_only(asked, session.holds), Mode.FUZZY, generation.frequencies)
        weighed = weigh(keys, generation.frequencies, _CANDIDATES)
        if not weighed.keys or not session.holds <= _has(asked):
            continue
        found = generation.index.candidates(KeyQuery(weighed.keys, question.asks_location, _CANDIDATES))
        persons = [unpack(*each) for each in zip(found.numbers, found.payloads, strict=True)]
        yield asked, [without_history(person) for person in persons] if training.past else persons


def _only(asked: Asked, holds: frozenset[str]) -> Asked:
    """The question cut down to what a kind of key is made of."""
    return replace(
        asked,
        family=asked.family if "family" in holds else EMPTY,
        given=(),
        words=(),
        sex="",
        birth=asked.birth if "birth" in holds else None,
        postcode=asked.postcode if "postcode" in holds else "",
        phones=(),
        emails=(),
    )


def _has(asked: Asked) -> frozenset[str]:
    parts = {"family": bool(asked.family.joined), "birth": asked.birth is not None, "postcode": bool(asked.postcode)}
    return frozenset(name for name, there in parts.items() if there)
