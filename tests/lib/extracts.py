"""Small golden extracts and deliveries for tests of landing and validation.

People are synthetic; NHS numbers come from the 900 range with right check digits.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from assets.stores import Stores
from schemas.extract import MANIFEST_NAME
from schemas.feeds import FEEDS
from schemas.fhir.envelope import write_line
from schemas.identifiers import check_digit
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.settings import Settings

AS_AT = datetime(2026, 5, 1, 3, tzinfo=UTC)
Row = dict[str, Any]


def nhs_number(index: int) -> str:
    """The index-th NHS number of the 900 range that has a check digit."""
    serial, found = 900_000_000, -1
    while True:
        digit = check_digit(f"{serial:09d}")
        found += digit is not None
        if found == index:
            return f"{serial:09d}{digit}"
        serial += 1


NUMBERS = [nhs_number(index) for index in range(60)]


def patient(index: int, **changes: Any) -> Row:
    """A plain patient row of pds_patient with every column, row_no index + 1."""
    row: Row = dict.fromkeys(FEEDS["pds_patient"].polars_schema)
    number = NUMBERS[index]
    name = {"state": "current", "id": "n1", "use": "usual", "start": "2001-01-01", "end": None}
    address = {"state": "current", "id": "a1", "use": "home", "text": None, "start": "2010-05-01", "end": None}
    row |= {
        "action": "new",
        "source_key": number,
        "nhs_number": number,
        "recorded_at": AS_AT - timedelta(days=1),
        "row_no": index + 1,
        "version_id": 3,
        "security": "U",
        "verification": "01",
        "gender": ("female", "male")[index % 2],
        "birth_date": f"{1940 + index}-0{index % 9 + 1}-1{index % 10}",
        "names": [
            {**name, "prefix": ["Ms"], "given": [f"Wren{index}", "Zoë"], "family": f"O'Marlow{index}", "suffix": None}
        ],
        "addresses": [
            {**address, "lines": [f"{index} Mill Lane", "Leeds"], "postcode": f"LS{index % 9 + 1} 4AP", "keys": None}
        ],
        "general_practitioner": {"id": "g1", "code": "Y12345", "start": "2010-05-01", "end": None},
    }
    return row | changes


def number_change(index: int, **changes: Any) -> Row:
    """An event that supersedes one number with another."""
    row: Row = dict.fromkeys(FEEDS["pds_number_change"].polars_schema)
    old, new = NUMBERS[index], NUMBERS[index + 30]
    row |= {
        "action": "new",
        "source_key": old + new,
        "nhs_number": old,
        "recorded_at": AS_AT - timedelta(hours=1),
        "row_no": index + 1,
        "new_nhs_number": new,
        "change_type": "superseded",
    }
    return row | changes


def summary(index: int, **changes: Any) -> Row:
    """A summary row with one section."""
    row: Row = dict.fromkeys(FEEDS["scr_summary"].polars_schema)
    row |= {
        "action": "new",
        "source_key": NUMBERS[index],
        "nhs_number": NUMBERS[index],
        "recorded_at": AS_AT - timedelta(days=2),
        "row_no": index + 1,
        "scr_uuid": f"00000000-0000-4000-8000-{index:012d}",
        "created": "2026-04-29T10:00:00+00:00",
        "practice_code": "Y12345",
        "permission": "Ask",
        "sections": [{"code": "AllergiesHeader", "title": "Allergies", "html": "<div>None</div>"}],
        "bundle_json": json.dumps({"resourceType": "Bundle", "id": f"{index}"}),
    }
    return row | changes


def frame(feed: str, rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a frame of the feed's schema."""
    return pl.DataFrame(list(rows), schema=FEEDS[feed].polars_schema)


def control(rows: Sequence[Row]) -> int:
    """Exclusive or of the numbers that have ten digits, counted in plain Python."""
    total = 0
    for row in rows:
        number = row["nhs_number"]
        if number is not None and len(number) == 10 and number.isascii() and number.isdigit():
            total ^= int(number)
    return total


