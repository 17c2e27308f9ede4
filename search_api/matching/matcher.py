"""The matcher: a question in, graded and explained matches out, for every mode.

Belongs here: the order of the steps. Does not belong here: what each step does (blocking,
filtering, fuzzy, scoring, grading), engines, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching import blocking, filtering, fuzzy, namesakes, widening
from search_api.matching.asked import Asked, ask
from search_api.matching.grading import grades, posteriors
from search_api.matching.looking import WHOLE, Beside, Comparing, Effort, Look, narrowed, persons
from search_api.matching.person import Person
from search_api.matching.promise import Promise, Shares, shares, signed, signs
from search_api.matching.questions import Answer, Grade, Match, Mode, Question
from search_api.matching.rarity import Weighed, affordable, expected, weigh
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules
from search_api.matching.scoring import Scored, Scorer, Unknown
from search_api.matching.weights import Weights
from search_api.matching.weights import shipped as shipped_weights

EMPTY = CandidateSet((), (), False, {})


@dataclass(frozen=True)
class _Case:
    """A question under way, and what it is answered from."""

    question: Question
    asked: Asked
    index: IndexReader
    frequencies: Frequencies
    prior: float
    unknown: Unknown


class Matcher:
    """Answers questions over any index reader. Holds no state of a request; safe to share.

    ``candidate_limit``: most candidates taken from the index; ``key_cap``: most documents a blocking key may have
    had at the last full build before it is left out and counted (settings of the same names).
    """

    def __init__(
        self,
        weights: Weights | None = None,
        rules: PdsRules | None = None,
        *,
        candidate_limit: int = 200,
        key_cap: int = 2000,
        effort: Effort | None = None,
    ) -> None:
        self.weights = weights or shipped_weights()
        self.rules = rules or shipped_rules()
        self._scorer = Scorer(self.weights)
        self._candidate_limit = candidate_limit
        self._key_cap = key_cap
        self._effort = effort or Effort()
        self._other: Matcher | None = None

    def under(self, weights: Weights) -> Matcher:
        """This matcher with other weights, those that a generation pins; the last such one is kept."""
        if weights is self.weights:
            return self
        other = self._other
        if other is None or other.weights is not weights:
            limits = {"candidate_limit": self._candidate_limit, "key_cap": self._key_cap}
            other = Matcher(weights, self.rules, **limits, effort=self._effort)
            self._other = other
        return other

    def answer(self, question: Question, index: IndexReader, frequencies: Frequencies) -> Answer:
        """At most ``question.limit`` matches, best first; ties in ascending NHS number.

        With ``too_many`` the matches are still given, for the audit: PDS shows none of them (pds.md 1.6).
        """
        prior = self.prior(index, frequencies)
        if question.mode is Mode.FILTER:
            return self._filter(question, index, frequencies, prior)
        asked = ask(question)
        case = _Case(question, asked, index, frequencies, prior, unknown(asked, frequencies))
        return self._fuzzy(case) if question.mode is Mode.FUZZY else self._wide(case)

    def prior(self, index: IndexReader, frequencies: Frequencies) -> float:
        """Bits before any evidence, by the people indexed or, where they are more, those the names were counted of."""
        return self.weights.prior(max(index.count(), frequencies.population))

    def _look(self, case: _Case) -> Look:
        question, asked = case.question, case.asked
        if question.mode is Mode.FUZZY and fuzzy.impossible(asked):
            return Look(EMPTY)
        codes = blocking.codes_of(asked, case.frequencies)
        keys = blocking.keys(asked, question.mode, case.frequencies, codes)
        if keys:
            return self._by_keys(case, keys, codes)
        if question.mode is Mode.WIDE and asked.family.joined and asked.first:
            return Look(case.index.select(filtering.by_name_only(question), self._candidate_limit))
        return Look(EMPTY)

    def _by_keys(self, case: _Case, keys: list[str], codes: tuple[blocking.Codes, blocking.Codes]) -> Look:
        weighed = weigh(keys, case.frequencies, self._key_cap)
        if not weighed.keys:
            return Look(CandidateSet((), (), bool(weighed.over_cap), weighed.counters))
        located = case.question.asks_location
        several = expected(weighed.keys, case.frequencies.population) > WHOLE
        marks = signs(case.asked, *codes) if several else None
        if marks is None:
            return Look(self._found(case, weighed, KeyQuery(weighed.keys, located, self._candidate_limit)))
        asked = KeyQuery(signed(weighed.keys, marks), located, self._candidate_limit)
        narrow = narrowed(asked, marks)
        beside = Beside.of(narrow, case.frequencies.population, lambda: self._found(case, weighed, asked))
        found = self._found(case, weighed, narrow)
        return Look(found, lambda: Promise(case.asked, marks, weighed, self._shares(case, codes)), beside)

    def _found(self, case: _Case, weighed: Weighed, asked: KeyQuery) -> CandidateSet:
        found = case.index.candidates(asked)
        truncated = found.truncated or bool(weighed.over_cap)
        return replace(found, truncated=truncated, counters={**weighed.counters, **found.counters})

    def _shares(self, case: _Case, codes: tuple[blocking.Codes, blocking.Codes]) -> Shares:
        rare = bool(case.unknown.family), bool(case.unknown.given)
        return shares(self.weights, case.frequencies, codes, rare, case.prior)

    def _same(self, case: _Case) -> CandidateSet:
        """Who has exactly the names and birth date asked for, where a placeholder among them makes no key: so a tolerant
        search finds whom the same non-fuzzy search with history finds (pds.md 1.3)."""
        if fuzzy.impossible(case.asked) or not fuzzy.holds_placeholder(case.question, case.asked):
            return EMPTY
        return case.index.select(filtering.by_name_and_birth(case.question), self._candidate_limit)

    def _filter(self, question: Question, index: IndexReader, frequencies: Frequencies, prior: float) -> Answer:
        plan = filtering.plan(question, self.rules)
        if question.exact_only and plan.wildcards:
            return Answer((), 0, prior=prior)
        case = _Case(question, plan.asked, index, frequencies, prior, unknown(plan.asked, frequencies))
        found = index.select(question, question.limit + 1)
        total = len(found.numbers)
        score = fuzzy.filter_score(plan)
        scored = self._scorer.score(plan.asked, persons(found), prior, case.unknown)
        ranked = sorted(scored, key=lambda item: item.person.nhs_number)
        return self._answer(case, [(score, item) for item in ranked], found, total=total)

    def _fuzzy(self, case: _Case) -> Answer:
        asked, rules = case.asked, self.rules
        same = self._same(case)
        sheet = self._scorer.sheet(asked, case.prior, case.unknown)

        def compare(found: Sequence[Person]) -> list[Scored]:
            return sheet.score([person for person in found if fuzzy.hard_filters(asked, person, rules)])

        comparing = Comparing(compare)
        found = self._look(case).compared(comparing, self._effort, near=True)
        comparing.of(same, range(len(same.numbers)))
        always = frozenset(same.numbers)
        near = [item for item in comparing.all() if item.person.nhs_number in always or fuzzy.found(asked, item, rules)]
        scored = [(fuzzy.fuzzy_score(asked, item, rules), item) for item in near]
        if case.question.exact_only:
            scored = [pair for pair in scored if pair[0] >= 1.0]
        scored.sort(key=lambda pair: (-pair[0], pair[1].person.nhs_number))
        return self._answer(case, scored, _joined(found, same))

    def _wide(self, case: _Case) -> Answer:
        comparing = Comparing(self._scorer.sheet(case.asked, case.prior, case.unknown).score)
        return self._settled(case, comparing) or self._searched(case, comparing)

    def _settled(self, case: _Case, comparing: Comparing) -> Answer | None:
        """The answer from the few keys that nearly everybody meant has; None where nobody found by them is beyond doubt."""
        codes = blocking.own_codes(case.asked)
        keys = blocking.first_keys(case.asked, *codes)
        # Where all are to be compared, all keys are asked.
        if not keys or not self._effort.unseen_odds or fuzzy.holds_placeholder(case.question, case.asked):
            return None
        found = self._by_keys(case, keys, codes).compared(comparing, self._effort)
        if found.truncated or not self._effort.settled(comparing.all()):
            return None
        found = replace(found, counters={**found.counters, "settled": 1})
        return self._answer(case, self._kept(comparing.all(), frozenset()), found)

    def _searched(self, case: _Case, comparing: Comparing) -> Answer:
        same = self._same(case)
        found = _joined(self._look(case).compared(comparing, self._effort), same)
        comparing.of(same, range(len(same.numbers)))
        if self._doubtful(case.asked, comparing.all()):
            counters = self._second_look(case, found, comparing)
            found = replace(found, counters={**found.counters, **counters})
        return self._answer(case, self._kept(comparing.all(), frozenset(same.numbers)), found)

    def _doubtful(self, asked: Asked, scored: Sequence[Scored]) -> bool:
        """Whether none of those found is likely meant, and there is a name to look for once more."""
        if not asked.family.joined and not asked.first:
            return False
        return sum(posteriors([item.weight for item in scored]), 0.0) < self.weights.grades.settled

    def _second_look(self, case: _Case, found: CandidateSet, comparing: Comparing) -> dict[str, int]:
        """Compare who is found by more tolerant keys only; the counters of that."""
        frequencies, effort = case.frequencies, self._effort
        weighed = weigh(dict.fromkeys(widening.keys(case.asked, frequencies)), frequencies, self._key_cap)
        keys = affordable(weighed.keys, frequencies.population, effort.second_look_documents)
        if not keys:
            return {}
        limit = min(self._candidate_limit, effort.second_look_candidates)
        known = frozenset(found.numbers)
        more = case.index.candidates(KeyQuery(keys, case.question.asks_location, limit))
        new = [at for at, number in enumerate(more.numbers) if number not in known]
        comparing.of(more, new)
        return {"second_look": 1, "keys_second_look": len(keys), "candidates": len(known) + len(new)}

    def _kept(self, scored: list[Scored], same: frozenset[int]) -> list[tuple[float, Scored]]:
        """Whom a wide search answers with, best first.

        Nobody is left out for what relatives share by nature: a clerk may have taken one for the other.
        """
        rule = self.weights.grades
        # Of equals whoever has the very names asked for comes first: placeholders weigh nothing.
        scored = sorted(
            scored, key=lambda item: (-item.weight, item.person.nhs_number not in same, item.person.nhs_number)
        )
        weights = [item.unbounded for item in scored]
        seen = posteriors(weights)
        least = max(weights, default=0.0) - rule.wide_gap
        return [
            (chance, item)
            for chance, sight, weight, item in zip(
                posteriors([item.weight for item in scored]), seen, weights, scored, strict=True
            )
            if item.person.nhs_number in same
            or (sight >= rule.wide_minimum and weight >= least and (item.named or item.bits >= rule.unnamed_evidence))
        ]

    def _namesakes(self, case: _Case, item: Scored) -> int | None:
        """How many others in the index bear the name; None where too many share its sounds to look at."""
        names = namesakes.full_names(case.asked, item.person)
        weighed = weigh(namesakes.keys(names), case.frequencies, self._key_cap)
        if weighed.over_cap or not weighed.keys:
            return None
        found = case.index.candidates(
            KeyQuery(weighed.keys, case.question.asks_location, namesakes.MOST, all_or_none=True)
        )
        return None if found.truncated else namesakes.bearers(names, item.person, found)

    def _grades(self, case: _Case, by_weight: Sequence[Scored]) -> Sequence[Grade | None]:
        if not case.question.graded:
            return [None] * len(by_weight)
        return grades(by_weight, self.weights.grades, lambda item: self._namesakes(case, item))

    def _answer(
        self, case: _Case, scored: Sequence[tuple[float, Scored]], found: CandidateSet, *, total: int | None = None
    ) -> Answer:
        limit = case.question.limit
        total = len(scored) if total is None else total
        by_weight = sorted((item for _, item in scored), key=lambda item: (-item.weight, item.person.nhs_number))
        numbers = [item.person.nhs_number for item in by_weight]
        grade_of = dict(zip(numbers, self._grades(case, by_weight), strict=True))
        chance_of = dict(zip(numbers, posteriors([item.weight for item in by_weight]), strict=True))
        matches = tuple(
            Match(
                nhs_number=item.person.nhs_number,
                score=score,
                posterior=chance_of[item.person.nhs_number],
                weight=item.weight,
                grade=grade_of[item.person.nhs_number],
                evidence=item.evidence,
            )
            for score, item in scored[:limit]
        )
        return Answer(matches, total, total > limit, found.truncated, case.prior, dict(found.counters))


def unknown(asked: Asked, frequencies: Frequencies) -> Unknown:
    """Which names asked for hardly anybody bears."""
    given = asked.given[0].joined if asked.given else ""
    return Unknown(
        frequencies.family_slip(asked.family.joined),
        frequencies.given_slip(asked.first),
        frequencies.family_slip(given),
        frequencies.given_slip(asked.family.joined),
    )


def _joined(found: CandidateSet, same: CandidateSet) -> CandidateSet:
    """Both, without payloads: they have been read where they were needed."""
    if not same.numbers:
        return found
    numbers = tuple(dict.fromkeys((*found.numbers, *same.numbers)))
    return CandidateSet(numbers, (), found.truncated or same.truncated, found.counters)
