"""The decision: may this caller do this? One place, one table, deny by default.

Belongs here: the decision and the words of its refusal. Does not belong here: who the caller is
(``identity.py``), data-level rules such as restricted patients (each slice, inside its query).
Sources: architecture 4.7, pds.md 1.10 and 4.2, style.md principle 21.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.identifiers import is_nhs_number
from search_api.access.context import AccessMode, Caller
from search_api.access.tables import Application, Policy, Rbac, load_policies
from search_api.errors import SpineError, operation_refused, patient_refused

APPLICATION_MODES = frozenset({AccessMode.APPLICATION, AccessMode.PRIVILEGED_APPLICATION})


class Decision(Enum):
    """Allowed, or the reason why not; the reason goes to the audit log, not to the caller."""

    ALLOWED = "allowed"
    MODE = "mode not allowed"
    ACTIVITY = "activity missing"
    APPLICATION = "policy not registered to the application"
    OTHER_RECORD = "record of another patient"


class PolicyTable:
    """All policies, checked against the activities that exist."""

    def __init__(self, policies: Mapping[str, Policy], rbac: Rbac) -> None:
        self.policies = dict(policies)
        _check_activities(self.policies, rbac)

    @classmethod
    def load(cls, path: Path | None = None, rbac: Rbac | None = None) -> PolicyTable:
        """Read ``policy.json``. Raises ConfigurationError."""
        return cls(load_policies(path), rbac or Rbac.load())

    def policy(self, name: str) -> Policy:
        """The policy of that name. Raises ConfigurationError: a name no table knows is our mistake."""
        try:
            return self.policies[name]
        except KeyError:
            raise ConfigurationError(f"There is no policy {name}.", remedy="Add it to policy.json.") from None

    def decide(self, name: str, caller: Caller, record: str | None = None) -> Decision:
        """Whether the caller may use the policy; ``record`` is the NHS number of the path, as sent.

        In patient access the record is compared before its check digit is looked at, so that the
        answer for a number that cannot exist is the one for somebody else's (pds.md 4.3).
        """
        rule = self.policy(name).modes.get(caller.mode)
        if rule is None:
            return Decision.MODE
        if caller.mode in APPLICATION_MODES and name not in caller.granted:
            return Decision.APPLICATION
        if not caller.activities.issuperset(rule.all_of):
            return Decision.ACTIVITY
        if rule.any_of and caller.activities.isdisjoint(rule.any_of):
            return Decision.ACTIVITY
        return _own_record(caller, record) if rule.own_record else Decision.ALLOWED

    def own_record(self, name: str, caller: Caller) -> bool:
        """Whether the decision depends on the record asked for."""
        rule = self.policy(name).modes.get(caller.mode)
        return rule is not None and rule.own_record

    def allows(self, name: str, caller: Caller, record: str | None = None) -> bool:
        """True when the caller may use the policy: for slices that show part of an answer."""
        return self.decide(name, caller, record) is Decision.ALLOWED

    def check_applications(self, applications: Mapping[str, Application]) -> None:
        """Raises ConfigurationError when a registered application names a policy that does not exist."""
        named = {name for application in applications.values() for name in application.policies}
        if unknown := sorted(named - self.policies.keys()):
            raise ConfigurationError(
                f"The applications file names policies that do not exist: {', '.join(unknown)}.",
                remedy="Mend the names or add the policies to policy.json.",
            )


def _check_activities(policies: Mapping[str, Policy], rbac: Rbac) -> None:
    rules = [rule for policy in policies.values() for rule in policy.modes.values()]
    named = {code for rule in rules for code in (*rule.all_of, *rule.any_of)}
    if unknown := sorted(named - rbac.activities.keys()):
        raise ConfigurationError(
            f"policy.json names activities that activities.json lacks: {', '.join(unknown)}.",
            remedy="Add the activity or mend the code.",
        )


def _own_record(caller: Caller, record: str | None) -> Decision:
    if record is None or caller.own_number is None or not is_nhs_number(record):
        return Decision.OTHER_RECORD
    return Decision.ALLOWED if int(record) == caller.own_number else Decision.OTHER_RECORD


def refusal(caller: Caller, method: str) -> SpineError:
    """The 403 that PDS gives to this kind of caller (pds.md 4.2); ``method`` is the HTTP verb."""
    if caller.mode is AccessMode.PATIENT:
        return patient_refused()
    return operation_refused(caller.mode.value, method)
