"""Which rules a feed has: the contract's and its own, in the order they are judged.

Belongs here: the table from feed to rules. Does not belong here: rules.
"""

from __future__ import annotations

from functools import cache

from quality.contract import contract_rules
from quality.rule import Rule, RuleSet
from quality.rules.pds_number_change import PDS_NUMBER_CHANGE_RULES
from quality.rules.pds_patient import PDS_PATIENT_RULES
from quality.rules.scr_summary import SCR_SUMMARY_RULES
from schemas.feeds import FEEDS

_OWN: dict[str, RuleSet] = {
    "pds_patient": PDS_PATIENT_RULES,
    "pds_number_change": PDS_NUMBER_CHANGE_RULES,
    "scr_summary": SCR_SUMMARY_RULES,
}

# Rules that are judged outside a single row: the readers' and the group's.
LINE_RULES = {
    "LINE_NOT_JSON": "A line is not JSON.",
    "LINE_NOT_UTF8": "A line is not UTF-8.",
    "LINE_TOO_LONG": "A line is longer than the record limit.",
    "LINE_UNREADABLE": "A line cannot be read as a record of its feed.",
}
DUPLICATE_RULE = "DUPLICATE_KEY"


@cache
def rules_of(feed: str) -> tuple[Rule, ...]:
    """Every record-level rule of a feed."""
    return (*contract_rules(FEEDS[feed]), *_OWN[feed].rules)


def rule_of(feed: str, name: str) -> Rule | None:
    """One rule by name; None for the rules judged outside a single row."""
    return next((rule for rule in rules_of(feed) if rule.name == name), None)
