"""How often which mistakes are made: the two error mixes, and a question with mistakes drawn from one.

Belongs here: shares, with where they come from. Does not belong here: the mistakes (``errors.py``).

Both mixes are of four draws: names, birth date, sex, postcode. A draw makes at most one mistake; one that
cannot be made gives way to the next kind of the same draw.

``nhs`` (hospital records held against PDS, Harron 2017): birth date or sex wrong or missing 0.11 % together,
postcode wrong, missing or changed 53 % of those under 20. Of adults no share is published: a fifth is
assumed. Names were not part of that study: half of the justice mix's share is assumed.

``justice`` (m values of the Ministry of Justice's Core Person Record, a population of many aliases):
full name as held 88.1 %, birth date as held 94.8 %, postcode among those held 65 % and wholly other 20 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from search_api.matching.questions import DateRange, Mode, Question
from tests.performance.quality.cases import MOST
from tests.performance.quality.errors import MISTAKES, Hand, Row, usual

YOUNG = 20
# Middle names are held by most records and sent by about half of those who ask; leaving them out is no mistake.
MIDDLE_NAMES_SENT = 0.5


@dataclass(frozen=True)
class Draw:
    """``share`` of questions get one of ``kinds`` (relative shares); another share where the person is young."""

    share: float
    kinds: Mapping[str, float]
    young: float | None = None


@dataclass(frozen=True)
class Mix:
    """Draws by the part of a question that they touch."""

    name: str
    draws: dict[str, Draw]


_NAMES = {
    "family_typo": 20, "given_typo": 20, "family_phonetic": 7, "given_phonetic": 7, "family_ocr": 3, "given_ocr": 3,
    "nickname": 10, "joined_or_split": 4, "double_name_part": 4, "initial_only": 3, "middle_name_first": 3,
    "previous_family": 12, "new_family": 3, "other_given": 1, "names_swapped": 2, "given_missing": 1,
}  # fmt: skip

NHS = Mix(
    "nhs",
    {
        "names": Draw(0.06, _NAMES),
        "birth": Draw(0.001, {"birth_one_digit": 4, "day_month_swapped": 2, "birth_digits_exchanged": 1, "birth_near": 1, "birth_missing": 2}),
        "sex": Draw(0.0001, {"sex_wrong": 1}),
        "postcode": Draw(0.20, {"postcode_old": 55, "moved_house": 20, "postcode_missing": 12, "postcode_mistyped": 10, "postcode_ocr": 3}, 0.53),
    },
)  # fmt: skip

JUSTICE = Mix(
    "justice",
    {
        "names": Draw(0.119, _NAMES | {"names_swapped": 2, "new_family": 4, "other_given": 4, "previous_family": 14}),
        "birth": Draw(0.052, {"birth_one_digit": 25, "day_month_swapped": 15, "birth_digits_exchanged": 8, "birth_year_only": 8, "birth_near": 20, "birth_missing": 10}),
        "sex": Draw(0.01, {"sex_wrong": 2, "sex_missing": 8}),
        "postcode": Draw(0.35, {"moved_house": 50, "postcode_old": 20, "postcode_mistyped": 10, "postcode_ocr": 5, "postcode_missing": 15}),
    },
)  # fmt: skip

# Made only where a stratum asks for them.
_OWN_TO_STRATA = ("named_since", "religious_name_moved")
PART = {kind: part for part, draw in JUSTICE.draws.items() for kind in draw.kinds} | dict.fromkeys(
    _OWN_TO_STRATA, "names"
)


def plain(row: Row, hand: Hand) -> Question:
    """What is known of a person, without mistakes: names, sex, whole birth date, postcode of the home."""
    name = usual(row)
    given = tuple(name.get("given") or ())
    if hand.dice.random() >= MIDDLE_NAMES_SENT:
        given = given[:1]
    birth = row["birth_date"] or ""
    homes = [
        item["postcode"] for item in row["addresses"] or () if item["state"] == "current" and item["use"] == "home"
    ]
    return Question(
        Mode.WIDE,
        family=name.get("family"),
        given=given,
        gender=row["gender"] if row["gender"] in ("male", "female") else None,
        birth=DateRange(birth[:10], birth[:10]) if len(birth) >= 10 else None,
        postcode=next((text for text in homes if text and not text.startswith("ZZ99")), None),
        limit=MOST,
    )


def with_mistakes(
    question: Question, row: Row, mix: Mix, hand: Hand, forced: tuple[str, ...] = ()
) -> tuple[Question, tuple[str, ...]]:
    """The question with the first possible of ``forced`` made, then the mix's draws on what that left alone; and the names of mistakes made."""
    made: list[str] = []
    if forced:
        question, kind = _one_of(question, row, hand, list(forced))
        made += [kind] if kind else []
    touched = {PART[kind] for kind in made}
    age = _age(row)
    for part, draw in mix.draws.items():
        share = draw.young if draw.young is not None and age < YOUNG else draw.share
        if part in touched or hand.dice.random() >= share:
            continue
        question, kind = _one_of(question, row, hand, list(_order(draw, hand)))
        made += [kind] if kind else []
    return question, tuple(made)


def _one_of(question: Question, row: Row, hand: Hand, kinds: list[str]) -> tuple[Question, str]:
    """The first of these kinds that changes anything."""
    for kind in kinds:
        changed = MISTAKES[kind](question, row, hand)
        if changed != question:
            return changed, kind
    return question, ""


def _order(draw: Draw, hand: Hand) -> Iterator[str]:
    """All kinds, drawn by their shares, each once."""
    left = dict(draw.kinds)
    while left:
        kind = hand.dice.choices(list(left), list(left.values()))[0]
        del left[kind]
        yield kind


def _age(row: Row, today: date = date(2026, 1, 1)) -> int:
    text = (row["birth_date"] or "")[:4]
    return today.year - int(text) if text.isdigit() else YOUNG