@dataclass
class Delivery:
    """A delivery about to be written: bytes of each file, and the manifest as plain values."""

    files: dict[str, bytes]
    manifest: dict[str, Any]
    folder_feed: str = "pds_patient"
    folder_source: str = "PDS"
    folder_sequence: int = 1
    after: list[Callable[[Path], None]] = field(default_factory=list)

    def recount(self) -> Delivery:
        """Make the manifest true again of the bytes (size and hash only), as a careless supplier would."""
        for entry in self.manifest["files"]:
            content = self.files.get(entry["name"], b"")
            entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        return self

    def write(self, drop: Path) -> Path:
        """Write the data files, then the manifest."""
        folder = drop / self.folder_feed / self.folder_source / f"{self.folder_sequence:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        for change in self.after:
            change(folder)
        partial = folder / ".manifest.json.partial"
        partial.write_bytes(json.dumps(self.manifest).encode())
        partial.rename(folder / MANIFEST_NAME)
        return folder


def data_file(feed: str, rows: Sequence[Row], form: str, folder: Path) -> tuple[str, bytes]:
    """Name and bytes of the rows in a format: parquet, ndjson or ndjson.gz."""
    if form == "parquet":
        path = folder / "rows.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        frame(feed, rows).write_parquet(path)
        return "rows.parquet", path.read_bytes()
    lines = "".join(json.dumps(write_line(feed, row), ensure_ascii=False) + "\n" for row in rows).encode()
    if form == "ndjson":
        return "rows.ndjson", lines
    return "rows.ndjson.gz", gzip.compress(lines, mtime=0)


def delivery(rows: Sequence[Row], folder: Path, form: str = "parquet", **fields: Any) -> Delivery:
    """A true delivery of rows; ``fields`` replace manifest fields (feed, kind, sequence, …)."""
    feed = fields.get("feed", "pds_patient")
    name, content = data_file(feed, rows, form, folder)
    sequence = fields.get("sequence", 1)
    source = FEEDS[feed].sources[0]
    kind = fields.get("kind", "full" if sequence == 1 and "full" in FEEDS[feed].kinds else "delta")
    as_at = AS_AT + timedelta(days=sequence - 1)
    manifest: dict[str, Any] = {
        "source": source,
        "feed": feed,
        "kind": kind,
        "sequence": sequence,
        "previous_sequence": sequence - 1 if sequence > 1 else None,
        "window_from": (as_at - timedelta(days=1)).isoformat(),
        "window_to": as_at.isoformat(),
        "created_at": as_at.isoformat(),
        "schema_version": "1",
        "files": [
            {
                "name": name,
                "format": form,
                "rows": len(rows),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
        "record_count": len(rows),
        "control": control(rows),
    }
    manifest |= fields
    return Delivery({name: content}, manifest, feed, source, sequence)


@dataclass(frozen=True)
class House:
    """A home with its drop folder, ledger and settings."""

    stores: Stores
    ledger: Ledger
    settings: Settings

    def accepted(self, feed: str = "pds_patient", source: str = "PDS", sequence: int = 1) -> pl.DataFrame:
        """Validated rows of one extract, by row number; empty when there are none."""
        folder = self.stores.stage("validated", feed, source, sequence)
        parts = sorted(folder.glob("part-*.parquet"))
        if not parts:
            return pl.DataFrame(schema=FEEDS[feed].polars_schema)
        return pl.read_parquet(parts).sort("row_no")


def house(folder: Path, **settings: Any) -> House:
    """A new, empty house in a folder."""
    chosen = replace(Stores(folder / "home", folder / "drop"))
    chosen.home.mkdir(parents=True, exist_ok=True)
    chosen.drop.mkdir(parents=True, exist_ok=True)
    engine = control_engine(f"sqlite:///{chosen.home / 'control.db'}")
    return House(chosen, Ledger(engine), Settings(home=chosen.home, **settings))


def no_opinion(_feed: Any, _accepted: pl.DataFrame) -> list[Any]:
    """An auditor without an opinion, for tests that are not about the expectations."""
    return []
