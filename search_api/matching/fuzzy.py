"""PDS's fuzzy search: who is found, and PDS's score (pds.md 1.3 to 1.5).

Belongs here: the tolerances and the score formula; figures are in ``pds_rules.json``.
Does not belong here: candidates (``blocking.py``), evidence (``scoring.py``), posteriors.

Birth date is a hard key and e-mail a hard filter; a pseudo postcode finds nothing; all else is
soft. Each name asked for must be at least near to one held, in either order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from search_api.matching import comparisons as compare
from search_api.matching import normalise
from search_api.matching.asked import Asked
from search_api.matching.filtering import Plan, within
from search_api.matching.person import Person
from search_api.matching.questions import Question
from search_api.matching.rules import PdsRules
from search_api.matching.scoring import Scored

_FAMILY_NEAR = frozenset((compare.EXACT, compare.JOINED, compare.MISSPELT, compare.CLOSE, compare.SOUNDS))
_GIVEN_NEAR = _FAMILY_NEAR | {compare.NICKNAME, compare.INITIAL, compare.MIDDLE}
_POSTCODE_NEAR = frozenset(
    (compare.EXACT, "exact_previous", compare.SAME_AREA, "one_character", "same_sector", "same_outcode")
)
# Levels that PDS does not part, by the name that its likeness has.
_LIKE = {compare.MISSPELT: compare.CLOSE, compare.NEAR_AREA: "one_character"}
DECIMALS = 4


def impossible(asked: Asked) -> bool:
    """A question that finds nobody by rule: a pseudo postcode, or no birth date."""
    return asked.pseudo_postcode or asked.birth is None


def hard_filters(asked: Asked, person: Person, rules: PdsRules) -> bool:
    """Birth date within what was asked, and an e-mail held (ever) when one was asked."""
    if not within(asked.birth, person.birth, rules):
        return False
    return not asked.emails_sent or any(value in asked.emails_sent for value, _ in person.emails)


def holds_placeholder(question: Question, asked: Asked) -> bool:
    """Whether a name or the birth date asked for stands for "not known", and so makes no key."""
    day = asked.birth.day if asked.birth else 0
    family_lost = bool(question.family) and not asked.family.joined
    return family_lost or len(asked.given) < len(question.given) or normalise.placeholder_date(day)


def found(asked: Asked, item: Scored, rules: PdsRules) -> bool:
    """Whether the names asked for are near enough to those held; a part that is not held is no obstacle."""
    family, given = item.level("family"), item.level("given")
    family_near, given_near = family in _FAMILY_NEAR, given in _GIVEN_NEAR
    if asked.family.joined and asked.first:
        whole = (family_near or family is None) and (given_near or given is None) and (family_near or given_near)
        return whole or (given_near and _renamed(item, rules))
    if asked.family.joined:
        return family_near and _placed(asked, item)
    return given_near and _placed(asked, item)


def _placed(asked: Asked, item: Scored) -> bool:
    """The postcode is near. One that is malformed is no error and says nothing: then the gender must agree."""
    if item.level("postcode") in _POSTCODE_NEAR:
        return True
    malformed = bool(asked.postcode) and not normalise.is_postcode(asked.postcode)
    return malformed and bool(asked.sex) and asked.sex == item.person.sex


def _renamed(item: Scored, rules: PdsRules) -> bool:
    """Another family name, but all that the rule asks for is exact."""
    if item.level("name_order") == "swapped":
        return False
    needs = rules.changed_family_needs
    exact = {"given": (compare.EXACT, compare.NICKNAME), "postcode": (compare.EXACT, "exact_previous")}
    return bool(needs) and all(item.level(name) in exact.get(name, (compare.EXACT,)) for name in needs)


def fuzzy_score(asked: Asked, item: Scored, rules: PdsRules) -> float:
    """PDS's score of a fuzzy match, 0 to 1: the weighted mean likeness of the fields asked for."""
    parts = list(_parts(asked, item, rules))
    total = sum([weight for weight, _ in parts], 0.0)
    return round(sum([weight * likeness for weight, likeness in parts], 0.0) / total, DECIMALS) if total else 0.0


def filter_score(plan: Plan) -> float:
    """PDS's score of a non-fuzzy match: 1, less for each wildcard."""
    weights, likeness = plan.rules.field_weight, plan.rules.likeness["wildcard"]
    given = any(value.wild for value in plan.given)
    parts = [
        (weights["birth"], 1.0),
        (weights["family"], likeness if plan.family and plan.family.wild else 1.0),
        (weights["given"] if plan.given else 0.0, likeness if given else 1.0),
        (weights["postcode"] if plan.postcode else 0.0, likeness if plan.postcode and plan.postcode.wild else 1.0),
        (weights["sex"] if plan.asked.sex else 0.0, 1.0),
        (weights["gp"] if plan.asked.gp else 0.0, 1.0),
    ]
    total = sum([weight for weight, _ in parts], 0.0)
    return round(sum([weight * value for weight, value in parts], 0.0) / total, DECIMALS)


