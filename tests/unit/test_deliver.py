"""Delivering one's own file: totals, sequence, and what cannot be delivered."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import orjson
import polars as pl
import pytest

from sandbox.extracts.deliver import Delivery, deliver
from schemas.errors import ConfigurationError
from schemas.extract import ExtractManifest

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
ROWS = [{"resourceType": "Patient", "id": "9000000009"}, {"nhs_number": "9000000017", "action": "delete"}]
CONTROL = 9000000009 ^ 9000000017


def _ndjson(folder: Path) -> Path:
    path = folder / "mine.ndjson"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ROWS))
    return path


def _packed(folder: Path) -> Path:
    path = folder / "mine.ndjson.gz"
    path.write_bytes(gzip.compress(_ndjson(folder).read_bytes()))
    return path


def _parquet(folder: Path) -> Path:
    path = folder / "mine.parquet"
    pl.DataFrame({"nhs_number": ["9000000009", "9000000017"]}).write_parquet(path)
    return path


@pytest.mark.parametrize("make", [_ndjson, _packed, _parquet])
def test_the_manifest_counts_what_the_file_holds(tmp_path: Path, make: object) -> None:
    made = deliver(Delivery(tmp_path / "drop", "pds_patient", "delta", NOW), make(tmp_path))  # type: ignore[operator]
    assert (made.record_count, made.control, made.sequence, made.previous_sequence) == (2, CONTROL, 1, None)
    folder = tmp_path / "drop" / "pds_patient" / "PDS" / "00000001"
    assert ExtractManifest.model_validate_json((folder / "manifest.json").read_bytes()) == made
    assert (folder / made.files[0].name).stat().st_size == made.files[0].bytes


def test_the_next_delivery_follows_the_last(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path / "drop", "pds_patient", "delta", NOW)
    deliver(delivery, _ndjson(tmp_path))
    second = deliver(delivery, _ndjson(tmp_path))
    assert (second.sequence, second.previous_sequence) == (2, 1)


def test_lines_that_cannot_be_read_are_counted_without_a_number(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(b"not json\n[1]\n" + orjson.dumps(ROWS[0]) + b"\n")
    made = deliver(Delivery(tmp_path / "drop", "pds_patient", "full", NOW), path)
    assert (made.record_count, made.control) == (3, 9000000009)


def test_an_envelope_without_a_number_counts_with_its_payloads(tmp_path: Path) -> None:
    path = tmp_path / "mine.ndjson"
    path.write_bytes(orjson.dumps({"action": "new", "payload": ROWS[0]}) + b"\n" + orjson.dumps(ROWS[1]) + b"\n")
    assert deliver(Delivery(tmp_path / "drop", "pds_patient", "delta", NOW), path).control == CONTROL


@pytest.mark.parametrize(("feed", "name"), [("nothing", "a.ndjson"), ("pds_patient", "a.csv")])
def test_what_cannot_be_delivered_is_refused_with_the_way_out(tmp_path: Path, feed: str, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"Feeds:|Endings:"):
        deliver(Delivery(tmp_path / "drop", feed, "delta", NOW), tmp_path / name)
