"""The normaliser, row by row (matching.md 2.1)."""

from __future__ import annotations

import pytest

from search_api.matching import normalise, phonetics
from search_api.matching.nicknames import alike, related


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Smith", "SMITH"),
        ("ATTSÖN", "ATTSON"),
        ("PÀULINÉ", "PAULINE"),
        ("O'Brien", "OBRIEN"),
        ("O’Brien", "OBRIEN"),
        ("Smith-Jones", "SMITH JONES"),
        ("  de   la  Cruz ", "DE LA CRUZ"),
        ("Kociński", "KOCINSKI"),
        ("Łukasz", "LUKASZ"),
        ("Strauß", "STRAUSS"),
        ("STRAUẞ", "STRAUSS"),
        ("Ærø", "AERO"),
        ("Ðorđe", "DORDE"),
        ("Þór", "THOR"),
        ("Nguyễn", "NGUYEN"),
        ("St. John", "ST JOHN"),
        ("李明", "李明"),
        ("", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert normalise.fold(text) == folded


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("Smith", ("SMITH",)),
        ("Smith-Jones", ("SMITHJONES", "SMITH", "JONES")),
        ("Smith Jones", ("SMITHJONES", "SMITH", "JONES")),
        ("Smith Jr", ("SMITH",)),
        ("Smith III", ("SMITH",)),
        ("Mr Smith", ("SMITH",)),
        ("Junior", ("JUNIOR",)),
        ("O Brien", ("OBRIEN", "BRIEN")),
        ("Li", ("LI",)),
        ("'", ()),
    ],
)
def test_family_forms(text: str, forms: tuple[str, ...]) -> None:
    assert normalise.family_name(text).forms == forms


GIVEN_PLACEHOLDERS = [
    "Baby", "BABY BOY", "Baby girl", "Baby of Jane", "B/O Jane", "Infant", "Infant of Jane", "Newborn", "Twin 1", "TWIN A",
    "Male", "female", "Boy", "Unknown", "UNKNOWN MALE", "Not Known", "not-known", "N/K", "NK", "N/A", "Not Given",
    "Not stated", "Not recorded", "None", "No name", "No forename", "Forename", "Test", "Test Patient", "TEST 1", "Dummy",
    "Anonymous", "Anon", "Patient", "XX", "XXX", "ZZZ", "TBC", "To be confirmed", "Unnamed", "Withheld", "Refused",
    "Stillborn", "Foetus", "123", "Awaiting name", "Do not use", "Null",
]  # fmt: skip


@pytest.mark.parametrize("text", GIVEN_PLACEHOLDERS)
def test_given_placeholders(text: str) -> None:
    assert normalise.given_name(text).skip


@pytest.mark.parametrize(
    "text", ["Bo", "Na", "Max", "Xin", "Tess", "Babette", "Unity", "Noni", "Nora", "B", "Twinkle", "Noname"]
)
def test_given_names_that_only_look_like_placeholders(text: str) -> None:
    assert not normalise.given_name(text).skip


@pytest.mark.parametrize(
    ("text", "skip"),
    [("Unknown", True), ("TEST", True), ("Baby", True), ("ZZTEST", True), ("Surname", True), ("Boy", False), ("Male", False), ("Tester", False)],
)  # fmt: skip
def test_family_placeholders(text: str, skip: bool) -> None:
    assert normalise.family_name(text).skip is skip


