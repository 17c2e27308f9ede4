"""The column expressions behind ``documents.py``: long tables of names, places, contacts; then text.

Belongs here: one function per long table or per text column. Does not belong here: rules about who
is indexed in words (``documents.py``), normalisation (each unique value goes through
``matching/normalise.py`` once).

Long tables have ``row`` (position in the slice) first. Codes and keys never contain a space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from schemas.fields import HIDDEN, HISTORIC
from search_api.index.frequencies import Frequencies
from search_api.matching import normalise
from search_api.matching.normalise import Name
from search_api.matching.person import GROUP, RECORD, SKIP_FAMILY, SKIP_GIVEN, SLOT, UNIT
from search_api.matching.phonetics import code

KEYED_GIVEN = 2


def base(frame: pl.DataFrame, *, show_very_restricted: bool) -> pl.DataFrame:
    """Who is indexed, with dates as numbers; location is emptied for everyone who is not open."""
    security = pl.col("security").fill_null("U")
    shown = security.ne("REDACTED") & (security.ne("V") | pl.lit(show_very_restricted))
    kept = frame.filter(shown).with_columns(security.eq("U").alias("open")).with_row_index("row")
    hidden_unless_open = [
        pl.when("open").then(pl.col(name)).otherwise(None).alias(name) for name in ("gp_code", "addresses", "telecoms")
    ]
    birth = _date(kept["birth_date"])
    return kept.with_columns(
        *hidden_unless_open,
        birth.alias("birth"),
        _date(kept["deceased"]).alias("death"),
        _unique(kept["gender"], lambda text: {"sex": normalise.sex(text)}, {"sex": pl.Utf8})["sex"].fill_null(""),
        birth.cast(pl.Utf8).str.zfill(8).alias("dob"),
        _keyable(birth).alias("keyable"),
    )


def names(rows: pl.DataFrame, frequencies: Frequencies) -> pl.DataFrame:
    """One row a visible name: texts, codes, marks and frequency steps; ``name`` numbers them."""
    long = rows.select("row", "names").explode("names").drop_nulls("names").unnest("names")
    long = long.filter(pl.col("state").fill_null("").ne(HIDDEN)).select("row", "state", "family", "given")
    long = long.with_row_index("name")
    family = _unique(long["family"], lambda text: _family(text, frequencies), _FAMILY_SCHEMA)
    given = _given(long.select("name", "given"), frequencies)
    long = pl.concat((long.select("row", "name", "state"), family), how="horizontal")
    long = long.join(given, on="name", how="left", maintain_order="left")
    marks = (
        pl.when(pl.col("state").eq(HISTORIC)).then(pl.lit("h")).otherwise(pl.lit(""))
        + pl.when(pl.col("skip_family").fill_null(value=False)).then(pl.lit(SKIP_FAMILY)).otherwise(pl.lit(""))
        + pl.when(pl.col("skip_given").fill_null(value=False)).then(pl.lit(SKIP_GIVEN)).otherwise(pl.lit(""))
    )
    texts = pl.col("family_text", "given_text", "family_joined", "given_first", "words", "initial").fill_null("")
    return long.with_columns(marks.alias("marks"), texts, pl.col("family_steps", "given_steps").fill_null(0))


def addresses(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a visible address: postcode, outcode, premise, marks, whether it may be evidence."""
    long = rows.select("row", "addresses").explode("addresses").drop_nulls("addresses").unnest("addresses")
    long = long.filter(pl.col("state").fill_null("").ne(HIDDEN))
    code_parts = _unique(long["postcode"], _postcode, {"postcode": pl.Utf8, "outcode": pl.Utf8})
    lines = long["lines"].list.drop_nulls().list.join(UNIT)
    premises = _unique(
        lines, lambda text: {"premise": normalise.premise(tuple(text.split(UNIT)))}, {"premise": pl.Utf8}
    )
    marks = pl.when(pl.col("state").eq(HISTORIC)).then(pl.lit("h")).otherwise(pl.lit("")).alias("marks")
    return pl.concat((long.select("row", marks), code_parts, premises), how="horizontal").with_columns(
        pl.col("postcode", "premise").fill_null("")
    )


