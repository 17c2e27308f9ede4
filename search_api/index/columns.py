"""Search documents of a slice as columns: what each distinct text comes to once, the rest by column operations.

Belongs here: what is indexed of a patient, and what never is. Does not belong here: keys
(``keying.py``), one document (``documents.py``), engines.

Rules: hidden values are never indexed. Restricted patients (R, and V where shown at all) have no
location term, key or payload value: postcode, address, telecom, practice (pds.md 1.9). V is not
indexed unless asked for; REDACTED never. Historic birth dates never (pds.md 1.4). Placeholders
make no key, but stay findable by a non-fuzzy search, as in PDS.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import polars as pl

from search_api.index.items import FROM_ROW, Items, listed
from search_api.index.memo import Memos
from search_api.matching import normalise
from search_api.matching.lettering import ANY, HALF
from search_api.matching.person import GROUP, HISTORIC, PLACEHOLDER, RECORD, SKIP_FAMILY, SKIP_GIVEN, SLOT, UNIT

_PLAIN_LINE = "^[A-Z0-9]+(?: [A-Z0-9]+)*$"
# Full postcodes as they should be; and those of them that are repaired, or are none (ZZ99).
_WRITTEN = "^[A-Z]{1,2}[0-9][A-Z0-9]?[0-9][A-Z]{2}$"
_DOUBTFUL = "^(?:[A-Z]{2}[0-9][OIS][0-9]|ZZ)"
_ASCII = r"^[\x00-\x7f]*$"
_ROW = pl.UInt32
_SEXES = {name: normalise.sex(name) for name in ("male", "female", "other", "unknown")}


class Parts(NamedTuple):
    """What keys and terms are made of. Long frames hold the row of the patient.

    ``people``: number, day, year, sex, practice, death. ``families``: row, name, joined, codes. ``givens``: row, name,
    first (of its name), joined, words, codes, initial. ``places``: row, historic, text, area, whole. ``contacts``: row, email,
    value; of those that are evidence.
    """

    people: pl.DataFrame
    families: pl.DataFrame
    givens: pl.DataFrame
    places: pl.DataFrame
    contacts: pl.DataFrame


class Columns(NamedTuple):
    """The packed people of a slice with their fingerprints, and the parts that their keys are made of."""

    numbers: pl.Series
    is_open: pl.Series
    births: pl.Series
    deaths: pl.Series
    payloads: pl.Series
    fingerprints: list[int]
    letters: pl.Series
    parts: Parts


def columns(items: Items, memos: Memos) -> Columns:
    """Everything of a slice's documents but the words they are found by."""
    height = items.people.height
    people = _people(items.people, memos)
    families, givens, names, steps = _names(items.names, memos, height)
    places, packed_places = _places(items.places, memos, height)
    contacts, phones, emails = _contacts(items.contacts, height)
    packed = [names, packed_places, phones, emails]
    content = pl.select(
        pl.concat_str(people["birth"], people["sex"], people["death"], *packed, people["practice"], separator=GROUP)
    ).to_series()
    is_open = items.people["open"]
    parts = Parts(people, families, givens, places, contacts)
    numbers = items.people["nhs_number"]
    payloads = pl.select(pl.concat_str(content, steps, separator=GROUP)).to_series()
    prints = (
        items.people[FROM_ROW].to_list()
        if FROM_ROW in items.people.columns
        else fingerprints(numbers, is_open, content)
    )
    marked = _letters(families, givens, height)
    return Columns(numbers, is_open, people["birth"], people["death"], payloads, prints, marked, parts)


def fingerprints(numbers: pl.Series, is_open: pl.Series, content: pl.Series) -> list[int]:
    """63-bit hashes of documents' contents, frequencies left out: for people that come from no replica, and so bring
    no hash of a row. The same in every build and on any machine."""
    shown = pl.select(pl.when(is_open).then(pl.lit("True")).otherwise(pl.lit("False"))).to_series()
    texts = pl.select(pl.concat_str(numbers, shown, content, separator=GROUP).cast(pl.Binary)).to_series()
    number = int.from_bytes
    return [number(blake2b(text, digest_size=8).digest(), "big") >> 1 for text in texts.to_list()]


