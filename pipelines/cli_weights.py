"""``ncrs weights``: propose match weights, look at what they change, put them into force.

Belongs here: options and what is printed. Does not belong here: estimating and checking (``assets/weights``).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli_common import JsonOption, YesOption, actor, emit, new_app, say, settings, step, table
from schemas.errors import Refused

if TYPE_CHECKING:
    from assets.weights.review import Review
    from search_api.settings import Settings

app = new_app("Match weights: estimate them from the population, review what would change, put a file into force.")
FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="Weights file; default the last proposal in the home.")
]
COLUMNS = ("comparison", "level", "bits before", "after", "moved", "true pairs", "random pairs", "")
# Moves smaller than this are not worth a line.
LEAST_BITS = 0.005
# Enough people and questions to see a tenth of a per cent, in minutes.
QUALITY = ("--patients", "100000", "--queries", "5000")


@app.command("propose")
def propose_weights(
    records: Annotated[
        Path | None,
        typer.Option(help="Records as received, in the batch trace's form (file or folder); default NCRS_TRAINING."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same people, same pairs.")] = 1,
    people: Annotated[int, typer.Option(min=100, help="People drawn.")] = 20_000,
    pairs: Annotated[int, typer.Option(min=1_000, help="Random pairs compared.")] = 1_000_000,
    as_json: JsonOption = False,
) -> None:
    """Estimate weights from the current generation and write a proposal. Nothing changes until it is adopted.

    u comes from random pairs, m from candidates by expectation maximisation with Splink (extra `train`).
    Without records as received the population's own history is used: it tells how names and addresses change,
    not how they are mistyped. Levels seen too seldom keep their bits. docs/weights.md.

    Example: ncrs weights propose --records referrals.csv
    """
    from assets.weights.estimate import Rules
    from assets.weights.propose import propose

    with step("Estimating weights"):
        made = propose(settings(), Rules(seed=seed, people=people, random_pairs=pairs, records=people), records, say)
    trained = sum(level["source"] == "trained" for level in made.provenance["levels"].values())
    lines = [
        f"Wrote {made.path}",
        f"{made.version}: {trained} of {len(made.provenance['levels'])} levels trained, from {made.provenance['records']}.",
        "Look at it with ncrs weights diff.",
    ]
    emit({"file": str(made.path), "version": made.version, **made.provenance}, as_json=as_json, lines=lines)


@app.command("diff")
def diff_weights(
    file: FileArgument = None,
    quality: Annotated[
        bool,
        typer.Option("--quality", help="Run the match-quality suite with both files (a source checkout; minutes)."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="List levels that do not move as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what adopting a file would change: each level's bits before and after, and the pairs behind it.

    Example: ncrs weights diff --quality
    """
    from assets.weights.review import review

    chosen = settings()
    path = file or _last(chosen.home)
    found = review(chosen, path)
    if as_json:
        emit(_document(found), as_json=True)
    else:
        _show(found, everything=everything)
    if quality:
        _quality(_held(chosen), path, quiet=as_json)


@app.command("adopt")
def adopt_weights(
    reason: Annotated[str, typer.Option(help="Who reviewed it and why it is right; it is recorded.")],
    file: FileArgument = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a reviewed file into force for the next generation. What is served stays as it was built.

    Example: ncrs weights adopt --reason "reviewed by the matching group, May"
    """
    from assets.weights.review import adopt, review

    chosen = settings()
    path = file or _last(chosen.home)
    found = review(chosen, path)
    if not yes:
        _show(found, everything=False)
        typer.confirm(f"Put {found.version} into force?", abort=True, err=True)
    state = adopt(chosen, path, actor(), reason)
    lines = [f"{state.version} is in force. The next ncrs publish makes a generation of it, with a new index."]
    emit({"version": state.version, "sha256": state.sha256, "instead_of": found.before}, as_json=as_json, lines=lines)


def _last(home: Path) -> Path:
    from assets.weights.propose import FILE, FOLDER

    path = home / FOLDER / FILE
    if not path.is_file():
        raise Refused("There is no proposal in the home.", remedy="Name a file, or make one with ncrs weights propose.")
    return path


def _show(found: Review, *, everything: bool) -> None:
    typer.echo(f"{found.before} -> {found.version}")
    shown = [each for each in found.changes if everything or abs(each.moved) >= LEAST_BITS]
    if shown:
        table(COLUMNS, [_row(each) for each in shown])
    else:
        typer.echo("No level moves.")
    if not everything and shown:
        typer.echo(f"{len(found.changes) - len(shown)} levels do not move (--all lists them).")
    for line in found.other:
        typer.echo(line)


def _row(each: Any) -> tuple[object, ...]:
    bits = (f"{each.before:+.2f}", f"{each.after:+.2f}", f"{each.moved:+.2f}")
    true = None if each.true_pairs is None else f"{each.true_pairs:,.0f}"
    seen = None if each.random_pairs is None else f"{each.random_pairs:,}"
    return (each.comparison, each.level, *bits, true, seen, each.source)


def _document(found: Review) -> dict[str, Any]:
    levels = [vars(each) | {"moved": each.moved} for each in found.changes]
    return {"version": found.version, "before": found.before, "levels": levels, "other": list(found.other)}


def _held(chosen: Settings) -> Path | None:
    """The file in force, None for the shipped one."""
    from search_api.weights_in_force import adopted_path

    adopted = adopted_path(chosen)
    return chosen.weights or (adopted if adopted.is_file() else None)


def _quality(held: Path | None, path: Path, *, quiet: bool) -> None:
    """Both files through the match-quality suite: the same questions, one table of what moves."""
    source = Path(__file__).resolve().parents[1]
    if not (source / "tests" / "performance" / "quality").is_dir():
        raise Refused(
            "The match-quality suite is not here: it is part of the source, not of the installed product.",
            remedy="Run ncrs weights diff --quality from a source checkout.",
        )
    files = [f"--before={held.resolve()}"] if held else []
    command = [sys.executable, "-m", "tests.performance.quality.weigh", *files, f"--after={path.resolve()}", *QUALITY]
    say("Match quality with both files:")
    done = subprocess.run(command, cwd=source, check=False, stdout=sys.stderr if quiet else None)  # noqa: S603
    if done.returncode not in (0, 1):
        raise Refused(f"The match-quality suite ended with {done.returncode}.", remedy="Run it by itself.")
