"""Full, and incremental over the same data, give the same generation; so does the same input again.

A small world of people lives through some days by a seeded chance: new people, new versions,
invalidations, number changes with chains, summaries that come, change and are withdrawn. One home is
told of each day by a delta and publishes daily; another hears of the last day only, by a full.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from assets.published.service import Outcome
from assets.replica.tables import CORE_TABLES
from schemas.generation import GenerationManifest
from tests.lib.validated import NUMBERS, Home, Row, change, moment, patient, removal, summary

Days = dict[str, list[Row]]


class World:
    """The sources' own state, and what changed today. ``changes`` are all events so far."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.unused = [*NUMBERS[:120]]
        self.chance.shuffle(self.unused)
        self.patients: dict[str, Row] = {}
        self.summaries: dict[str, Row] = {}
        self.changes: list[Row] = []
        self.superseded: set[str] = set()
        self.today: Days = {}
        self.clock = 0.0
        born, changed = [self.born] * 4, [self.changed] * 3
        self.acts = [*born, *changed, self.invalidated, self.renumbered, self.seen, self.seen, self.withdrawn]

    def live(self, people: int) -> Days:
        """One day; what to tell by deltas."""
        self.today = {"pds_number_change": [], "pds_patient": [], "scr_summary": []}
        for _ in range(people):
            self.clock += 0.01
            self.chance.choice(self.acts)()
        return {feed: _once(rows) for feed, rows in self.today.items()}

    def everything(self) -> Days:
        """What to tell by fulls (and all events, which have no full)."""
        return {
            "pds_number_change": self.changes,
            "pds_patient": list(self.patients.values()),
            "scr_summary": list(self.summaries.values()),
        }

    def born(self) -> None:
        number = self.unused.pop()
        self._tell(patient(number, security=self.chance.choice("UUUR")))

    def changed(self) -> None:
        if self.patients:
            row = self.chance.choice(list(self.patients.values()))
            self._tell(patient(row["nhs_number"], row["version_id"] + 1, security=self.chance.choice("UUR")))

    def invalidated(self) -> None:
        if len(self.patients) > 5:
            row = self.chance.choice(list(self.patients.values()))
            self._tell(patient(row["nhs_number"], row["version_id"] + 1, security="REDACTED"))

    def renumbered(self) -> None:
        """A number is superseded by another person's or a new one, or invalidated; never in a circle."""
        current = [number for number in self.patients if number not in self.superseded]
        if len(current) < 5:
            return
        old = self.chance.choice(current)
        others = [number for number in current if number != old] + self.unused[:1]
        new = self.chance.choice([*others, None]) if self.chance.random() < 0.8 else None
        self.superseded.add(old)
        event = change(old, new, recorded_at=moment(self.clock))
        self.changes.append(event)
        self.today["pds_number_change"].append(event)
        if self.chance.random() < 0.5:
            self.patients.pop(old, None)

    def seen(self) -> None:
        """A summary is written: mostly of someone held, sometimes of a stranger."""
        number = self.chance.choice([*self.patients, self.unused[-1]])
        row = summary(number, self.clock)
        self.summaries[number] = row
        self.today["scr_summary"].append(row)

    def withdrawn(self) -> None:
        if self.summaries:
            number = self.chance.choice(list(self.summaries))
            del self.summaries[number]
            self.today["scr_summary"].append(removal(number, recorded_at=moment(self.clock), delete_reason="withdrawn"))

    def _tell(self, row: Row) -> None:
        self.patients[row["nhs_number"]] = row
        self.today["pds_patient"].append(row)


def _once(rows: list[Row]) -> list[Row]:
    """The last word of the day on each record: an extract holds one row a key."""
    return list({row["source_key"]: row for row in rows}.values())


def tell(home: Home, days: Days, kind: str) -> None:
    for feed, rows in days.items():
        if rows:
            home.extract(feed, rows, "delta" if feed == "pds_number_change" else kind)