def _parts(asked: Asked, item: Scored, rules: PdsRules) -> Iterator[tuple[float, float]]:
    """Weight and likeness of each field asked for; a field the patient lacks is unlike."""
    weight = rules.field_weight
    yield weight["birth"], 1.0
    yield from _name_parts(asked, item, rules)
    if asked.sex:
        yield weight["sex"], _likeness(item, "sex", rules, {compare.OTHER: "sex_other"}, asked.sex == item.person.sex)
    for name, wanted in (
        ("postcode", asked.postcode),
        ("phone", asked.phones),
        ("email", asked.emails),
        ("gp", asked.gp),
    ):
        if wanted:
            yield weight[name], _likeness(item, name, rules, {"one_digit": "phone_one_digit"}, None)
    if asked.death:
        yield weight["death"], 1.0 if item.level("death_date") == compare.EXACT else 0.0


def _name_parts(asked: Asked, item: Scored, rules: PdsRules) -> Iterator[tuple[float, float]]:
    weight = rules.field_weight
    swapped = rules.likeness["swapped"] if item.level("name_order") == "swapped" else 1.0
    family = _family_likeness(asked, item, rules)
    given = _likeness(item, "given", rules, {}, None)
    if given < 1.0 and swapped == 1.0 and _only_doubled(asked.first, item, given=True):
        given = 1.0
    if given == 1.0 and swapped == 1.0 and asked.first and not _whole_given(asked, item):
        given = rules.likeness[compare.JOINED]
    middle = item.level("middle_names")
    if asked.first and middle == compare.OTHER:
        given *= rules.likeness["further_given_names"]
    elif asked.first and middle in (compare.CLOSE, compare.INITIAL):
        given *= rules.likeness["middle_near"]
    inexact = min(family if asked.family.joined else 1.0, given if asked.first else 1.0) < 1.0
    if inexact and swapped == 1.0 and item.level("given") != compare.MIDDLE and _further(asked, item):
        given *= rules.likeness["further_given_names"]
    if asked.family.joined:
        yield weight["family"], family * swapped
    if asked.first:
        yield weight["given"], given * swapped


def _family_likeness(asked: Asked, item: Scored, rules: PdsRules) -> float:
    likeness = _likeness(item, "family", rules, {}, None)
    if likeness < 1.0 and item.level("name_order") != "swapped" and _only_doubled(asked.family.joined, item):
        return 1.0
    if likeness and likeness < 1.0 and _sounds(asked.family.joined, item):
        return rules.likeness[compare.SOUNDS]
    return likeness


def _only_doubled(asked: str, item: Scored, *, given: bool = False) -> bool:
    """The nearest held name differs by doubled letters only (Blogs, Bloggs): PDS says 1."""
    held = [(name.given[0] if name.given else "") if given else name.family for name in item.person.names]
    return any(compare.same_sound(asked, text.replace(" ", "")) for text in held if text)


def _whole_given(asked: Asked, item: Scored) -> bool:
    """The first given value of a held name is asked for whole: Anne is only a part of Anne Marie (pds.md 1.1)."""
    openings = set(accumulate(asked.words))
    return any(_opens(name.given[0].replace(" ", ""), openings) for name in item.person.names if name.given)


def _opens(held: str, openings: set[str]) -> bool:
    return held in openings or any(compare.same_sound(held, opening) for opening in openings)


def _sounds(asked: str, item: Scored) -> bool:
    """Soundex-equal to a held family name: one likeness for all homophones, near or not in letters."""
    return any(compare.homophones(asked, name.family.replace(" ", "")) for name in item.person.names if name.family)


def _further(asked: Asked, item: Scored) -> bool:
    """The current name holds more given names than were asked for."""
    return any(len(name.given) > len(asked.words) for name in item.person.names if not name.marks)


def _likeness(item: Scored, comparison: str, rules: PdsRules, names: dict[str, str], equal: bool | None) -> float:
    """Likeness of the level reached; ``equal`` decides where the comparison said nothing."""
    level = item.level(comparison)
    if level is None:
        return 1.0 if equal else 0.0
    if level in ("exact_previous", compare.SAME_AREA):
        return 1.0
    level = _LIKE.get(level, level)
    name = names.get(level, level)
    if comparison == "postcode" and level in ("one_character", "same_sector", "same_outcode"):
        name = f"postcode_{level}"
    return rules.likeness[name]
