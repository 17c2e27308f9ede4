"""Normalised values, each distinct text once: what ``documents.py`` composes from.

Belongs here: caches around the shared normaliser. Does not belong here: normalisation, composition.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from search_api.index.distinct import Distinct
from search_api.index.frequencies import Frequencies
from search_api.matching import normalise
from search_api.matching.normalise import Name
from search_api.matching.phonetics import code


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


_CODES = pl.List(pl.String)
_FAMILY = {"text": pl.String, "joined": pl.String, "codes": _CODES, "skip": pl.Boolean, "steps": pl.Int64}
_GIVEN = {
    "text": pl.String,
    "joined": pl.String,
    "words": pl.List(pl.String),
    "codes": _CODES,
    "skip": pl.Boolean,
    "initial": pl.String,
    "steps": pl.Int64,
}
_POSTCODE = {"text": pl.String, "area": pl.String, "whole": pl.String}
_BIRTH = {"number": pl.Int64, "day": pl.String, "year": pl.String}


class Memos:
    """The caches of one build; ``trim`` between slices keeps them within bounds."""

    def __init__(self, frequencies: Frequencies) -> None:
        self._frequencies = frequencies
        self.families = Distinct(self._family, _FAMILY)
        self.givens = Distinct(self._given, _GIVEN)
        self.postcodes = Distinct(_postcode, _POSTCODE)
        self.births = Distinct(_birth, _BIRTH)
        self.practices = Distinct(_practice, {"practice": pl.String})

    def trim(self) -> None:
        """Empty whichever cache has grown large."""
        for memo in (self.families, self.givens, self.postcodes, self.births, self.practices):
            memo.trim()

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


def _practice(text: str) -> tuple[str]:
    return (normalise.ods_code(text),)


def _birth(text: str) -> Birth:
    number = normalise.date_number(text)
    if not number or normalise.placeholder_date(number):
        return Birth(number, "", "")
    digits = f"{number:08d}"
    return Birth(number, digits if number % 100 else "", digits[:4])
