"""The row form of synthetic patients and summaries: the feed's shape, consistent and reproducible."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from sandbox.population.people import Population
from sandbox.population.personas import PERSONAS, README_NUMBER
from sandbox.population.rates import RATES
from sandbox.population.rows import chosen_rows, patient_rows
from sandbox.population.summaries import summary_rows
from schemas.feeds import PDS_PATIENT, SCR_SUMMARY
from schemas.fhir.envelope import read_line, write_line
from schemas.fhir.patient import patient_resource, patient_row
from schemas.fhir.scr import scr_row
from schemas.fields import HIDDEN, HISTORIC

COUNT, SEED = 60_000, 11
AS_AT = "2026-11-24T03:00:00+00:00"


@lru_cache(maxsize=1)
def population() -> Population:
    return Population(SEED)


@lru_cache(maxsize=1)
def rows() -> pl.DataFrame:
    return patient_rows(0, COUNT, population())


@lru_cache(maxsize=1)
def summaries() -> pl.DataFrame:
    return summary_rows(population().people(0, 6_000), population())


def test_frames_have_exactly_the_feeds_columns() -> None:
    assert dict(rows().schema) == PDS_PATIENT.polars_schema
    assert dict(summaries().schema) == SCR_SUMMARY.polars_schema
    assert dict(patient_rows(0, 0, population()).schema) == PDS_PATIENT.polars_schema


def test_required_columns_are_never_null() -> None:
    for field in PDS_PATIENT.fields:
        if field.required:
            assert rows()[field.name].null_count() == 0, field.name
    assert rows()["nhs_number"].n_unique() == COUNT


def test_a_patient_comes_back_equal_through_fhir() -> None:
    for row in rows().head(1_500).to_dicts():
        line = json.loads(json.dumps(write_line("pds_patient", row), default=str))
        assert read_line("pds_patient", line, row["row_no"], AS_AT) == row


def test_the_columns_express_every_patient() -> None:
    for row in rows().slice(20_000, 600).to_dicts():
        resource = patient_resource(row)
        assert patient_row(resource, as_at=AS_AT)["source_json"] is None


def test_a_summary_is_what_its_bundle_says() -> None:
    for row in summaries().head(800).to_dicts():
        read = scr_row(json.loads(row["bundle_json"]), row["permission"])
        assert read == {name: row[name] for name in read}


def test_summaries_vary_and_have_the_size_of_real_small_ones() -> None:
    size = summaries()["bundle_json"].str.len_bytes()
    assert 2_000 < float(size.median() or 0) < 6_500
    assert summaries()["section_rows"].n_unique() > 0.7 * len(summaries())
    assert summaries()["scr_uuid"].n_unique() == len(summaries())
    assert 0.2 < float(summaries()["has_additional_information"].mean() or 0) < 0.5
    assert summaries()["has_withheld_items"].sum() > 0


def test_most_living_patients_have_a_summary() -> None:
    there = set(summary_rows(population().people(0, 20_000), population())["nhs_number"])
    frame = rows().head(20_000)
    living = frame.filter(pl.col("deceased").is_null())
    assert 0.88 < float(living["nhs_number"].is_in(sorted(there)).mean()) < 0.94
    kept_out = frame.filter(pl.col("deceased").is_not_null() | (pl.col("security") != "U") | pl.col("names").is_null())
    assert not there & set(kept_out["nhs_number"])


def test_permissions_are_mostly_ask() -> None:
    shares = Counter(summaries()["permission"])
    assert shares["Ask"] / len(summaries()) > 0.9
    assert 0 < shares["No"] < shares["Yes"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RATES.restricted, lambda: (rows()["security"] == "R").mean()),
        (RATES.near_empty, lambda: rows()["names"].null_count() / COUNT),
        (RATES.no_fixed_abode, lambda: _postcodes().eq("ZZ99 3VZ").mean()),
        (RATES.no_postcode, lambda: _home("postcode").null_count() / COUNT),
        (RATES.related_person + 0.1, lambda: rows()["related_persons"].is_not_null().mean()),
        (RATES.partial_year, lambda: (rows()["birth_date"].str.len_chars() == 4).mean()),
        (RATES.no_practice, lambda: _living()["general_practitioner"].null_count() / len(_living())),
    ],
)
def test_rates_come_out(wanted: float, found: Callable[[], float]) -> None:
    assert found() == pytest.approx(wanted, rel=0.35)


def _living() -> pl.DataFrame:
    return rows().filter(pl.col("deceased").is_null())


def _home(field: str) -> pl.Series:
    return rows().select(pl.col("addresses").list.first().struct.field(field).alias("v"))["v"]


def _postcodes() -> pl.Series:
    return _home("postcode").fill_null("")


def test_histories_are_kept() -> None:
    addresses = rows()["addresses"].drop_nulls()
    lengths = addresses.list.len()
    assert lengths.max() >= 6
    assert 1.5 < float(lengths.mean() or 0) < 3.5
    names = rows()["names"].explode().struct.unnest()
    uses = dict(names.group_by("use").len().iter_rows())
    assert uses["maiden"] > 0.05 * COUNT
    assert {"usual", "maiden", "old", "nickname"} <= set(uses)
    states = dict(names.group_by("state").len().iter_rows())
    assert states[HISTORIC] > 0
    assert states[HIDDEN] > 0


def test_earlier_homes_end_where_the_next_begins() -> None:
    for row in rows().slice(1_000, 2_000).to_dicts():
        homes = [a for a in row["addresses"] or () if a["use"] == "home" and a["state"] != HIDDEN]
        for newer, older in pairwise(homes):
            assert older["end"] == newer["start"]
            assert older["start"] <= older["end"]
            assert older["start"] >= row["birth_date"][: len(older["start"])] or len(row["birth_date"]) < 10 or row["birth_date"] == "1900-01-01"  # fmt: skip


def test_awkward_names_are_there() -> None:
    family = rows().select(pl.col("names").list.first().struct.field("family").alias("v"))["v"].fill_null("")
    given = rows().select(pl.col("names").list.first().struct.field("given").list.first().alias("v"))["v"].fill_null("")
    assert family.str.contains("-").sum() > 50
    assert family.str.contains("'").sum() > 50
    assert (family.str.contains(r"[^\x00-\x7F]") | given.str.contains(r"[^\x00-\x7F]")).sum() > 50
    assert given.is_in(["BABY", "UNKNOWN", "TEST"]).sum() > 5
    assert given.str.contains(" ").sum() > 50


def test_contact_details_reach_nobody() -> None:
    telecoms = rows()["telecoms"].explode().struct.unnest()
    phones = telecoms.filter(pl.col("system") == "phone")["value"]
    drama = (
        r"^(07700900\d{3}|01632960\d{3}|01\d14960\d{3}|01[1-6]14960\d{3}|011\d4960\d{3}|02079460\d{3}|01914980\d{3})$"
    )
    assert phones.str.contains(drama).all()
    emails = telecoms.filter(pl.col("system") == "email")["value"]
    assert emails.str.contains(r"@(mail\.)?example\.(com|org|net)$").all()


def test_any_cut_gives_the_same_rows() -> None:
    pieces = [patient_rows(start, 777, population()) for start in range(0, 5_000, 777)]
    assert pl.concat(pieces).head(5_000).equals(rows().head(5_000))
    some = np.array([59_999, 20, 4_242, 31_415], dtype=np.int64)
    assert chosen_rows(some, population()).equals(rows()[some])
    cut = [summary_rows(population().people(start, 499), population()) for start in range(0, 2_500, 499)]
    whole = summary_rows(population().people(0, 499 * len(cut)), population())
    assert pl.concat(cut).equals(whole)


def test_seeds_differ() -> None:
    assert not patient_rows(100, 50, Population(1)).equals(patient_rows(100, 50, Population(2)))


def test_draws_are_the_same_on_every_python() -> None:
    made = population().people(0, 4_096)
    columns = (made.number, made.head, made.role, made.community, made.sex, made.birth, made.death)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(column, dtype="<i8").tobytes() for column in columns))
    assert digest.hexdigest() == "219c0e27a959ef424c1d8081ba0b4591e194ee592828ea8c7f811b934ff67eca"


def test_personas_come_first_in_every_population() -> None:
    for seed in (1, 2):
        frame = patient_rows(0, 40, Population(seed))
        assert frame["nhs_number"].head(len(PERSONAS)).to_list() == [persona.number for persona in PERSONAS]
    first = rows().row(0, named=True)
    assert first["nhs_number"] == README_NUMBER
    assert first["names"][0]["family"] == "Whitlock"
    assert set(rows().head(len(PERSONAS))["security"]) == {"U", "R", "V", "REDACTED"}


def test_personas_never_change() -> None:
    with pytest.raises(ValueError, match="Personas"):
        chosen_rows(np.array([3]), population())
