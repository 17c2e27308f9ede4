"""Hypothesis strategies of resources: PDS Patients of the sheet's shape, mutated ones, any JSON.

Belongs here: what generated tests draw from. Does not belong here: fixed examples (``resources.py``).
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.lib import resources as r

Json = dict[str, Any]

# Lone surrogates included: JSON text may hold them, UTF-8 stores may not.
any_text = st.text(st.characters(), max_size=12)
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)

numbers = st.integers(0, 400).map(r.nhs_number)
dates = st.dates().map(str) | st.sampled_from(["1987", "1987-04", "2019", "2019-12"])
periods = st.fixed_dictionaries({"start": dates}) | st.fixed_dictionaries({"start": dates, "end": dates})
ids = st.sampled_from(["123", "T456", "OC789", "7E122B16"])


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


names = st.fixed_dictionaries(
    {"use": st.sampled_from(["usual", "temp", "nickname", "old", "maiden"]), "family": words},
    optional={
        "id": ids,
        "period": periods,
        "given": st.lists(words, min_size=1, max_size=5),
        "prefix": st.lists(words, min_size=1, max_size=2),
        "suffix": st.lists(words, min_size=1, max_size=2),
    },
)
_BLANK = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
_KEYS = [r.address_key("PAF", "12345678"), r.address_key("UPRN", "1")]


@st.composite
def addresses(draw: st.DrawFn) -> Json:
    """An Address; blank lines are null with an extension, as for callers who ask for them."""
    item: Json = draw(
        _optional(
            id=ids,
            period=periods,
            use=st.sampled_from(["home", "temp", "billing", "work"]),
            text=st.sampled_from(["Second Home", "Student Accommodation", "Holiday Home"]),
            postalCode=st.sampled_from(["LS1 6AE", "DN197UD", "ZZ99 3VZ"]),
            extension=st.sampled_from([_KEYS, _KEYS[:1], _KEYS[1:]]),
        )
    )
    lines = draw(st.lists(words | st.none(), max_size=5))
    if lines:
        item["line"] = lines
        if None in lines:
            item["_line"] = [_BLANK if line is None else None for line in lines]
    return item


telecoms = st.fixed_dictionaries(
    {"system": st.sampled_from(["phone", "fax", "email"]), "value": words},
    optional={"id": ids, "period": periods, "use": st.sampled_from(["home", "work", "temp", "mobile"])},
) | st.builds(r.textphone, words)
contacts = st.builds(r.contact, words)

_single_extensions = {
    "pharmacy": st.just(r.pharmacy("NominatedPharmacy", "FA002")),
    "dispenser": st.just(r.pharmacy("PreferredDispenserOrganization", "Y23456")),
    "supplier": st.just(r.pharmacy("MedicalApplianceSupplier", "Y34567")),
    "death": st.sampled_from([r.death(), r.death("U", "Removed")]),
    "communication": st.sampled_from(
        [r.communication(), r.communication("q4", "British Sign Language", False), r.communication("zz", "Unknown")]
    ),
    "preference": st.just(r.preference()),
    "birth_place": st.just(r.birth_place()),
    "removal": st.sampled_from([r.removal(), r.removal("ORR", "Other Reason"), r.removal("DEA", "Death")]),
    "consent": st.sampled_from([r.consent(), r.consent("2", "dissent")]),
}


def _in_order(found: Json) -> list[Json] | None:
    return [found[kind] for kind in _single_extensions if kind in found] or None


extensions = st.fixed_dictionaries({}, optional=_single_extensions).map(_in_order)


@st.composite
def pds_patients(draw: st.DrawFn) -> Json:
    """A Patient of the sheet's shape, lists in PDS's order: the columns must express all of it."""
    number = draw(numbers)
    resource: Json = {"resourceType": "Patient", "id": number, "identifier": [r.identifier(number)]}
    resource["meta"] = r.meta(draw(st.integers(1, 99)), draw(st.sampled_from(["U", "R", "V"])))
    optional = {
        "name": st.lists(names, min_size=1, max_size=4),
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "birthDate": dates,
        "multipleBirthInteger": st.integers(1, 9),
        "deceasedDateTime": st.just("2010-10-22T00:00:00+00:00"),
        "generalPractitioner": st.just([r.practice()]),
        "managingOrganization": st.just({"type": "Organization", "identifier": {"system": r.ODS, "value": "Y12345"}}),
        "telecom": st.lists(telecoms, min_size=1, max_size=4),
        "contact": st.lists(contacts, min_size=1, max_size=2),
        "address": st.lists(addresses(), min_size=1, max_size=4),
    }
    resource.update(draw(st.fixed_dictionaries({}, optional=optional)))
    found = draw(extensions)
    return {**resource, "extension": found} if found else resource


def _containers(node: Any) -> list[Any]:
    found = [node] if isinstance(node, dict | list) else []
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        found += _containers(part)
    return found


def _spoil(draw: st.DrawFn, container: Any) -> None:
    value = draw(json_values)
    if isinstance(container, dict):
        key = draw(st.sampled_from(sorted(container)) | any_text) if container else draw(any_text)
        if key not in ("resourceType", "id") and draw(st.booleans()):
            container[key] = value
        elif key not in ("resourceType", "id"):
            container.pop(key, None)
        return
    place = draw(st.integers(0, len(container)))
    if place < len(container) and draw(st.booleans()):
        container[place] = value
    else:
        container.insert(place, value)


@st.composite
def spoiled_patients(draw: st.DrawFn) -> Json:
    """A PDS Patient with up to five changes anywhere: unknown fields, odd types, lost parts."""
    resource = copy.deepcopy(draw(pds_patients()))
    for _ in range(draw(st.integers(1, 5))):
        _spoil(draw, draw(st.sampled_from(_containers(resource))))
    return resource


_FIELDS = [
    "identifier",
    "meta",
    "name",
    "gender",
    "birthDate",
    "multipleBirthInteger",
    "deceasedDateTime",
    "generalPractitioner",
    "managingOrganization",
    "extension",
    "telecom",
    "contact",
    "address",
]
any_patients = st.builds(
    lambda fields, more, number: {**more, **fields, "resourceType": "Patient", **number},
    st.dictionaries(st.sampled_from(_FIELDS), json_values),
    st.dictionaries(any_text, json_values, max_size=3),
    st.just({}) | st.fixed_dictionaries({"id": json_values | numbers}),
)
