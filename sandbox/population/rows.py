"""The row form of the pds_patient feed, chunk by chunk.

Belongs here: putting the columns together as ``schemas.feeds`` has them. Does not belong here:
how each column is made (names.py, homes.py, telecoms.py, traits.py, extras.py), files
(``sandbox/extracts``).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sandbox.population.extras import Extras
from sandbox.population.homes import Homes
from sandbox.population.names import Names
from sandbox.population.people import People, Population
from sandbox.population.personas import PERSONAS, persona_rows
from sandbox.population.randomness import I64
from sandbox.population.telecoms import Contacts
from sandbox.population.traits import SECURITY, Traits
from schemas.feeds import PDS_PATIENT


def patient_rows(start: int, count: int, population: Population) -> pl.DataFrame:
    """Rows ``start`` to ``start + count - 1`` in the columns of the feed; row_no is position + 1.

    The first positions are the personas.
    """
    rows = _rows(population.people(start, count), population)
    if start >= len(PERSONAS) or count <= 0:
        return rows
    personas = persona_rows().slice(start, count)
    return pl.concat([personas, rows.slice(len(personas))])


def chosen_rows(index: I64, population: Population) -> pl.DataFrame:
    """The rows of these positions, in this order; positions of personas are not allowed."""
    if len(index) and int(index.min()) < len(PERSONAS):
        raise ValueError("Personas never change: choose other positions.")
    return _rows(population.chosen(index), population)


def _rows(people: People, population: Population) -> pl.DataFrame:
    traits = Traits(people, population)
    extras, contacts = Extras(traits), Contacts(traits)
    language = traits.languages()
    columns = {
        **_envelope(traits),
        "names": Names(traits).column(),
        "addresses": Homes(traits).column(),
        "telecoms": contacts.telecoms(),
        "contacts": contacts.contacts(),
        "related_persons": contacts.related_persons(),
        "gender": traits.genders(),
        "birth_date": traits.birth_dates(),
        "birth_order": traits.birth_orders(),
        **extras.deaths(),
        "general_practitioner": extras.practices(),
        "nominated_pharmacy": traits.pharmacies(),
        "preferred_dispenser": traits.dispensers(),
        "appliance_supplier": traits.suppliers(),
        "language": language,
        "interpreter_required": traits.interpreters(language),
        "contact_preference": extras.preferences(),
        "birth_place": extras.birth_places(),
        "removal": extras.removals(),
        "consents": extras.consents(),
        "former_genders": extras.former_genders(),
        "former_birth_dates": extras.former_birth_dates(),
    }
    return in_feed_columns(columns, len(people))


def in_feed_columns(columns: dict[str, pl.Series], count: int) -> pl.DataFrame:
    """A frame of exactly the feed's columns and dtypes; columns not given are null."""
    base = pl.DataFrame({"_row": np.arange(count)})
    return base.select(
        [
            (pl.lit(columns[name]) if name in columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in PDS_PATIENT.polars_schema.items()
        ]
        if count
        else [pl.lit(None, dtype=dtype).alias(name) for name, dtype in PDS_PATIENT.polars_schema.items()]
    ).head(count)


def _envelope(traits: Traits) -> dict[str, pl.Series]:
    """Envelope columns of a full, version, confidentiality and verification.

    recorded_at stays null: PDS orders by version, and a bare Patient does not say it.
    """
    draws, index = traits.draws, traits.index
    number = pl.Series(traits.people.number).cast(pl.String)
    # Versions grow with a record's age; most have been changed a few times.
    version = 1 + (-np.log1p(-draws.unit("version", index)) * 6).astype(np.int64)
    return {
        "action": pl.Series(["new"] * len(index), dtype=pl.String),
        "source_key": number,
        "nhs_number": number,
        "row_no": pl.Series(index + 1),
        "version_id": pl.Series(version),
        "security": SECURITY.gather(traits.security),
        "verification": pl.Series(["01"] * len(index), dtype=pl.String),
    }
