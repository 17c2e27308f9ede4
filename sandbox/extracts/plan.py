"""What to deliver: the plan of one day's extracts.

Belongs here: the plan, and the times that follow from it. Does not belong here: rows, files.
Day 0 is a full extract, true at 03:00 UTC of the base date; day D is the delta of the 24 hours
before 03:00 UTC of base date + D, delivered as sequence D + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from sandbox.population.dates import REFERENCE
from sandbox.population.numbers import PEOPLE_LIMIT
from sandbox.population.rates import RATES, Rates
from schemas.errors import ConfigurationError
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import FEEDS, PDS_PATIENT

Format = Literal["ndjson", "parquet"]
Summaries = Literal["documents", "headers"]
_AS_AT = time(3, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """One day's delivery. ``form`` is ndjson (gzipped NDJSON of FHIR) or parquet (row form).

    ``summaries``: with their documents, or as headers alone. ``changes``: about how many patients change on
    a later day; None for the rates as they are. It must be the same on all days of one drop folder, as the
    patients and the seed must, since a day is worked out from those before it.
    """

    drop: Path
    patients: int
    seed: int
    day: int
    base: date
    form: Format = "ndjson"
    summaries: Summaries = "documents"
    changes: int | None = None

    def __post_init__(self) -> None:
        if self.summaries == "headers" and self.form != "parquet":
            raise ConfigurationError(
                "Summaries without documents come as parquet only: an NDJSON line is the document."
            )
        if self.changes is not None and not 1 <= self.changes <= self.patients:
            raise ConfigurationError("The changes of a day must lie between 1 and the number of patients.")
        if not 1 <= self.patients <= PEOPLE_LIMIT:
            raise ConfigurationError(f"Patients must be between 1 and {PEOPLE_LIMIT}.")
        if self.day < 0:
            raise ConfigurationError("The day must be 0 (the full extract) or later.")
        if self.base < REFERENCE:
            raise ConfigurationError(
                f"The base date must not lie before {REFERENCE}, where the population's past ends."
            )

    @property
    def rates(self) -> Rates:
        """How often things happen: the population's rates, those of a day scaled to ``changes``.

        Replaced and withdrawn summaries come on top, at their own rates, but no more of them than changes.
        """
        if self.changes is None:
            return RATES
        wanted = self.changes / self.patients
        daily = {field.name: getattr(RATES, field.name) for field in fields(RATES) if field.name.startswith("day_")}
        of_summaries = {name: daily.pop(name) for name in ("day_summary", "day_withdraw")}
        factor = wanted / sum(daily.values())
        capped = min(1.0, wanted / sum(of_summaries.values()))
        scaled = {name: min(rate * factor, 1.0) for name, rate in daily.items()}
        return replace(RATES, **scaled, **{name: rate * capped for name, rate in of_summaries.items()})

    @property
    def sequence(self) -> int:
        """Sequence number in every feed."""
        return self.day + 1

    @property
    def date(self) -> date:
        """The day on which the extract is true."""
        return self.base + timedelta(days=self.day)

    @property
    def window_to(self) -> datetime:
        """The as-at time."""
        return datetime.combine(self.date, _AS_AT)

    @property
    def window_from(self) -> datetime | None:
        """Start of the window of a delta; None for the full."""
        return self.window_to - timedelta(days=1) if self.day else None

    def folder(self, feed: str) -> Path:
        """The folder of this delivery of a feed."""
        return self.drop / feed / FEEDS[feed].sources[0] / f"{self.sequence:08d}"


def default_base(drop: Path, day: int, now: datetime) -> date:
    """Base date when none is given.

    For a later day: that of day 0 in the drop folder, if it is there. Else such that the day's
    as-at time is the last 03:00 UTC before ``now``.
    """
    first = drop / PDS_PATIENT.name / PDS_PATIENT.sources[0] / f"{1:08d}" / MANIFEST_NAME
    if day and first.is_file():
        return ExtractManifest.model_validate_json(first.read_bytes()).window_to.date()
    latest = (now.astimezone(UTC) - timedelta(hours=_AS_AT.hour)).date()
    return latest - timedelta(days=day)


def parse_format(text: str) -> Format:
    """The format of this name; raises ConfigurationError for another."""
    if text == "ndjson":
        return "ndjson"
    if text == "parquet":
        return "parquet"
    raise ConfigurationError("The format must be ndjson or parquet.")


def parse_summaries(text: str) -> Summaries:
    """What comes of summaries, by this name; raises ConfigurationError for another."""
    if text == "documents":
        return "documents"
    if text == "headers":
        return "headers"
    raise ConfigurationError("Summaries must be documents or headers.")


def parse_base(text: str | None, drop: Path, day: int, now: datetime) -> date:
    """The base date written yyyy-mm-dd, or the default; raises ConfigurationError for another text."""
    if text is None:
        return default_base(drop, day, now)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError("The base date must be written yyyy-mm-dd.") from error
