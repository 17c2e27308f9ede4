"""The names column: usual, maiden, nickname, former and hidden names with their periods.

Belongs here: which names a person has had. Does not belong here: the name lists.
Order in the list: what PDS returns (usual, nickname, maiden, old), then history, then hidden.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.ages import YEAR
from sandbox.population.dates import day_texts
from sandbox.population.family_names import family_names
from sandbox.population.given_names import given_names
from sandbox.population.households import CHILD, PARTNER
from sandbox.population.lists import LongTable, texts
from sandbox.population.people import FEMALE
from sandbox.population.randomness import I64, Flags
from sandbox.population.traits import Traits
from schemas.fields import CURRENT, HIDDEN, HISTORIC

_NICKNAMES = dict(
    pair.split(":")
    for pair in [
        "William:Bill",
        "Robert:Bob",
        "Richard:Dick",
        "James:Jim",
        "John:Jack",
        "Thomas:Tom",
        "Michael:Mike",
        "David:Dave",
        "Joseph:Joe",
        "Charles:Charlie",
        "Edward:Ted",
        "Henry:Harry",
        "Frederick:Fred",
        "Christopher:Chris",
        "Anthony:Tony",
        "Daniel:Dan",
        "Matthew:Matt",
        "Andrew:Andy",
        "Stephen:Steve",
        "Steven:Steve",
        "Samuel:Sam",
        "Benjamin:Ben",
        "Alexander:Alex",
        "Patrick:Paddy",
        "Kenneth:Ken",
        "Ronald:Ron",
        "Peter:Pete",
        "Albert:Bert",
        "Alfred:Alf",
        "Leonard:Len",
        "Nicholas:Nick",
        "Jonathan:Jon",
        "Elizabeth:Liz",
        "Margaret:Peggy",
        "Catherine:Kate",
        "Katherine:Kathy",
        "Kathleen:Kath",
        "Susan:Sue",
        "Patricia:Pat",
        "Barbara:Babs",
        "Dorothy:Dot",
        "Deborah:Debbie",
        "Jennifer:Jenny",
        "Victoria:Vicky",
        "Rebecca:Becky",
        "Samantha:Sam",
        "Jacqueline:Jackie",
        "Christine:Chris",
        "Pamela:Pam",
        "Judith:Judy",
        "Gillian:Gill",
        "Valerie:Val",
        "Maureen:Mo",
        "Charlotte:Lottie",
        "Florence:Flo",
        "Isabella:Bella",
        "Eleanor:Nell",
        "Amelia:Millie",
        "Jessica:Jess",
        "Abigail:Abby",
        "Philip:Phil",
        "Timothy:Tim",
        "Gregory:Greg",
        "Terence:Terry",
        "Raymond:Ray",
        "Joshua:Josh",
        "Theodore:Teddy",
        "Oliver:Ollie",
    ]
)
_PREFIXES = pl.Series(["Mr", "Mrs", "Miss", "Ms", "Master", "Dr"], dtype=pl.String)
_PLACEHOLDERS = (("BABY", None), ("UNKNOWN", "UNKNOWN"), ("TEST", "PATIENT"), ("NOT KNOWN", None), ("INFANT", None), ("BABY GIRL", None))  # fmt: skip


class Names:
    """The names of the people of a chunk."""

    def __init__(self, traits: Traits) -> None:
        self._traits, self._people, self._draws = traits, traits.people, traits.draws
        self._rates = traits.rates
        self._named = ~traits.near_empty

    def column(self) -> pl.Series:
        """The names column of the feed."""
        table = LongTable("pds_patient", "names")
        everyone = np.flatnonzero(self._named)
        married = self._married()
        usual = self.usual()
        table.add(everyone, {name: values.gather(everyone) for name, values in usual.items()})
        self._nicknames(table, usual)
        self._maiden(table, np.flatnonzero(married & self._named))
        self._former(table)
        self._hidden(table)
        return table.column_of(len(self._people))

    def _married(self) -> Flags:
        """Women who took the household's family name."""
        people = self._people
        changed = (people.role == PARTNER) & (people.sex == FEMALE) & (people.family != people.own_family)
        made: Flags = changed & (self._traits.age > 20)
        return made

    def _wedding_days(self, rows: I64) -> I64:
        """Somewhere between the age of 20 and 40, before the last day."""
        people, ends = self._people, self._traits.ends
        birth = people.birth[rows] + int(20 * YEAR)
        span = np.clip(ends[rows] - birth, 1, int(20 * YEAR))
        made: I64 = birth + (self._draws.unit("wedding", people.index[rows]) * span).astype(np.int64)
        return made

    def _family(self) -> pl.Series:
        """Family names: double-barrelled for a few, upper-case placeholders apart."""
        people, names = self._people, family_names()
        family = names.text(people.family)
        joined = self._traits.chance("hyphen", self._rates.hyphenated / 0.6) & (people.family != people.own_family)
        both = joined | (self._traits.chance("hyphen child", self._rates.hyphenated) & (people.role == CHILD))
        rows = np.flatnonzero(both & (people.family != people.own_family))
        pair = pl.DataFrame([names.text(people.own_family[rows]).alias("a"), family.gather(rows).alias("b")])
        return family.scatter(rows, pair.select(pl.concat_str("a", "b", separator="-"))["a"]) if len(rows) else family

    def _given(self) -> tuple[pl.Series, pl.Series, pl.Series]:
        """First, second and third given name; none for people of a single name."""
        people, names = self._people, given_names()
        first, middle = names.text(people.given), names.text(people.middle)
        joined = np.flatnonzero(self._traits.chance("joined given", self._rates.joined_given) & (people.middle >= 0))
        if len(joined):
            pair = pl.DataFrame([first.gather(joined).alias("a"), middle.gather(joined).alias("b")])
            first = first.scatter(joined, pair.select(pl.concat_str("a", "b", separator=" "))["a"])
            middle = middle.scatter(joined, None)
        single = np.flatnonzero(self._traits.chance("single name", self._rates.single_name))
        if len(single):
            first, middle = first.scatter(single, None), middle.scatter(single, None)
        third = names.text(np.where(pl_null(middle), -1, people.middle_two).astype(np.int32))
        return first, middle, third

    def _prefixes(self, married: Flags) -> pl.Series:
        """Titles by sex, age and marriage; one in ten has none."""
        uniform, age = self._draws.unit("prefix", self._people.index), self._traits.age
        woman = np.where(married, 1, np.where(uniform < 0.4, 3, 2))
        code = np.where(self._people.sex == FEMALE, woman, np.where(age < 16, 4, 0))
        code = np.where((uniform > 0.985) & (age > 25), 5, code)
        titles = _PREFIXES.gather(code.astype(np.int64))
        none = np.flatnonzero((uniform > 0.4) & (uniform < 0.5))
        return texts(titles.scatter(none, None) if len(none) else titles)

    def usual(self) -> dict[str, pl.Series]:
        """Fields of everyone's usual name."""
        people, count, married = self._people, len(self._people), self._married()
        start = people.birth.copy()
        rows = np.flatnonzero(married)
        start[rows] = self._wedding_days(rows)
        given, family = self._placeholders(self._given(), self._family())
        return {
            "state": pl.Series([CURRENT] * count, dtype=pl.String),
            "id": pl.Series(["N1"] * count, dtype=pl.String),
            "use": pl.Series(["usual"] * count, dtype=pl.String),
            "start": day_texts(start),
            "prefix": self._prefixes(married),
            "given": given,
            "family": family,
        }

    def _placeholders(
        self, given: tuple[pl.Series, pl.Series, pl.Series], family: pl.Series
    ) -> tuple[pl.Series, pl.Series]:
        """Given names as lists, and family names; words in place of names for some newborns and a few others."""
        first, middle, third = given
        share = np.where(self._traits.age < 0.25, 0.15, self._rates.placeholder_name)
        chosen = np.flatnonzero(self._traits.chance("placeholder", share))
        kind = self._draws.below("placeholder kind", self._people.index[chosen], len(_PLACEHOLDERS))
        for place, (word, name) in enumerate(_PLACEHOLDERS):
            rows = chosen[kind == place]
            if len(rows):
                first, middle, third = first.scatter(rows, word), middle.scatter(rows, None), third.scatter(rows, None)
                family = family.scatter(rows, name) if name else family
        return texts(first, middle, third), family

    def _nicknames(self, table: LongTable, usual: dict[str, pl.Series]) -> None:
        given = given_names().text(self._people.given)
        short = given.replace_strict(_NICKNAMES, default=None, return_dtype=pl.String)
        likely = self._traits.chance("nickname", min(1.0, self._rates.nickname * 4))
        rows = np.flatnonzero(likely & ~pl_null(short) & self._named)
        fields = {"state": CURRENT, "id": "N2", "use": "nickname", "given": texts(short.gather(rows))}
        table.add(rows, {**fields, "family": usual["family"].gather(rows)})

    def _maiden(self, table: LongTable, rows: I64) -> None:
        people = self._people
        table.add(
            rows,
            {
                "state": HISTORIC,
                "id": "N3",
                "use": "maiden",
                "start": day_texts(people.birth[rows]),
                "end": day_texts(self._wedding_days(rows)),
                "given": self._given_of(rows),
                "family": family_names().text(people.own_family[rows]),
            },
        )

    def _given_of(self, rows: I64) -> pl.Series:
        names, people = given_names(), self._people
        return texts(names.text(people.given[rows]), names.text(people.middle[rows]))

    def _former(self, table: LongTable) -> None:
        """Changed names: half sent as use old, half kept behind the API as history."""
        people = self._people
        changed = self._traits.chance("former name", self._rates.former_name) & self._named & (self._traits.age > 1)
        old = self._traits.chance("former kept", 0.5)
        for use, identity, kind in (("old", "N4", changed & old), ("usual", "N5", changed & ~old)):
            rows = np.flatnonzero(kind)
            span = np.maximum(self._traits.ends[rows] - people.birth[rows], 2)
            end = (
                people.birth[rows]
                + 1
                + (self._draws.unit("former end", people.index[rows]) * (span - 2)).astype(np.int64)
            )
            family = family_names().draw(
                self._draws, "former family", people.index[rows], people.community[rows] * 2 + people.sex[rows]
            )
            table.add(
                rows,
                {
                    "state": HISTORIC,
                    "id": identity,
                    "use": use,
                    "start": day_texts(people.birth[rows]),
                    "end": day_texts(end),
                    "given": self._given_of(rows),
                    "family": family_names().text(family),
                },
            )

    def _hidden(self, table: LongTable) -> None:
        people = self._people
        rows = np.flatnonzero(self._traits.chance("hidden name", self._rates.hidden_value) & self._named)
        given = given_names().draw(self._draws, "hidden given", people.index[rows], people.sex[rows])
        fields = {"state": HIDDEN, "id": "N6", "use": "usual", "given": texts(given_names().text(given))}
        table.add(rows, {**fields, "family": family_names().text(people.own_family[rows])})


def pl_null(values: pl.Series) -> Flags:
    """Which entries are null, as a numpy array."""
    return values.is_null().to_numpy()
