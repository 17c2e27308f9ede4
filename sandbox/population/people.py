"""People as numbers: who they are, whom they live with, when, where and under what name.

Belongs here: the ``People`` of a chunk, all columns as codes and day numbers. Does not belong
here: texts (``demographics.py``), lists and history (``rows.py``). Any set of blocks can be made:
nothing depends on the blocks around (``randomness.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sandbox.population.ages import Household, Lives
from sandbox.population.communities import COMMUNITIES
from sandbox.population.dates import years
from sandbox.population.family_names import family_names
from sandbox.population.given_names import given_names
from sandbox.population.households import BLOCK, CHILD, HEAD, PARTNER, PATTERNS, SECOND_TWIN, SINGLE, library
from sandbox.population.numbers import NumberBook
from sandbox.population.places import places
from sandbox.population.randomness import I32, I64, Draws, Flags, choice_table
from sandbox.population.rates import RATES, Rates

FEMALE, MALE = 0, 1
_MOST_BLOCKS = 8_192  # made at a time: half a million people
_COMMUNITY_TABLE = choice_table([community.share for community in COMMUNITIES], 16)
_TAKES_NAME = np.array([community.takes_name for community in COMMUNITIES])
_MIDDLE = np.array([community.middle_names for community in COMMUNITIES])
_BY_SEX = np.array([community.named_by_sex for community in COMMUNITIES])


@dataclass(frozen=True)
class People:
    """One row a person. Codes: community, family and given names, place; days since 1970."""

    index: I64
    number: I64
    head: I64
    role: I64
    kind: I64
    twin: I64
    community: I64
    sex: I64
    birth: I64
    death: I64
    place: I64
    house: I64
    family: I32
    own_family: I32
    given: I32
    middle: I32
    middle_two: I32

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: I64 | slice) -> People:
        """The people of these rows."""
        return People(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def concat(cls, parts: list[People]) -> People:
        """The people of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


