"""``ncrs ingest``: take in what was delivered, then publish what is new.

Belongs here: running the jobs in the order of the feeds and saying what became of each extract.
Does not belong here: the jobs (``jobs.py``), publishing by hand (``cli_publish.py``).

A feed whose extract is refused does not stop the others: they go on, and the exit code tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_common import Exit, JsonOption, actor, emit, settings, step, table
from pipelines.cli_generations import warn_of_lag
from schemas.errors import ConfigurationError, Refused

if TYPE_CHECKING:
    import dagster as dg

    from pipelines.launch import StepFailure
    from search_api.ops.ledger import ExtractEntry, Ledger
    from search_api.settings import Settings

COLUMNS = ("feed", "source", "sequence", "kind", "outcome", "code", "rows", "loaded", "held", "warnings")


@dataclass
class FeedResult:
    """What one feed's job did: the extracts it settled, and how the run ended."""

    feed: str
    run_id: str | None = None
    success: bool = True
    failures: tuple[StepFailure, ...] = ()
    extracts: list[ExtractEntry] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether a supplier's extract was refused or held in this run."""
        return any(entry.outcome in ("refused", "deferred") and not entry.quiet for entry in self.extracts)

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "feed": self.feed,
            "run": self.run_id,
            "success": self.success,
            "failures": [vars(failure) for failure in self.failures],
            "extracts": [_extract(entry) for entry in self.extracts],
        }


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ingest)
    app.command()(approve)