def published(outcome: Outcome) -> GenerationManifest:
    assert outcome.manifest is not None, outcome.plan.reason
    return outcome.manifest


def content(manifest: GenerationManifest) -> dict[str, tuple[int, str]]:
    tables = {table.table: (table.rows, table.checksum) for table in manifest.tables if table.table in CORE_TABLES}
    records = {"records": (held.documents, held.checksum)} if (held := manifest.records) else {}
    return {**tables, "index": (manifest.index.documents, manifest.index.checksum), **records}


@pytest.mark.parametrize("seed", range(6))
def test_a_full_equals_the_deltas_that_lead_to_it(tmp_path: Path, seed: int) -> None:
    _full_equals_deltas(World(seed), Home(tmp_path / "daily"), Home(tmp_path / "late"))


@pytest.mark.parametrize("seed", [9, 10])
def test_so_it_is_in_a_cluster_and_what_is_there_equals_the_embedded_index(
    tmp_path: Path, opensearch_url: str, opensearch_prefix: str, seed: int
) -> None:
    def home(name: str, prefix: str) -> Home:
        names = {"index": opensearch_url, "records": "opensearch", "opensearch_prefix": prefix}
        return Home(tmp_path / name, {**names, "opensearch_replicas": 0, "search_deadline_ms": 30_000})

    there = _full_equals_deltas(
        World(seed), home("daily", f"{opensearch_prefix}d-"), home("late", f"{opensearch_prefix}l-")
    )
    assert there["records"][0] > 0
    here = _full_equals_deltas(World(seed), Home(tmp_path / "here"), Home(tmp_path / "here, late"))
    assert here == {name: state for name, state in there.items() if name != "records"}


def _full_equals_deltas(world: World, daily: Home, late: Home) -> dict[str, tuple[int, str]]:
    """Three days told by deltas to one home, all of it by fulls to the other; what both hold."""
    world.live(40)
    tell(daily, world.everything(), "full")
    first = published(daily.build())
    for _ in range(3):
        tell(daily, world.live(25), "delta")
        last = published(daily.build())
    assert last.base is not None
    assert content(last) != content(first)
    tell(late, world.everything(), "full")
    fresh = published(late.build())
    assert fresh.base is None
    assert content(fresh) == content(last)
    return content(fresh)


@pytest.mark.parametrize("seed", range(6, 9))
def test_a_later_full_on_top_of_deltas_changes_nothing_and_rebuilding_gives_it_all_again(
    tmp_path: Path, seed: int
) -> None:
    world = World(seed)
    home = Home(tmp_path)
    world.live(40)
    tell(home, world.everything(), "full")
    home.build()
    tell(home, world.live(25), "delta")
    before = published(home.build())
    tell(home, {**world.everything(), "pds_number_change": []}, "full")
    after = published(home.build())
    assert content(after) == content(before)
    again = [published(home.build(anew=True)) for _ in range(3)]
    assert {manifest.tables for manifest in again} == {after.tables}
    assert {manifest.index.checksum for manifest in again} == {after.index.checksum}
    assert len({manifest.generation.partition("-")[2] for manifest in again}) == 1


@pytest.mark.parametrize("built_between", [True, False])
def test_a_released_row_that_a_later_full_lacks_is_gone_in_both_kinds_of_build(
    tmp_path: Path, built_between: bool
) -> None:
    home = Home(tmp_path)
    first, held = NUMBERS[:2]
    home.quarantine(home.extract("pds_patient", [patient(first)], "full"), [held])
    home.extract("pds_patient", [patient(held, 5)], origin_sequence=1, after_sequence=1)
    if built_between:
        assert published(home.build()).index.documents == 2
    home.extract("pds_patient", [patient(first)], "full")
    home.extract("pds_patient", [patient(held, 4, action="update")])
    grown = published(home.build())
    assert grown.index.documents == 1
    assert published(home.build(anew=True)).tables == grown.tables
