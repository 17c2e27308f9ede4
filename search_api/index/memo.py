"""Normalised values, each distinct text once: what ``documents.py`` composes from.

Belongs here: caches around the shared normaliser. Does not belong here: normalisation, composition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import polars as pl

from search_api.index.distinct import Distinct, Making, lists
from search_api.index.frequencies import Frequencies
from search_api.matching import normalise
from search_api.matching.lettering import ANY, letters
from search_api.matching.normalise import Name
from search_api.matching.phonetics import code


class Family(NamedTuple):
    """A family name: text, joined form, key codes, placeholder flag, frequency steps, letters."""

    text: str
    joined: str
    codes: tuple[str, ...]
    skip: bool
    steps: int
    letters: int


class Given(NamedTuple):
    """One given-name value, which may hold several words."""

    text: str
    joined: str
    words: tuple[str, ...]
    codes: tuple[str, ...]
    skip: bool
    initial: str
    steps: int
    letters: int


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


# Texts of which whole columns are made at once.
_ONE_WORD = "^[A-Za-z]+$"
_WHOLE_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"

_CODES = pl.List(pl.String)
_FAMILY = {
    "text": pl.String,
    "joined": pl.String,
    "codes": _CODES,
    "skip": pl.Boolean,
    "steps": pl.Int64,
    "letters": pl.Int64,
}
_GIVEN = {
    "text": pl.String,
    "joined": pl.String,
    "words": pl.List(pl.String),
    "codes": _CODES,
    "skip": pl.Boolean,
    "initial": pl.String,
    "steps": pl.Int64,
    "letters": pl.Int64,
}
_POSTCODE = {"text": pl.String, "area": pl.String, "whole": pl.String}
_BIRTH = {"number": pl.Int64, "day": pl.String, "year": pl.String}


class Memos:
    """The caches of one build; ``trim`` between slices keeps them within bounds."""

    def __init__(self, frequencies: Frequencies) -> None:
        self._frequencies = frequencies
        self.families = Distinct(Making(_FAMILY, self._family, _ONE_WORD, self._families))
        self.givens = Distinct(Making(_GIVEN, self._given, _ONE_WORD, self._givens))
        self.postcodes = Distinct(Making(_POSTCODE, _postcode))
        self.births = Distinct(Making(_BIRTH, _birth, _WHOLE_DATE, _births))
        self.practices = Distinct(Making({"practice": pl.String}, _practice))

    def trim(self) -> None:
        """Empty whichever cache has grown large."""
        for memo in (self.families, self.givens, self.postcodes, self.births, self.practices):
            memo.trim()

    def _family(self, text: str) -> Family:
        name = normalise.family_name(text)
        steps = self._frequencies.family_steps(name.joined)
        return Family(name.text, name.joined, _codes(name), name.skip, steps, _letters(name.text, skip=name.skip))

    def _families(self, texts: pl.Series) -> Iterator[pl.Series]:
        """Of single words of plain letters what ``_family`` makes of each."""
        upper = texts.str.to_uppercase()
        words = upper.to_list()
        skip = [*map(normalise.family_says_nothing, words)]
        yield from (upper, upper, _word_codes(words, skip), pl.Series(values=skip, dtype=pl.Boolean))
        yield _steps_of(words, self._frequencies.family, self._frequencies.family_steps)
        yield _letters_of(words, skip)

    def _givens(self, texts: pl.Series) -> Iterator[pl.Series]:
        """The same of given names."""
        upper = texts.str.to_uppercase()
        words = upper.to_list()
        skip = [*map(normalise.given_says_nothing, words)]
        skipped = pl.Series(values=skip, dtype=pl.Boolean)
        yield from (upper, upper, lists(upper), _word_codes(words, skip), skipped)
        yield pl.select(pl.when(skipped).then(pl.lit("")).otherwise(upper.str.head(1))).to_series()
        yield _steps_of(words, self._frequencies.given, self._frequencies.given_steps)
        yield _letters_of(words, skip)

    def _given(self, text: str) -> Given:
        name = normalise.given_name(text)
        initial = "" if name.skip else name.joined[:1]
        steps = self._frequencies.given_steps(name.words[0] if name.words else "")
        marked = _letters(name.text, skip=name.skip)
        return Given(name.text, name.joined, name.words, _codes(name), name.skip, initial, steps, marked)


def _letters(text: str, *, skip: bool) -> int:
    """The letters of a name; a placeholder is compared with nothing, so it rules nothing out."""
    return ANY if skip else letters(text)


def _letters_of(words: list[str], skip: list[bool]) -> pl.Series:
    """The same of single words."""
    found = [_letters(word, skip=none) for word, none in zip(words, skip, strict=True)]
    return pl.Series(values=found, dtype=pl.Int64)


def _codes(name: Name) -> tuple[str, ...]:
    """Key codes of the joined form and the parts; none for placeholders and single letters."""
    if name.skip:
        return ()
    return tuple(dict.fromkeys(code(form) for form in name.forms if len(form) > 1))


def _word_codes(words: list[str], skip: list[bool]) -> pl.Series:
    """The same of single words."""
    found = ["" if none or len(word) < 2 else code(word) for word, none in zip(words, skip, strict=True)]
    return lists(pl.Series(values=found, dtype=pl.String))


def _steps_of(words: list[str], bearers: Mapping[str, int], steps: Callable[[str], int]) -> pl.Series:
    """Frequency steps of words: as many as of any other word that as many people bear."""
    counts = [bearers.get(word, 0) for word in words]
    known = {count: steps(word) for count, word in dict(zip(counts, words, strict=True)).items()}
    return pl.Series(values=[known[count] for count in counts], dtype=pl.Int64)


def _postcode(text: str) -> Postcode:
    clean = normalise.postcode(text)
    area = None if normalise.pseudo_postcode(clean) else normalise.area(clean)
    return Postcode(clean, area or "", normalise.unit(clean) if area else "")


def _practice(text: str) -> tuple[str]:
    return (normalise.ods_code(text),)


def _birth(text: str) -> Birth:
    number = normalise.date_number(text)
    if not number or normalise.placeholder_date(number):
        return Birth(number, "", "")
    digits = f"{number:08d}"
    return Birth(number, digits if number % 100 else "", digits[:4])


def _births(texts: pl.Series) -> Iterator[pl.Series]:
    """Of whole dates what ``_birth`` makes of each."""
    digits = texts.str.head(10).str.replace_all("-", "", literal=True)
    number = digits.cast(pl.Int64)
    tells = number.ne(0) & ~number.is_in(sorted(normalise.placeholder_dates()))
    yield number
    for told, part in ((tells & (number % 100).ne(0), digits), (tells, digits.str.head(4))):
        yield pl.select(pl.when(told).then(part).otherwise(pl.lit(""))).to_series()
