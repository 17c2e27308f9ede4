"""The matcher: a question in, graded and explained matches out, for every mode.

Belongs here: the order of the steps. Does not belong here: what each step does (blocking,
filtering, fuzzy, scoring, grading), engines, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching import blocking, filtering, fuzzy, widening
from search_api.matching.asked import Asked, ask
from search_api.matching.grading import grades, posteriors
from search_api.matching.person import Person, unpack
from search_api.matching.questions import Answer, Match, Mode, Question
from search_api.matching.rarity import affordable, weigh
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules
from search_api.matching.scoring import Scored, Scorer, Unknown
from search_api.matching.weights import Weights
from search_api.matching.weights import shipped as shipped_weights

EMPTY = CandidateSet((), (), False, {})
# Documents that the keys of a second look may be expected to have, all together, and most looked at.
SECOND_LOOK, SECOND_LIMIT = 150, 50


class Matcher:
    """Answers questions over any index reader. Holds no state of a request; safe to share.

    ``candidate_limit``: most candidates compared; ``key_cap``: most documents a blocking key may have had
    at the last full build before it is left out and counted (settings of the same names).
    """

    def __init__(
        self,
        weights: Weights | None = None,
        rules: PdsRules | None = None,
        *,
        candidate_limit: int = 200,
        key_cap: int = 2000,
    ) -> None:
        self.weights = weights or shipped_weights()
        self.rules = rules or shipped_rules()
        self._scorer = Scorer(self.weights)
        self._candidate_limit = candidate_limit
        self._key_cap = key_cap
        self._other: Matcher | None = None

    def under(self, weights: Weights) -> Matcher:
        """This matcher with other weights, those that a generation pins; the last such one is kept."""
        if weights is self.weights:
            return self
        other = self._other
        if other is None or other.weights is not weights:
            other = Matcher(weights, self.rules, candidate_limit=self._candidate_limit, key_cap=self._key_cap)
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
        sets = (self._candidates(question, asked, index, frequencies), self._same(question, asked, index))
        if question.mode is Mode.FUZZY:
            return self._fuzzy(question, asked, sets, prior, frequencies)
        found, scored = self._settled(question, asked, _joined(*sets), index, frequencies)
        return self._wide(question, scored, found, frozenset(sets[1].numbers), prior)

    def prior(self, index: IndexReader, frequencies: Frequencies) -> float:
        """Bits before any evidence, by the people indexed or, where they are more, those the names were counted of."""
        return self.weights.prior(max(index.count(), frequencies.population))

    def _candidates(
        self, question: Question, asked: Asked, index: IndexReader, frequencies: Frequencies
    ) -> CandidateSet:
        if question.mode is Mode.FUZZY and fuzzy.impossible(asked):
            return EMPTY
        keys = blocking.keys(asked, question.mode, frequencies)
        if keys:
            return self._by_keys(question, keys, index, frequencies)
        if question.mode is Mode.WIDE and asked.family.joined and asked.first:
            return index.select(_by_name_only(question), self._candidate_limit)
        return EMPTY

    def _by_keys(
        self, question: Question, keys: list[str], index: IndexReader, frequencies: Frequencies
    ) -> CandidateSet:
        weighed = weigh(keys, frequencies, self._key_cap)
        found = EMPTY
        if weighed.keys:
            found = index.candidates(KeyQuery(weighed.keys, question.asks_location, self._candidate_limit))
        counters = {**weighed.counters, **found.counters}
        truncated = found.truncated or bool(weighed.over_cap)
        return CandidateSet(found.numbers, found.payloads, truncated, counters)

    def _same(self, question: Question, asked: Asked, index: IndexReader) -> CandidateSet:
        """Who has exactly the names and birth date asked for, where a placeholder among them makes no key.

        A tolerant search so finds whom the same non-fuzzy search with history finds (pds.md 1.3).
        """
        if fuzzy.impossible(asked) or not fuzzy.holds_placeholder(question, asked):
            return EMPTY
        return index.select(_by_name_and_birth(question), self._candidate_limit)

    def _filter(self, question: Question, index: IndexReader, frequencies: Frequencies, prior: float) -> Answer:
        plan = filtering.plan(question, self.rules)
        if question.exact_only and plan.wildcards:
            return Answer((), 0, prior=prior)
        found = index.select(question, question.limit + 1)
        total = len(found.numbers)
        score = fuzzy.filter_score(plan)
        scored = self._score(plan.asked, _persons(found), prior, frequencies)
        ranked = sorted(scored, key=lambda item: item.person.nhs_number)
        return self._answer(question, [(score, item) for item in ranked], total, found, prior)

    def _fuzzy(
        self,
        question: Question,
        asked: Asked,
        sets: tuple[CandidateSet, CandidateSet],
        prior: float,
        frequencies: Frequencies,
    ) -> Answer:
        """``sets``: candidates by keys, and those who are the same by name and birth date."""
        found, same = _joined(*sets), frozenset(sets[1].numbers)
        persons = [person for person in _persons(found) if fuzzy.hard_filters(asked, person, self.rules)]
        near = [
            item
            for item in self._score(asked, persons, prior, frequencies)
            if item.person.nhs_number in same or fuzzy.found(asked, item, self.rules)
        ]
        scored = [(fuzzy.fuzzy_score(asked, item, self.rules), item) for item in near]
        if question.exact_only:
            scored = [pair for pair in scored if pair[0] >= 1.0]
        scored.sort(key=lambda pair: (-pair[0], pair[1].person.nhs_number))
        return self._answer(question, scored, len(scored), found, prior)

    def _settled(
        self, question: Question, asked: Asked, found: CandidateSet, index: IndexReader, frequencies: Frequencies
    ) -> tuple[CandidateSet, list[Scored]]:
        """Candidates and their scores, after a second look where the first found nobody who is likely meant."""
        prior = self.prior(index, frequencies)
        scored = self._score(asked, _persons(found), prior, frequencies)
        named = asked.family.joined or asked.first
        if not named or max(posteriors([item.weight for item in scored]), default=0.0) >= self.weights.grades.settled:
            return found, scored
        weighed = weigh(dict.fromkeys(widening.keys(asked, frequencies)), frequencies, self._key_cap)
        keys = affordable(weighed.keys, frequencies.population, SECOND_LOOK)
        if not keys:
            return found, scored
        limit = min(self._candidate_limit, SECOND_LIMIT)
        more = index.candidates(KeyQuery(keys, question.asks_location, limit))
        known = frozenset(found.numbers)
        new = [person for person in _persons(more) if person.nhs_number not in known]
        counters = {**found.counters, "second_look": 1, "keys_second_look": len(keys)}
        counters["candidates"] = len(known) + len(new)
        both = CandidateSet(found.numbers, found.payloads, found.truncated, counters)
        return both, [*scored, *self._score(asked, new, prior, frequencies)]

    def _wide(
        self, question: Question, scored: list[Scored], found: CandidateSet, same: frozenset[int], prior: float
    ) -> Answer:
        rule = self.weights.grades
        # Of equals whoever has the very names asked for comes first: placeholders weigh nothing.
        scored = sorted(
            scored, key=lambda item: (-item.weight, item.person.nhs_number not in same, item.person.nhs_number)
        )
        chances = posteriors([item.weight for item in scored])
        best = scored[0].weight if scored else 0.0
        kept = [
            (chance, item)
            for chance, item in zip(chances, scored, strict=True)
            if item.person.nhs_number in same
            or (
                chance >= rule.wide_minimum
                and item.weight >= best - rule.wide_gap
                and (item.named or item.bits >= rule.unnamed_evidence)
            )
        ]
        return self._answer(question, kept, len(kept), found, prior)

    def _score(self, asked: Asked, persons: Sequence[Person], prior: float, frequencies: Frequencies) -> list[Scored]:
        return self._scorer.score(asked, persons, prior, unknown(asked, frequencies))

    def _answer(
        self, question: Question, scored: Sequence[tuple[float, Scored]], total: int, found: CandidateSet, prior: float
    ) -> Answer:
        by_weight = sorted((item for _, item in scored), key=lambda item: (-item.weight, item.person.nhs_number))
        numbers = [item.person.nhs_number for item in by_weight]
        grade_of = dict(zip(numbers, grades(by_weight, self.weights.grades), strict=True))
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
            for score, item in scored[: question.limit]
        )
        return Answer(matches, total, total > question.limit, found.truncated, prior, dict(found.counters))


def unknown(asked: Asked, frequencies: Frequencies) -> Unknown:
    """Which names asked for hardly anybody bears."""
    given = asked.given[0].joined if asked.given else ""
    return Unknown(
        frequencies.family_slip(asked.family.joined),
        frequencies.given_slip(asked.first),
        frequencies.family_slip(given),
        frequencies.given_slip(asked.family.joined),
    )


def _persons(found: CandidateSet) -> list[Person]:
    return [unpack(number, payload) for number, payload in zip(found.numbers, found.payloads, strict=True)]


def _joined(found: CandidateSet, more: CandidateSet) -> CandidateSet:
    """Both sets, each patient once."""
    if not more.numbers:
        return found
    payloads = dict(zip((*found.numbers, *more.numbers), (*found.payloads, *more.payloads), strict=True))
    truncated = found.truncated or more.truncated
    return CandidateSet(tuple(payloads), tuple(payloads.values()), truncated, found.counters)


def _by_name_only(question: Question) -> Question:
    """The whole name, exactly, when nothing narrower was asked."""
    return Question(
        mode=Mode.FILTER,
        family=question.family,
        given=question.given[:1],
        history=True,
        located=question.asks_location,
    )


def _by_name_and_birth(question: Question) -> Question:
    """The names and the birth date, exactly, over history."""
    return Question(
        mode=Mode.FILTER,
        family=question.family,
        given=question.given,
        birth=question.birth,
        history=True,
        located=question.asks_location,
    )
