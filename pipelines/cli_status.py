"""``ncrs status`` and ``ncrs doctor``: how things stand, and what stands in the way.

Belongs here: showing. Does not belong here: judging freshness (``search_api/ops/freshness.py``) or
the machine (``doctor.py``). No orchestrator is imported: ``status`` must answer when it is broken.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from pipelines.cli_common import Exit, JsonOption, emit, in_utc, in_words, settings, table

if TYPE_CHECKING:
    from assets.published.cluster_status import ClusterStatus
    from schemas.generation import GenerationManifest
    from search_api.ops.freshness import FeedFreshness
    from search_api.ops.ledger import Ledger
    from search_api.settings import Settings

FEED_COLUMNS = ("feed", "state", "as-at", "behind", "limits", "extract", "rows", "rows held", "held", "refused", "code")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(status)
    app.command()(doctor)


def status(as_json: JsonOption = False) -> None:
    """Say, per feed: as-at time, how far behind against its limits, last extract, counts, refusals; and what is
    served, why the last build failed if it did, and how a cluster stands to it.

    Exit code 1 when a feed is past its hard limit or nothing is published.

    Example: ncrs status --json
    """
    from pipelines.home import ledger_of
    from search_api.generation_files import published_folders
    from search_api.ops.freshness import all_freshness

    chosen = settings()
    ledger = ledger_of(chosen)
    feeds = all_freshness(ledger, datetime.now(UTC))
    failure, cluster = _failure(ledger), _cluster(chosen)
    current = current_generation(chosen)
    kept = [path.name for path in published_folders(chosen.generations_folder)]
    if as_json:
        documents = [feed.document() for feed in feeds]
        said = {"failure": failure, "cluster": vars(cluster) if cluster else None}
        emit({"generation": _generation(current), "kept": kept, **said, "feeds": documents}, as_json=True)
    else:
        _print_generation(current, kept)
        _print_troubles(failure, cluster)
        table(FEED_COLUMNS, [_feed_row(feed) for feed in feeds])
    if current is None or any(feed.state == "stale" for feed in feeds):
        raise typer.Exit(Exit.FAILURE)


def doctor(as_json: JsonOption = False) -> None:
    """Look for what will go wrong: Python, disk, memory, file systems, ports, rights, settings, leftovers.

    Exit code 1 when something must be mended first.

    Example: ncrs doctor
    """
    from pipelines.doctor import examine

    findings = examine(settings())
    emit(
        [vars(finding) for finding in findings],
        as_json=as_json,
        lines=[finding.line() for finding in findings],
    )
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(Exit.FAILURE)


def current_generation(chosen: Settings) -> GenerationManifest | None:
    """Manifest of the generation that is served, or None before the first publication.

    Raises GenerationError when it cannot be read.
    """
    from search_api.generation_files import read_current, read_manifest

    marker = read_current(chosen.generations_folder)
    if marker is None:
        return None
    return read_manifest(chosen.generations_folder / marker.generation, marker.manifest_sha256)


def _failure(ledger: Ledger) -> dict[str, Any] | None:
    """The failure of the newest build; None when one was published since."""
    from assets.published.status import last_failure
    from search_api.ops.generation_events import GenerationEvents

    event = last_failure(GenerationEvents(ledger.engine))
    return {"at": in_utc(event.at), "code": event.reason, "detail": event.detail} if event else None


def _cluster(chosen: Settings) -> ClusterStatus | None:
    """How the cluster stands; nothing is imported for it where there is none."""
    if chosen.index == "embedded":
        return None
    from assets.published.cluster_status import cluster_status
    from pipelines.home import stores_of

    return cluster_status(chosen, stores_of(chosen))


def _print_troubles(failure: dict[str, Any] | None, cluster: ClusterStatus | None) -> None:
    lines = cluster.lines() if cluster else []
    if failure:
        lines.append(f"The last build failed at {failure['at']}: {failure['code']}, {failure['detail']}")
    for line in lines:
        typer.echo(line)
    if lines:
        typer.echo("")


def _generation(manifest: GenerationManifest | None) -> dict[str, Any] | None:
    return None if manifest is None else manifest.model_dump(mode="json", exclude={"files"})


def _print_generation(manifest: GenerationManifest | None, kept: list[str]) -> None:
    if manifest is None:
        typer.echo("No generation is published. `ncrs ingest` makes one from what is in the drop folder.\n")
        return
    rows = ", ".join(f"{state.table} {state.rows:,}" for state in manifest.tables)
    typer.echo(f"Generation {manifest.generation}, as at {in_utc(manifest.as_at)}, built {in_utc(manifest.built_at)}")
    typer.echo(f"{rows}, search documents {manifest.index.documents:,}")
    typer.echo(f"Kept: {', '.join(reversed(kept))}\n")


def _feed_row(feed: FeedFreshness) -> tuple[object, ...]:
    limits = f"{in_words(feed.feed.soft_limit)} / {in_words(feed.feed.hard_limit)}"
    last = feed.last
    extract = f"{last.source} {last.sequence} {last.kind}" if last else None
    return (
        feed.feed.name,
        feed.state,
        in_utc(feed.as_at),
        in_words(feed.age),
        limits,
        extract,
        f"{last.accepted:,}" if last else None,
        f"{feed.quarantined:,}",
        feed.deferred,
        feed.refusals,
        feed.last_code or None,
    )
