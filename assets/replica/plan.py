"""What the next generation is made of: a pure function of the ledger and the last generation.

Belongs here: which extracts are applied, in which order, on which base, and why. Does not belong
here: files, databases, applying anything.

Order (services.md 19.6): number changes, then patients, then the rest (``Feed.order``); within a
feed by source and sequence, rows released from quarantine after the last extract committed before
them: the order in which they were committed, so a build at any moment applies a beginning of it.
Every committed extract that the base lacks is applied, a full as well: it is compared with what is
held, the newer record wins, and what it lacks is deleted. So a generation is the same function of
all extracts, whether it was built on the last one or from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from schemas.feeds import FEEDS, PDS_PATIENT, ExtractKind
from schemas.generation import FeedState, GenerationManifest, WeightsState
from search_api.ops.ledger import RELEASED_SUFFIX, ExtractEntry

# What a cluster can lose of a generation.
INDEX, RECORDS = "search index", "records"


class Step(BaseModel):
    """One extract to apply, of ``rows`` accepted rows. ``position`` orders records without version or
    time: the sequence, and for released rows that of the extract they came from. ``after`` orders the
    extracts: the sequence, and for released rows that of the last extract committed before them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feed: str
    source: str
    sequence: int
    position: int
    after: int
    kind: ExtractKind
    rows: int
    as_at: datetime

    @property
    def origin(self) -> str:
        """The supplier, also of released rows."""
        return self.source.removesuffix(RELEASED_SUFFIX)


class Versions(BaseModel):
    """What the code at hand would write into a manifest. ``records``: whether a cluster gets the records too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    code_version: str
    weights_version: str
    weights: WeightsState | None = None
    engine: str
    records: bool = False


class BuildPlan(BaseModel):
    """``base`` None: from nothing. ``previous`` is what is current now; publishing checks it again.

    ``fresh_index``: index and name frequencies are built from nothing. ``fresh_records``: so are the
    records in the cluster, if there are to be any. ``feeds`` is the state of each feed once the plan is
    carried out. ``work`` False: there is nothing to do, ``reason`` says why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: bool
    reason: str
    base: str | None
    previous: str | None
    number: int
    steps: tuple[Step, ...]
    fresh_index: bool
    fresh_records: bool
    feeds: tuple[FeedState, ...]
    versions: Versions

    def steps_of(self, feed: str) -> tuple[Step, ...]:
        """The extracts of one feed, in order."""
        return tuple(step for step in self.steps if step.feed == feed)

    def equals(self, other: BuildPlan) -> bool:
        """Whether carrying out the other gives the same generation; the sentence may differ."""
        return self.model_copy(update={"reason": ""}) == other.model_copy(update={"reason": ""})


class Standing(BaseModel):
    """What stands now: the current generation if it can be built upon, its name even if it cannot.

    ``missing`` names what the cluster no longer has of it: INDEX, RECORDS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    manifest: GenerationManifest | None = None
    fault: str | None = None
    highest_number: int = 0
    missing: frozenset[str] = frozenset()


def step_of(entry: ExtractEntry) -> Step:
    """A committed ledger entry as a step."""
    return Step(
        feed=entry.feed,
        source=entry.source,
        sequence=entry.sequence,
        position=entry.origin_sequence or entry.sequence,
        after=entry.after_sequence or entry.sequence,
        kind="full" if entry.kind == "full" else "delta",
        rows=entry.accepted,
        as_at=entry.as_at or entry.received_at,
    )


def plan_build(extracts: Iterable[Step], standing: Standing, versions: Versions, *, anew: bool = False) -> BuildPlan:
    """The plan for the committed extracts. ``anew`` builds from nothing although a base would do."""
    ordered = sorted(extracts, key=_order)
    base = None if anew else _usable(standing, versions)
    held = {(state.feed, state.source): state for state in base.feeds} if base else {}
    steps = tuple(step for step in ordered if step.sequence > _applied(held.get((step.feed, step.source))))
    why = _outdated(base, versions, standing.missing) if base else ""
    full_patients = any(step.feed == PDS_PATIENT.name and step.kind == "full" for step in steps)
    work, reason = _verdict(steps, standing, base, why)
    return BuildPlan(
        work=work,
        reason=reason,
        base=base.generation if base else None,
        previous=standing.name,
        number=standing.highest_number + 1,
        steps=steps if work else (),
        fresh_index=base is None or _index_outdated(base, versions) or INDEX in standing.missing or full_patients,
        fresh_records=base is None
        or base.records is None
        or base.code_version != versions.code_version
        or RECORDS in standing.missing,
        feeds=_feeds_after(held.values(), steps if work else ()),
        versions=versions,
    )


def _order(step: Step) -> tuple[int, str, int, bool, int]:
    return FEEDS[step.feed].order, step.origin, step.after, step.source != step.origin, step.sequence


def _usable(standing: Standing, versions: Versions) -> GenerationManifest | None:
    base = standing.manifest
    return base if base is not None and base.schema_version == versions.schema_version else None


def _outdated(base: GenerationManifest, versions: Versions, missing: frozenset[str]) -> str:
    """Why a new generation is due although no extract came; empty when none is."""
    if _index_outdated(base, versions):
        return "with a new index: weights, engine or release changed"
    if missing:
        return f"made again in the cluster, which no longer has: {', '.join(sorted(missing))}"
    if (base.records is not None) != versions.records:
        return f"{'with' if versions.records else 'without'} its records in the cluster, as is now set"
    return ""


def _index_outdated(base: GenerationManifest, versions: Versions) -> bool:
    """Another release may normalise otherwise: documents of both in one index would not reconcile."""
    if base.weights and versions.weights and base.weights.sha256 != versions.weights.sha256:
        return True
    held = (base.weights_version, base.index.engine, base.code_version)
    return held != (versions.weights_version, versions.engine, versions.code_version)


def _applied(state: FeedState | None) -> int:
    return state.sequence if state else 0


def _verdict(steps: Sequence[Step], standing: Standing, base: GenerationManifest | None, why: str) -> tuple[bool, str]:
    """Whether to build, and the reason in one sentence."""
    if base is None and not any(step.feed == PDS_PATIENT.name for step in steps):
        return False, "No patient extract has been accepted yet."
    if base is None and standing.fault:
        return True, f"From nothing: {standing.fault}"
    if base is None:
        return True, "From nothing, from every accepted extract."
    if steps:
        return True, f"On {base.generation}, with the extracts it lacks."
    if why:
        return True, f"On {base.generation}, {why}."
    return False, f"{base.generation} holds every accepted extract."


def _feeds_after(held: Iterable[FeedState], steps: Iterable[Step]) -> tuple[FeedState, ...]:
    states = {(state.feed, state.source): state for state in held}
    for step in steps:
        states[step.feed, step.source] = FeedState(
            feed=step.feed, source=step.source, sequence=step.sequence, as_at=step.as_at, kind=step.kind
        )
    return tuple(_as_supplied(states[key], states) for key in sorted(states))


def _as_supplied(state: FeedState, states: dict[tuple[str, str], FeedState]) -> FeedState:
    """Released rows are as old as the extract they come from, but make the feed no older than it is."""
    supplier = states.get((state.feed, state.source.removesuffix(RELEASED_SUFFIX)), state)
    return state.model_copy(update={"as_at": max(state.as_at, supplier.as_at)})
