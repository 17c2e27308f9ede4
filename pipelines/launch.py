"""Run a job here and now, in this process, on the instance that the UI shows.

Belongs here: what ``ncrs ingest`` and ``ncrs publish`` share with the tests: the same job definitions,
the same resources, the same instance. Does not belong here: what is printed (``cli_data.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from assets.replica.factory import ACTOR_TAG, FULL_TAG, REASON_TAG
from pipelines.definitions import build_definitions
from pipelines.instance import process_tag
from pipelines.jobs import PUBLISH
from schemas.errors import NcrsError, PassingFault, PermanentFault, Refused
from search_api.generation_files import read_current
from search_api.settings import Settings

# Dagster's console logger prints every event at DEBUG; the log of the run is in the UI.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class StepFailure:
    """Why a step failed: ``kind`` is the class of the fault (schemas/errors.py), empty when none said."""

    kind: str
    code: str
    text: str
    remedy: str


@dataclass(frozen=True)
class JobOutcome:
    """How a run ended. ``failures`` are what the failed steps said, checks among them."""

    job: str
    run_id: str
    success: bool
    failures: tuple[StepFailure, ...]


@dataclass(frozen=True)
class Ask:
    """Who wants a publication, why, and whether it is built from nothing."""

    reason: str
    actor: str
    full: bool = False


def run_job(
    name: str, settings: Settings, instance: dg.DagsterInstance, tags: Mapping[str, str] | None = None
) -> JobOutcome:
    """Execute a job to its end."""
    job = build_definitions(settings=settings, automation=False).resolve_job_def(name)
    result = job.execute_in_process(
        instance=instance, raise_on_error=False, run_config=_QUIET, tags={**process_tag(), **(tags or {})}
    )
    return JobOutcome(name, result.run_id, result.success, tuple(failures_of(result)))


def publish_now(settings: Settings, instance: dg.DagsterInstance, ask: Ask) -> str | None:
    """Run the publish job; the generation it made current, or None when there was nothing to do.

    Raises PermanentFault with what the failed steps said.
    """
    before = read_current(settings.generations_folder)
    tags = {REASON_TAG: ask.reason, ACTOR_TAG: ask.actor, FULL_TAG: "true" if ask.full else "false"}
    require_success(run_job(PUBLISH, settings, instance, tags))
    after = read_current(settings.generations_folder)
    return None if after is None or after == before else after.generation


def require_success(outcome: JobOutcome) -> JobOutcome:
    """Raises what the first failed step said, as Refused, PassingFault or PermanentFault, so that exit codes hold."""
    if not outcome.success:
        said = outcome.failures[0] if outcome.failures else StepFailure("", "JOB_FAILED", "No step says why.", "")
        kinds: dict[str, type[NcrsError]] = {kind.__name__: kind for kind in (Refused, PassingFault)}
        kind = kinds.get(said.kind, PermanentFault)
        raise kind(
            f"The job {outcome.job} failed: {said.text}",
            code=said.code,
            remedy=f"{said.remedy} Run {outcome.run_id} in Dagster.".strip(),
        )
    return outcome


def failures_of(result: dg.ExecuteInProcessResult) -> list[StepFailure]:
    """What each failed step said, in order."""
    return [_said(event) for event in result.all_events if event.is_step_failure]


def _said(event: dg.DagsterEvent) -> StepFailure:
    user = event.step_failure_data.user_failure_data
    if user is None:
        return _stopped(event)
    words = {name: str(value.value) for name, value in user.metadata.items()}
    text = words.get("text") or user.description or f"Step {event.step_key} failed."
    return StepFailure(words.get("kind", ""), words.get("code", "STEP_FAILED"), text, words.get("remedy", ""))


def _stopped(event: dg.DagsterEvent) -> StepFailure:
    """A step that no fault of ours ended: a blocking check did not pass. Checks have names, no values."""
    error = event.step_failure_data.error
    if error is None or error.cls_name != "DagsterAssetCheckFailedError":
        return StepFailure("", "STEP_FAILED", f"Step {event.step_key} failed.", "")
    checks = error.message.strip().rpartition("\n")[2]
    return StepFailure("", "CHECK_FAILED", f"Checks did not pass: {checks}.", "See docs/runbook.md.")
