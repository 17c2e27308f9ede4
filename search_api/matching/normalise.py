"""The one normaliser, used when indexing and when asking (matching.md 2.1).

Belongs here: text in, canonical text out; what counts as a placeholder. Does not belong here:
how alike two values are (``comparisons.py``), keys (``blocking.py``), sounds (``phonetics.py``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼʻ′"))
_SPECIAL = str.maketrans(
    {
        "ß": "SS",
        "ẞ": "SS",
        "Æ": "AE",
        "Œ": "OE",
        "Ø": "O",
        "Ł": "L",
        "Đ": "D",
        "Ð": "D",
        "Þ": "TH",
        "Ħ": "H",
        "İ": "I",
        "ı": "I",
    }
)
_NOT_WORD = re.compile(r"[\W_]+")
_PLAIN = re.compile(r"[A-Z]+\Z")
_PLAIN_LINE = re.compile(r"[A-Z0-9]+(?: [A-Z0-9]+)*\Z")
_POSTCODE = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?[0-9][A-Z]{2}\Z")
# Postal codes of other countries: digits, or letters and digits as in Canada, Ireland and the Netherlands.
_FOREIGN = re.compile(r"(?:[0-9]{4,9}|[A-Z][0-9][A-Z][0-9][A-Z][0-9]|[0-9]{4}[A-Z]{2}|[A-Z][0-9][0-9W][A-Z0-9]{4})\Z")
# The United States write four more digits behind the five that name the area.
_AREA_DIGITS = 5
_NOT_DIGIT = re.compile(r"[^0-9]+")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_TO_LETTER = str.maketrans("0158", "OISB")
_TO_DIGIT = str.maketrans("OISLBZ", "015182")
# Only these areas have districts that end in a letter (EC1A, SW1A); elsewhere O, I, S are digits.
_LETTERED_AREAS = frozenset(("EC", "SW", "WC", "SE", "NW"))
_ODD_FOURTH = re.compile(r"(?!EC|SW|WC|SE|NW)[A-Z]{2}[0-9][OIS][0-9]")
_SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
MAX_PARTS = 4
# Fewer digits are no telephone number.
LEAST_DIGITS = 6


@dataclass(frozen=True)
class Name:
    """One name value: its words, their joined form, and whether it is a placeholder."""

    words: tuple[str, ...]
    joined: str
    skip: bool

    @property
    def text(self) -> str:
        """Words separated by single spaces."""
        return " ".join(self.words)

    @property
    def forms(self) -> tuple[str, ...]:
        """Joined form, then the parts of three letters or more when there are several words."""
        if len(self.words) < 2:
            return (self.joined,) if self.joined else ()
        parts = tuple(word for word in self.words[:MAX_PARTS] if len(word) > 2)
        return tuple(dict.fromkeys((self.joined, *parts)))


EMPTY = Name((), "", False)


@dataclass(frozen=True)
class SkipValues:
    """Placeholders and particles from ``skip_values.json``."""

    given: frozenset[str]
    family: frozenset[str]
    given_starts: tuple[str, ...]
    family_starts: tuple[str, ...]
    pattern: re.Pattern[str]
    dates: frozenset[str]
    postcode_starts: tuple[str, ...]
    phones: frozenset[str]
    emails: frozenset[str]
    titles: frozenset[str]
    suffixes: frozenset[str]


@cache
def skip_values() -> SkipValues:
    """The table of placeholders, read once."""
    raw = json.loads(resources.files(__package__).joinpath("skip_values.json").read_text("utf-8"))
    either = raw["either"]
    return SkipValues(
        given=frozenset(either + raw["given"]),
        family=frozenset(either + raw["family"]),
        given_starts=tuple(raw["given_starts"]),
        family_starts=tuple(raw["family_starts"]),
        pattern=re.compile("|".join(raw["patterns"])),
        dates=frozenset(raw["dates"]),
        postcode_starts=tuple(raw["postcode_starts"]),
        phones=frozenset(raw["phones"]),
        emails=frozenset(raw["emails"]),
        titles=frozenset(raw["titles"]),
        suffixes=frozenset(raw["suffixes"]),
    )


def fold(text: str) -> str:
    """Upper case without accents or apostrophes; every other mark becomes one space."""
    upper = text.upper()
    if _PLAIN.match(upper):
        return upper
    if not upper.isascii():
        upper = unicodedata.normalize("NFKD", upper.translate(_APOSTROPHES).upper().translate(_SPECIAL))
        upper = "".join(char for char in upper if not unicodedata.combining(char))
    return _NOT_WORD.sub(" ", upper.translate(_APOSTROPHES)).strip()


def _without(words: list[str], leading: frozenset[str], trailing: frozenset[str]) -> list[str]:
    while len(words) > 1 and words[0] in leading:
        words = words[1:]
    while len(words) > 1 and words[-1] in trailing:
        words = words[:-1]
    return words


@lru_cache(maxsize=200_000)
def family_name(text: str) -> Name:
    """A family name: suffixes (Jr, III) off, placeholder recognised."""
    table = skip_values()
    words = _without(fold(text).split(), table.titles, table.suffixes)
    whole = " ".join(words)
    return Name(tuple(words), "".join(words), family_says_nothing(whole))


def family_says_nothing(whole: str) -> bool:
    """Whether folded words, suffixes off, are a placeholder for a family name."""
    table = skip_values()
    return whole in table.family or whole.startswith(table.family_starts) or bool(table.pattern.match(whole))


def may_be_placeholder(wild: re.Pattern[str], start: str) -> bool:
    """Whether a wildcard over joined family names can mean a placeholder; ``start`` is its fixed opening."""
    if not start[:1].isalpha() or start[0] in "XZ":
        return True
    table = skip_values()
    openings = [opening.replace(" ", "") for opening in (*table.family_starts, "TEST")]
    if any(opening.startswith(start) or start.startswith(opening) for opening in openings):
        return True
    return any(wild.fullmatch(value.replace(" ", "")) for value in table.family)


@lru_cache(maxsize=200_000)
def given_name(text: str) -> Name:
    """One given-name value, which may hold several words: titles off, placeholder recognised."""
    table = skip_values()
    words = _without(fold(text).split(), table.titles, table.suffixes)
    whole = " ".join(words)
    return Name(tuple(words), "".join(words), given_says_nothing(whole))


def given_says_nothing(whole: str) -> bool:
    """The same of a given name, titles off."""
    table = skip_values()
    return whole in table.given or whole.startswith(table.given_starts) or bool(table.pattern.match(whole))


def postcode(text: str) -> str:
    """Capitals without spaces, O/0, I/1, S/5 repaired by position; other shapes as they are.

    The inward part is digit, letter, letter; the outward starts with a letter and ends, before an
    optional last letter, with a digit. A value that cannot be a postcode comes back cleaned only.
    """
    clean = text.upper().replace(" ", "")
    if not clean.isalnum():
        clean = "".join(char for char in clean if char.isalnum())
    if not 5 <= len(clean) <= 7 or clean.isdigit() or (_POSTCODE.match(clean) and not _ODD_FOURTH.match(clean)):
        return clean
    repaired = _outward(clean[:-3]) + clean[-3].translate(_TO_DIGIT) + clean[-2:].translate(_TO_LETTER)
    return repaired if _POSTCODE.match(repaired) else clean


def _outward(text: str) -> str:
    """The outward part repaired by position: area letters, digit, then a digit or a London letter."""
    if len(text) == 2:
        return text[0].translate(_TO_LETTER) + text[1].translate(_TO_DIGIT)
    if len(text) == 3:
        area = text[0].translate(_TO_LETTER)
        if text[1].isdigit():
            return area + text[1:]
        return area + text[1].translate(_TO_LETTER) + text[2].translate(_TO_DIGIT)
    area = text[:2].translate(_TO_LETTER)
    last = text[3:] if area in _LETTERED_AREAS else text[3:].translate(_TO_DIGIT)
    return area + text[2].translate(_TO_DIGIT) + last


def is_postcode(clean: str) -> bool:
    """Whether a normalised value has the shape of a full postcode."""
    return bool(_POSTCODE.match(clean))


def outcode(clean: str) -> str | None:
    """The outward part of a full postcode, or None."""
    return clean[:-3] if _POSTCODE.match(clean) else None


def foreign_area(clean: str) -> str | None:
    """What names the area in a postal code of another country, or None; 00000 and the like name none."""
    if _POSTCODE.match(clean) or not _FOREIGN.match(clean) or len(set(clean)) == 1:
        return None
    return clean[:_AREA_DIGITS] if clean.isdigit() else clean


def area(clean: str) -> str | None:
    """What names a place in a key: the outward part, or the area of a foreign code; None where there is none."""
    return outcode(clean) or foreign_area(clean)


def unit(clean: str) -> str:
    """The narrowest place that a postal code names in a key: a full postcode as it is, of a foreign code the area."""
    return clean if _POSTCODE.match(clean) else foreign_area(clean) or ""


def pseudo_postcode(clean: str) -> bool:
    """ZZ99 and the like: no fixed abode, overseas; never evidence (pds.md 1.4)."""
    return clean.startswith(skip_values().postcode_starts)


def says_nothing(clean: str) -> bool:
    """Whether a postal code is no evidence: a pseudo postcode, or one figure over and over (00000)."""
    return pseudo_postcode(clean) or (clean.isdigit() and len(set(clean)) == 1)


def phone_digits(text: str) -> str:
    """Digits, with +44 and 0044 as 0; also of placeholders, which a filter compares like any value."""
    digits = text if text.isascii() and text.isdigit() else _NOT_DIGIT.sub("", text)
    if digits.startswith("0044"):
        return "0" + digits[4:].removeprefix("0")
    if digits.startswith("44") and len(digits) > 10:
        return "0" + digits[2:].removeprefix("0")
    return digits


def tells_phone(digits: str) -> bool:
    """Whether normalised digits are evidence: six or more, and no placeholder."""
    return len(digits) >= LEAST_DIGITS and digits not in skip_values().phones


def phone(text: str) -> str:
    """Digits as ``phone_digits``; empty when a placeholder or shorter than six digits."""
    digits = phone_digits(text)
    return digits if tells_phone(digits) else ""


def email_text(text: str) -> str:
    """Lower case without blanks; also of placeholders and of what is no address."""
    return "".join(text.lower().split())


def tells_email(clean: str) -> bool:
    """Whether a normalised e-mail is evidence: it has an at sign, and is no placeholder."""
    return "@" in clean and clean.upper() not in skip_values().emails


def email(text: str) -> str:
    """As ``email_text``; empty when a placeholder or without an at sign."""
    clean = email_text(text)
    return clean if tells_email(clean) else ""


def ods_code(text: str) -> str:
    """An organisation code in capitals without anything but letters and digits."""
    return "".join(char for char in text.upper() if char.isalnum())


def date_number(text: str | None) -> int:
    """``yyyy``, ``yyyy-mm`` or ``yyyy-mm-dd`` (a time may follow) as yyyymmdd; 00 is unknown; 0 is none."""
    found = _DATE.match(text) if text else None
    if not found:
        return 0
    year, month, day = found.groups()
    return int(year) * 10000 + int(month or 0) * 100 + int(day or 0)


def placeholder_date(number: int) -> bool:
    """Dates that stand for "not known"; they match as values but are no evidence."""
    return number in placeholder_dates()


@cache
def placeholder_dates() -> frozenset[int]:
    """All of them, as numbers."""
    return frozenset(date_number(text) for text in skip_values().dates)


def sex(gender: str | None) -> str:
    """M, F, O, U, or empty."""
    return _SEXES.get(gender or "", "")


def premise(lines: Iterable[str | None]) -> str:
    """First 24 characters of the folded address lines: enough to tell one house from another."""
    text = " ".join([line for line in lines if line]).upper()
    return (text if _PLAIN_LINE.match(text) else fold(text))[:24].strip()
