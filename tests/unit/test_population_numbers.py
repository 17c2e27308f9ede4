"""NHS numbers of synthetic people: right, distinct, scattered, in the range that is never issued."""

import numpy as np
import pytest

from sandbox.population.numbers import CAPACITY, PEOPLE_LIMIT, NumberBook, numbers_of_slots
from sandbox.population.personas import INVALIDATED, PERSONAS, SUPERSEDED
from schemas.errors import ConfigurationError
from schemas.identifiers import is_nhs_number


def test_slots_give_the_valid_numbers_in_order() -> None:
    numbers = numbers_of_slots(np.arange(20_000, dtype=np.int64))
    assert np.all(np.diff(numbers) > 0)
    assert all(is_nhs_number(str(number)) for number in numbers.tolist())
    last = int(numbers_of_slots(np.array([89_999_999], dtype=np.int64))[0])
    assert is_nhs_number(str(last))
    assert str(last).startswith("99999")


def test_every_slot_agrees_with_the_scalar_check_digit() -> None:
    slots = np.random.default_rng(5).integers(0, 90_000_000, 30_000)
    assert all(is_nhs_number(str(number)) for number in numbers_of_slots(slots).tolist())


def test_positions_have_distinct_scattered_numbers() -> None:
    numbers = NumberBook(3).numbers(np.arange(300_000, dtype=np.int64))
    assert len(np.unique(numbers)) == 300_000
    assert numbers.min() >= 9_000_000_000
    assert numbers.max() <= 9_999_999_999
    ordered = np.corrcoef(np.arange(1_000), numbers[100:1_100])[0, 1]
    assert abs(ordered) < 0.1


def test_each_round_of_the_permutation_covers_a_row_and_a_column() -> None:
    # Swapping rows and columns by a shift that depends on the other half is one to one, whatever the shifts.
    book = NumberBook(4)
    ends = np.concatenate([np.arange(10_000), np.arange(CAPACITY - 10_000, CAPACITY), np.arange(0, CAPACITY, 8_999)])
    numbers = book.numbers(np.unique(ends).astype(np.int64))
    assert len(np.unique(numbers)) == len(numbers)


def test_seeds_give_different_numbers_and_the_same_seed_the_same() -> None:
    where = np.arange(100, 200, dtype=np.int64)
    assert np.array_equal(NumberBook(1).numbers(where), NumberBook(1).numbers(where))
    assert not np.array_equal(NumberBook(1).numbers(where), NumberBook(2).numbers(where))


def test_capacity_is_checked() -> None:
    assert PEOPLE_LIMIT >= 63_000_000
    with pytest.raises(ConfigurationError):
        NumberBook(1).numbers(np.array([CAPACITY], dtype=np.int64))


def test_personas_have_valid_numbers_of_their_own() -> None:
    numbers = [persona.number for persona in PERSONAS] + list(SUPERSEDED)
    assert len(set(numbers)) == len(numbers)
    assert all(is_nhs_number(number) and number.startswith("900000") for number in numbers)
    assert set(INVALIDATED) <= {persona.number for persona in PERSONAS}
    others = NumberBook(1).numbers(np.arange(len(PERSONAS), 200_000, dtype=np.int64))
    assert others.min() > 9_000_001_100