def telecoms(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a visible telephone or e-mail: kind (phone, email), value, marks."""
    long = rows.select("row", "telecoms").explode("telecoms").drop_nulls("telecoms").unnest("telecoms")
    long = long.filter(pl.col("state").fill_null("").ne(HIDDEN)).select("row", "state", "system", "value")
    is_email = pl.col("system").fill_null("").eq("email")
    marks = pl.when(pl.col("state").eq(HISTORIC)).then(pl.lit("h")).otherwise(pl.lit("")).alias("marks")
    parts = []
    for kind, chosen, clean in (("email", is_email, normalise.email), ("phone", ~is_email, normalise.phone)):
        some = long.filter(chosen)
        values = _unique(some["value"], _one("value", clean), {"value": pl.Utf8})
        parts.append(pl.concat((some.select("row", marks, pl.lit(kind).alias("kind")), values), how="horizontal"))
    return pl.concat(parts).filter(pl.col("value").fill_null("").ne(""))


def payload(rows: pl.DataFrame, names: pl.DataFrame, places: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Columns row, payload (packed record without frequencies), steps (the frequencies)."""
    name = pl.concat_str("family_text", "given_text", "marks", separator=UNIT)
    steps = pl.concat_str("family_steps", "given_steps", separator=UNIT)
    place = pl.concat_str("postcode", "marks", "premise", separator=UNIT)
    contact = pl.concat_str("value", "marks", separator=UNIT)
    pieces = (
        _joined(names, name, "names"),
        _joined(names, steps, "steps"),
        _joined(places.filter(pl.col("postcode").ne("") | pl.col("premise").ne("")), place, "places"),
        _joined(contacts.filter(pl.col("kind") == "phone"), contact, "phones"),
        _joined(contacts.filter(pl.col("kind") == "email"), contact, "emails"),
    )
    wide = rows.select("row", "birth", "sex", "death", "gp_code")
    for piece in pieces:
        wide = wide.join(piece, on="row", how="left", maintain_order="left")
    gp = pl.col("gp_code").fill_null("").str.to_uppercase()
    sections = (pl.col("birth"), pl.col("sex"), pl.col("death"), "names", "places", "phones", "emails", gp)
    texts = wide.with_columns(pl.col("names", "places", "phones", "emails", "steps").fill_null(""))
    return texts.select("row", pl.concat_str(*sections, separator=GROUP).alias("payload"), "steps")


def keys(rows: pl.DataFrame, names: pl.DataFrame, places: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Columns row, keys (space-separated). A key with a missing part is left out, never widened."""
    dated = rows.select("row", "dob", "keyable", "sex")
    tokens = _tokens(names, ("family_codes", "given_codes")).join(dated, on="row")
    main = _tokens(names, ("family_codes", "keyed_codes"))
    pairs = _pairs(names).join(dated, on="row")
    codes = places.filter(pl.col("outcode").is_not_null()).select("row", "postcode", "outcode").unique()
    initials = names.filter(pl.col("initial").ne("")).select("row", "initial").unique()
    whole = pl.col("keyable").eq(3)
    pair = pl.min_horizontal("one", "two") + pl.max_horizontal("one", "two")
    made = (
        tokens.filter(whole).select("row", key=pl.lit("a") + pl.col("dob") + pl.col("code")),
        codes.select("row", "outcode")
        .unique()
        .join(dated.filter(whole), on="row")
        .select("row", key=pl.lit("b") + pl.col("dob") + pl.col("outcode")),
        initials.join(dated.filter(whole & pl.col("sex").is_in(["M", "F"])), on="row").select(
            "row", key=pl.lit("c") + pl.col("dob") + pl.col("sex") + pl.col("initial")
        ),
        pairs.filter(pl.col("keyable") > 0).select("row", key=pl.lit("e") + pl.col("dob").str.slice(0, 4) + pair),
        pairs.filter(whole).select("row", key=pl.lit("m") + pl.col("dob").str.slice(4) + pair),
        codes.join(main, on="row").select("row", key=pl.lit("p") + pl.col("postcode") + pl.col("code")),
        contacts.select(
            "row", key=pl.when(pl.col("kind") == "phone").then(pl.lit("t")).otherwise(pl.lit("@")) + pl.col("value")
        ),
    )
    return _joined(pl.concat(made), pl.col("key"), "keys", separator=" ", distinct=True)


def terms(rows: pl.DataFrame, names: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Columns row, family, given, word, postcode, gp: exact terms for non-fuzzy search, any state."""
    joined = (
        _joined(names.filter(pl.col("family_joined").ne("")), pl.col("family_joined"), "family", " ", distinct=True),
        _joined(names.filter(pl.col("given_first").ne("")), pl.col("given_first"), "given", " ", distinct=True),
        _joined(names.filter(pl.col("words").ne("")), pl.col("words"), "word", " ", distinct=True),
        _joined(places.filter(pl.col("postcode").ne("")), pl.col("postcode"), "postcode", " ", distinct=True),
    )
    wide = rows.select("row", gp=pl.col("gp_code").str.to_uppercase())
    for column in joined:
        wide = wide.join(column, on="row", how="left", maintain_order="left")
    return wide


def _joined(
    long: pl.DataFrame, text: pl.Expr, name: str, separator: str = RECORD, *, distinct: bool = False
) -> pl.DataFrame:
    """One row a patient: the texts in the long table's order, separated."""
    values = long.select("row", text.alias(name))
    if distinct:
        values = values.unique(maintain_order=True)
    return values.group_by("row", maintain_order=True).agg(pl.col(name).str.join(separator))


def _tokens(names: pl.DataFrame, lists: tuple[str, ...]) -> pl.DataFrame:
    """Distinct (row, code) of the named code lists."""
    parts = [names.select("row", pl.col(column).alias("code")).explode("code") for column in lists]
    return pl.concat(parts).drop_nulls("code").unique()


def _pairs(names: pl.DataFrame) -> pl.DataFrame:
    """Distinct (row, one, two): family code and code of one of the first given names of one name."""
    both = names.select("row", one="family_codes", two="keyed_codes").explode("one").explode("two")
    return both.drop_nulls().unique()


def _date(texts: pl.Series) -> pl.Series:
    """yyyymmdd numbers with 00 for unknown parts; 0 for none or unreadable."""
    found = _unique(texts, lambda text: {"n": normalise.date_number(text)}, {"n": pl.Int64})["n"]
    return found.fill_null(0)


def _keyable(birth: pl.Series) -> pl.Series:
    """3: whole date, 2 or 1: year known, 0: none; a placeholder counts as none."""
    known = birth.to_frame("b").select(
        pl.when(pl.col("b") == 0)
        .then(0)
        .when(pl.col("b") % 100 > 0)
        .then(3)
        .when(pl.col("b") % 10000 > 0)
        .then(2)
        .otherwise(1)
        .alias("k"),
        skip=pl.col("b").is_in(sorted(normalise.placeholder_dates())),
    )
    return known.select(pl.when("skip").then(0).otherwise(pl.col("k")).alias("keyable"))["keyable"]


_FAMILY_SCHEMA = {
    "family_text": pl.Utf8,
    "family_joined": pl.Utf8,
    "family_codes": pl.List(pl.Utf8),
    "skip_family": pl.Boolean,
    "family_steps": pl.Int64,
}
_GIVEN_SCHEMA = {
    "text": pl.Utf8,
    "joined": pl.Utf8,
    "codes": pl.List(pl.Utf8),
    "skip": pl.Boolean,
    "initial": pl.Utf8,
    "steps": pl.Int64,
}


def _family(text: str, frequencies: Frequencies) -> dict[str, Any]:
    name = normalise.family_name(text)
    return {
        "family_text": name.text,
        "family_joined": name.joined,
        "family_codes": _codes(name),
        "skip_family": name.skip,
        "family_steps": frequencies.family_steps(name.joined),
    }


def _given_value(text: str, frequencies: Frequencies) -> dict[str, Any]:
    name = normalise.given_name(text)
    return {
        "text": name.text,
        "joined": name.joined,
        "codes": _codes(name),
        "skip": name.skip,
        "initial": "" if name.skip else name.joined[:1],
        "steps": frequencies.given_steps(name.joined),
    }


def _codes(name: Name) -> list[str]:
    """Key codes of the joined form and the parts; none for placeholders and single letters."""
    if name.skip:
        return []
    return list(dict.fromkeys(code(form) for form in name.forms if len(form) > 1))


def _given(long: pl.DataFrame, frequencies: Frequencies) -> pl.DataFrame:
    """One row a name that has given names: texts and codes of all, and of the first ones."""
    values = long.explode("given").filter(pl.col("given").fill_null("").str.strip_chars().ne(""))
    parts = _unique(values["given"], lambda text: _given_value(text, frequencies), _GIVEN_SCHEMA)
    filled = pl.concat((values.select("name"), parts), how="horizontal")
    return filled.group_by("name", maintain_order=True).agg(
        given_text=pl.col("text").str.join(SLOT),
        given_first=pl.col("joined").first(),
        words=pl.col("text").str.join(" "),
        given_codes=pl.col("codes").list.explode(keep_nulls=False, empty_as_null=False),
        keyed_codes=pl.col("codes").head(KEYED_GIVEN).list.explode(keep_nulls=False, empty_as_null=False),
        initial=pl.col("initial").first(),
        skip_given=pl.col("skip").first(),
        given_steps=pl.col("steps").first(),
    )


def _postcode(text: str) -> dict[str, str | None]:
    clean = normalise.postcode(text)
    pseudo = normalise.pseudo_postcode(clean)
    return {"postcode": clean, "outcode": None if pseudo else normalise.outcode(clean)}


def _one(column: str, function: Callable[[str], str]) -> Callable[[str], dict[str, Any]]:
    return lambda text: {column: function(text)}


def _unique(values: pl.Series, function: Callable[[str], dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Apply a function to each distinct text once; one row a value, null where the value is null."""
    distinct = values.drop_nulls().unique()
    rows = [function(text) for text in distinct.to_list()]
    table = pl.DataFrame(rows, schema=schema).with_columns(distinct.alias("_value"))
    keyed = values.rename("_value").to_frame()
    return keyed.join(table, on="_value", how="left", maintain_order="left").drop("_value")
