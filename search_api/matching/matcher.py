"""The matcher: a question in, graded and explained matches out, for every mode.

Belongs here: the order of the steps. Does not belong here: what each step does (blocking,
filtering, fuzzy, scoring, grading), engines, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_api.index.frequencies import Frequencies
from search_api.index.provider import CandidateSet, IndexReader, KeyQuery
from search_api.matching import blocking, filtering, fuzzy
from search_api.matching.asked import Asked, ask
from search_api.matching.grading import grades, posterior
from search_api.matching.person import Person, unpack
from search_api.matching.questions import Answer, Match, Mode, Question
from search_api.matching.rarity import weigh
from search_api.matching.rules import PdsRules
from search_api.matching.rules import shipped as shipped_rules
from search_api.matching.scoring import Scored, Scorer
from search_api.matching.weights import Weights
from search_api.matching.weights import shipped as shipped_weights

EMPTY = CandidateSet((), (), False, {})


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

    def answer(self, question: Question, index: IndexReader, frequencies: Frequencies) -> Answer:
        """At most ``question.limit`` matches, best first; ties in ascending NHS number.

        With ``too_many`` the matches are still given, for the audit: PDS shows none of them (pds.md 1.6).
        """
        prior = self.weights.prior(index.count())
        if question.mode is Mode.FILTER:
            return self._filter(question, index, prior)
        asked = ask(question)
        sets = (self._candidates(question, asked, index, frequencies), self._same(question, asked, index))
        if question.mode is Mode.FUZZY:
            return self._fuzzy(question, asked, sets, prior)
        return self._wide(question, asked, sets, prior)

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

    def _filter(self, question: Question, index: IndexReader, prior: float) -> Answer:
        plan = filtering.plan(question, self.rules)
        if question.exact_only and plan.wildcards:
            return Answer((), 0, prior=prior)
        found = index.select(question, question.limit + 1)
        total = len(found.numbers)
        score = fuzzy.filter_score(plan)
        ranked = sorted(self._score(plan.asked, _persons(found), prior), key=lambda item: item.person.nhs_number)
        return self._answer(question, [(score, item) for item in ranked], total, found, prior)

    def _fuzzy(self, question: Question, asked: Asked, sets: tuple[CandidateSet, CandidateSet], prior: float) -> Answer:
        """``sets``: candidates by keys, and those who are the same by name and birth date."""
        found, same = _joined(*sets), frozenset(sets[1].numbers)
        persons = [person for person in _persons(found) if fuzzy.hard_filters(asked, person, self.rules)]
        near = [
            item
            for item in self._score(asked, persons, prior)
            if item.person.nhs_number in same or fuzzy.found(asked, item, self.rules)
        ]
        scored = [(fuzzy.fuzzy_score(asked, item, self.rules), item) for item in near]
        if question.exact_only:
            scored = [pair for pair in scored if pair[0] >= 1.0]
        scored.sort(key=lambda pair: (-pair[0], pair[1].person.nhs_number))
        return self._answer(question, scored, len(scored), found, prior)

    def _wide(self, question: Question, asked: Asked, sets: tuple[CandidateSet, CandidateSet], prior: float) -> Answer:
        rule, found, same = self.weights.grades, _joined(*sets), frozenset(sets[1].numbers)
        scored = self._score(asked, _persons(found), prior)
        best = max((item.weight for item in scored), default=0.0)
        kept = [
            (posterior(item.weight), item)
            for item in scored
            if item.person.nhs_number in same
            or (posterior(item.weight) >= rule.wide_minimum and item.weight >= best - rule.wide_gap)
        ]
        kept.sort(key=lambda pair: (-pair[1].weight, pair[1].person.nhs_number))
        return self._answer(question, kept, len(kept), found, prior)

    def _score(self, asked: Asked, persons: Sequence[Person], prior: float) -> list[Scored]:
        return self._scorer.score(asked, persons, prior)

    def _answer(
        self, question: Question, scored: Sequence[tuple[float, Scored]], total: int, found: CandidateSet, prior: float
    ) -> Answer:
        by_weight = sorted((item for _, item in scored), key=lambda item: (-item.weight, item.person.nhs_number))
        grade_of = dict(
            zip((item.person.nhs_number for item in by_weight), grades(by_weight, self.weights.grades), strict=True)
        )
        matches = tuple(
            Match(
                nhs_number=item.person.nhs_number,
                score=score,
                posterior=posterior(item.weight),
                weight=item.weight,
                grade=grade_of[item.person.nhs_number],
                evidence=item.evidence,
            )
            for score, item in scored[: question.limit]
        )
        return Answer(matches, total, total > question.limit, found.truncated, prior, dict(found.counters))


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