def _people(people: pl.DataFrame, memos: Memos) -> pl.DataFrame:
    births = memos.births.of(people["birth_date"])
    return births.select(pl.col("number").alias("birth"), "day", "year").with_columns(
        people["gender"].replace_strict(_SEXES, default="", return_dtype=pl.String).fill_null("").alias("sex"),
        memos.births.of(people["deceased"])["number"].alias("death"),
        memos.practices.of(people["gp_code"])["practice"],
    )


def _names(names: pl.DataFrame, memos: Memos, height: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series, pl.Series]:
    """Family names, given names, and for each patient the packed names and the packed frequencies."""
    names = names.with_row_index("name")
    families = memos.families.of(names["family"]).with_columns(names["row"], names["name"])
    givens = _givens(names, memos)
    texts = listed(givens["name"], givens["text"], names.height).list.join(SLOT)
    first = names.select("name").join(givens.filter("first"), "name", "left", maintain_order="left")
    marks = pl.concat_str(
        pl.when(names["historic"]).then(pl.lit(HISTORIC)).otherwise(pl.lit("")),
        pl.when(families["skip"]).then(pl.lit(SKIP_FAMILY)).otherwise(pl.lit("")),
        pl.when(first["skip"].fill_null(value=False)).then(pl.lit(SKIP_GIVEN)).otherwise(pl.lit("")),
    )
    packed = pl.select(pl.concat_str(families["text"], texts, marks, separator=UNIT)).to_series()
    steps = pl.select(pl.concat_str(families["steps"], first["steps"].fill_null(0), separator=UNIT)).to_series()
    rows = names["row"]
    return families, givens, _joined(rows, packed, height), _joined(rows, steps, height)


def _letters(families: pl.DataFrame, givens: pl.DataFrame, height: int) -> pl.Series:
    """The letters of all names of each patient (``matching/lettering.py``); of a name without a given one nothing is known."""
    bare = families.join(givens, "name", "anti").select("row", letters=pl.lit(ANY, pl.Int64))
    given = _together(pl.concat([givens.select("row", "letters"), bare]), height)
    return _together(families.select("row", "letters"), height) + given * (1 << HALF)


def _together(letters: pl.DataFrame, height: int) -> pl.Series:
    """The letters of all names of a row; of one without any nothing is known."""
    found = letters.group_by("row").agg(pl.col("letters").bitwise_or())
    rows = pl.DataFrame({"row": pl.int_range(0, height, dtype=_ROW, eager=True)})
    return rows.join(found, "row", "left", maintain_order="left")["letters"].fill_null(ANY)


def _givens(names: pl.DataFrame, memos: Memos) -> pl.DataFrame:
    """Given names, in order; ``first`` tells the first of each name."""
    long = names.select("row", "name", "given").explode("given", keep_nulls=False, empty_as_null=False)
    long = long.filter(pl.col("given").is_not_null() & pl.col("given").ne(""))
    first = long["name"].ne_missing(long["name"].shift(1)).alias("first")
    return memos.givens.of(long["given"]).with_columns(long["row"], long["name"], first)


def _places(places: pl.DataFrame, memos: Memos, height: int) -> tuple[pl.DataFrame, pl.Series]:
    """Postal codes, and for each patient the packed addresses."""
    found = _codes(places["postcode"], memos).with_columns(
        places["row"], places["historic"], _premises(places["line"]).alias("house")
    )
    found = found.filter(pl.col("text").ne("") | pl.col("house").ne(""))
    marks = pl.when("historic").then(pl.lit(HISTORIC)).otherwise(pl.lit(""))
    packed = found.select(pl.concat_str("text", marks, "house", separator=UNIT)).to_series()
    kept = found.select("row", "historic", "text", "area", "whole").filter(pl.col("text").ne(""))
    return kept, _joined(found["row"], packed, height)


