"""What texts come to in whole columns is what they come to one by one."""

from __future__ import annotations

import polars as pl
import pytest

from search_api.index import columns
from search_api.index.distinct import Distinct, Making
from search_api.index.frequencies import Frequencies
from search_api.index.memo import Memos
from search_api.matching.normalise import skip_values, tells_email, tells_phone

NAMES = (
    "Smith",
    "SMITH",
    "smith",
    "O'Brien",
    "Smith-Jones",
    "Łukasz",
    "X",
    "XX",
    "xxz",
    "Test",
    "Unknown",
    "BabyOf",
    "Baby Of",
    "",
)
TITLED = ("Mr", "Dr Ann", "Ann Jane", "Junior", "Smith Junior", "Twin", "Twin One", "ZZTESTER", "Nk", "A1", "Smith\n")
DATES = (
    "1985-03-09",
    "1985-03",
    "1985",
    "1985-03-09T10:00:00+00:00",
    "1900-01-01",
    "0000-00-00",
    "1985-03-00",
    "",
    "unknown",
)
BORNE = Frequencies(1000, {"SMITH": 40, "X": 1}, {"ANN": 30, "SMITH": 2})


@pytest.mark.parametrize("kind", ["families", "givens", "births"])
def test_a_column_at_once_tells_what_one_text_tells(kind: str) -> None:
    memos = Memos(BORNE)
    made: Distinct = getattr(memos, kind)
    texts = pl.Series(values=[*NAMES, *TITLED, *DATES, None, "Smith"], dtype=pl.String)
    making = made._making
    alone = Distinct(Making(making.schema, making.one))
    assert making.plain is not None
    assert made.of(texts).equals(alone.of(texts))
    # Once more with some known and some new.
    more = pl.Series(values=["Zoe", *NAMES, "1999-12-31", "Zoe Ann"], dtype=pl.String)
    assert made.of(more).equals(alone.of(more))


def test_whole_columns_of_contacts_tell_what_one_contact_tells() -> None:
    phones = [*sorted(skip_values().phones), "", "12345", "123456", "07700900461"]
    emails = [
        *sorted(skip_values().emails),
        "none@none.com",
        "None@None.com",
        "kate@example.com",
        "é@example.com",
        "@",
        "x",
        "",
    ]
    assert columns._tell_phones(pl.Series(values=phones)).to_list() == [tells_phone(each) for each in phones]
    assert columns._tell_emails(pl.Series(values=emails)).to_list() == [tells_email(each) for each in emails]
