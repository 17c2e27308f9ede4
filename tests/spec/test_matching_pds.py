"""Who is found and with what score: every row of pds.md 1.1, 1.3, 1.4, 1.5, 1.6 and 1.9.

The people are of the kinds that the sheet names; none is real. Each row names its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from search_api.matching.questions import DateRange, Grade, Mode
from tests.lib.index import SmallIndex, address, build, name, nhs_number, person, telecom

GARTON, PAULINE, PAULINE_MARY, MAT, SWAPPED, ALMOND, POOLE, ORTON, GWIN, TOBY, ANNE_MARIE, GODSOE, VERY, GONE = (
    nhs_number(serial) for serial in range(1, 15)
)
YOUDS = tuple(nhs_number(serial) for serial in range(20, 24))
(
    ALAN,
    COMPOUND,
    MOVED,
    HIDDEN,
    PARTIAL,
    DEAD,
    TWIN_A,
    TWIN_B,
    HYPHEN,
    TEMPORARY,
    RENAMED,
    PLACEHOLDER,
    BLANK,
    NAMELESS,
    YEAR_ONLY,
    CONTACTS,
    CENTURY,
    NAMED_TEST,
    SECRET_TEST,
) = (nhs_number(serial) for serial in range(30, 49))
OLD, SECRET = "historic", "hidden"

PEOPLE = [
    person(GARTON, name("GARTON", "Joe"), name("Bloggs", "Joe", state=OLD), born="1955-11-05", gender="male"),
    person(PAULINE, name("attisón", "Pauline"), born="1960-07-14", gender="female", addresses=[address("DN19 7DX")]),
    person(PAULINE_MARY, name("attison", "Pauline", "Mary", "Jane"), born="1960-07-14", gender="female"),
    person(
        MAT,
        name("Smith", "Sam", "Matt"),
        born="2000-05-05",
        gender="male",
        gp="A20047",
        addresses=[address("DN17 4AA"), address("LS1 4AP", state=OLD)],
        telecoms=[
            telecom("email", "New@new.com"),
            telecom("email", "Historic@historic.com", OLD),
            telecom("phone", "01234123123"),
            telecom("phone", "01234999999", OLD),
        ],
    ),
    person(SWAPPED, name("Jack", "Amanda"), born="1937-08-29", gender="female", addresses=[address("DN20 8DU")]),
    person(
        ALMOND,
        name("ALMOND", "Joseph", "Damien"),
        born="2014-09-17",
        gender="male",
        addresses=[address("DN17 1BX")],
        telecoms=[telecom("phone", "0091 9948052441")],
    ),
    person(
        POOLE, name("Poole", "Mark"), born="1941-10-24", gender="male", gp="V81997", addresses=[address("DN15 8JY")]
    ),
    person(ORTON, name("Orton", "Ben"), born="2017-05-20", gender="male", addresses=[address("ZZ99 7CZ")]),
    person(
        GWIN,
        name("Gwin", "Justin"),
        name("Gwin", "Austin", state=OLD),
        born="2010-01-06",
        gender="female",
        telecoms=[telecom("email", "edgar.gwin@test.com")],
    ),
    person(TOBY, name("Marr", "Toby", "James"), born="2010-10-22", gender="male"),
    person(ANNE_MARIE, name("Marr", "Anne Marie", "Jane"), born="2013-10-22", gender="female"),
    person(
        GODSOE,
        name("Godsoe", "Rodney"),
        born="1936-02-24",
        gender="male",
        security="R",
        gp="A20047",
        addresses=[address("DN17 4AA")],
        telecoms=[telecom("phone", "01234555555")],
    ),
    person(VERY, name("Verity", "Vera"), born="1950-03-04", gender="female", security="V"),
    person(GONE, name("Cuff", "Ida"), born="1926-01-07", gender="female", security="REDACTED"),
    *(
        person(number, name("YOUDS", given), born="1970-01-24", gender=gender)
        for number, given, gender in zip(
            YOUDS, ("Kim", "Lou", "Pat", "Sam"), ("male", "female", "unknown", "other"), strict=True
        )
    ),
    person(ALAN, name("Tarn", "Alan", "Michael"), born="1980-02-03", gender="male"),
    person(COMPOUND, name("Tarn", "John Paul", "James"), born="1980-02-03", gender="male"),
    person(
        MOVED,
        name("Home", "Ada"),
        name("Away", "Ada", state=OLD),
        born="1990-04-09",
        gender="female",
        addresses=[address("LS1 4AP"), address("DN15 2BJ", state=OLD)],
    ),
    person(
        HIDDEN,
        name("Veil", "Una"),
        name("Cloak", "Una", state=SECRET),
        born="1991-06-07",
        gender="female",
        addresses=[address("LS2 9JT"), address("DN16 3AB", state=SECRET)],
        telecoms=[telecom("email", "secret@example.com", SECRET), telecom("phone", "01234777777", SECRET)],
    ),
    person(PARTIAL, name("Vague", "Tom"), born="1950-06", gender="male"),
    person(YEAR_ONLY, name("Vaguer", "Tim"), born="1951", gender="male"),
    person(DEAD, name("Tunney", "Art"), born="1985-03-03", died="2019-02-01T00:00:00+00:00", gender="male"),
    person(TWIN_A, name("Pair", "Tom"), born="2005-05-05", gender="male", addresses=[address("LS3 1AA")]),
    person(TWIN_B, name("Pair", "Jack"), born="2005-05-05", gender="male", addresses=[address("LS3 1AA")]),
    person(HYPHEN, name("Smith-Jones", "Mary"), born="1975-12-01", gender="female"),
    person(
        TEMPORARY,
        name("Visit", "Vic"),
        name("Vizard", "Vic", use="temp"),
        name("Vee", "Vicky", use="nickname"),
        born="1988-08-08",
        gender="male",
        addresses=[address("LS4 2AB"), address("BN1 1AA", use="temp")],
    ),
    person(RENAMED, name("Newman", "Beth"), born="1983-07-21", gender="female", addresses=[address("LS5 3AC")]),
    person(PLACEHOLDER, name("Fenn", "Baby"), born="2024-01-15", gender="female", addresses=[address("LS6 4AD")]),
    person(BLANK, name("Lone"), born="1966-06-06", gender="male"),
    person(NAMELESS, name("Unknown", "Unknown"), born="1961-01-15", gender="male", addresses=[address("LS6 4AE")]),
    person(
        CONTACTS,
        name("Placey", "Pam"),
        born="1982-02-12",
        gender="female",
        telecoms=[
            telecom("phone", "01234567890"),
            telecom("phone", "12345"),
            telecom("email", "none@none.com"),
            telecom("email", "no address"),
        ],
    ),
    person(CENTURY, name("Olderone", "Jo"), born="1900-01-01", gender="female", addresses=[address("LS7 7AB")]),
    person(NAMED_TEST, name("Test", "Anna"), born="1983-03-13", gender="female"),
    person(SECRET_TEST, name("Test", "Rhoda"), born="1983-03-14", gender="female", security="R"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallIndex]:
    small = build(tmp_path_factory.mktemp("pds"), PEOPLE)
    yield small
    small.reader.close()


@dataclass(frozen=True)
class Row:
    """One question and its answer: NHS numbers in order, and the score of the first where known."""

    about: str
    ask: dict[str, Any]
    found: tuple[int, ...]
    score: float | None = None
    below_one: bool = field(default=False)


def span(low: str | None, high: str | None) -> DateRange:
    return DateRange(low, high)


FUZZY = [
    Row("homophone of a historic surname, score 1 (1.4, 1.5)",
        {"family": "Blogs", "given": "Joe", "birth": "1955-11-05"}, (GARTON,), 1.0),
    Row("accents, and the second woman after (1.4)",
        {"family": "ATTSÖN", "given": "PÀULINÉ", "birth": "1960-07-14"}, (PAULINE, PAULINE_MARY), 0.9317),
    Row("swapped and misspelt, right DOB, gender, postcode (1.4 m)",
        {"family": "amanda", "given": "jak", "gender": "female", "birth": "1937-08-29", "postcode": "DN20 8DU"},
        (SWAPPED,), None, True),
    Row("swapped only", {"family": "Amanda", "given": "Jack", "birth": "1937-08-29"}, (SWAPPED,), None, True),
    Row("short form with gender and postcode (1.4 m)",
        {"family": "ALMOND", "given": "Joe", "gender": "male", "birth": "2014-09-17", "postcode": "DN17 1BX"},
        (ALMOND,), None, True),
    Row("given typo (1.4 m)", {"family": "Gwin", "given": "Justen", "birth": "2010-01-06", "gender": "female"},
        (GWIN,), None, True),
    Row("historic given name (1.4 m)",
        {"family": "Gwin", "given": "Austin", "birth": "2010-01-06", "gender": "female"}, (GWIN,)),
    Row("first name and initial in one value (1.4 m)",
        {"family": "MARR", "given": "Toby J", "birth": "2010-10-22"}, (TOBY,)),
    Row("several names and an initial in one value (1.4 m)",
        {"family": "MARR", "given": "Anne Marie J", "birth": "2013-10-22"}, (ANNE_MARIE,)),
    Row("initial only", {"family": "Marr", "given": "T", "birth": "2010-10-22"}, (TOBY,), None, True),
    Row("query given near a middle name (1.4)",
        {"family": "Smith", "given": "Mat", "birth": "2000-05-05"}, (MAT,), 0.8827),
    Row("surname homophone (1.4)", {"family": "Smythe", "given": "Sam", "birth": "2000-05-05"}, (MAT,), None, True),
    Row("postcode with a wrong digit (1.4 m)",
        {"family": "poole", "given": "mark", "gender": "male", "birth": "1941-10-24", "postcode": "DN18 8JY"},
        (POOLE,), None, True),
    Row("malformed postcode is no error (1.4 m)",
        {"family": "poole", "given": "mark", "gender": "male", "birth": "1941-10-24", "postcode": "DN15258JY"},
        (POOLE,), None, True),
    Row("right GP code (1.3)", {"family": "poole", "given": "mark", "birth": "1941-10-24", "gp_code": "v81997"},
        (POOLE,), 1.0),
    Row("wrong GP code (1.4 m)",
        {"family": "poole", "given": "mark", "birth": "1941-10-24", "gp_code": "V8198", "postcode": "DN15 8JY"},
        (POOLE,), None, True),
    Row("one digit wrong in phone, right postcode (1.4 m)",
        {"family": "Almond", "given": "Joseph", "birth": "2014-09-17", "phones": "0091 9948072441",
         "postcode": "DN17 1BX"}, (ALMOND,), None, True),
    Row("phone with a country code", {"family": "Almond", "given": "Joseph", "birth": "2014-09-17",
        "phones": "0091 9948052441"}, (ALMOND,), 1.0),
    Row("e-mail wrong: nothing (1.4)",
        {"family": "Gwin", "given": "Justin", "birth": "2010-01-06", "emails": "ed.gwin@test.com"}, ()),
    Row("e-mail right", {"family": "Gwin", "given": "Justin", "birth": "2010-01-06", "emails": "Edgar.GWIN@test.com"},
        (GWIN,), 1.0),
    Row("e-mail of history (1.3: always history)",
        {"family": "Smith", "given": "Sam", "birth": "2000-05-05", "emails": "historic@historic.com"}, (MAT,), 1.0),
    Row("wrong date of birth: nothing (1.4)", {"family": "Poole", "given": "Mark", "birth": "1941-10-25"}, ()),
    Row("day and month exchanged: nothing (1.4)", {"family": "Home", "given": "Ada", "birth": "1990-09-04"}, ()),
    Row("pseudo postcode in the query: nothing (1.4 m)",
        {"family": "ORTON", "given": "Ben", "gender": "male", "birth": "2017-05-20", "postcode": "ZZ99 7CZ"}, ()),
    Row("the same without it", {"family": "ORTON", "given": "Ben", "gender": "male", "birth": "2017-05-20"},
        (ORTON,), 1.0),
    Row("gender of another time: found when fuzzy (1.4)",
        {"family": "Poole", "given": "Mark", "gender": "female", "birth": "1941-10-24"}, (POOLE,), None, True),
    Row("previous surname (1.3)", {"family": "Away", "given": "Ada", "birth": "1990-04-09"}, (MOVED,), 1.0),
    Row("previous postcode (1.3)",
        {"family": "Home", "given": "Ada", "birth": "1990-04-09", "postcode": "DN15 2BJ"}, (MOVED,), 1.0),
    Row("death date changes the score only (1.1)",
        {"family": "Tunney", "given": "Art", "birth": "1985-03-03", "death": "2001-01-01"}, (DEAD,), None, True),
    Row("right death date", {"family": "Tunney", "given": "Art", "birth": "1985-03-03", "death": "2019-02-01"},
        (DEAD,), 1.0),
    Row("minimum set without given name (1.2)",
        {"family": "Pair", "gender": "male", "birth": "2005-05-05", "postcode": "LS3 1AA"}, (TWIN_A, TWIN_B), 1.0),
    Row("minimum set without family name (1.2)",
        {"given": "Tom", "gender": "male", "birth": "2005-05-05", "postcode": "LS3 1AA"}, (TWIN_A,), 1.0),
    Row("the twin of the asked is not an answer", {"family": "Pair", "given": "Tom", "birth": "2005-05-05",
        "gender": "male", "postcode": "LS3 1AA"}, (TWIN_A,), 1.0),
    Row("birth date range (1.2)",
        {"family": "Poole", "given": "Mark", "birth": span("1941-01-01", "1942-12-31")}, (POOLE,), 1.0),
    Row("open birth date range (searchParams)",
        {"family": "Smythe", "given": "Sam", "birth": span("2000-05-03", None), "emails": "new@new.com"}, (MAT,)),
    Row("range that misses", {"family": "Poole", "given": "Mark", "birth": span("1941-10-25", None)}, ()),
    Row("hidden surname never matches (1.4)", {"family": "Cloak", "given": "Una", "birth": "1991-06-07"}, ()),
    Row("hidden e-mail never matches", {"family": "Veil", "given": "Una", "birth": "1991-06-07",
        "emails": "secret@example.com"}, ()),
    Row("hyphen, space or neither", {"family": "smith jones", "given": "Mary", "birth": "1975-12-01"}, (HYPHEN,), 1.0),
    Row("one part of a double name", {"family": "Jones", "given": "Mary", "birth": "1975-12-01"}, (HYPHEN,)),
    Row("malformed postcode is no error, minimum set without given name (1.2, 1.4 m)",
        {"family": "Poole", "gender": "male", "birth": "1941-10-24", "postcode": "DN15258JY"}, (POOLE,), None, True),
    Row("the same without family name",
        {"given": "Mark", "gender": "male", "birth": "1941-10-24", "postcode": "DN15258JY"}, (POOLE,), None, True),
    Row("and the gender differs",
        {"family": "Poole", "gender": "female", "birth": "1941-10-24", "postcode": "DN15258JY"}, ()),
    Row("text that is no e-mail is a wrong one (1.4)",
        {"family": "Gwin", "given": "Justin", "birth": "2010-01-06", "emails": "rubbish"}, ()),
    Row("placeholder e-mail of another",
        {"family": "Gwin", "given": "Justin", "birth": "2010-01-06", "emails": "none@none.com"}, ()),
    Row("placeholder e-mail, held",
        {"family": "Placey", "given": "Pam", "birth": "1982-02-12", "emails": "None@None.com"}, (CONTACTS,), 1.0),
    Row("placeholder birth date is a date like any (1.4: the hard key)",
        {"family": "Olderone", "given": "Jo", "birth": "1900-01-01"}, (CENTURY,), 1.0),
    Row("placeholder birth date, another name",
        {"family": "Nobody", "given": "Jo", "birth": "1900-01-01"}, ()),
    Row("placeholder birth date, minimum set without given name (1.2)",
        {"family": "Olderone", "gender": "female", "birth": "1900-01-01", "postcode": "LS7 7AB"}, (CENTURY,), 1.0),
    Row("placeholder family name, the same", {"family": "Test", "given": "Anna", "birth": "1983-03-13"},
        (NAMED_TEST,), 1.0),
    Row("placeholder family name, another given name",
        {"family": "Test", "given": "Rob", "birth": "1983-03-13"}, ()),
    Row("placeholder given name, the same", {"family": "Fenn", "given": "Baby", "birth": "2024-01-15"},
        (PLACEHOLDER,), 1.0),
    Row("restricted, placeholder name", {"family": "Test", "given": "Rhoda", "birth": "1983-03-14"},
        (SECRET_TEST,), 1.0),
    Row("restricted, placeholder name: never with a postcode (1.9)",
        {"family": "Test", "given": "Rhoda", "birth": "1983-03-14", "postcode": "LS1 4AP"}, ()),
    Row("compound names, exchanged", {"family": "Anne Marie", "given": "Marr", "birth": "2013-10-22"},
        (ANNE_MARIE,), None, True),
    Row("double family name, exchanged", {"family": "Mary", "given": "Smith-Jones", "birth": "1975-12-01"},
        (HYPHEN,), None, True),
    Row("single name on record", {"family": "Lone", "given": "Max", "birth": "1966-06-06"}, (BLANK,), None, True),
    Row("another surname, all else exact", {"family": "Oldroyd", "given": "Beth", "gender": "female",
        "birth": "1983-07-21", "postcode": "LS5 3AC"}, (RENAMED,), None, True),
    Row("another surname without the postcode: nothing",
        {"family": "Oldroyd", "given": "Beth", "gender": "female", "birth": "1983-07-21"}, ()),
    Row("restricted: found by name and birth (1.9)",
        {"family": "Godsoe", "given": "Rodney", "birth": "1936-02-24"}, (GODSOE,), 1.0),
    Row("restricted: never with a postcode (1.9)",
        {"family": "Godsoe", "given": "Rodney", "birth": "1936-02-24", "postcode": "DN17 4AA"}, ()),
    Row("restricted: never with a practice (1.9)",
        {"family": "Godsoe", "given": "Rodney", "birth": "1936-02-24", "gp_code": "A20047"}, ()),
    Row("very restricted: not indexed", {"family": "Verity", "given": "Vera", "birth": "1950-03-04"}, ()),
    Row("invalidated: never (1.9)", {"family": "Cuff", "given": "Ida", "birth": "1926-01-07"}, ()),
]  # fmt: skip

FILTER = [
    Row("family and birth date", {"family": "poole", "birth": "1941-10-24"}, (POOLE,), 1.0),
    Row("fields not asked for do not lower it; ties by NHS number (1.5)",
        {"family": "YOUDS", "birth": "1970-01-24"}, YOUDS, 1.0),
    Row("gender filters", {"family": "YOUDS", "birth": "1970-01-24", "gender": "unknown"}, (YOUDS[2],), 1.0),
    Row("range up to", {"family": "Poole", "birth": span(None, "1941-10-24")}, (POOLE,), 1.0),
    Row("range from", {"family": "Poole", "birth": span("1941-10-25", None)}, ()),
    Row("range of two", {"family": "Poole", "birth": span("1941-10-24", "1941-10-31")}, (POOLE,), 1.0),
    Row("homophones do not match (1.3)", {"family": "Smythe", "birth": "2000-05-05"}, ()),
    Row("swapped names do not match (1.3)", {"family": "Amanda", "given": "Jack", "birth": "1937-08-29"}, ()),
    Row("nicknames do not match", {"family": "Almond", "given": "Joe", "birth": "2014-09-17"}, ()),
    Row("wildcard family (1.1)", {"family": "Po*", "birth": "1941-10-24"}, (POOLE,), None, True),
    Row("wildcard inside", {"family": "Po*le", "birth": "1941-10-24"}, (POOLE,), None, True),
    Row("wildcard that misses", {"family": "Po*s", "birth": "1941-10-24"}, ()),
    Row("wildcard of both (1.5)", {"family": "Sm*", "birth": "2000-05-05", "postcode": "DN17*"}, (MAT,), None, True),
    Row("wildcard and practice (1.5)", {"family": "Sm*", "birth": "2000-05-05", "gp_code": "A20047"}, (MAT,), None, True),
    Row("practice filters", {"family": "Smith", "birth": "2000-05-05", "gp_code": "A20048"}, ()),
    Row("practice in lower case", {"family": "Smith", "birth": "2000-05-05", "gp_code": "a20047"}, (MAT,), 1.0),
    Row("wildcard means the first given name: Ala* (1.1)",
        {"family": "Tarn", "given": "Ala*", "birth": "1980-02-03"}, (ALAN,), None, True),
    Row("wildcard means the first given name: Mic* (1.1)",
        {"family": "Tarn", "given": "Mic*", "birth": "1980-02-03"}, ()),
    Row("given, whole", {"family": "Tarn", "given": "alan", "birth": "1980-02-03"}, (ALAN,), 1.0),
    Row("several given", {"family": "Tarn", "given": ("Alan", "Michael"), "birth": "1980-02-03"}, (ALAN,), 1.0),
    Row("more given names than held (1.1)",
        {"family": "Tarn", "given": ("Alan", "Michael", "Peter"), "birth": "1980-02-03"}, ()),
    Row("the same given name twice", {"family": "Tarn", "given": ("Alan", "Alan"), "birth": "1980-02-03"}, ()),
    Row("compound first name in one value (1.1)",
        {"family": "Tarn", "given": ("John Paul", "James"), "birth": "1980-02-03"}, (COMPOUND,), 1.0),
    Row("start of a compound first name", {"family": "Tarn", "given": "John*", "birth": "1980-02-03"},
        (COMPOUND,), None, True),
    Row("wildcard past the space of a compound name", {"family": "Tarn", "given": "John P*", "birth": "1980-02-03"},
        (COMPOUND,), None, True),
    Row("compound name written as one", {"family": "Marr", "given": "Annemarie", "birth": "2013-10-22"},
        (ANNE_MARIE,), 1.0),
    Row("compound name with a hyphen", {"family": "Marr", "given": "Anne-Marie", "birth": "2013-10-22"},
        (ANNE_MARIE,), 1.0),
    Row("placeholder family by wildcard and day", {"family": "Un*", "birth": "1961-01-15"}, (NAMELESS,), None, True),
    Row("placeholder family by wildcard inside", {"family": "Unk*wn", "birth": "1961-01-15"}, (NAMELESS,), None, True),
    Row("wildcard over a double name", {"family": "Smith-J*", "birth": "1975-12-01"}, (HYPHEN,), None, True),
    Row("wildcard, a name that begins with an accent", {"family": "ätt*", "birth": "1960-07-14"},
        (PAULINE, PAULINE_MARY), None, True),
    Row("wildcard, range of years", {"family": "Po*", "birth": span("1941-01-01", "1942-01-01")}, (POOLE,), None, True),
    Row("year of a partial record inside the range", {"family": "Vaguer", "birth": span("1951-01-01", "1951-12-31")},
        (YEAR_ONLY,), 1.0),
    Row("year of a partial record, a day short", {"family": "Vaguer", "birth": span("1951-01-02", "1951-12-31")}, ()),
    Row("half of a compound name is another name", {"family": "Tarn", "given": "John", "birth": "1980-02-03"}, ()),
    Row("postcode, any case and spacing (1.1)",
        {"family": "Smith", "birth": "2000-05-05", "postcode": "dn174aa"}, (MAT,), 1.0),
    Row("postcode of history without history", {"family": "Smith", "birth": "2000-05-05", "postcode": "LS1 4AP"}, ()),
    Row("postcode of history with history (1.3)",
        {"family": "Smith", "birth": "2000-05-05", "postcode": "LS1 4AP", "history": True}, (MAT,), 1.0),
    Row("temporary address matches (1.8)", {"family": "Visit", "birth": "1988-08-08", "postcode": "BN1 1AA"},
        (TEMPORARY,), 1.0),
    Row("temporary name matches (1.3)", {"family": "Vizard", "birth": "1988-08-08"}, (TEMPORARY,), 1.0),
    Row("nickname name matches (1.3)", {"family": "Vee", "given": "Vicky", "birth": "1988-08-08"}, (TEMPORARY,), 1.0),
    Row("old family and new given are not one name",
        {"family": "Vee", "given": "Vic", "birth": "1988-08-08"}, ()),
    Row("historic family without history", {"family": "Bloggs", "birth": "1955-11-05"}, ()),
    Row("historic family with history (1.4)", {"family": "Bloggs", "birth": "1955-11-05", "history": True},
        (GARTON,), 1.0),
    Row("historic e-mail without history",
        {"family": "Smith", "birth": "2000-05-05", "emails": "Historic@historic.com"}, ()),
    Row("historic e-mail with history (1.4)",
        {"family": "Smith", "birth": "2000-05-05", "emails": "Historic@historic.com", "history": True}, (MAT,), 1.0),
    Row("e-mail in any case (1.1)", {"family": "Smith", "birth": "2000-05-05", "emails": "NEW@NEW.com"}, (MAT,), 1.0),
    Row("e-mail wrong", {"family": "Smith", "birth": "2000-05-05", "emails": "rubbish@test.com"}, ()),
    Row("phone exact", {"family": "Smith", "birth": "2000-05-05", "phones": "01234 123123"}, (MAT,), 1.0),
    Row("phone one digit off", {"family": "Smith", "birth": "2000-05-05", "phones": "01234 123124"}, ()),
    Row("text without a digit is nobody's phone",
        {"family": "Smith", "birth": "2000-05-05", "phones": "0*"}, ()),
    Row("text that is no e-mail is a wrong one",
        {"family": "Smith", "birth": "2000-05-05", "emails": "rubbish"}, ()),
    Row("placeholder phone is a value like any",
        {"family": "Placey", "birth": "1982-02-12", "phones": "01234 567890"}, (CONTACTS,), 1.0),
    Row("another placeholder phone", {"family": "Placey", "birth": "1982-02-12", "phones": "07777777777"}, ()),
    Row("short phone", {"family": "Placey", "birth": "1982-02-12", "phones": "12345"}, (CONTACTS,), 1.0),
    Row("placeholder e-mail is a value like any",
        {"family": "Placey", "birth": "1982-02-12", "emails": "none@none.com"}, (CONTACTS,), 1.0),
    Row("historic phone without history", {"family": "Smith", "birth": "2000-05-05", "phones": "01234999999"}, ()),
    Row("historic phone with history",
        {"family": "Smith", "birth": "2000-05-05", "phones": "01234999999", "history": True}, (MAT,), 1.0),
    Row("death date range filters (1.3)",
        {"family": "Tunney", "birth": span("1980-01-01", None), "death": span(None, "2019-02-28")}, (DEAD,), 1.0),
    Row("death date that misses",
        {"family": "Tunney", "birth": span("1980-01-01", None), "death": span("2019-02-02", None)}, ()),
    Row("death date of the living", {"family": "Poole", "birth": "1941-10-24", "death": span(None, "2030-01-01")}, ()),
    Row("hidden postcode never, even with history (1.4)",
        {"family": "Veil", "birth": "1991-06-07", "postcode": "DN16 3AB", "history": True}, ()),
    Row("hidden phone never", {"family": "Veil", "birth": "1991-06-07", "phones": "01234777777", "history": True}, ()),
    Row("hidden family never", {"family": "Cloak", "birth": "1991-06-07", "history": True}, ()),
    Row("partial birth date inside the range", {"family": "Vague", "birth": span("1950-06-01", "1950-06-30")},
        (PARTIAL,), 1.0),
    Row("partial birth date against one day", {"family": "Vague", "birth": "1950-06-10"}, ()),
    Row("partial birth date half inside", {"family": "Vague", "birth": span("1950-06-15", "1960-01-01")}, ()),
    Row("pseudo postcode is a value like any", {"family": "Orton", "birth": "2017-05-20", "postcode": "ZZ99 7CZ"},
        (ORTON,), 1.0),
    Row("pseudo postcode with a wildcard", {"family": "Orton", "birth": "2017-05-20", "postcode": "ZZ99*"},
        (ORTON,), None, True),
    Row("a placeholder name with a real postcode",
        {"family": "Unknown", "birth": "1961-01-15", "postcode": "LS6 4AE"}, (NAMELESS,), 1.0),
    Row("start of a pseudo postcode", {"family": "Orton", "birth": "2017-05-20", "postcode": "ZZ*"},
        (ORTON,), None, True),
    Row("placeholder name is a value like any", {"family": "Fenn", "given": "Baby", "birth": "2024-01-15"},
        (PLACEHOLDER,), 1.0),
    Row("no given name held", {"family": "Lone", "birth": "1966-06-06"}, (BLANK,), 1.0),
    Row("given asked, none held", {"family": "Lone", "given": "Max", "birth": "1966-06-06"}, ()),
    Row("apostrophe and hyphen ignored", {"family": "smithjones", "birth": "1975-12-01"}, (HYPHEN,), 1.0),
    Row("one part of a double name", {"family": "Jones", "birth": "1975-12-01"}, ()),
    Row("restricted: found (1.9)", {"family": "Godsoe", "birth": "1936-02-24", "gender": "male"}, (GODSOE,), 1.0),
    Row("restricted: never with a postcode (1.9)",
        {"family": "Godsoe", "birth": "1936-02-24", "postcode": "DN17 4AA"}, ()),
    Row("restricted: nor with a wildcard postcode",
        {"family": "Godsoe", "birth": "1936-02-24", "postcode": "DN*"}, ()),
    Row("restricted: never with a practice (1.9)", {"family": "Godsoe", "birth": "1936-02-24", "gp_code": "A20047"}, ()),
    Row("restricted: found by telephone (1.9 bars postcode and practice only)",
        {"family": "Godsoe", "birth": "1936-02-24", "phones": "01234555555"}, (GODSOE,), 1.0),
    Row("restricted: another's telephone",
        {"family": "Godsoe", "birth": "1936-02-24", "phones": "01234555556"}, ()),
    Row("very restricted: not indexed", {"family": "Verity", "birth": "1950-03-04"}, ()),
    Row("invalidated: never (1.9)", {"family": "Cuff", "birth": "1926-01-07"}, ()),
]  # fmt: skip

WIDE = [
    Row("day and month exchanged", {"family": "Home", "given": "Ada", "birth": "1990-09-04"}, (MOVED,)),
    Row("one digit wrong", {"family": "Poole", "given": "Mark", "birth": "1941-10-23"}, (POOLE,)),
    Row("wrong year", {"family": "Poole", "given": "Mark", "birth": "1914-10-24"}, (POOLE,)),
    Row("wrong month, moved house", {"family": "Poole", "given": "Mark", "birth": "1941-02-24", "postcode": "LS9 9AA"},
        (POOLE,)),
    Row("year only", {"family": "Poole", "given": "Mark", "birth": "1941"}, (POOLE,)),
    Row("year and month only", {"family": "Poole", "given": "Mark", "birth": "1941-10"}, (POOLE,)),
    Row("day known of a partial record", {"family": "Vague", "given": "Tom", "birth": "1950-06-10"}, (PARTIAL,)),
    Row("misspelt so that it sounds otherwise", {"family": "Poope", "given": "Mark", "birth": "1941-10-24"}, (POOLE,)),
    Row("first letter wrong", {"family": "Toole", "given": "Mark", "birth": "1941-10-24"}, (POOLE,)),
    Row("both misspelt, sex known",
        {"family": "Toole", "given": "Mabk", "gender": "male", "birth": "1941-10-24"}, (POOLE,)),
    Row("misspelt, swapped date and nickname at once",
        {"family": "Aumond", "given": "Joe", "birth": "2014-09-17", "gender": "male"}, (ALMOND,)),
    Row("names exchanged", {"family": "Mark", "given": "Poole", "birth": "1941-10-24"}, (POOLE,)),
    Row("names exchanged, date swapped", {"family": "Ada", "given": "Home", "birth": "1990-09-04"}, (MOVED,)),
    Row("old name, old address, wrong day",
        {"family": "Away", "given": "Ada", "birth": "1990-04-19", "postcode": "DN15 2BJ"}, (MOVED,)),
    Row("mistyped postcode, no date", {"family": "Poole", "given": "Mark", "postcode": "DN15 BJY"}, (POOLE,)),
    Row("name and postcode only", {"family": "Poole", "postcode": "DN15 8JY"}, (POOLE,)),
    Row("phone only with the name", {"family": "Almond", "given": "J", "phones": "00919948052441"}, (ALMOND,)),
    Row("e-mail with another surname", {"family": "Oldroyd", "given": "Sam", "emails": "new@new.com",
        "birth": "2000-05-05"}, (MAT,)),
    Row("the whole name only", {"family": "Smith-Jones", "given": "Mary"}, (HYPHEN,)),
    Row("married name", {"family": "Oldroyd", "given": "Beth", "birth": "1983-07-21", "gender": "female",
        "postcode": "LS5 3AC"}, (RENAMED,)),
    Row("restricted: never with address lines",
        {"family": "Godsoe", "given": "Rodney", "birth": "1936-02-24", "address_lines": ("1 High Street",)}, ()),
    Row("restricted: never with a practice, nor counted, when only the name can be asked",
        {"family": "Test", "given": "Rhoda", "gp_code": "A20047"}, ()),
    Row("hidden surname alone", {"family": "Cloak", "given": "Zebedee", "birth": "1991-06-07"}, ()),
]  # fmt: skip


def _check(index: SmallIndex, mode: Mode, row: Row) -> None:
    answer = index.ask(mode, **row.ask)
    assert tuple(match.nhs_number for match in answer.matches) == row.found
    if row.score is not None:
        assert answer.matches[0].score == pytest.approx(row.score, abs=0.00005)
    if row.below_one:
        assert 0.6 < answer.matches[0].score < 1.0


@pytest.mark.parametrize("row", FUZZY, ids=lambda row: row.about)
def test_fuzzy(index: SmallIndex, row: Row) -> None:
    _check(index, Mode.FUZZY, row)


@pytest.mark.parametrize("row", FILTER, ids=lambda row: row.about)
def test_non_fuzzy(index: SmallIndex, row: Row) -> None:
    _check(index, Mode.FILTER, row)


@pytest.mark.parametrize("row", WIDE, ids=lambda row: row.about)
def test_wide_finds_first(index: SmallIndex, row: Row) -> None:
    found = index.numbers(Mode.WIDE, **row.ask)
    assert found[:1] == list(row.found)


@pytest.mark.parametrize("row", [row for row in FUZZY if row.found], ids=lambda row: row.about)
def test_wide_finds_whatever_fuzzy_finds(index: SmallIndex, row: Row) -> None:
    assert set(row.found) <= set(index.numbers(Mode.WIDE, **row.ask))


def test_the_second_woman_scores_as_observed(index: SmallIndex) -> None:
    answer = index.ask(Mode.FUZZY, family="ATTSÖN", given="PÀULINÉ", birth="1960-07-14")
    assert [match.score for match in answer.matches] == [0.9317, 0.9077]


@pytest.mark.parametrize("mode", [Mode.FILTER, Mode.FUZZY])
def test_more_than_the_limit_says_so_and_names_whom_to_audit(index: SmallIndex, mode: Mode) -> None:
    ask: dict[str, Any] = {"family": "YOUDS", "birth": "1970-01-24", "limit": 1}
    if mode is Mode.FUZZY:
        ask = {"family": "Pair", "birth": "2005-05-05", "gender": "male", "postcode": "LS3 1AA", "limit": 1}
    answer = index.ask(mode, **ask)
    assert answer.too_many
    assert answer.total > 1
    assert len(answer.matches) == 1


def test_as_many_as_the_limit_are_shown(index: SmallIndex) -> None:
    answer = index.ask(Mode.FILTER, family="YOUDS", birth="1970-01-24", limit=4)
    assert not answer.too_many
    assert answer.total == 4


def test_wide_shows_the_best_of_too_many(index: SmallIndex) -> None:
    answer = index.ask(Mode.WIDE, family="Pair", given="Tom", birth="2005-05-05", postcode="LS3 1AA", limit=1)
    assert [match.nhs_number for match in answer.matches] == [TWIN_A]
    assert answer.too_many


@pytest.mark.parametrize(
    ("mode", "ask", "found"),
    [
        (Mode.FILTER, {"family": "Sm*", "birth": "2000-05-05"}, ()),
        (Mode.FILTER, {"family": "Smith", "birth": "2000-05-05"}, (MAT,)),
        (Mode.FUZZY, {"family": "Smythe", "given": "Sam", "birth": "2000-05-05"}, ()),
        (Mode.FUZZY, {"family": "Smith", "given": "Sam", "birth": "2000-05-05"}, (MAT,)),
        (Mode.FUZZY, {"family": "Marr", "given": "Toby J", "birth": "2010-10-22"}, ()),
        (Mode.FUZZY, {"family": "Marr", "given": "Toby James", "birth": "2010-10-22"}, (TOBY,)),
        (Mode.FUZZY, {"family": "Marr", "given": "Toby", "birth": "2010-10-22"}, (TOBY,)),
        (Mode.FUZZY, {"family": "Marr", "given": "Anne", "birth": "2013-10-22"}, ()),
        (Mode.FUZZY, {"family": "Marr", "given": "Anne-Marie", "birth": "2013-10-22"}, (ANNE_MARIE,)),
        (Mode.FUZZY, {"family": "Marr", "given": ("Anne", "Marie"), "birth": "2013-10-22"}, (ANNE_MARIE,)),
    ],
)
def test_exact_match_keeps_score_one(
    index: SmallIndex, mode: Mode, ask: dict[str, Any], found: tuple[int, ...]
) -> None:
    assert tuple(index.numbers(mode, exact_only=True, **ask)) == found


def test_history_says_so(index: SmallIndex) -> None:
    answer = index.ask(Mode.FUZZY, family="Away", given="Ada", birth="1990-04-09", postcode="DN15 2BJ")
    previous = {item.comparison for item in answer.matches[0].evidence if item.previous}
    assert {"family", "postcode"} <= previous


def test_current_values_are_not_called_previous(index: SmallIndex) -> None:
    answer = index.ask(Mode.FUZZY, family="Home", given="Ada", birth="1990-04-09", postcode="LS1 4AP")
    assert not [item for item in answer.matches[0].evidence if item.previous]


def test_twins_are_never_certain_without_the_given_name(index: SmallIndex) -> None:
    answer = index.ask(Mode.WIDE, family="Pair", birth="2005-05-05", gender="male", postcode="LS3 1AA")
    assert {match.nhs_number for match in answer.matches} == {TWIN_A, TWIN_B}
    assert Grade.CERTAIN not in {match.grade for match in answer.matches}


def test_restricted_person_is_found_without_location_in_wide_mode(index: SmallIndex) -> None:
    assert index.numbers(Mode.WIDE, family="Godsoe", given="Rodney", birth="1936-02-24") == [GODSOE]


def test_restricted_person_is_not_found_by_contact_in_wide_mode(index: SmallIndex) -> None:
    asked = {"family": "Godsoe", "given": "Rodney", "birth": "1936-02-24", "phones": "01234555555"}
    assert index.numbers(Mode.WIDE, **asked) == []


def test_a_question_that_finds_restricted_people_only_counts_nobody(index: SmallIndex) -> None:
    answer = index.ask(Mode.FUZZY, family="Godsoe", given="Rodney", birth="1936-02-24", postcode="DN17 4AA")
    assert answer.total == 0
    assert not answer.too_many
    assert answer.counters["candidates"] == 0
