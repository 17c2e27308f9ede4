"""Charts of the page as SVG, written by hand from the store of figures: dots with their intervals, row by row.

Belongs here: drawing. Does not belong here: which figures there are (``measures.py``), the page (``report.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.performance.figures import Store
from tests.performance.quality.judge import EDGES
from tests.performance.quality.statistic import Share

_LEFT, _WIDTH, _ROW, _TOP, _BOTTOM = 210, 760, 26, 78, 56
_COLOURS = ("#0b5394", "#b45f06", "#38761d", "#741b47")
_SHAPES = ("circle", "square", "diamond", "triangle")


@dataclass(frozen=True)
class Dot:
    """One value in a row; ``series`` decides colour and shape. A ``claim`` was not counted, so it has no interval."""

    series: int
    share: Share
    claim: bool = False


@dataclass(frozen=True)
class Chart:
    """Rows of dots over one axis of shares from ``low`` to 1; ``down`` names what the rows are."""

    title: str
    axis: str
    down: str
    series: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Dot, ...]], ...]
    low: float = 0.0


def svg(chart: Chart) -> str:
    """The chart as a file."""
    height = _TOP + _ROW * len(chart.rows) + _BOTTOM
    whole = _LEFT + _WIDTH + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {height}" width="{whole}" height="{height}" role="img"'
        ' font-family="Arial, Helvetica, sans-serif" font-size="13">',
        f"<title>{escape(chart.title)}</title>",
        f'<rect width="{whole}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="17" font-weight="bold" fill="#212b32">{escape(chart.title)}</text>',
        *_legend(chart),
        *_grid(chart, height),
        *(line for at, row in enumerate(chart.rows) for line in _row(chart, at, row)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(chart: Chart) -> Iterator[str]:
    for at, name in enumerate(chart.series):
        x = _LEFT + at * 190
        yield _mark(at, x, 48)
        yield f'<text x="{x + 12}" y="53" fill="#212b32">{escape(name)}</text>'


def _grid(chart: Chart, height: int) -> Iterator[str]:
    bottom = height - _BOTTOM
    yield f'<text x="{_LEFT - 12}" y="{_TOP - 10}" text-anchor="end" fill="#425563">{escape(chart.down)}</text>'
    for tick in range(6):
        share = chart.low + (1 - chart.low) * tick / 5
        x = _x(chart, share)
        yield f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{bottom}" stroke="#d8dde0"/>'
        yield f'<text x="{x}" y="{bottom + 20}" text-anchor="middle" fill="#425563">{share * 100:.4g} %</text>'
    yield f'<text x="{_LEFT + _WIDTH / 2:g}" y="{bottom + 42}" text-anchor="middle" fill="#425563">{escape(chart.axis)}</text>'


def _row(chart: Chart, at: int, row: tuple[str, tuple[Dot, ...]]) -> Iterator[str]:
    label, dots = row
    middle = _TOP + _ROW * at + _ROW / 2
    yield f'<text x="{_LEFT - 12}" y="{middle + 4:g}" text-anchor="end" fill="#212b32">{escape(label)}</text>'
    for dot in dots:
        y = middle + (dot.series - (len(chart.series) - 1) / 2) * 5
        low, high = (_x(chart, bound) for bound in dot.share.interval())
        if not dot.claim:
            yield f'<line x1="{low}" y1="{y:g}" x2="{high}" y2="{y:g}" stroke="{_COLOURS[dot.series]}" stroke-width="2" opacity="0.5"/>'
        yield _mark(dot.series, _x(chart, dot.share.value), y)


def _x(chart: Chart, share: float) -> float:
    inside = min(1.0, max(0.0, (share - chart.low) / (1 - chart.low)))
    return round(_LEFT + _WIDTH * inside, 1)


def _mark(series: int, x: float, y: float) -> str:
    colour, shape = _COLOURS[series], _SHAPES[series]
    if shape == "circle":
        return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" fill="{colour}"/>'
    points = {
        "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "diamond": ((0, -6), (6, 0), (0, 6), (-6, 0)),
        "triangle": ((0, -6), (6, 5), (-6, 5)),
    }
    return f'<polygon points="{" ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in points[shape])}" fill="{colour}"/>'


def of_rivals(store: Store, sets: Sequence[tuple[str, str]], rivals: Sequence[tuple[str, str]]) -> Chart:
    """Right person first: each set a row, each rival a dot. ``sets``: name and words; ``rivals``: what figures begin with, and words."""
    rows = []
    for name, words in sets:
        dots = [
            Dot(at, share)
            for at, (start, _) in enumerate(rivals)
            if (share := share_of(store, f"match.{start}{name}.right_first"))
        ]
        rows.append((words, tuple(dots)))
    return Chart(
        "Right person first",
        "share of questions about people whom the population holds",
        "set",
        tuple(words for _, words in rivals),
        tuple(rows),
        0.5,
    )


def of_strata(store: Store, set_name: str, names: Sequence[str]) -> Chart:
    """Ours, stratum by stratum: first, and graded certain."""
    kinds = {"right_first": "right person first", "certain_recall": "graded certain"}
    rows = []
    for name in names:
        found = [share_of(store, f"match.{set_name}.stratum.{name}.{kind}") for kind in kinds]
        rows.append((name.replace("_", " "), tuple(Dot(at, share) for at, share in enumerate(found) if share)))
    return Chart(
        "By stratum, NHS mistakes",
        "share of questions about people whom the population holds",
        "stratum",
        tuple(kinds.values()),
        tuple(rows),
    )


def of_calibration(store: Store, set_name: str) -> Chart:
    """Reliability: what first answers claim, and how often they are right."""
    rows = []
    for at, low in enumerate(EDGES):
        high = EDGES[at + 1] if at + 1 < len(EDGES) else 1.0
        start = f"match.{set_name}.calibration.bin_{at:02d}"
        claimed, right = share_of(store, f"{start}.claimed"), share_of(store, f"{start}.right")
        if claimed and right:
            rows.append((f"{low:g} to {high:g} ({right.of:,})", (Dot(0, claimed, claim=True), Dot(1, right))))
    return Chart(
        "Claimed probability and the truth",
        "share of first answers with such a claim",
        "claim (first answers)",
        ("claimed", "right"),
        tuple(rows),
    )


def share_of(store: Store, name: str) -> Share | None:
    """A share of the store with its count; None where it is not there."""
    row = store.get(name)
    return Share(row["value"] * row["of"], row["of"]) if row and row.get("of") else None
