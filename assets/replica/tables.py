"""The tables of ``replica.duckdb``: columns, how a row is made of a validated row, what is content.

Belongs here: names, types and SQL expressions. Does not belong here: applying extracts
(``apply.py``), number changes (``changes.py``), reading for answers (``search_api/replica.py``).

``source, position, sequence, row_no`` and ``recorded_at`` are provenance: they say where a record
came from and are not part of the content checksum, because a full and a delta that say the same
give the same replica. Personal data of an invalidated patient (REDACTED) is left out on the way in.

``print`` is the hash of what a row says, made of the texts before they are packed. It is the row's part
in the table's checksum, and the search document made of the row carries it (docs/decisions/0022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.feeds import PDS_NUMBER_CHANGE, PDS_PATIENT, SCR_SUMMARY
from search_api import db, packed

PATIENT_TABLE = "replica__pds_patient"
CHANGE_TABLE = "replica__pds_number_change"
SUMMARY_TABLE = "replica__scr_summary"
WAITING_TABLE = "replica__waiting"
TOMBSTONE_TABLE = "replica__tombstone"
CHANGED_TABLE = "build__changed"

INVALIDATED = "REDACTED"
# The place of a record in the files beside the database.
PLACE_KIND = "BIGINT"

_PROVENANCE = (
    ("recorded_at", "TIMESTAMPTZ"),
    ("source", "VARCHAR"),
    ("position", "BIGINT"),
    ("sequence", "BIGINT"),
    ("row_no", "BIGINT"),
)


def parquet(parts: Sequence[Path]) -> str:
    """SQL that reads these files as one table."""
    return "read_parquet([" + ", ".join(db.literal(str(path)) for path in parts) + "])"


def _unless_invalidated(expression: str) -> str:
    return f"CASE WHEN security = '{INVALIDATED}' THEN NULL ELSE {expression} END"


@dataclass(frozen=True)
class TableSpec:
    """One record table. ``key`` is unique: the record's own number as the source sent it.

    ``made`` maps each own column to SQL over the validated rows as ``told.py`` gives them; provenance is added by
    ``apply.py``. ``said`` are the columns whose hash is ``print``, ``packed`` those kept as places of packed texts,
    and ``content`` the columns of the checksum. ``version`` is the column that orders records, if the feed has one.
    """

    feed: str
    table: str
    key: str
    version: str | None
    columns: tuple[tuple[str, str], ...]
    made: dict[str, str]
    content: tuple[str, ...]
    said: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()

    def told(self, name: str) -> str:
        """SQL for a column as it was made, over the columns as they are kept."""
        return f'{packed.unpack_name(self.feed)}("{name}")' if name in self.packed else f'"{name}"'

    def print_of(self, columns: Sequence[str]) -> str:
        """SQL for the 63-bit hash of what a row says; ``columns`` is SQL for the columns of ``said``."""
        return f"CAST(hash({', '.join(columns)}) >> 1 AS BIGINT)"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(name for name, _ in self.columns)

    def ddl(self, table: str) -> str:
        """CREATE TABLE under this name."""
        body = ", ".join(f'"{name}" {kind}' for name, kind in self.columns)
        return f'CREATE TABLE IF NOT EXISTS "{table}" ({body})'


PATIENT = TableSpec(
    feed=PDS_PATIENT.name,
    table=PATIENT_TABLE,
    key="nhs_number",
    version="version_id",
    columns=(
        ("nhs_number", "BIGINT"),
        ("version_id", "BIGINT"),
        ("security", "VARCHAR"),
        ("gender", "VARCHAR"),
        ("birth_date", "VARCHAR"),
        ("deceased", "VARCHAR"),
        ("gp_code", "VARCHAR"),
        *_PROVENANCE,
        ("print", "BIGINT"),
        ("record", PLACE_KIND),
        ("related", PLACE_KIND),
    ),
    made={
        "nhs_number": "CAST(nhs_number AS BIGINT)",
        "version_id": "version_id",
        "security": "security",
        "gender": _unless_invalidated("gender"),
        "birth_date": _unless_invalidated("birth_date"),
        "deceased": _unless_invalidated("deceased"),
        "gp_code": _unless_invalidated("general_practitioner.code"),
        "record": "record",
        "related": "related",
    },
    content=("nhs_number", "print"),
    said=("nhs_number", "version_id", "security", "gender", "birth_date", "deceased", "gp_code", "record", "related"),
    packed=("record", "related"),
)

SUMMARY = TableSpec(
    feed=SCR_SUMMARY.name,
    table=SUMMARY_TABLE,
    key="sent_number",
    version=None,
    columns=(
        ("sent_number", "BIGINT"),
        ("nhs_number", "BIGINT"),
        *_PROVENANCE,
        ("print", "BIGINT"),
        ("record", PLACE_KIND),
    ),
    made={
        "sent_number": "CAST(nhs_number AS BIGINT)",
        "nhs_number": "CAST(nhs_number AS BIGINT)",
        "record": "record",
    },
    content=("sent_number", "nhs_number", "print"),
    said=("sent_number", "record"),
    packed=("record",),
)

RECORD_TABLES = {spec.feed: spec for spec in (PATIENT, SUMMARY)}

_CHANGE_COLUMNS = (("old", "BIGINT"), ("new", "BIGINT"), ("change_type", "VARCHAR"), *_PROVENANCE)
_TOMBSTONE_COLUMNS = (
    ("feed", "VARCHAR"),
    ("nhs_number", "BIGINT"),
    ("kind", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("deleted_at", "TIMESTAMPTZ"),
    ("version_id", "BIGINT"),
    *_PROVENANCE,
)
CHANGE = TableSpec(
    PDS_NUMBER_CHANGE.name, CHANGE_TABLE, "old", None, _CHANGE_COLUMNS, {}, ("old", "new", "change_type")
)
TOMBSTONE = TableSpec("", TOMBSTONE_TABLE, "nhs_number", None, _TOMBSTONE_COLUMNS, {}, ("feed", "nhs_number", "kind"))

# Every table of a finished replica with its content columns, in the order of the manifest.
CONTENT: dict[str, tuple[str, ...]] = {
    PATIENT_TABLE: PATIENT.content,
    CHANGE_TABLE: CHANGE.content,
    SUMMARY_TABLE: SUMMARY.content,
    WAITING_TABLE: SUMMARY.content,
    TOMBSTONE_TABLE: TOMBSTONE.content,
}
# The tables that are equal whichever way the same records arrived; tombstones remember the way.
CORE_TABLES = (PATIENT_TABLE, CHANGE_TABLE, SUMMARY_TABLE, WAITING_TABLE)

CREATE = (
    PATIENT.ddl(PATIENT_TABLE),
    CHANGE.ddl(CHANGE_TABLE),
    SUMMARY.ddl(SUMMARY_TABLE),
    SUMMARY.ddl(WAITING_TABLE),
    TOMBSTONE.ddl(TOMBSTONE_TABLE),
    f'CREATE TABLE IF NOT EXISTS "{CHANGED_TABLE}" (nhs_number BIGINT)',
)
# Of the small table only: an index costs 40 bytes a row, has to fit in memory to be made, and all of it is written
# anew with each delta. Records are found by the files of ``keying.py``. That no key is there twice follows from how
# extracts are applied.
INDEXES = (f'CREATE UNIQUE INDEX IF NOT EXISTS one_change ON "{CHANGE_TABLE}" ("old")',)
