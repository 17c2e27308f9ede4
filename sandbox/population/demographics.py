"""The flat demographic columns: one frame row a person, ready to read.

Belongs here: codes to texts, and ``people(count, seed, start)``. Does not belong here: the nested
row form of the feed (``rows.py``). Rate to hold: 500,000 people a second on two cores
(``python -m sandbox bench``).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.communities import NAMES
from sandbox.population.dates import day_texts
from sandbox.population.family_names import family_names
from sandbox.population.given_names import given_names
from sandbox.population.people import MALE, People, Population
from sandbox.population.places import places

CHUNK = 1 << 18
_COMMUNITIES = pl.Series("community", NAMES, dtype=pl.String)
_GENDERS = pl.Series("gender", ["female", "male"], dtype=pl.String)


def demographics(people: People, population: Population) -> pl.DataFrame:
    """Columns: index, nhs_number (text), family, given, middle, gender, birth_date, death_date,
    house, street, town, postcode, practice, community."""
    where = places()
    wander = population.draws.below("practice", people.head, 20)
    return pl.DataFrame(
        {
            "index": people.index,
            "nhs_number": pl.Series(people.number).cast(pl.String),
            "family": family_names().text(people.family),
            "given": given_names().text(people.given),
            "middle": given_names().text(people.middle),
            "gender": _GENDERS.gather((people.sex == MALE).astype(np.int64)),
            "birth_date": day_texts(people.birth),
            "death_date": day_texts(people.death),
            "house": pl.Series(people.house).cast(pl.String),
            "street": where.street(people.place),
            "town": where.town.gather(people.place),
            "postcode": where.postcode.gather(people.place),
            "practice": where.practice_codes(where.practice(people.place, wander)),
            "community": _COMMUNITIES.gather(people.community),
        }
    )


def people(count: int, seed: int, start: int = 0) -> pl.DataFrame:
    """Demographic columns of people ``start`` to ``start + count - 1``; the same however it is cut."""
    population = Population(seed)
    pieces = [
        demographics(population.people(begin, min(CHUNK, start + count - begin)), population)
        for begin in range(start, start + count, CHUNK)
    ]
    return pl.concat(pieces) if pieces else demographics(population.people(0, 0), population)
