"""A number that was invalidated is found by nobody any more, before the next generation is built.

Sources: pds.md 2.3; promises: never show a person under a number that is not theirs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.landing.land import land
from assets.published.rollback import rollback
from assets.published.service import build_and_publish, builder
from assets.stores import Stores
from assets.validated.validate import validate
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.settings import Settings
from search_api.trace.processes import pinned
from tests.lib import cast
from tests.lib.api import Api, deliver
from tests.lib.engines import EngineKind
from tests.lib.resources import meta, patient

Json = dict[str, Any]

SECONDS = 15


class Place:
    """A builder's home, and an API that serves what it published."""

    def __init__(self, folder: Path, kind: EngineKind) -> None:
        self.settings = kind.building(folder / "home")
        self.stores = Stores(self.settings.home, self.settings.drop_folder)
        self.ledger = Ledger(control_engine(self.settings.control_url))
        self.take_in("pds_patient", cast.patients(), 1)
        self.take_in("scr_summary", cast.summaries(), 1)
        self.build("first")
        self.node: Settings = kind.serving(self.settings, folder / "node")

    def take_in(self, feed: str, lines: list[Json], sequence: int) -> None:
        """Land and validate; nothing is built."""
        deliver(self.settings.drop_folder, feed, lines, sequence)
        land(self.stores, self.ledger, self.settings, feed)
        (entry,) = validate(self.stores, self.ledger, self.settings, feed)
        assert entry.outcome == "accepted", entry.text

    def build(self, name: str) -> str:
        made = build_and_publish(builder(self.stores, self.ledger, self.settings, "test"), name, "a test")
        assert made.manifest is not None
        return made.manifest.generation


@pytest.fixture
def place(tmp_path: Path, engine_kind: EngineKind) -> Place:
    return Place(tmp_path, engine_kind)


@pytest.fixture
def open_api(tmp_path: Path, place: Place) -> Iterator[Api]:
    with Api(tmp_path, place.node) as api:
        yield api


def invalidated(number: str) -> Json:
    payload = {"new_nhs_number": None, "change_type": "invalidated"}
    return {"action": "new", "source_key": number, "nhs_number": number, "payload": payload}


def is_gone(api: Api, number: str) -> bool:
    answer = api.get(f"/Patient/{number}")
    return answer.status_code == 404 and "INVALIDATED_RESOURCE" in answer.text


def until(seen: Any) -> bool:
    end = time.monotonic() + SECONDS
    while not (found := seen()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(found)


def found(api: Api, **params: Any) -> list[str]:
    body = api.search(**params).json()
    assert body["resourceType"] == "Bundle", body
    return [entry["resource"]["id"] for entry in body.get("entry", [])]


JANE: dict[str, Any] = {"family": "Smith", "given": "Jane", "birthdate": "eq2010-10-22"}


def test_an_invalidated_number_is_gone_at_once_from_every_answer(place: Place, open_api: Api) -> None:
    assert cast.JANE in found(open_api, **JANE)
    others = [number for number in found(open_api, **JANE, fuzzy=True) if number != cast.JANE]
    generation = open_api.get(f"/Patient/{cast.JANE}").headers["NCRS-Generation"]
    place.take_in("pds_number_change", [invalidated(cast.JANE)], 1)
    assert until(lambda: is_gone(open_api, cast.JANE))
    assert open_api.get(f"/Patient/{cast.UNKNOWN}").headers["NCRS-Generation"] == generation
    assert cast.JANE not in found(open_api, **JANE)
    assert found(open_api, **JANE, fuzzy=True) == others
    assert cast.JANE not in found(open_api, **JANE, mode="wide")
    assert open_api.get(f"/Patient/{cast.JANE}/RelatedPerson").status_code == 404
    assert (
        cast.JANE
        not in open_api.get("/DocumentReference", patient=f"https://fhir.nhs.uk/Id/nhs-number|{cast.JANE}").text
    )
    assert open_api.get(f"/Patient/{cast.JANET}").status_code == 200


def test_a_patient_who_comes_in_as_invalidated_is_gone_at_once(place: Place, open_api: Api) -> None:
    marker = patient(cast.JANE, meta=meta(9, "REDACTED"))
    place.take_in("pds_patient", [cast.envelope(marker)], 2)
    assert until(lambda: is_gone(open_api, cast.JANE))


def test_a_trace_finds_nobody_withdrawn_and_the_next_generation_needs_no_list(place: Place, open_api: Api) -> None:
    first = open_api.get(f"/Patient/{cast.JANE}").headers["NCRS-Generation"]
    place.take_in("pds_number_change", [invalidated(cast.JANE)], 1)
    with pinned(place.node, first) as opened:
        assert opened.replica.patient(int(cast.JANE)) is None
        assert opened.index.find([int(cast.JANE)]) == {}
    second = place.build("second")
    assert until(lambda: open_api.services.generations.refresh().generation == second)
    assert is_gone(open_api, cast.JANE)
    with open_api.services.generations.pin() as opened:
        assert opened is open_api.services.generations._held.generation, "nothing is left to hide"  # type: ignore[union-attr]


def test_after_a_roll_back_it_is_hidden_again(place: Place, open_api: Api) -> None:
    first = open_api.get(f"/Patient/{cast.JANE}").headers["NCRS-Generation"]
    place.take_in("pds_number_change", [invalidated(cast.JANE)], 1)
    second = place.build("second")
    assert until(lambda: open_api.services.generations.refresh().generation == second)
    rollback(builder(place.stores, place.ledger, place.settings, "test"), to=first, reason="a test")
    assert until(lambda: open_api.services.generations.refresh().generation == first)
    assert is_gone(open_api, cast.JANE)


def test_what_every_generation_kept_was_made_with_is_forgotten(place: Place) -> None:
    place.take_in("pds_number_change", [invalidated(cast.JANE)], 1)
    place.build("second")
    assert [each.sequence for each in place.ledger.withdrawals.all()] == [1], "the first generation is still kept"
    for turn in (2, 3, 4):
        place.take_in("pds_number_change", [invalidated(cast.MANY[turn])], turn)
        place.build(f"turn {turn}")
    assert [each.sequence for each in place.ledger.withdrawals.all()] == [3, 4]
