"""``ncrs build``, ``publish``, ``rollback``, ``verify``, ``generations``.

Belongs here: options and what is printed. Does not belong here: the acts (``assets/published``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_common import Exit, JsonOption, actor, emit, in_utc, progress_bar, say, settings, step, table
from schemas.errors import PermanentFault

if TYPE_CHECKING:
    from assets.published.service import Builder
    from assets.published.status import Listed
    from assets.replica.plan import BuildPlan
    from search_api.settings import Settings

ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded.")]
GENERATION_COLUMNS = ("generation", "", "built", "as-at", "patients", "documents", "MB", "base")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (build, publish, rollback, verify, generations):
        app.command()(command)


def build(
    full: Annotated[bool, typer.Option("--full", help="From nothing, not on the current generation.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be built.")] = False,
    reason: ReasonOption = "ncrs build",
    as_json: JsonOption = False,
) -> None:
    """Build a generation from what is validated, reconcile replica and index, and publish it.

    On the current generation, as `ncrs publish` does; --full builds it from nothing, also when nothing is new.

    Example: ncrs build --full --reason "index damaged"
    """
    if plan:
        _show_plan(full, as_json)
    else:
        _publish(reason, full=full, as_json=as_json)


def publish(reason: ReasonOption = "ncrs publish", as_json: JsonOption = False) -> None:
    """Publish what was validated and is not yet in the current generation. Nothing new is fine.

    Example: ncrs publish --reason "correction of the supplier"
    """
    _publish(reason, full=False, as_json=as_json)


def rollback(
    to: Annotated[str, typer.Option(help="Generation to go back to, or `previous`; see `ncrs generations`.")],
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier generation current again. It is verified whole first; nothing is built.

    API processes follow within two seconds. Extracts taken in since stay validated; the next one publishes them.

    Example: ncrs rollback --to previous --reason "wrong practice codes"
    """
    from assets.published.rollback import rollback as roll_back

    chosen = settings()
    with step("Verifying and rolling back"):
        marker = roll_back(_builder(chosen), to=to, reason=reason)
    warn_of_lag(chosen)
    emit(marker.model_dump(mode="json"), as_json=as_json, lines=[f"Generation {marker.generation} is current again."])


def verify(
    generation: Annotated[str | None, typer.Argument(help="Generation; the current one when left out.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Unpack every record and make every document again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read every byte of a generation: files, tables, index and records against what was published.

    With --deep every record is unpacked and every document made again and compared; that takes longer than a
    build of the index. Exit code 1 when a check failed.

    Example: ncrs verify --deep
    """
    from assets.published.deep import verify_deeply
    from assets.published.verify import Check, catalogue_check
    from assets.published.verify import verify as verify_generation
    from pipelines.cli_progress import building

    chosen = settings()
    made = _builder(chosen)
    name = generation or _current_name(chosen)
    with progress_bar(f"Verifying {name}") as progress:
        found = verify_generation(made.stores, made.index.engine, name, progress, made.cluster)
    checks: list[Check] = [*found.checks]
    if deep and found.passed:
        with building(f"Verifying {name} deeply", as_json=as_json):
            checks += verify_deeply(made.index, name)
    if made.mirror is not None and name == _current_name(chosen):
        checks.append(catalogue_check(made.mirror, made.stores))
    passed = all(check.passed for check in checks)
    lines = [f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.text}" for check in checks]
    document = {"generation": name, "passed": passed, "checks": [vars(check) for check in checks]}
    emit(document, as_json=as_json, lines=[f"Generation {name}", *lines])
    if not passed:
        raise typer.Exit(Exit.FAILURE)


def generations(as_json: JsonOption = False) -> None:
    """List the generations that are kept, newest first; `*` is served.

    Example: ncrs generations --json
    """
    from assets.published.status import status
    from pipelines.home import stores_of

    found = status(stores_of(settings()))
    if as_json:
        emit({"problem": found.problem, "generations": [vars(listed) for listed in found.generations]}, as_json=True)
        return
    if found.problem:
        typer.echo(found.problem)
    table(GENERATION_COLUMNS, [generation_row(listed) for listed in found.generations])


def generation_row(listed: Listed) -> tuple[object, ...]:
    """One line of the list."""
    state = "*" if listed.current else "" if listed.published else "never published"
    if listed.problem:
        return (listed.name, state, listed.problem, *[None] * 5)
    figures = (f"{listed.patients:,}", f"{listed.documents:,}", f"{listed.bytes / 1e6:,.1f}")
    return (listed.name, state, in_utc(listed.built_at), in_utc(listed.as_at), *figures, listed.base)


def _publish(reason: str, *, full: bool, as_json: bool) -> None:
    from pipelines.cli_progress import building
    from pipelines.instance import open_instance
    from pipelines.launch import Ask, publish_now

    chosen = settings()
    shown = building("Building and publishing a generation", as_json=as_json)
    with open_instance(chosen) as instance, shown:
        published = publish_now(chosen, instance, Ask(reason, actor(), full))
    text = f"Published generation {published}." if published else "Nothing new to publish."
    warn_of_lag(chosen)
    emit({"published": published}, as_json=as_json, lines=[text])


def warn_of_lag(chosen: Settings) -> None:
    """Nodes that follow the cluster may not know yet: the generation is published all the same."""
    if chosen.records != "opensearch":
        return
    from assets.published.cluster_status import cluster_status
    from pipelines.home import stores_of

    found = cluster_status(chosen, stores_of(chosen))
    for line in found.lines() if found else ():
        say(line)


def _show_plan(full: bool, as_json: bool) -> None:
    from assets.replica.build import make_plan

    plan: BuildPlan = make_plan(_builder(settings()).site, anew=full)
    steps = [f"{item.feed} {item.source} {item.sequence} {item.kind}" for item in plan.steps]
    document: dict[str, Any] = plan.model_dump(mode="json", exclude={"versions": {"weights": {"content"}}})
    base = plan.base or "nothing"
    emit(document, as_json=as_json, lines=[plan.reason, f"on {base}: {len(steps)} extracts", *steps])


def _builder(chosen: Settings) -> Builder:
    from assets.published.service import builder
    from pipelines.home import ledger_of, stores_of

    return builder(stores_of(chosen), ledger_of(chosen), chosen, actor())


def _current_name(chosen: Settings) -> str:
    from search_api.generation_files import read_current

    marker = read_current(chosen.generations_folder)
    if marker is None:
        raise PermanentFault("No generation is published.", remedy="Bring in an extract with ncrs ingest.")
    return marker.generation
