"""Telephones, e-mail, emergency contacts and related persons.

Belongs here: the telecoms, contacts and related_persons columns. Does not belong here: addresses.
Numbers come from the ranges that Ofcom keeps for drama (07700 900000-900999, 01632 960000-960999
and so on): they reach nobody, but there are few, so at national size many people share one.
E-mail goes to the example domains of RFC 2606.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.dates import day_texts
from sandbox.population.given_names import given_names
from sandbox.population.households import CHILD, PARTNER
from sandbox.population.lists import LongTable, grouped
from sandbox.population.randomness import I64, Draws
from sandbox.population.traits import Traits
from schemas.fhir.related_person import related_person_resource
from schemas.fhir.values import json_text
from schemas.fields import CURRENT, HISTORIC

_MOBILES = pl.Series([f"07700900{number:03d}" for number in range(1_000)], dtype=pl.String)
_LANDLINE_AREAS = [
    "01632960",
    "01134960",
    "01144960",
    "01154960",
    "01164960",
    "01174960",
    "01184960",
    "01214960",
    "01314960",
    "01414960",
    "01514960",
    "01614960",
    "02079460",
    "01914980",
]
_LANDLINES = pl.Series([f"{area}{number:03d}" for area in _LANDLINE_AREAS for number in range(1_000)], dtype=pl.String)
_DOMAINS = pl.Series(["example.com", "example.org", "example.net", "mail.example.com"], dtype=pl.String)


def mobile(draws: Draws, stream: str, where: I64) -> pl.Series:
    """A mobile number a position."""
    return _MOBILES.gather(draws.below(stream, where, len(_MOBILES)))


def landline(draws: Draws, stream: str, where: I64) -> pl.Series:
    """A landline number a position."""
    return _LANDLINES.gather(draws.below(stream, where, len(_LANDLINES)))


class Contacts:
    """Telecoms, emergency contacts and related persons of the people of a chunk."""

    def __init__(self, traits: Traits) -> None:
        self._traits, self._people, self._draws = traits, traits.people, traits.draws
        self._rates = traits.rates
        self._reachable = ~traits.near_empty & (traits.age > 14)

    def telecoms(self) -> pl.Series:
        """The telecoms column: mobile, landline of the household, e-mail; some earlier mobiles."""
        table = LongTable("pds_patient", "telecoms")
        people, draws, rates = self._people, self._draws, self._rates
        mobiles = np.flatnonzero(self._traits.chance("mobile", rates.mobile) & self._reachable)
        since = self._since("mobile since", mobiles)
        fields = {"state": CURRENT, "id": "T1", "system": "phone", "use": "mobile", "start": day_texts(since)}
        table.add(mobiles, {**fields, "value": mobile(draws, "mobile number", people.index[mobiles])})
        homes = np.flatnonzero(draws.chance("landline", people.head, rates.landline) & ~self._traits.near_empty)
        fields = {"state": CURRENT, "id": "T2", "system": "phone", "use": "home"}
        fields["start"] = day_texts(self._since("landline since", homes))
        table.add(homes, {**fields, "value": landline(draws, "landline number", people.head[homes])})
        self._emails(table)
        self._textphones(table)
        changed = self._draws.chance("earlier mobile", people.index[mobiles], 0.12)
        self._earlier_mobiles(table, mobiles[changed], since[changed])
        return table.column_of(len(people))

    def _since(self, stream: str, rows: I64) -> I64:
        days = self._draws.below(stream, self._people.index[rows], 4_000)
        made: I64 = np.maximum(self._traits.ends[rows] - days, self._people.birth[rows])
        return made

    def _emails(self, table: LongTable) -> None:
        people, draws = self._people, self._draws
        rows = np.flatnonzero(self._traits.chance("email", self._rates.email) & self._reachable)
        where = people.index[rows]
        frame = pl.DataFrame(
            {
                "given": given_names().text(people.given[rows]).str.to_lowercase().str.replace_all(r"[^a-z]", ""),
                "number": pl.Series(1 + draws.below("email number", where, 9_999_999)).cast(pl.String),
                "domain": _DOMAINS.gather(draws.below("email domain", where, len(_DOMAINS))),
            }
        )
        value = frame.select(v=pl.concat_str("given", pl.lit("."), "number", pl.lit("@"), "domain"))["v"]
        fields = {"state": CURRENT, "id": "T3", "system": "email", "use": "home"}
        table.add(rows, {**fields, "value": value, "start": day_texts(self._since("email since", rows))})

    def _textphones(self, table: LongTable) -> None:
        rows = np.flatnonzero(self._traits.chance("textphone", 0.001) & self._reachable)
        fields = {"state": CURRENT, "id": "T4", "system": "other", "use": "home", "other_system": "textphone"}
        value = landline(self._draws, "textphone number", self._people.index[rows])
        table.add(rows, {**fields, "value": value, "start": day_texts(self._since("textphone since", rows))})

    def _earlier_mobiles(self, table: LongTable, rows: I64, until: I64) -> None:
        start = np.maximum(until - 1_500, self._people.birth[rows])
        fields = {"state": HISTORIC, "id": "T5", "system": "phone", "use": "mobile"}
        value = mobile(self._draws, "earlier mobile number", self._people.index[rows])
        table.add(rows, {**fields, "value": value, "start": day_texts(start), "end": day_texts(until - 1)})

    def contacts(self) -> pl.Series:
        """The contacts column: one emergency contact with one telephone."""
        people, draws = self._people, self._draws
        wanted = self._traits.chance("contact", self._rates.emergency_contact)
        rows = np.flatnonzero(wanted & ~self._traits.near_empty & ~self._traits.dead)
        phones = LongTable("pds_patient", "telecoms")
        value = mobile(draws, "contact number", people.index[rows])
        fields = {"state": CURRENT, "id": "C1T1", "system": "phone", "value": value}
        phones.add(np.arange(len(rows), dtype=np.int64), fields)
        table = LongTable("pds_patient", "contacts")
        start = day_texts(self._since("contact since", rows))
        fields = {"id": "C1", "relationship": "C", "start": start, "telecoms": phones.column_of(len(rows))}
        table.add(rows, fields)
        return table.column_of(len(people))

    def related_persons(self) -> pl.Series:
        """The related_persons column: a child's parent, or a partner, as FHIR RelatedPerson text."""
        people = self._people
        wanted = self._traits.chance("related", self._rates.related_person) & ~self._traits.near_empty
        child = (people.role == CHILD) & (self._traits.age < 18) & self._traits.chance("related child", 0.8)
        partner = (people.role == PARTNER) & wanted
        rows = np.flatnonzero((child & ~self._traits.near_empty) | partner)
        number, template = self._heads(rows)
        made = pl.DataFrame({"number": number, "template": template, "own": people.number[rows]}).select(
            v=pl.col("template")
            .str.replace("@NUMBER@", pl.col("number").cast(pl.String), literal=True)
            .str.replace("@ID@", pl.col("own").cast(pl.String).str.slice(2, 7), literal=True)
        )["v"]
        return grouped(made.alias("related_persons"), rows, len(people))

    def _heads(self, rows: I64) -> tuple[I64, pl.Series]:
        """NHS number of each household's head, and the template that fits the relation."""
        people, population = self._people, self._traits.population
        heads = people.head[rows]
        father = population.male_heads(heads, people.kind[rows])
        code = np.where(people.role[rows] == PARTNER, 2, np.where(father, 1, 0))
        return population.numbers.numbers(heads), _TEMPLATES.gather(code)


def _template(role: str, kind: str) -> str:
    """JSON text of a RelatedPerson with places for the number and the id."""
    row = {
        "id": "R@ID@",
        "patient_number": "@NUMBER@",
        "active": True,
        "start": None,
        "end": None,
        "names": None,
        "addresses": None,
        "telecoms": None,
        "relationships": [role, kind],
        "rank": 1,
        "copy_correspondence": None,
        "contact_preference": None,
        "language": None,
        "interpreter_required": None,
    }
    return json_text(related_person_resource(row))


_TEMPLATES = pl.Series([_template("Guardian", "MTH"), _template("Guardian", "FTH"), _template("Personal", "SPS")])
