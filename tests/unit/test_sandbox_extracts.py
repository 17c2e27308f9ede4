"""Extracts of the sandbox: complete deliveries, both formats alike, deltas that follow on."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from sandbox.cli import app
from sandbox.extracts.events import KINDS, events_of_day
from sandbox.extracts.extract import extract
from sandbox.extracts.full import population
from sandbox.extracts.plan import Format, Plan, default_base, parse_base, parse_format, parse_summaries
from sandbox.population.numbers import PEOPLE_LIMIT
from sandbox.population.personas import INVALIDATED, PERSONAS, SUPERSEDED
from schemas.errors import ConfigurationError, Refused
from schemas.feeds import FEEDS
from schemas.fhir.patient import in_resource
from schemas.fields import CURRENT
from tests.lib.sandbox_extracts import lines_of, manifest_of, rows_of

BASE, PATIENTS, SEED, DAYS = date(2026, 3, 2), 1_200, 5, 6


def plan(drop: Path, day: int = 0, form: Format = "parquet", patients: int = PATIENTS) -> Plan:
    return Plan(drop, patients, SEED, day, BASE, form)


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full and some deltas in parquet, and day 0 and 1 in NDJSON beside (``nd``)."""
    folder = tmp_path_factory.mktemp("extracts")
    for day in range(DAYS + 1):
        extract(plan(folder / "pq", day))
    for day in (0, 1):
        extract(plan(folder / "nd", day, "ndjson"))
    return folder


def delivered(drop: Path, feed: str, day: int, form: str = "pq") -> list[dict[str, Any]]:
    return rows_of(plan(drop / form, day).folder(feed))


