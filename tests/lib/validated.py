"""Small validated extracts with their ledger entries, for tests of what is built from them.

Belongs here: rows of each feed, written where validation writes them. Does not belong here: landing
and validation themselves (``tests/lib/extracts.py``), generations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from assets.published.service import Builder, Outcome, build_and_publish, builder
from assets.stores import Stores
from schemas.feeds import FEEDS
from schemas.identifiers import check_digit
from search_api.index.embedded import EmbeddedEngine
from search_api.index.engines import index_engine
from search_api.index.provider import IndexEngine
from search_api.ops.database import control_engine
from search_api.ops.ledger import RELEASED_SUFFIX, ExtractEntry, Ledger
from search_api.settings import Settings

Row = dict[str, Any]

START = datetime(2026, 11, 1, 6, tzinfo=UTC)
NUMBERS = [
    f"{stem}{digit}" for stem in range(950_000_000, 950_001_200) if (digit := check_digit(str(stem))) is not None
]
GIVEN = ("Ann", "Ben", "Carys", "Dev", "Ewa", "Femi", "Gwen", "Hari")
FAMILY = ("Hughes", "Okafor", "Patel", "Quinn", "Rees", "Smith", "Taylor", "Unwin")


def moment(day: float) -> datetime:
    """A time of day ``day`` of the tests' calendar."""
    return START + timedelta(days=day)


def patient(number: str, version: int = 1, **fields: Any) -> Row:
    """A pds_patient row; name, address and birth date follow from number and version unless given."""
    seed = int(number) // 10 + version
    row: Row = {
        "action": "new",
        "source_key": number,
        "nhs_number": number,
        "version_id": version,
        "security": "U",
        "gender": ("male", "female")[seed % 2],
        "birth_date": f"{1930 + seed % 80}-0{1 + seed % 9}-1{seed % 9}",
        "names": [
            {
                "state": "current",
                "id": "n1",
                "use": "usual",
                "given": [GIVEN[seed % 8]],
                "family": FAMILY[seed // 3 % 8],
            }
        ],
        "addresses": [
            {
                "state": "current",
                "id": "a1",
                "use": "home",
                "lines": ["", f"{seed % 90} High Street"],
                "postcode": "LS1 4AP",
            }
        ],
        "telecoms": [
            {"state": "current", "id": "t1", "system": "phone", "use": "home", "value": f"0113{seed:07d}"[:11]}
        ],
        "general_practitioner": {"id": "g1", "code": f"Y1{seed % 9000:04d}"},
        "related_persons": [f'{{"resourceType":"RelatedPerson","id":"R{seed % 97}"}}'],
    }
    return {**row, **fields}


def removal(number: str, **fields: Any) -> Row:
    """A delete of either feed."""
    return {"action": "delete", "source_key": number, "nhs_number": number, **fields}


def change(old: str, new: str | None, **fields: Any) -> Row:
    """A pds_number_change row; without a new number the old one is invalidated."""
    kind = "superseded" if new else "invalidated"
    row: Row = {"action": "new", "source_key": old + (new or ""), "nhs_number": old, "new_nhs_number": new}
    return {**row, "change_type": kind, **fields}


def summary(number: str, day: float = 0, **fields: Any) -> Row:
    """An scr_summary row recorded on a day."""
    row: Row = {
        "action": "new",
        "source_key": number,
        "nhs_number": number,
        "recorded_at": moment(day),
        "scr_uuid": f"{number}-{day}",
        "created": moment(day).isoformat(),
        "permission": "Yes",
        "sections": [{"code": "allergies", "title": "Allergies", "html": f"<p>{day}</p>"}],
    }
    return {**row, **fields}


@dataclass
class Home:
    """A home of its own: stores, ledger, settings, and the sequences written so far.

    ``options`` are settings that differ from those of tests; with ``index`` another engine is used.
    """

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(init=False)
    stores: Stores = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        small: dict[str, Any] = {"build_memory_gb": 0.5, "build_threads": 1, "free_space_factor": 0.0}
        self.settings = Settings(home=self.folder, **{**small, **self.options})
        self.stores = Stores(self.folder, self.folder / "drop")
        self.ledger = Ledger(control_engine(self.settings.control_url))

    def extract(self, feed: str, rows: Sequence[Row], kind: str = "delta", **fields: Any) -> ExtractEntry:
        """Write one validated extract as the next of its feed, and its committed ledger entry."""
        source = FEEDS[feed].sources[0] + (RELEASED_SUFFIX if fields.get("origin_sequence") else "")
        known = [entry.sequence for entry in self.ledger.entries(feed) if entry.source == source]
        sequence = max(known, default=0) + 1
        folder = self.stores.stage("validated", feed, source, sequence)
        folder.mkdir(parents=True)
        frame = pl.DataFrame(
            [{"row_no": number, **row} for number, row in enumerate(rows, 1)], schema=FEEDS[feed].polars_schema
        )
        if rows:
            frame.write_parquet(folder / "part-00000.parquet")
        return self.ledger.record(
            ExtractEntry(
                feed=feed,
                source=source,
                sequence=sequence,
                kind=kind,
                fingerprint=f"{feed}{source}{sequence}",
                sha256="0" * 64,
                record_count=len(rows),
                accepted=len(rows),
                outcome="accepted",
                code="FILE_ACCEPTED",
                received_at=moment(sequence),
                **{"as_at": moment(sequence), **fields},
            )
        )

    def quarantine(self, entry: ExtractEntry, numbers: Sequence[str | None]) -> None:
        """Say that rows of these numbers were rejected from an extract."""
        folder = self.stores.stage("quarantine", entry.feed, entry.source, entry.sequence)
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"nhs_number": list(numbers)}, schema={"nhs_number": pl.String})
        frame.write_parquet(folder / "quarantine-00000.parquet")

    @property
    def engine(self) -> IndexEngine:
        """The engine of the settings; a small one where it is embedded: one thread, the least heap."""
        if self.settings.index != EmbeddedEngine.name:
            return index_engine(self.settings)
        return EmbeddedEngine(heap_bytes=15_000_000, threads=1)

    @property
    def builder(self) -> Builder:
        """A builder of this home."""
        return builder(self.stores, self.ledger, self.settings, "tester", self.engine)

    def build(self, build_id: str = "b", *, anew: bool = False) -> Outcome:
        """Build and publish what is pending."""
        return build_and_publish(self.builder, build_id, "a test", anew=anew)
