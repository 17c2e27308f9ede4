"""Search documents from the replica's frame: each distinct value normalised once, then composed.

Belongs here: what is indexed of a patient, and what never is. Does not belong here: engines
(``embedded.py``), the questions' side of the keys (``matching/blocking.py``), normalisation itself.

Rules: hidden values are never indexed. Restricted patients (R, and V where shown at all) have no
location term, key or payload value: postcode, address, telecom, practice (pds.md 1.9). V is not
indexed unless asked for; REDACTED never. Historic birth dates never (pds.md 1.4). Placeholders
make no key, but stay findable by a non-fuzzy search, as in PDS.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import polars as pl

from search_api.index.flat import ContactItem, NameItem, PlaceItem, Row, rows
from search_api.index.frequencies import Frequencies
from search_api.index.memo import NO_GIVEN, Birth, Given, Memos, Postcode
from search_api.index.provider import SearchDocument
from search_api.matching.normalise import email_text, phone_digits, premise, sex, tells_email, tells_phone
from search_api.matching.person import GROUP, HISTORIC, PLACEHOLDER, RECORD, SKIP_FAMILY, SKIP_GIVEN, SLOT, UNIT

SLICE_ROWS = 50_000
# Stands in a key for the initial of somebody without a given name.
NO_INITIAL = "_"
COLUMNS = (
    "nhs_number",
    "security",
    "gender",
    "birth_date",
    "deceased",
    "gp_code",
    "names",
    "addresses",
    "telecoms",
)


def documents(
    frame: pl.DataFrame, frequencies: Frequencies, *, show_very_restricted: bool = False
) -> Iterator[SearchDocument]:
    """One document for each patient who may be found, in the frame's order.

    ``frame`` has the columns of ``COLUMNS`` (nested as in schemas/fields.py).
    """
    memos = Memos(frequencies)
    for start in range(0, frame.height, SLICE_ROWS):
        part = frame.slice(start, SLICE_ROWS).select(COLUMNS)
        memos.trim()
        for row in rows(part, show_very_restricted=show_very_restricted):
            yield _document(row, memos)


@contextmanager
def no_collection() -> Iterator[None]:
    """For loops over documents, which hold no cycles: looking for some costs a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Names:
    """What the names of one patient come to; dicts are ordered sets."""

    __slots__ = ("family", "initials", "keyed", "pairs", "tokens", "words")

    def __init__(self) -> None:
        self.tokens: dict[str, None] = {}
        self.keyed: dict[str, None] = {}
        self.pairs: dict[str, None] = {}
        self.initials: dict[str, None] = {}
        self.family: dict[str, None] = {}
        self.words: dict[str, None] = {}


def _document(row: Row, memos: Memos) -> SearchDocument:
    number, is_open, gender_text, birth_text, death_text, gp_text, name_items, place_items, contact_items = row
    birth = memos.births[birth_text or ""]
    death = memos.births[death_text].number if death_text else 0
    gender = sex(gender_text)
    gp = memos.practices[gp_text] if gp_text else ""
    names = _Names()
    packed_names, steps = _read_names(name_items, names, memos)
    packed_places, postcodes = _read_places(place_items, memos)
    phones, emails, keys = _read_contacts(contact_items)
    _add_dated_keys(keys, birth, gender, names, postcodes)
    _add_placed_keys(keys, names, postcodes)
    keys += [f"n{pair}" for pair in names.pairs]
    content = GROUP.join((str(birth.number), gender, str(death), packed_names, packed_places, phones, emails, gp))
    return SearchDocument(
        number,
        is_open,
        tuple(keys),
        _terms(names, postcodes, gp, death),
        {"birth": birth.number, "death": death},
        f"{content}{GROUP}{steps}".encode(),
        fingerprint(number, content, is_open=is_open),
    )