@pytest.mark.parametrize("feed", sorted(FEEDS))
@pytest.mark.parametrize("day", [0, 1])
@pytest.mark.parametrize("form", ["pq", "nd"])
def test_the_manifest_tells_the_truth(drop: Path, feed: str, day: int, form: str) -> None:
    folder = plan(drop / form, day).folder(feed)
    manifest = manifest_of(folder)
    rows = rows_of(folder)
    assert manifest.record_count == len(rows) == sum(file.rows for file in manifest.files)
    assert manifest.control == reduce(xor, (int(row["nhs_number"]) for row in rows), 0)
    assert {file.name for file in manifest.files} | {"manifest.json"} == {path.name for path in folder.iterdir()}
    for file in manifest.files:
        content = (folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    full = day == 0 and feed != "pds_number_change"
    assert manifest.kind == ("full" if full else "delta")
    assert (manifest.sequence, manifest.previous_sequence) == (day + 1, day or None)
    assert manifest.window_to == datetime(2026, 3, 2 + day, 3, tzinfo=UTC)
    assert [row["row_no"] for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("feed", sorted(FEEDS))
@pytest.mark.parametrize("day", [0, 1])
def test_both_formats_say_the_same(drop: Path, feed: str, day: int) -> None:
    assert delivered(drop, feed, day, "pq") == delivered(drop, feed, day, "nd")


def test_a_patient_is_a_bare_resource_where_nothing_else_is_needed(drop: Path) -> None:
    kinds = Counter("bare" if "resourceType" in line else "envelope" for line in lines_of(plan(drop / "nd").folder("pds_patient")))  # fmt: skip
    assert kinds["bare"] > 100
    assert kinds["envelope"] > 100


def test_parquet_has_the_feeds_own_columns(drop: Path) -> None:
    for feed in FEEDS.values():
        folder = plan(drop / "pq").folder(feed.name)
        frame = pl.read_parquet(folder / "part-00000.parquet")
        assert dict(frame.schema) == feed.polars_schema


def test_the_same_plan_gives_the_same_bytes(drop: Path, tmp_path: Path) -> None:
    for form, name in (("parquet", "pq"), ("ndjson", "nd")):
        for day in (0, 1):
            again = extract(plan(tmp_path / name, day, form))  # type: ignore[arg-type]
            assert again == [manifest_of(plan(drop / name, day).folder(feed)) for feed in FEEDS]


def test_a_day_needs_no_earlier_day(drop: Path, tmp_path: Path) -> None:
    extract(plan(tmp_path, DAYS))
    for feed in FEEDS:
        assert rows_of(plan(tmp_path, DAYS).folder(feed)) == delivered(drop, feed, DAYS)


def test_a_delivery_is_never_changed(drop: Path) -> None:
    with pytest.raises(Refused, match="already"):
        extract(plan(drop / "pq", 1))


def test_a_torn_delivery_is_written_anew(drop: Path, tmp_path: Path) -> None:
    torn = plan(tmp_path).folder("pds_patient")
    torn.mkdir(parents=True)
    (torn / "part-00007.parquet").write_bytes(b"half")
    extract(plan(tmp_path))
    assert manifest_of(torn) == manifest_of(plan(drop / "pq").folder("pds_patient"))
    assert not (torn / "part-00007.parquet").exists()


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    extract(plan(tmp_path, patients=300), lambda feed, done, total: told.update({feed: (done, total)}))
    assert told == dict.fromkeys(FEEDS, (300, 300))


def test_number_changes_lead_to_patients(drop: Path) -> None:
    patients = {row["nhs_number"]: row for row in delivered(drop, "pds_patient", 0)}
    changes = {row["nhs_number"]: row for row in delivered(drop, "pds_number_change", 0)}
    for old, change in changes.items():
        if change["change_type"] == "invalidated":
            assert change["new_nhs_number"] is None
            assert patients[old]["security"] == "REDACTED"
            continue
        assert old not in patients
        new = change["new_nhs_number"]
        while new in changes:
            new = changes[new]["new_nhs_number"]
        assert new in patients
    assert set(SUPERSEDED) | set(INVALIDATED) <= set(changes)
    redacted = {number for number, row in patients.items() if row["security"] == "REDACTED"}
    assert redacted == {old for old, change in changes.items() if change["change_type"] == "invalidated"}


def test_deltas_follow_on_from_what_was_sent(drop: Path) -> None:
    """Play a replica: every change fits the state before it."""
    held = {row["nhs_number"]: row for row in delivered(drop, "pds_patient", 0)}
    for day in range(1, DAYS + 1):
        gone = {}
        for change in delivered(drop, "pds_number_change", day):
            old, new = change["nhs_number"], change["new_nhs_number"]
            assert old in held
            assert new is None or new not in held
            gone[old] = new
        for row in delivered(drop, "pds_patient", day):
            number, before = row["nhs_number"], held.get(row["nhs_number"])
            assert row["action"] == ("update" if before else "new")
            assert row["version_id"] == (before["version_id"] + 1 if before else 1)
            assert manifest_of(plan(drop / "pq", day).folder("pds_patient")).window_to - row["recorded_at"] <= timedelta(days=1)  # fmt: skip
            held[number] = row
        for old, new in gone.items():
            if new is None:
                assert held[old]["security"] == "REDACTED"
            else:
                assert held.pop(old)["names"] == held[new]["names"]


def test_summaries_follow_on_from_what_was_sent(drop: Path) -> None:
    held = {row["nhs_number"]: row for row in delivered(drop, "scr_summary", 0)}
    renamed: dict[str, str] = {}
    for day in range(1, DAYS + 1):
        for change in delivered(drop, "pds_number_change", day):
            if change["new_nhs_number"] and change["nhs_number"] in held:
                held[change["new_nhs_number"]] = held.pop(change["nhs_number"])
                renamed[change["nhs_number"]] = change["new_nhs_number"]
        for row in delivered(drop, "scr_summary", day):
            number = row["nhs_number"]
            if row["action"] == "delete":
                assert row["delete_reason"] in {"withdrawn", "permission No", "NHS number invalidated"}
                assert row["deleted_at"] is not None
                held.pop(number)
                continue
            assert row["action"] == ("update" if number in held else "new")
            if number in held:
                assert row["scr_uuid"] != held[number]["scr_uuid"]
                assert row["recorded_at"] > held[number]["recorded_at"]
            held[number] = row


def test_each_kind_of_change_happens(drop: Path) -> None:
    before = {row["nhs_number"]: row for row in delivered(drop, "pds_patient", 0)}
    seen: Counter[str] = Counter()
    for day in range(1, DAYS + 1):
        for row in delivered(drop, "pds_patient", day):
            old = before.get(row["nhs_number"])
            before[row["nhs_number"]] = row
            seen.update(_differences(old, row))
        seen.update(row["change_type"] for row in delivered(drop, "pds_number_change", day))
        seen.update(row["action"] for row in delivered(drop, "scr_summary", day))
    wanted = {
        "newcomer",
        "moved",
        "renamed",
        "died",
        "practice",
        "telephone",
        "restricted",
        "superseded",
        "invalidated",
    }
    assert wanted <= set(seen)
    assert {"update", "delete"} <= set(seen)


def _differences(old: dict[str, Any] | None, new: dict[str, Any]) -> set[str]:
    if old is None:
        return {"newcomer"}
    checks = {
        "moved": old["addresses"] != new["addresses"],
        "renamed": old["names"] != new["names"],
        "died": old["deceased"] is None and new["deceased"] is not None,
        "practice": old["general_practitioner"] != new["general_practitioner"] and new["deceased"] is None,
        "telephone": old["telecoms"] != new["telecoms"],
        "restricted": (old["security"], new["security"]) == ("U", "R"),
    }
    return {name for name, different in checks.items() if different}


def test_replaced_values_become_history_in_the_feeds_order(drop: Path) -> None:
    for day in range(1, DAYS + 1):
        for row in delivered(drop, "pds_patient", day):
            for column in ("names", "addresses", "telecoms"):
                values = row[column] or []
                returned = [in_resource(value) for value in values]
                assert returned == sorted(returned, reverse=True)
                homes = [v for v in values if column == "addresses" and v["use"] == "home" and v["state"] == CURRENT]
                assert len(homes) <= 1
            usual = [n for n in row["names"] or () if n["use"] == "usual" and n["state"] == CURRENT]
            assert len(usual) <= 1


def test_a_newborn_has_a_mother_who_is_a_patient(drop: Path) -> None:
    patients = {row["nhs_number"]: row for row in delivered(drop, "pds_patient", 0)}
    born = [row for row in delivered(drop, "pds_patient", 1) if row["birth_date"] == "2026-03-02"]
    assert born
    for row in born:
        mother = next(number for number in patients if number in row["related_persons"][0])
        assert patients[mother]["gender"] in ("female", "other", "unknown")
        assert row["addresses"][0]["lines"] == patients[mother]["addresses"][0]["lines"]


def test_nobody_has_two_events_a_day_and_personas_have_none() -> None:
    big = Plan(Path("unused"), 400_000, SEED, 3, BASE)
    events = events_of_day(big, population(SEED), 3)
    assert len(set(events.position.tolist())) == len(events)
    assert events.position.min() >= len(PERSONAS)
    counts = Counter(KINDS[kind] for kind in events.kind.tolist())
    assert counts["summary"] == pytest.approx(3_200, rel=0.05)
    assert counts["move"] == pytest.approx(108, rel=0.1)
    assert set(counts) == set(KINDS)


@pytest.mark.parametrize("patients", [1, 14, 20, 149])
def test_small_populations_work(tmp_path: Path, patients: int) -> None:
    for day in (0, 1, 2):
        manifests = extract(plan(tmp_path, day, patients=patients))
        assert [manifest.feed for manifest in manifests] == list(FEEDS)
    assert len(rows_of(plan(tmp_path).folder("pds_patient"))) == patients


def test_plans_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Patients"):
        Plan(tmp_path, 0, 1, 0, BASE)
    with pytest.raises(ConfigurationError, match="Patients"):
        Plan(tmp_path, PEOPLE_LIMIT + 1, 1, 0, BASE)
    with pytest.raises(ConfigurationError, match="day"):
        Plan(tmp_path, 10, 1, -1, BASE)
    with pytest.raises(ConfigurationError, match="base date"):
        Plan(tmp_path, 10, 1, 0, date(2025, 12, 31))
    with pytest.raises(ConfigurationError, match="parquet only"):
        Plan(tmp_path, 10, 1, 0, BASE, "ndjson", "headers")
    with pytest.raises(ConfigurationError, match="changes"):
        Plan(tmp_path, 10, 1, 1, BASE, changes=11)
    with pytest.raises(ConfigurationError, match="documents or headers"):
        parse_summaries("none")
    with pytest.raises(ConfigurationError, match="format"):
        parse_format("csv")
    with pytest.raises(ConfigurationError, match="yyyy-mm-dd"):
        parse_base("2.3.2026", tmp_path, 0, datetime.now(UTC))


def test_the_base_date_follows_day_zero_in_the_drop_folder(drop: Path, tmp_path: Path) -> None:
    late, early = datetime(2026, 5, 10, 12, tzinfo=UTC), datetime(2026, 5, 10, 2, tzinfo=UTC)
    assert default_base(drop / "pq", 4, late) == BASE
    assert default_base(tmp_path, 0, late) == date(2026, 5, 10)
    assert default_base(tmp_path, 0, early) == date(2026, 5, 9)
    assert default_base(tmp_path, 4, late) == date(2026, 5, 6)


def test_the_commands_work(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["extract", "--drop", str(tmp_path), "--patients", "60", "--base", "2026-03-02", "--format", "parquet"]
    made = runner.invoke(app, arguments)
    assert made.exit_code == 0
    assert "pds_patient" in made.stdout
    again = runner.invoke(app, arguments)
    assert again.exit_code == 3
    assert runner.invoke(app, [*arguments, "--base", "yesterday"]).exit_code == 2
    shown = runner.invoke(app, ["people", "--show-personas"])
    assert "9000000009" in shown.stdout
    listed = runner.invoke(app, ["people", "--count", "3"])
    assert listed.exit_code == 0
    measured = runner.invoke(app, ["bench", "--patients", "2000"])
    assert "demographic columns" in measured.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ndjson", "parquet"])
def test_worker_processes_write_the_same_parts(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes in ("_NDJSON", "_PARQUET"):
        cut = {"patients": (150, 65_536), "documents": (100, 25_000)}
        monkeypatch.setattr(f"sandbox.extracts.parts.{sizes}", cut)
    alone = extract(plan(tmp_path / "alone", 0, form, 400))
    monkeypatch.setattr("sandbox.extracts.extract._WORTH_A_PROCESS", 100)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    together = extract(plan(tmp_path / "together", 0, form, 400))
    assert alone == together
    assert [len(manifest.files) for manifest in together] == [1, 3, 4]
    for feed in FEEDS:
        rows = rows_of(plan(tmp_path / "together", 0, form, 400).folder(feed))
        assert [row["row_no"] for row in rows] == list(range(1, len(rows) + 1))
