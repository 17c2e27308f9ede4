"""Seeded questions of every kind that the matcher can be asked, about the people of an index.

Belongs here: a kind's name to questions of it, right and wrong ones alike. Does not belong here: what is
answered (``agreement.py``), the same questions as requests (``requests.py``).

Each kind is a function of the people and of dice. The same people and seed give the same questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from search_api.matching.questions import DateRange, Mode, Question
from tests.lib import mistakes, odd_values
from tests.lib.people import (
    People,
    Row,
    contact_of,
    day,
    lifetimes,
    names_of,
    open_ended,
    some_days,
    two_years,
    value_of,
)


@dataclass(frozen=True)
class Asked:
    """A question with its kind and place in the sequence, so that it can be made again."""

    kind: str
    place: int
    question: Question


def questions(people: People, seed: int, count: int) -> Iterator[Asked]:
    """``count`` questions, the kinds in turn by their share."""
    dice = random.Random(seed)
    turns = [kind for kind, share in SHARES.items() for _ in range(share)]
    for place in range(count):
        kind = turns[place % len(turns)]
        yield Asked(kind, place, KINDS[kind](people, dice))


def _basic(row: Row, dice: random.Random, mode: Mode = Mode.FILTER, **fields: Any) -> Question:
    """Names and birth date as held; a given name more often than not."""
    name = dice.choice(names_of(row, "current") or names_of(row))
    given = name["given"] or []
    asked = Question(
        mode,
        family=name["family"],
        given=tuple(given[: dice.choice((0, 1, 1, 1, 2))]),
        birth=day(row["birth_date"]),
        history=mode is not Mode.FILTER,
    )
    return replace(asked, **fields)


def _mode(dice: random.Random) -> Mode:
    return dice.choice((Mode.FILTER, Mode.FUZZY, Mode.WIDE))


def _mistaken(mode: Mode) -> Callable[[People, random.Random], Question]:
    def ask(people: People, dice: random.Random) -> Question:
        while True:
            made = mistakes.case(people.any(dice), dice, mode)
            if made is not None:
                return replace(made.question, history=True)

    return ask


def _exact(people: People, dice: random.Random) -> Question:
    """As held, with any of the other fields."""
    row = people.any(dice)
    more: dict[str, Any] = {
        "gender": row["gender"],
        "postcode": value_of(row["addresses"], "postcode", dice),
        "gp_code": row["gp_code"],
        "phones": (contact_of(row, "phone", dice) or "01632960587",),
        "emails": (contact_of(row, "email", dice) or "nobody@example.com",),
    }
    chosen = dice.sample(sorted(more), dice.choice((0, 1, 2)))
    return _basic(row, dice, **{name: more[name] for name in chosen}, exact_only=dice.random() < 0.2)


def _wildcard(people: People, dice: random.Random) -> Question:
    """A star at any place after the second, in one or two of the fields that may hold one."""
    row = people.any(dice)
    asked = _basic(row, dice, birth=_near(row, dice), history=dice.random() < 0.3)
    place = value_of(row["addresses"], "postcode", dice, "current", "historic")
    for part in dice.sample(("family", "given", "postcode"), dice.choice((1, 1, 2))):
        if part == "family" and asked.family:
            asked = replace(asked, family=_starred(asked.family, dice))
        elif part == "given" and asked.given:
            asked = replace(asked, given=(_starred(asked.given[0], dice), *asked.given[1:]))
        elif part == "postcode" and place:
            asked = replace(asked, postcode=_starred(place, dice))
    return asked


def _starred(text: str, dice: random.Random) -> str:
    """The text with a run of letters after the second made into a star; sometimes two of them."""
    for _ in range(dice.choice((1, 1, 1, 2))):
        start = dice.randint(2, max(2, len(text)))
        text = text[:start] + "*" + text[start + dice.choice((0, 1, 2, 99)) :]
    return text


def _near(row: Row, dice: random.Random) -> DateRange | None:
    """The birth date, or a range that may hold it."""
    return dice.choice((day, day, some_days, two_years, open_ended))(row["birth_date"])


def _birth_range(people: People, dice: random.Random) -> Question:
    row = people.of(dice.choice(("partial", "poor", "renamed")), dice) if dice.random() < 0.3 else people.any(dice)
    mode = dice.choice((Mode.FILTER, Mode.FILTER, Mode.FUZZY))
    span = dice.choice((some_days, two_years, open_ended, lifetimes))(row["birth_date"])
    if dice.random() < 0.05:
        span = DateRange(span.high, span.low)
    return _basic(row, dice, mode, birth=span)


def _death_range(people: People, dice: random.Random) -> Question:
    row = people.of("dead", dice)
    died = (row["deceased"] or "2019-02-20")[:10]
    death = dice.choice((day, some_days, two_years, open_ended, lifetimes))(died)
    return _basic(row, dice, dice.choice((Mode.FILTER, Mode.FILTER, Mode.FUZZY)), death=death)


def _partial(people: People, dice: random.Random) -> Question:
    """A year or a month asked for, or held, or both."""
    row = people.of("partial", dice) if dice.random() < 0.4 else people.any(dice)
    asked = day((row["birth_date"] or "1970-01-01")[: dice.choice((4, 7))])
    return _basic(row, dice, _mode(dice), birth=asked if dice.random() < 0.7 else _near(row, dice))


def _history(people: People, dice: random.Random) -> Question:
    """Former values, with history and without."""
    row = people.of("renamed", dice)
    old = dice.choice(names_of(row, "historic") or names_of(row))
    place = value_of(row["addresses"], "postcode", dice, "historic")
    return _basic(
        row,
        dice,
        family=old["family"],
        given=tuple((old["given"] or [])[:1]),
        postcode=place if dice.random() < 0.3 else None,
        history=dice.random() < 0.7,
    )


def _exact_only(people: People, dice: random.Random) -> Question:
    ask = dice.choice((_exact, _wildcard, _mistaken(Mode.FUZZY), _history))
    return replace(ask(people, dice), exact_only=True)


def _restricted(people: People, dice: random.Random) -> Question:
    """Restricted people, with what tells where they are and without."""
    row = people.of("restricted", dice)
    where: dict[str, Any] = {
        "postcode": value_of(row["addresses"], "postcode", dice) or "LS1 6AE",
        "gp_code": row["gp_code"] or "Y12345",
        "phones": (contact_of(row, "phone", dice) or "01632960587",),
        "emails": (contact_of(row, "email", dice) or "nobody@example.com",),
        "address_lines": tuple(value_of(row["addresses"], "lines", dice) or ("1 High Street",)),
    }
    chosen = dice.sample(sorted(where), dice.choice((0, 0, 1)))
    return _basic(row, dice, _mode(dice), **{name: where[name] for name in chosen}, located=dice.random() < 0.05)


def _contacts(people: People, dice: random.Random) -> Question:
    """Telephones and e-mails as held, written otherwise, or wrong."""
    row = people.of("reachable", dice)
    phone, email = contact_of(row, "phone", dice) or "07700900741", contact_of(row, "email", dice)
    phone = dice.choice((phone, phone, f"+44 {phone[1:5]} {phone[5:]}", phone[:-1], phone[:-1] + "9"))
    mails = (email.upper(), f"{email} ") if email else ("nobody@example.com",)
    asked = _basic(row, dice, _mode(dice), history=dice.random() < 0.5)
    asked = replace(asked, phones=(phone,)) if dice.random() < 0.7 else asked
    asked = replace(asked, emails=(dice.choice(mails),)) if dice.random() < 0.5 else asked
    bare = asked.mode is Mode.WIDE and dice.random() < 0.5
    return replace(asked, family=None, given=()) if bare else asked


def _postcode(people: People, dice: random.Random) -> Question:
    """A postcode with little else: whole, with a mistake, of nowhere, or none at all."""
    row = people.of("odd postcode", dice) if dice.random() < 0.3 else people.any(dice)
    held = value_of(row["addresses"], "postcode", dice, "current", "historic") or "LS1 6AE"
    typed = (held, held.replace(" ", "").lower(), mistakes.typo(held, dice), *odd_values.POSTCODES)
    asked = _basic(row, dice, _mode(dice), postcode=dice.choice(typed))
    bare: dict[str, Any] = {"family": None, "given": (), "birth": None}
    less = dice.sample(sorted(bare), dice.choice((0, 1, 2, 3))) if asked.mode is not Mode.FILTER else ()
    return replace(asked, **{name: bare[name] for name in less})


def _placeholder(people: People, dice: random.Random) -> Question:
    """Values that stand for "not known" in any field, alone and beside true ones."""
    row = people.of("poor", dice) if dice.random() < 0.5 else people.any(dice)
    stands: dict[str, Any] = {
        "family": dice.choice(odd_values.NAMES),
        "given": (dice.choice(odd_values.NAMES),),
        "birth": day(dice.choice(odd_values.DATES)),
        "phones": (dice.choice(odd_values.PHONES),),
        "emails": (dice.choice(odd_values.EMAILS),),
        "postcode": dice.choice(odd_values.POSTCODES),
    }
    chosen = dice.sample(sorted(stands), dice.choice((1, 1, 2)))
    return _basic(row, dice, _mode(dice), **{name: stands[name] for name in chosen})


def _practice(people: People, dice: random.Random) -> Question:
    row = people.any(dice)
    code = row["gp_code"] or "Y12345"
    return _basic(row, dice, _mode(dice), gp_code=dice.choice((code, code.lower(), "Y99999", f" {code}-")))


def _gender(people: People, dice: random.Random) -> Question:
    row = people.any(dice)
    return _basic(row, dice, _mode(dice), gender=dice.choice((row["gender"], "male", "female", "other", "unknown")))


def _many(people: People, dice: random.Random) -> Question:
    """Common names over many years, and limits that are soon reached."""
    top = max(3, len(people.families) // 200)
    asked = Question(
        dice.choice((Mode.FILTER, Mode.FILTER, Mode.FUZZY, Mode.WIDE)),
        family=dice.choice(people.families[:top]),
        given=(dice.choice(people.givens[:top]),) if dice.random() < 0.6 else (),
        birth=dice.choice((lifetimes, lifetimes, open_ended, two_years, some_days))(
            f"{dice.randint(1960, 2020)}-01-01"
        ),
        limit=dice.choice((1, 1, 1, 2, 3, 5, 20, 50)),
        history=dice.random() < 0.5,
    )
    return replace(asked, birth=None) if asked.mode is Mode.WIDE and dice.random() < 0.5 else asked


def _absent(people: People, dice: random.Random) -> Question:
    """Nobody of this name and day."""
    family = mistakes.typo(mistakes.typo(dice.choice(people.families)[::-1], dice), dice)
    born = f"{dice.randint(1901, 2025)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
    return Question(_mode(dice), family=family, given=(dice.choice(people.givens)[::-1],), birth=day(born))


def _single(people: People, dice: random.Random) -> Question:
    """One part of a name, one field, or nothing at all."""
    row = people.of("poor", dice) if dice.random() < 0.4 else people.any(dice)
    full = _basic(row, dice, _mode(dice), gender=row["gender"])
    kept = dice.sample(("family", "given", "birth", "gender"), dice.choice((0, 1, 1, 2)))
    nothing: dict[str, Any] = {"family": None, "given": (), "birth": None, "gender": None}
    asked = replace(full, **{name: value for name, value in nothing.items() if name not in kept})
    return replace(asked, given=(asked.given[0][:1],)) if asked.given and dice.random() < 0.3 else asked


def _swapped(people: People, dice: random.Random) -> Question:
    row = people.any(dice)
    asked = _basic(row, dice, _mode(dice))
    return replace(asked, family=" ".join(asked.given) or asked.family, given=(asked.family,) if asked.family else ())


def _lines(people: People, dice: random.Random) -> Question:
    """Address lines, which $match takes."""
    row = people.any(dice)
    lines = tuple(filter(None, value_of(row["addresses"], "lines", dice, "current", "historic") or ()))
    asked = _basic(row, dice, Mode.WIDE, address_lines=lines or ("1 High Street",))
    return replace(asked, birth=None) if dice.random() < 0.3 else asked


def _odd(people: People, dice: random.Random) -> Question:
    """Marks, other alphabets, what an engine's own query language might take for its own."""
    row = people.of("marked", dice)
    asked = _basic(row, dice, _mode(dice))
    part = dice.choice(("family", "given", "postcode", "gp_code", "phones", "emails"))
    text = dice.choice(odd_values.TEXTS)
    if part in ("family", "given") and dice.random() < 0.4:
        held = (asked.family or "") if part == "family" else "".join(asked.given)
        text = dice.choice(odd_values.AROUND).format(held)
    value: Any = text if part in ("family", "postcode", "gp_code") else (text,)
    return replace(asked, **{part: value})


KINDS: dict[str, Callable[[People, random.Random], Question]] = {
    "fuzzy": _mistaken(Mode.FUZZY), "wide": _mistaken(Mode.WIDE), "exact": _exact, "wildcard": _wildcard,
    "birth range": _birth_range, "death range": _death_range, "partial date": _partial, "history": _history,
    "exact only": _exact_only, "restricted": _restricted, "contacts": _contacts, "postcode": _postcode,
    "placeholder": _placeholder, "practice": _practice, "gender": _gender, "too many": _many, "absent": _absent,
    "single": _single, "swapped": _swapped, "address lines": _lines, "odd": _odd,
}  # fmt: skip
# How many of each in one turn: more where an engine has more to do.
SHARES = dict.fromkeys(KINDS, 1) | {
    "fuzzy": 4,
    "wide": 4,
    "wildcard": 4,
    "birth range": 3,
    "restricted": 2,
    "too many": 2,
}