def ingest(
    feeds: Annotated[list[str] | None, typer.Argument(help="Feeds to take in; all when left out.")] = None,
    publish: Annotated[bool, typer.Option(help="Publish a generation when something new was validated.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Take in what lies in the drop folder: check, land, validate, quarantine, acknowledge; then publish.

    Nothing new is fine and costs little. Exit code 4 when an extract was refused or held: the other feeds
    went on, and the published generation holds what was good.

    Example: ncrs ingest pds_patient --no-publish
    """
    chosen = settings()
    names = _feed_names(feeds)
    if _anything(chosen, names, publish):
        results, published = _run(chosen, names, publish, as_json)
    else:
        results, published = [FeedResult(name) for name in names], None
    if published:
        warn_of_lag(chosen)
    _show(results, published, as_json)
    _finish(results)


def approve(
    extract: Annotated[str, typer.Argument(metavar="EXTRACT", help="feed/source/sequence of the refused full.")],
    reason: Annotated[str, typer.Option(help="Why it may be smaller; it is recorded.")],
    as_json: JsonOption = False,
) -> None:
    """Let a full that was refused for shrinking pass, these very bytes only. `ncrs ingest` then takes it in.

    Example: ncrs approve pds_patient/PDS/12 --reason "practice closed, confirmed by PDS"
    """
    from assets.landing.approve import approve_shrink
    from pipelines.home import ledger_of

    ledger = ledger_of(settings())
    approval = approve_shrink(ledger, _refusal(ledger, extract), actor(), reason)
    document = {"extract": extract, "code": approval.code, "actor": approval.actor}
    emit(document, as_json=as_json, lines=[f"Approved. `ncrs ingest {approval.feed}` takes it in."])


def _refusal(ledger: Ledger, extract: str) -> ExtractEntry:
    """The last refusal of an extract. Raises Refused when it was not refused."""
    feed, _, rest = extract.partition("/")
    source, _, sequence = rest.partition("/")
    _feed_names([feed])
    refused = [
        entry
        for entry in ledger.refusals(feed)
        if entry.source == source and str(entry.sequence) == sequence.lstrip("0")
    ]
    if not refused:
        raise Refused(f"{extract} is not refused.", remedy="`ncrs status` and the acknowledgement name what is.")
    return refused[-1]


def _anything(chosen: Settings, names: list[str], publish: bool) -> bool:
    """Whether there is anything to do; asked without the orchestrator, which takes seconds to start."""
    from assets.landing.land import pending
    from pipelines.home import ledger_of, stores_of
    from pipelines.news import unpublished

    ledger, stores = ledger_of(chosen), stores_of(chosen)
    waiting = any(pending(stores, ledger, name) or ledger.landed(name) for name in names)
    return waiting or (publish and bool(unpublished(stores, ledger)))


def _run(chosen: Settings, names: list[str], publish: bool, as_json: bool) -> tuple[list[FeedResult], str | None]:
    from pipelines.home import ledger_of
    from pipelines.instance import open_instance

    ledger = ledger_of(chosen)
    with open_instance(chosen) as instance:
        results = [_ingest_feed(name, chosen, instance, ledger) for name in names]
        return results, _publish(chosen, instance, ledger, as_json) if publish else None


def _feed_names(asked: list[str] | None) -> list[str]:
    from schemas.feeds import FEEDS

    unknown = [name for name in asked or [] if name not in FEEDS]
    if unknown:
        raise ConfigurationError(f"There is no feed {unknown[0]}.", remedy=f"Feeds: {', '.join(FEEDS)}.")
    return [name for name in FEEDS if not asked or name in asked]


def _ingest_feed(feed: str, chosen: Settings, instance: dg.DagsterInstance, ledger: Ledger) -> FeedResult:
    from assets.landing.land import pending
    from pipelines.home import stores_of
    from pipelines.jobs import ingest_name
    from pipelines.launch import run_job

    result = FeedResult(feed)
    if not pending(stores_of(chosen), ledger, feed) and not ledger.landed(feed):
        return result
    before = _outcomes(ledger, feed)
    with step(f"Taking in {feed}"):
        outcome = run_job(ingest_name(feed), chosen, instance)
    result.run_id, result.success, result.failures = outcome.run_id, outcome.success, outcome.failures
    after = {entry.id: entry for entry in ledger.entries(feed)}
    result.extracts = [entry for key, entry in after.items() if before.get(key) != (entry.outcome, entry.code)]
    return result


def _outcomes(ledger: Ledger, feed: str) -> dict[int | None, tuple[str, str]]:
    return {entry.id: (entry.outcome, entry.code) for entry in ledger.entries(feed)}


def _publish(chosen: Settings, instance: dg.DagsterInstance, ledger: Ledger, as_json: bool) -> str | None:
    """The generation made current, or None when nothing was new."""
    from pipelines.cli_progress import building
    from pipelines.home import stores_of
    from pipelines.launch import Ask, publish_now
    from pipelines.news import unpublished

    if not unpublished(stores_of(chosen), ledger):
        return None
    with building("Building and publishing a generation", as_json=as_json):
        return publish_now(chosen, instance, Ask("ncrs ingest", actor()))


def _show(results: list[FeedResult], published: str | None, as_json: bool) -> None:
    if as_json:
        emit({"feeds": [result.document() for result in results], "published": published}, as_json=True)
        return
    rows = [(result.feed, *_row(entry)) for result in results for entry in result.extracts]
    if rows:
        table(COLUMNS, rows)
        for entry in (entry for result in results for entry in result.extracts):
            if entry.outcome in ("refused", "deferred") and entry.text:
                typer.echo(f"{entry.feed}/{entry.source}/{entry.sequence}: {entry.text}")
    else:
        typer.echo("Nothing new was delivered.")
    typer.echo(f"Published generation {published}." if published else "Nothing new to publish.")


def _finish(results: list[FeedResult]) -> None:
    """Exit codes: a failure of ours outranks a refusal of theirs."""
    for result in results:
        if not result.success and not result.refused:
            said = [f"{failure.code}: {failure.text} {failure.remedy}" for failure in result.failures]
            typer.echo(f"{result.feed}: {' '.join(said) or 'the job failed.'}", err=True)
            raise typer.Exit(Exit.FAILURE)
    if any(result.refused for result in results):
        typer.echo("An extract was refused or held; the acknowledgement says why. See docs/runbook.md.", err=True)
        raise typer.Exit(Exit.DATA_REFUSED)


def _extract(entry: ExtractEntry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "sequence": entry.sequence,
        "kind": entry.kind,
        "outcome": entry.outcome,
        "code": entry.code,
        "rule": entry.rule,
        "text": entry.text,
        "records": entry.record_count,
        "accepted": entry.accepted,
        "quarantined": entry.quarantined,
        "warnings": entry.warnings,
    }


def _row(entry: ExtractEntry) -> tuple[object, ...]:
    code = f"{entry.code} {entry.rule}".strip()
    counts = (entry.record_count, entry.accepted, entry.quarantined, entry.warnings)
    return (entry.source, entry.sequence, entry.kind, entry.outcome, code, *(f"{count:,}" for count in counts))
