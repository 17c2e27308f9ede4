"""Every route says which policy it is under; the start fails when one does not.

Belongs here: the two dependencies a route may carry, and the check over all routes.
Does not belong here: decisions (``policy.py``). Source: style.md principle 21, promises.md X2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.requests import Request

from schemas.errors import ConfigurationError
from search_api.access.context import Caller
from search_api.access.gate import RECORD_PARAMETER, AccessGate
from search_api.access.policy import PolicyTable

_MARK = "ncrs_policy"
_ALONE = "ncrs_requires"
_RECORD = f"{{{RECORD_PARAMETER}}}"


def requires(policy: str) -> Callable[[Request], Awaitable[Caller]]:
    """Dependency that lets only callers through whom the policy allows, and gives the caller.

    The gate is ``app.state.access``. Use: ``caller: Annotated[Caller, Depends(requires("patient-read"))]``.
    """

    async def caller_of(request: Request) -> Caller:
        gate: AccessGate = request.app.state.access
        return await gate.authorise(request, policy)

    setattr(caller_of, _MARK, (policy, False))
    setattr(caller_of, _ALONE, policy)
    return caller_of


def open_to_all(policy: str) -> Callable[[], Awaitable[None]]:
    """Dependency that marks a route as public; ``check_routes`` fails when the policy is not."""

    async def nothing_to_check() -> None:
        return None

    setattr(nothing_to_check, _MARK, (policy, True))
    return nothing_to_check


def only_requires(dependant: Dependant | None) -> str | None:
    """The policy of a route that takes the request and depends on ``requires(policy)``, both and nothing else."""
    if dependant is None or dependant.request_param_name is None or len(dependant.dependencies) != 1:
        return None
    parameters = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params)
    if any(parameters) or dependant.body_params:
        return None
    policy: str | None = getattr(dependant.dependencies[0].call, _ALONE, None)
    return policy


def check_routes(app: FastAPI, table: PolicyTable, public_paths: Mapping[str, str] | None = None) -> None:
    """Raises ConfigurationError naming each route without exactly one policy, with an unknown one, or
    public against its policy, and each http policy without a route.

    ``public_paths`` maps the paths of routes that can carry no dependency (pages of the framework,
    mounts of static files) to a public policy.
    """
    found, problems = _found(app, dict(public_paths or {}))
    for where, mark in found:
        problems.extend(_problems(where, mark, table))
    used = {policy for _, (policy, _) in found}
    wanted = {name for name, policy in table.policies.items() if policy.surface == "http"}
    problems.extend(f"policy {name} has no route" for name in sorted(wanted - used))
    if problems:
        raise ConfigurationError(
            f"Routes and policies do not agree: {'; '.join(problems)}.",
            remedy="Give each route one requires(...) or open_to_all(...), and mend policy.json.",
        )


def _found(app: FastAPI, public_paths: dict[str, str]) -> tuple[list[tuple[str, tuple[str, bool]]], list[str]]:
    found: list[tuple[str, tuple[str, bool]]] = []
    problems: list[str] = []
    for route in iter_route_contexts(app.routes):
        path = str(getattr(route, "path", None) or "")
        marks = list(_marks(getattr(route, "dependant", None)))
        if not marks and path in public_paths:
            marks = [(public_paths[path], True)]
        if len(marks) == 1:
            found.append((path, marks[0]))
        else:
            problems.append(f"route {path or type(route).__name__} has {len(marks) or 'no'} policies")
    return found, problems


def _marks(dependant: Dependant | None) -> Iterator[tuple[str, bool]]:
    for part in dependant.dependencies if dependant else ():
        mark: Any = getattr(part.call, _MARK, None)
        if mark is not None:
            yield mark
        yield from _marks(part)


def _problems(where: str, mark: tuple[str, bool], table: PolicyTable) -> Iterator[str]:
    name, public = mark
    policy = table.policies.get(name)
    if policy is None:
        yield f"route {where} names policy {name}, which does not exist"
    elif policy.public != public:
        yield f"route {where} is {'public' if public else 'not public'} against policy {name}"
    elif policy.surface != "http":
        yield f"policy {name} is not for routes, but route {where} carries it"
    elif any(rule.own_record for rule in policy.modes.values()) and _RECORD not in where:
        yield f"policy {name} compares a patient's own number, but route {where} lacks {_RECORD}"