def _codes(values: pl.Series, memos: Memos) -> pl.DataFrame:
    """Postal codes normalised, with what keys hold of them: those as they should be by column, for there are
    millions, the others one by one."""
    text = values.fill_null("").str.replace_all(" ", "", literal=True)
    plain = text.str.contains(_WRITTEN) & ~text.str.contains(_DOUBTFUL)
    whole = pl.select(pl.when(plain).then(text).otherwise(pl.lit(""))).to_series()
    done = pl.DataFrame({"text": whole, "area": whole.str.head(-3), "whole": whole})
    if plain.all():
        return done
    at = (~plain).arg_true()
    odd = memos.postcodes.of(values.gather(at))
    return done.with_columns([done[name].scatter(at, odd[name]) for name in ("text", "area", "whole")])


def _premises(lines: pl.Series) -> pl.Series:
    """``normalise.premise`` of each: plain lines by column, the others one by one."""
    lines = lines.fill_null("")
    upper = pl.select(pl.when(lines.str.contains(_ASCII)).then(lines.str.to_uppercase()).otherwise(None)).to_series()
    plain = upper.str.contains(_PLAIN_LINE).fill_null(value=False)
    cut = pl.select(pl.when(plain).then(upper.str.slice(0, 24).str.strip_chars()).otherwise(pl.lit(""))).to_series()
    return _mended(cut, ~plain & lines.ne(""), lines, lambda text: normalise.premise((text,)))


def _contacts(contacts: pl.DataFrame, height: int) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
    """Those that are evidence, and for each patient packed telephones and packed e-mails."""
    is_email = contacts["email"]
    phones = _told(contacts.filter(~is_email), _digits, _tell_phones, height)
    emails = _told(contacts.filter(is_email), _addresses, _tell_emails, height)
    return pl.concat([phones[0], emails[0]]), phones[1], emails[1]


def _told(
    contacts: pl.DataFrame,
    clean: Callable[[pl.Series], pl.Series],
    tells: Callable[[pl.Series], pl.Series],
    height: int,
) -> tuple[pl.DataFrame, pl.Series]:
    """Of one kind: those that are evidence, and the packed form for each patient."""
    contacts = contacts.with_columns(clean(contacts["value"]).alias("value")).filter(pl.col("value").ne(""))
    contacts = contacts.with_columns(tells(contacts["value"]).alias("told"))
    marks = pl.concat_str(
        pl.when("historic").then(pl.lit(HISTORIC)).otherwise(pl.lit("")),
        pl.when("told").then(pl.lit("")).otherwise(pl.lit(PLACEHOLDER)),
    )
    packed = contacts.select(pl.concat_str("value", marks, separator=UNIT)).to_series()
    return contacts.filter("told").select("row", "email", "value"), _joined(contacts["row"], packed, height)


def _digits(values: pl.Series) -> pl.Series:
    """``normalise.phone_digits`` of each."""
    plain = values.str.contains("^0[1-9][0-9]*$")
    return _mended(values, ~plain, values, normalise.phone_digits)


def _addresses(values: pl.Series) -> pl.Series:
    """``normalise.email_text`` of each."""
    plain = values.str.contains("^[!-~]*$")
    return _mended(values.str.to_lowercase(), ~plain, values, normalise.email_text)


def _tell_phones(digits: pl.Series) -> pl.Series:
    """``normalise.tells_phone`` of each."""
    return (digits.str.len_chars() >= normalise.LEAST_DIGITS) & ~digits.is_in(sorted(normalise.skip_values().phones))


def _tell_emails(clean: pl.Series) -> pl.Series:
    """``normalise.tells_email`` of each."""
    placeholders = sorted(normalise.skip_values().emails)
    return clean.str.contains("@", literal=True) & ~clean.str.to_uppercase().is_in(placeholders)


def _mended(done: pl.Series, missing: pl.Series, values: pl.Series, make: Callable[[str], str]) -> pl.Series:
    """``done``, but where it is missing what is made of the value."""
    if not missing.any():
        return done
    at = missing.arg_true()
    made = [make(text) for text in values.gather(at).to_list()]
    return done.scatter(at, pl.Series(values=made, dtype=pl.String))


def _joined(rows: pl.Series, values: pl.Series, height: int) -> pl.Series:
    """For each patient the values in order, as one text."""
    return listed(rows, values, height).list.join(RECORD)
