"""How often things happen in the synthetic population, with the reason for each figure.

Belongs here: every probability and count that shapes people and their daily changes.
Does not belong here: how they are applied, or name and place weights (the CSV files and
``communities.py``). "Assumption" means that no public count was found: change it here and
nowhere else. Sources: reference/anchors.md 2.1 and 7.4, reference/pds.md 2.2 and 7 (item 11).
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Rates:
    """Shares between 0 and 1 of all people unless the comment says otherwise."""

    # Birth and death.
    twin_maternities: float = 0.014  # of maternities; anchors.md 7.4
    first_of_january: float = 0.008  # extra 1 January births, all communities; assumption
    first_of_january_abroad: float = 0.06  # the same, communities with unregistered births; assumption
    partial_year: float = 0.0006  # birth date known as yyyy only; assumption
    partial_month: float = 0.0004  # birth date known as yyyy-mm only; assumption
    placeholder_birth_date: float = 0.0002  # 1900-01-01 for not known; assumption
    dead_single: float = 0.30  # of people living alone; makes about 9 % of records; assumption
    dead_couple: float = 0.17  # of people in couples; assumption
    dead_other: float = 0.004  # of everyone else; assumption
    informal_death: float = 0.04  # of the dead whose notice is still informal; assumption

    # Names.
    gender_other: float = 0.0003  # assumption
    gender_unknown: float = 0.001  # assumption
    middle_name: float = 0.72  # British; anchors.md 7.4 (0.7 to 0.8)
    second_middle_name: float = 0.07  # assumption
    hyphenated: float = 0.012  # double-barrelled family names; assumption
    joined_given: float = 0.01  # compound first name in one value ("Mary Anne"); assumption
    nickname: float = 0.03  # a nickname beside the usual name; assumption
    single_name: float = 0.0015  # no given name at all; assumption
    former_name: float = 0.03  # a changed name other than by marriage; assumption
    hidden_value: float = 0.002  # a hidden name or address; assumption
    placeholder_name: float = 0.0008  # BABY, UNKNOWN, TEST ...; assumption

    # Places and contacts.
    no_fixed_abode: float = 0.002  # ZZ99 3VZ; assumption
    pseudo_postcode: float = 0.001  # other ZZ99; assumption
    no_postcode: float = 0.015  # "a few per cent without postcode", pds.md 7; assumption
    temporary_address: float = 0.012  # assumption
    moves_mean: float = 1.6  # earlier addresses kept, 0 to 7; about 10 % move a year (anchors.md 7.4)
    mobile: float = 0.74  # assumption
    landline: float = 0.38  # assumption
    email: float = 0.46  # assumption
    emergency_contact: float = 0.12  # assumption
    related_person: float = 0.10  # assumption
    no_practice: float = 0.03  # not registered with a GP; assumption
    nominated_pharmacy: float = 0.55  # of the living; assumption
    dispensing_doctor: float = 0.03  # assumption
    appliance_supplier: float = 0.01  # assumption
    language: float = 0.30  # of communities with another first language; assumption
    interpreter: float = 0.25  # of those with a language; assumption
    contact_preference: float = 0.02  # assumption
    birth_place: float = 0.35  # assumption
    removal: float = 0.02  # removal from registration among the living; assumption
    consent: float = 0.01  # record-sharing consent held by PDS; assumption

    # The record itself.
    restricted: float = 0.003  # R; assumption
    very_restricted: float = 0.0001  # V; assumption
    invalidated: float = 0.0002  # REDACTED; assumption
    near_empty: float = 0.0005  # only the number; pds.md 2.1 shows that they exist; share assumed
    superseded_group: int = 250  # one superseded old number in so many people; assumption

    # Summary care record.
    summary: float = 0.94  # of the living with a practice; makes 91 % of the living, 57.5 M of 63 M
    permission_no: float = 0.012  # opted out; assumption
    permission_yes: float = 0.05  # legacy; assumption
    additional_information: float = 0.35  # assumption
    withheld: float = 0.02  # assumption

    # Changes, per person and day.
    day_birth: float = 0.000025  # about 1,560 a day of 63 M; order of the national figure
    day_registration: float = 0.00002  # assumption
    day_move: float = 0.00027  # about 10 % a year; anchors.md 7.4
    day_name_change: float = 0.00002  # assumption
    day_death: float = 0.000025  # about 1 % a year
    day_practice: float = 0.00015  # assumption
    day_contact: float = 0.0004  # assumption
    day_restrict: float = 0.000002  # assumption
    day_unrestrict: float = 0.000001  # assumption
    day_supersede: float = 0.000004  # assumption
    day_invalidate: float = 0.000001  # assumption
    day_summary: float = 0.008  # summaries replaced; assumption
    day_withdraw: float = 0.00001  # summaries withdrawn; assumption

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (isinstance(value, float) and field.name != "moves_mean" and value > 1):
                raise ValueError(f"Rate {field.name} must lie between 0 and 1.")


RATES = Rates()