class Population:
    """All people of one seed, made on demand."""

    def __init__(self, seed: int, rates: Rates = RATES) -> None:
        self.seed, self.rates = seed, rates
        self.draws = Draws(seed)
        self.lives = Lives(self.draws, rates)

    @cached_property
    def numbers(self) -> NumberBook:
        """The NHS numbers of this seed."""
        return NumberBook(self.seed)

    def people(self, start: int, count: int) -> People:
        """People ``start`` to ``start + count - 1``."""
        if count <= 0:
            return self.blocks(np.zeros(0, dtype=np.int64))
        first, last = start // BLOCK, (start + count - 1) // BLOCK
        made = self.blocks(np.arange(first, last + 1, dtype=np.int64))
        offset = start - first * BLOCK
        return made.take(slice(offset, offset + count))

    def chosen(self, index: I64) -> People:
        """The people of these positions, in this order; only their blocks are made."""
        blocks, which = np.unique(index // BLOCK, return_inverse=True)
        if len(blocks) <= _MOST_BLOCKS:
            made = self.blocks(blocks.astype(np.int64))
            return made.take(which.astype(np.int64) * BLOCK + index % BLOCK)
        # Far more people are made than are chosen: some blocks at a time, of which the chosen are kept.
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(_MOST_BLOCKS, len(blocks), _MOST_BLOCKS))
        found = People.concat([self.chosen(index[places]) for places in np.split(order, ends)])
        return found.take(np.argsort(order, kind="stable").astype(np.int64))

    def blocks(self, blocks: I64) -> People:
        """All people of these blocks of 64."""
        index = (blocks[:, None] * BLOCK + np.arange(BLOCK, dtype=np.int64)).ravel()
        shape = Household(index, library(), self.draws.below("pattern", blocks, PATTERNS))
        anchor = np.where(shape.apart, index, shape.head)
        community = self.draws.pick("community", anchor, _COMMUNITY_TABLE).astype(np.int64)
        sex = self._sexes(index, shape)
        birth = self.lives.births(index, shape)
        birth = self.lives.first_of_january(shape.birth_key, birth, community)
        birth, death = self.lives.deaths(index, shape, birth)
        family, own = self._families(index, shape, community, sex)
        given, middle, middle_two = self._given(index, community, sex, birth, shape.twin == SECOND_TWIN)
        place, house = self._homes(shape)
        return People(
            index=index, number=self.numbers.numbers(index), head=shape.head, role=shape.role, kind=shape.kind,
            twin=shape.twin, community=community, sex=sex, birth=birth, death=death, place=place, house=house,
            family=family, own_family=own, given=given, middle=middle, middle_two=middle_two,
        )  # fmt: skip

    def _sexes(self, index: I64, shape: Household) -> I64:
        """Partners differ from the head in all but 1.5 % of couples; children 51.3 % male."""
        bits = self.draws.bits("sex", index) >> np.uint64(48)
        male_head = self.male_heads(shape.head, shape.kind)
        partner = male_head ^ (bits >= 984)
        male = np.where(shape.role == PARTNER, partner, bits < 33_000)
        male = np.where(shape.role == CHILD, bits < 33_620, male)
        return np.where(shape.role == HEAD, male_head, male).astype(np.int64)

    def male_heads(self, head: I64, kind: I64) -> Flags:
        """Whether the heads at these positions, of households of these kinds, are men."""
        bits = self.draws.bits("sex", head) >> np.uint64(48)
        return bits < np.where(kind == SINGLE, 31_800, 39_000)

    def _families(self, index: I64, shape: Household, community: I64, sex: I64) -> tuple[I32, I32]:
        """Family name now, and the one of birth (for those who took another's)."""
        names, draws = family_names(), self.draws
        # The name that a household may share runs in the male line: drawn once, from the head's position.
        head_community = draws.pick("community", shape.head, _COMMUNITY_TABLE).astype(np.int64)
        shared = names.draw(draws, "family", shape.head, head_community * 2 + MALE)
        own = names.draw(draws, "own family", index, community * 2 + sex)
        takes = self._takes_household_name(index, shape, community, sex)
        return np.where(takes, shared, own).astype(np.int32), own

    def _takes_household_name(self, index: I64, shape: Household, community: I64, sex: I64) -> Flags:
        uniform = self.draws.unit("takes name", index)
        takes = (shape.role == HEAD) | ((shape.role == CHILD) & (uniform < 0.95))
        takes |= (shape.role == PARTNER) & (uniform < _TAKES_NAME[community])
        # Where women bear women's names (Begum, Kaur), few take the household's.
        made: Flags = takes & ~(_BY_SEX[community] & (sex == FEMALE) & (uniform > 0.35))
        return made

    def _given(self, index: I64, community: I64, sex: I64, birth: I64, twin: Flags) -> tuple[I32, I32, I32]:
        """Given name and two middle names; ``twin`` marks second twins, who stand behind the first."""
        names, draws = given_names(), self.draws
        bits = draws.bits("given group", index)
        british = (bits & np.uint64(0xFFFF)).astype(np.int64)
        uniform = (bits >> np.uint64(16)).astype(np.float64) * 2.0**-48
        group = names.group(community, sex, years(birth), british)
        share = self.rates.middle_name * _MIDDLE[community]
        middle = np.where(uniform < share, names.draw(draws, "middle", index, group), -1)
        second = np.flatnonzero(uniform < self.rates.second_middle_name * _MIDDLE[community])
        middle_two = np.full(len(index), -1, dtype=np.int32)
        middle_two[second] = names.draw(draws, "second middle", index[second], group[second])
        given = names.draw(draws, "given", index, group)
        # Nobody gives twins one name: the second is named again until they differ, four times at most.
        for again in range(4):
            alike = np.flatnonzero(twin & (given == np.roll(given, 1)))
            given[alike] = names.draw(draws, f"given, again {again}", index[alike], group[alike])
        return given, middle.astype(np.int32), middle_two

    def _homes(self, shape: Household) -> tuple[I64, I64]:
        """Place and house number: the household's, wherever each came from."""
        head_community = self.draws.pick("community", shape.head, _COMMUNITY_TABLE).astype(np.int64)
        place = places().draw(self.draws, "home", shape.head, head_community)
        # Low numbers are commoner: streets differ in length.
        house = 1 + (self.draws.unit("house", shape.head) ** 2 * 190).astype(np.int64)
        return place, house
