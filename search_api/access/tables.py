"""The tables that decide access, read from JSON and checked: roles, activities, applications, policies.

Belongs here: the shape of each file, its checks, and how a set of activities is closed over inclusion.
Does not belong here: decisions (``policy.py``), tokens (``tokens.py``).
Sources: services.md 0.2 and 13, pds.md 1.10 and 6.5. What is weakly sourced is data, marked as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from schemas.errors import ConfigurationError
from search_api.access.context import AccessMode

HERE = Path(__file__).parent

Shape = TypeVar("Shape", bound=BaseModel)

ActivityCode = Annotated[str, StringConstraints(pattern=r"^[BX][0-9]{4}$")]
RoleCode = Annotated[str, StringConstraints(pattern=r"^R[0-9]{4}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
OdsCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{1,20}$")]


class _Strict(BaseModel):
    """A mistyped key in a reviewed file must stop the start, not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Activity(_Strict):
    """One activity and those it includes."""

    title: str
    includes: tuple[ActivityCode, ...]
    source: str
    confirmed: bool


class JobRole(_Strict):
    """One job role and its national baseline."""

    title: str
    baseline: tuple[ActivityCode, ...]
    source: str
    confirmed: bool


class Application(_Strict):
    """One registered application (pds.md 1.10; attributes: pds.md 2.2)."""

    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    title: str
    modes: tuple[AccessMode, ...]
    attributes: tuple[str, ...]
    policies: tuple[PolicyName, ...]
    organisations: tuple[OdsCode, ...]


class ModeRule(_Strict):
    """What one access mode needs: every activity of ``all_of``, one of ``any_of`` if it names any."""

    all_of: tuple[ActivityCode, ...] = ()
    any_of: tuple[ActivityCode, ...] = ()
    own_record: bool = False


class Policy(_Strict):
    """Who may do one thing; a mode that is not listed is refused."""

    title: str
    surface: Literal["http", "command", "reserved"]
    action: Literal["C", "R", "U", "D", "E"]
    source: str
    public: bool = False
    modes: dict[AccessMode, ModeRule]


class _ActivityFile(_Strict):
    version: str
    note: str
    activities: dict[ActivityCode, Activity]


class _RoleFile(_Strict):
    version: str
    note: str
    roles: dict[RoleCode, JobRole]


class _ApplicationFile(_Strict):
    version: str
    note: str
    applications: tuple[Application, ...]


class _PolicyFile(_Strict):
    version: str
    note: str
    policies: dict[PolicyName, Policy]


def _read(path: Path, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problems = error.error_count() if isinstance(error, ValidationError) else 1
        raise ConfigurationError(
            f"{path.name} cannot be used: {problems} problem(s).", remedy=f"Mend the file. {error}"
        ) from error


class Rbac:
    """Job roles and activities: what a role profile may do."""

    def __init__(self, activities: dict[str, Activity], roles: dict[str, JobRole]) -> None:
        self.activities = activities
        self.roles = roles
        self._check()

    @classmethod
    def load(cls, folder: Path = HERE) -> Rbac:
        """Read ``activities.json`` and ``roles.json``. Raises ConfigurationError."""
        activities = _read(folder / "activities.json", _ActivityFile).activities
        return cls(activities, _read(folder / "roles.json", _RoleFile).roles)

    def _check(self) -> None:
        named = {code for activity in self.activities.values() for code in activity.includes}
        named |= {code for role in self.roles.values() for code in role.baseline}
        if unknown := sorted(named - self.activities.keys()):
            raise ConfigurationError(
                f"activities.json lacks {', '.join(unknown)}.", remedy="Add the activity or take the code out."
            )

    def closure(self, codes: Iterable[str]) -> frozenset[str]:
        """The codes and all they include, however deep; a code that no table knows includes nothing."""
        found: set[str] = set()
        todo = list(codes)
        while todo:
            code = todo.pop()
            if code not in found:
                found.add(code)
                activity = self.activities.get(code)
                todo.extend(activity.includes if activity else ())
        return frozenset(found)

    def of_role(self, role_code: str | None, added: Iterable[str]) -> frozenset[str]:
        """National baseline of the job role (``R8000``) plus local additions, closed over inclusion."""
        role = self.roles.get(role_code or "")
        return self.closure([*(role.baseline if role else ()), *added])


def load_applications(path: Path | None = None) -> dict[str, Application]:
    """Registered applications by client id. Raises ConfigurationError, also for a client id given twice."""
    rows = _read(path or HERE / "applications.json", _ApplicationFile).applications
    table = {row.client_id: row for row in rows}
    if len(table) != len(rows):
        raise ConfigurationError("The applications file lists a client id twice.", remedy="Merge the two entries.")
    return table


def load_policies(path: Path | None = None) -> dict[str, Policy]:
    """Policies by name. Raises ConfigurationError, also for a public policy that lists modes."""
    table = _read(path or HERE / "policy.json", _PolicyFile).policies
    for name, policy in table.items():
        if policy.public == bool(policy.modes):
            raise ConfigurationError(
                f"Policy {name} must either be public or list the modes that may use it.",
                remedy="Set public, or add a mode.",
            )
    return table