def test_the_placeholder_table_is_as_large_as_the_national_one() -> None:
    table = normalise.skip_values()
    assert len(table.given | table.family) + len(table.given_starts) + len(table.family_starts) >= 60


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("dn15 2bj", "DN152BJ"),
        ("DN152BJ", "DN152BJ"),
        (" d n 1 5 2 b j ", "DN152BJ"),
        ("DNIS 2BJ", "DN152BJ"),
        ("DN1S 2BJ", "DN152BJ"),
        ("DN15 ZBJ", "DN152BJ"),
        ("DN15 28J", "DN152BJ"),
        ("LSl 4AP", "LS14AP"),
        ("LS1 4A0", "LS14AO"),
        ("0X1 2JD", "OX12JD"),
        ("SW1A 1AA", "SW1A1AA"),
        ("EC1A IBB", "EC1A1BB"),
        ("W1A 0AX", "W1A0AX"),
        ("M1 1AE", "M11AE"),
        ("MI 1AE", "M11AE"),
        ("DN15258JY", "DN15258JY"),
        ("ZZ99 7CZ", "ZZ997CZ"),
        ("nonsense", "NONSENSE"),
    ],
)
def test_postcode(text: str, clean: str) -> None:
    assert normalise.postcode(text) == clean


def test_postcode_parts() -> None:
    assert normalise.outcode("DN152BJ") == "DN15"
    assert normalise.outcode("DN15258JY") is None
    assert normalise.pseudo_postcode("ZZ993VZ")
    assert not normalise.pseudo_postcode("DN152BJ")


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("07700 900123", "07700900123"),
        ("+44 7700 900123", "07700900123"),
        ("+44 (0)7700 900123", "07700900123"),
        ("0044 7700 900123", "07700900123"),
        ("447700900123", "07700900123"),
        ("00917855986859", "00917855986859"),
        ("0113-496 0000", "01134960000"),
        ("00000000000", ""),
        ("12345", ""),
        ("ex directory", ""),
    ],
)
def test_phone(text: str, digits: str) -> None:
    assert normalise.phone(text) == digits


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" Jane.Smith@Example.COM ", "jane.smith@example.com"),
        ("none@none.com", ""),
        ("not an address", ""),
    ],
)
def test_email(text: str, clean: str) -> None:
    assert normalise.email(text) == clean


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1980-02-03", 19800203),
        ("1980-02", 19800200),
        ("1980", 19800000),
        ("2001-01-02T03:04:05+00:00", 20010102),
        ("", 0),
        (None, 0),
        ("soon", 0),
    ],
)
def test_date_number(text: str | None, number: int) -> None:
    assert normalise.date_number(text) == number


@pytest.mark.parametrize("text", ["1900-01-01", "1800-01-01", "1111-11-11", "9999-12-31"])
def test_placeholder_dates(text: str) -> None:
    assert normalise.placeholder_date(normalise.date_number(text))


def test_a_first_of_january_is_a_date() -> None:
    assert not normalise.placeholder_date(19850101)


@pytest.mark.parametrize(
    ("one", "other"),
    [("SMITH", "SMYTHE"), ("CATHERINE", "KATHRYN"), ("BLOGS", "BLOGGS"), ("STEPHEN", "STEVEN"), ("ZARA", "SARA")],
)
def test_names_that_sound_alike_share_a_key_code(one: str, other: str) -> None:
    assert phonetics.code(one) == phonetics.code(other)


@pytest.mark.parametrize(
    ("word", "sibling"), [("KNIGHT", "NIGHT"), ("PHILLIPS", "FILLIPS"), ("WRIGHT", "RIGHT"), ("HANNAH", "ANNAH")]
)
def test_openings_that_sound_alike_are_asked_both_ways(word: str, sibling: str) -> None:
    assert phonetics.code(sibling) in phonetics.sibling_codes(word)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("BILL", "WILLIAM", True),
        ("WILLIAM", "BILL", True),
        ("BILL", "WILL", True),
        ("JOE", "JOSEPH", True),
        ("PEGGY", "MARGARET", True),
        ("MO", "MOHAMMED", True),
        ("MOHAMMED", "MUHAMMAD", True),
        ("JOHN", "PETER", False),
        ("JOHN", "JOHN", False),
    ],
)
def test_nicknames(one: str, other: str, expected: bool) -> None:
    assert alike(one, other) is expected


def test_related_names_are_in_a_steady_order() -> None:
    assert related("BILL")[:2] == ("WILL", "ROBERT")