def fingerprint(nhs_number: int, content: str, *, is_open: bool) -> int:
    """63-bit hash of a document's content, frequencies left out; the same in every build and on any machine."""
    digest = blake2b(f"{nhs_number}{GROUP}{is_open}{GROUP}{content}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _terms(names: _Names, postcodes: dict[str, Postcode], gp: str, death: int) -> dict[str, tuple[str, ...]]:
    """Exact terms that narrow a non-fuzzy search; what they let through is checked on the payload.

    Of the dead the year of death. Postcodes only where no key holds them whole: pseudo and malformed ones, and long foreign codes.
    """
    terms = {"family": tuple(names.family), "word": tuple(names.words)}
    odd = tuple([text for text, place in postcodes.items() if place.whole != text])
    if odd:
        terms["postcode"] = odd
    if gp:
        terms["gp"] = (gp,)
    if death:
        terms["death"] = (str(death // 10000),)
    return terms


def _read_names(items: list[NameItem], names: _Names, memos: Memos) -> tuple[str, str]:
    """Packed names and packed frequencies; fills the sets."""
    packed: list[str] = []
    steps: list[str] = []
    families, givens = memos.families, memos.givens
    for historic, family_text, given_texts in items:
        family = families[family_text or ""]
        given = [givens[text] for text in given_texts if text] if given_texts else []
        first = given[0] if given else NO_GIVEN
        marks = HISTORIC if historic else ""
        if family.skip or first.skip:
            marks += (SKIP_FAMILY if family.skip else "") + (SKIP_GIVEN if first.skip else "")
        packed.append(f"{family.text}{UNIT}{SLOT.join([each.text for each in given])}{UNIT}{marks}")
        steps.append(f"{family.steps}{UNIT}{first.steps}")
        if family.joined:
            names.family[family.joined] = None
        _collect(names, family.codes, given)
    return RECORD.join(packed), RECORD.join(steps)


def _collect(names: _Names, family: tuple[str, ...], given: list[Given]) -> None:
    """Words, placeholders included; codes for keys: of all parts, and of the family name and first given
    name for pairs and postcodes."""
    tokens, keyed, pairs = names.tokens, names.keyed, names.pairs
    for code in family:
        tokens[code] = keyed[code] = None
    for each in given:
        for word in each.words:
            names.words[word] = None
        names.words[each.joined] = None
        for code in each.codes:
            tokens[code] = None
    if given:
        first = given[0]
        if first.initial:
            names.initials[first.initial] = None
        for code in first.codes:
            keyed[code] = None
            for other in family:
                pairs[other + code if other < code else code + other] = None


def _read_places(items: list[PlaceItem], memos: Memos) -> tuple[str, dict[str, Postcode]]:
    """Packed addresses; postcodes as terms, each with what keys hold of it."""
    packed: list[str] = []
    postcodes: dict[str, Postcode] = {}
    for historic, postcode_text, lines in items:
        place = memos.postcodes[postcode_text or ""]
        text = place.text
        house = premise((lines,)) if lines else ""
        if text:
            postcodes[text] = place
        elif not house:
            continue
        packed.append(f"{text}{UNIT}{HISTORIC if historic else ''}{UNIT}{house}")
    return RECORD.join(packed), postcodes


def _read_contacts(items: list[ContactItem]) -> tuple[str, str, list[str]]:
    """Packed telephones, packed e-mails, and their keys."""
    phones: list[str] = []
    emails: list[str] = []
    keys: dict[str, None] = {}
    for historic, is_email, text in items:
        value = email_text(text) if is_email else phone_digits(text)
        if not value:
            continue
        tells = tells_email(value) if is_email else tells_phone(value)
        marks = (HISTORIC if historic else "") + ("" if tells else PLACEHOLDER)
        (emails if is_email else phones).append(f"{value}{UNIT}{marks}")
        if tells:
            keys["@" + value if is_email else "t" + value] = None
    return RECORD.join(phones), RECORD.join(emails), list(keys)


def _add_dated_keys(keys: list[str], birth: Birth, gender: str, names: _Names, postcodes: dict[str, Postcode]) -> None:
    """Keys with a birth date; a partial date makes only those of its year (formats: blocking.py)."""
    _, day, year = birth
    if not year:
        return
    if day:
        keys += [f"a{day}{code}" for code in names.tokens]
        keys += [f"b{day}{area}" for area in {place.area: None for place in postcodes.values() if place.area}]
        sex_letter = gender if gender in ("M", "F") else "U"
        keys += [f"c{day}{sex_letter}{initial}" for initial in names.initials or NO_INITIAL]
        keys += [f"m{day[4:]}{pair}" for pair in names.pairs]
    keys += [f"e{year}{pair}" for pair in names.pairs]


def _add_placed_keys(keys: list[str], names: _Names, postcodes: dict[str, Postcode]) -> None:
    """Keys with a full postcode, or the area of a foreign one."""
    for whole in {place.whole: None for place in postcodes.values() if place.whole}:
        keys.append(f"l{whole}")
        keys += [f"p{whole}{code}" for code in names.keyed]
