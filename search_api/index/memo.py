"""Normalised values, each distinct text once: what ``documents.py`` composes from.

Belongs here: caches around the shared normaliser. Does not belong here: normalisation, composition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from search_api.index.frequencies import Frequencies
from search_api.matching import normalise
from search_api.matching.normalise import Name
from search_api.matching.phonetics import code

MOST_ENTRIES = 400_000

Value = TypeVar("Value")


class Family(NamedTuple):
    """A family name: text, joined form, key codes, placeholder flag, frequency steps."""

    text: str
    joined: str
    codes: tuple[str, ...]
    skip: bool
    steps: int


class Given(NamedTuple):
    """One given-name value, which may hold several words."""

    text: str
    joined: str
    words: tuple[str, ...]
    codes: tuple[str, ...]
    skip: bool
    initial: str
    steps: int


class Postcode(NamedTuple):
    """Clean text; of a real full postcode or a foreign code what keys hold of it: the area and the whole."""

    text: str
    area: str
    whole: str


class Birth(NamedTuple):
    """yyyymmdd with 00 for unknown; ``day`` and ``year`` are key parts, empty where unknown or placeholder."""

    number: int
    day: str
    year: str


NO_GIVEN = Given("", "", (), (), False, "", 0)


class Memo(dict[str, Value], Generic[Value]):
    """A dict that makes what is missing."""

    def __init__(self, make: Callable[[str], Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> Value:
        value = self[key] = self._make(key)
        return value


class Memos:
    """The caches of one build; ``trim`` between slices keeps them within bounds."""

    def __init__(self, frequencies: Frequencies) -> None:
        self._frequencies = frequencies
        self.families: Memo[Family] = Memo(self._family)
        self.givens: Memo[Given] = Memo(self._given)
        self.postcodes: Memo[Postcode] = Memo(_postcode)
        self.births: Memo[Birth] = Memo(_birth)
        self.practices: Memo[str] = Memo(normalise.ods_code)

    def trim(self) -> None:
        """Empty whichever cache has grown large."""
        for memo in (self.families, self.givens, self.postcodes, self.births, self.practices):
            if len(memo) > MOST_ENTRIES:
                memo.clear()

    def _family(self, text: str) -> Family:
        name = normalise.family_name(text)
        return Family(name.text, name.joined, _codes(name), name.skip, self._frequencies.family_steps(name.joined))

    def _given(self, text: str) -> Given:
        name = normalise.given_name(text)
        initial = "" if name.skip else name.joined[:1]
        steps = self._frequencies.given_steps(name.words[0] if name.words else "")
        return Given(name.text, name.joined, name.words, _codes(name), name.skip, initial, steps)


def _codes(name: Name) -> tuple[str, ...]:
    """Key codes of the joined form and the parts; none for placeholders and single letters."""
    if name.skip:
        return ()
    return tuple(dict.fromkeys(code(form) for form in name.forms if len(form) > 1))


def _postcode(text: str) -> Postcode:
    clean = normalise.postcode(text)
    area = None if normalise.pseudo_postcode(clean) else normalise.area(clean)
    return Postcode(clean, area or "", normalise.unit(clean) if area else "")


def _birth(text: str) -> Birth:
    number = normalise.date_number(text)
    if not number or normalise.placeholder_date(number):
        return Birth(number, "", "")
    digits = f"{number:08d}"
    return Birth(number, digits if number % 100 else "", digits[:4])
