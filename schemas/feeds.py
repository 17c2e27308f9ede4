"""The catalogue of feeds: source, kinds, key, columns, deletes, cadence, freshness limits.

Belongs here: one entry per national feed. Adding a feed is one entry here, one rules file, one
FHIR file and one slice. Does not belong here: how a feed is read or checked.
Source: reference/services.md section 19.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from schemas.fields import ENVELOPE, Field, fields
from schemas.types import polars_type

ExtractKind = Literal["full", "delta"]


@dataclass(frozen=True)
class Feed:
    """One national feed. ``version_field`` orders records of one key; None means recorded_at. ``withdraws``: the field
    and its value by which a record of a delta says that its number stands for nobody any more."""

    name: str
    title: str
    owner: str
    kinds: tuple[ExtractKind, ...]
    sources: tuple[str, ...]
    columns: tuple[str, ...]
    schema_version: str
    version_field: str | None
    needs_patient: bool
    cadence: str
    soft_limit: timedelta
    hard_limit: timedelta
    shrink_limit: float
    order: int
    withdraws: tuple[str, str] | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """Envelope fields, then the feed's own, in column order."""
        return fields((*ENVELOPE, *self.columns))

    @property
    def polars_schema(self) -> dict[str, pl.DataType]:
        """Column name to dtype of the validated parquet."""
        return {field.name: polars_type(field.kind) for field in self.fields}


PDS_PATIENT = Feed(
    name="pds_patient",
    title="Personal Demographics Service: patients",
    owner="group:pds",
    kinds=("full", "delta"),
    sources=("PDS",),
    columns=(
        "version_id",
        "security",
        "verification",
        "gender",
        "birth_date",
        "birth_order",
        "deceased",
        "death_status",
        "death_status_date",
        "names",
        "addresses",
        "telecoms",
        "contacts",
        "general_practitioner",
        "managing_organisation",
        "nominated_pharmacy",
        "preferred_dispenser",
        "appliance_supplier",
        "language",
        "interpreter_required",
        "contact_preference",
        "birth_place",
        "removal",
        "consents",
        "former_genders",
        "former_birth_dates",
        "related_persons",
        "source_json",
    ),
    schema_version="1",
    version_field="version_id",
    needs_patient=False,
    cadence="daily delta, first a full",
    soft_limit=timedelta(hours=26),
    hard_limit=timedelta(days=7),
    shrink_limit=0.02,
    order=2,
    withdraws=("security", "REDACTED"),
)

PDS_NUMBER_CHANGE = Feed(
    name="pds_number_change",
    title="Personal Demographics Service: NHS number changes",
    owner="group:pds",
    kinds=("delta",),
    sources=("PDS",),
    columns=("new_nhs_number", "change_type"),
    schema_version="1",
    version_field=None,
    needs_patient=False,
    cadence="daily events, applied before every other feed",
    soft_limit=timedelta(hours=26),
    hard_limit=timedelta(days=7),
    shrink_limit=1.0,
    order=1,
    withdraws=("change_type", "invalidated"),
)

SCR_SUMMARY = Feed(
    name="scr_summary",
    title="Summary Care Record: GP summaries",
    owner="group:scr",
    kinds=("full", "delta"),
    sources=("SCR",),
    columns=(
        "scr_uuid",
        "created",
        "sent",
        "practice_code",
        "author_name",
        "permission",
        "has_additional_information",
        "has_withheld_items",
        "sections",
        "section_rows",
        "bundle_json",
    ),
    schema_version="1",
    version_field=None,
    needs_patient=True,
    cadence="daily delta, weekly full",
    soft_limit=timedelta(hours=26),
    hard_limit=timedelta(days=14),
    shrink_limit=0.02,
    order=3,
)

FEEDS: dict[str, Feed] = {
    feed.name: feed for feed in sorted((PDS_PATIENT, PDS_NUMBER_CHANGE, SCR_SUMMARY), key=lambda feed: feed.order)
}
