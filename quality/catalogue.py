"""Which rules a feed has: the contract's and its own, in the order they are judged.

Belongs here: the table from feed to rules, and the names of what is judged outside a single row.
Does not belong here: the rules' functions.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class LineRule:
    """A rule judged while a line is read, before there is a row."""

    code: str
    sentence: str


_FAILED = "REC_FAILED"
LINE_RULES: dict[str, LineRule] = {
    "LINE_NOT_JSON": LineRule(_FAILED, "A line is not JSON."),
    "LINE_NOT_UTF8": LineRule(_FAILED, "A line is not UTF-8."),
    "LINE_TOO_LONG": LineRule(_FAILED, "A line is longer than the record limit."),
    "LINE_UNREADABLE": LineRule(_FAILED, "A line cannot be read as a record of its feed."),
    "RECORD_NOT_AN_OBJECT": LineRule(_FAILED, "A line is JSON, but not an object."),
    "RECORD_WRONG_RESOURCE": LineRule(_FAILED, "A record is a resource of another type than the feed's."),
    "RECORD_WITHOUT_PAYLOAD": LineRule(_FAILED, "A record that is not deleted has no payload."),
    "RECORD_WITHOUT_NHS_NUMBER": LineRule("REC_NHS_NUMBER_INVALID", "A record names no NHS number."),
    "RECORD_SUBJECT_DIFFERS": LineRule("REC_INVALID_VALUE", "Envelope and payload name different NHS numbers."),
    "RECORD_ACTION_UNKNOWN": LineRule("REC_INVALID_VALUE", "The action is none of new, update, delete."),
    "RECORD_TIME_MALFORMED": LineRule("REC_INVALID_VALUE", "An envelope time is no date-time with an offset."),
    "RECORD_ENVELOPE_MALFORMED": LineRule(_FAILED, "An envelope field is not of its type."),
    "RECORD_TOO_DEEP": LineRule(_FAILED, "A record is nested too deeply."),
}
DUPLICATE_RULE = "DUPLICATE_KEY"


@cache
def rules_of(feed: str) -> tuple[Rule, ...]:
    """Every record-level rule of a feed."""
    return (*contract_rules(FEEDS[feed]), *_OWN[feed].rules)


def rule_of(feed: str, name: str) -> Rule | None:
    """One rule by name; None for the rules judged outside a single row."""
    return next((rule for rule in rules_of(feed) if rule.name == name), None)
