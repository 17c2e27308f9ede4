"""Our scorer and Splink give one weight for the same pair and settings, names by their own frequency included."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from assets.weights.levels import level_table
from assets.weights.splink_model import linker
from search_api.index.documents import documents
from search_api.index.frequencies import Frequencies
from search_api.matching.asked import ask
from search_api.matching.matcher import unknown
from search_api.matching.person import Person, unpack
from search_api.matching.questions import DateRange, Mode, Question
from search_api.matching.scoring import Scorer
from search_api.matching.weights import shipped
from tests.lib.index import address, frame, name, nhs_number, person, telecom

pytest.importorskip("splink")

SEED, PAIRS = 7, 400
TOLERANCE_BITS = 1e-6
FAMILIES = ("Smith", "Smyth", "Smithson", "Jones-Reed", "Jones", "Okonkwo", "Nguyen", "Baker")
GIVENS = ("Anne", "Ann", "Robert", "Bob", "Mary Jane", "Zebedee", "Smith", "Aya")
CODES = ("LS1 4AP", "LS1 4AQ", "LS1 9ZZ", "YO1 7HH", "2600")
BIRTHS = ("1980-03-04", "1980-04-03", "1980-03-05", "1982-01-01", "1944-11-30", "1980")


def _people(dice: random.Random) -> pl.DataFrame:
    """One name each, so that its frequency is the one that counts."""
    rows: list[dict[str, Any]] = []
    for serial in range(60):
        given = [dice.choice(GIVENS)] + ([dice.choice(GIVENS)] if dice.random() < 0.5 else [])
        rows.append(
            person(
                nhs_number(serial),
                name(dice.choice(FAMILIES), *given),
                born=dice.choice(BIRTHS),
                gender=dice.choice(("male", "female")),
                gp=dice.choice(("A12345", "B23456", None)),
                addresses=[
                    address(dice.choice(CODES), "1 High Street"),
                    address(dice.choice(CODES), "7 Mill Lane", state="historic"),
                ],
                telecoms=[telecom("phone", dice.choice(("01632960001", "01632960011")))],
            )
        )
    return frame(rows)


def _question(dice: random.Random) -> Question:
    birth = dice.choice(BIRTHS)
    return Question(
        Mode.WIDE,
        family=dice.choice((*FAMILIES, None)),
        given=dice.choice(((dice.choice(GIVENS),), (dice.choice(GIVENS), "Ann"), ())),
        gender=dice.choice(("male", "female", None)),
        birth=DateRange(birth, birth) if dice.random() < 0.9 else None,
        postcode=dice.choice((*CODES, None)),
        address_lines=dice.choice((("1 High Street",), ())),
        gp_code=dice.choice(("A12345", None)),
        phones=dice.choice((("01632960001",), ())),
    )


def test_the_scorer_and_splink_give_the_same_weight() -> None:
    dice, weights = random.Random(SEED), shipped()
    people = _people(dice)
    frequencies = Frequencies.build([people])
    held = [unpack(item.nhs_number, item.payload) for item in documents(people, frequencies)]
    pairs: list[tuple[Question, Person]] = [(_question(dice), dice.choice(held)) for _ in range(PAIRS)]

    population = 63_000_000
    prior, scorer, ours = weights.prior(population), Scorer(weights), []
    for question, each in pairs:
        asked = ask(question)
        # Splink knows no comparison that depends on others (relatives): those it knows must be the same.
        [scored] = scorer.score(asked, [each], prior, unknown(asked, frequencies))
        ours.append(prior + sum(item.weight for item in scored.evidence if item.comparison in weights.levels))

    table = level_table(weights, frequencies, [(ask(question), [each]) for question, each in pairs]).with_columns(
        pl.Series("family_steps", [each.names[0].family_steps for _, each in pairs]),
        pl.Series("given_steps", [each.names[0].given_steps for _, each in pairs]),
    )
    assert table["family"].n_unique() > 4
    assert table["given"].n_unique() > 4
    assert table["birth_date"].n_unique() > 5
    assert "swapped" in table["name_order"].to_list()

    made = linker(table, weights.levels, population, weights.frequency.steps)
    found = made.inference.predict(warning_mode="never").as_record_list()
    theirs = {int(row["unique_id_l"].removeprefix("asked")): row["match_weight"] for row in found}
    assert len(theirs) == PAIRS
    assert max(abs(ours[at] - theirs[at]) for at in range(PAIRS)) < TOLERANCE_BITS
