"""Rolling back: the marker is pointed at an earlier generation; nothing is built or copied.

Belongs here: that one act, its checks and its record. Does not belong here: removing what was
rolled back from (it stays, and can be rolled forward to).
"""

from __future__ import annotations

from assets.published.publish import make_current, publish_lock
from assets.published.service import Builder
from assets.published.verify import verify
from assets.stores import Stores
from schemas.errors import GenerationError, Refused
from schemas.generation import CurrentGeneration, GenerationManifest
from search_api import generation_files as files

PREVIOUS = "previous"


def rollback(made: Builder, *, to: str, reason: str) -> CurrentGeneration:
    """Make generation ``to`` current (``previous``: the one before the current), for a stated reason.

    It is verified whole first, in the cluster too. Nodes that follow the marker there are told of it at
    once, or as soon as the cluster can be asked. Raises Refused without a reason, for an unknown generation or the
    current one, and GenerationError when it is damaged.
    """
    if not reason.strip():
        raise Refused("A roll-back needs a reason.", remedy="Say why with --reason; it is recorded.")
    stores = made.stores
    current = _current(stores)
    target = _target(stores, current, to)
    # Verifying takes minutes, and a build that is published meanwhile must not retire what is being looked at.
    lease = files.Lease(stores.generations, target)
    try:
        _check(made, target)
        with publish_lock(stores):
            _still(stores, current)
            marker = make_current(stores, target, reason)
    finally:
        lease.release()
    detail = f"from {current or 'an unreadable marker'}"
    made.events.record("rolled back", target, actor=made.actor, reason=reason, detail=detail)
    if made.mirror is not None:
        made.mirror.try_to_follow(stores)
    return marker


def _check(made: Builder, target: str) -> None:
    verification = verify(made.stores, made.index.engine, target, cluster=made.cluster)
    if not verification.passed:
        failed = ", ".join(f"{check.name} ({check.text})" for check in verification.checks if not check.passed)
        raise GenerationError(f"Generation {target} does not verify: {failed}.", remedy="Choose another generation.")


def _still(stores: Stores, current: str | None) -> None:
    """Raises Refused when another generation was published while the target was verified."""
    now = _current(stores)
    if now != current:
        raise Refused(
            f"Generation {now or 'none'} became current while the roll-back was prepared.",
            remedy="Look at ncrs generations, and roll back again if it is still wanted.",
        )


def _current(stores: Stores) -> str | None:
    """The current generation's name; None where the marker is missing or unreadable (this is the way out)."""
    try:
        marker = files.read_current(stores.generations)
    except GenerationError:
        return None
    return marker.generation if marker else None


def _target(stores: Stores, current: str | None, to: str) -> str:
    present = [path.name for path in files.published_folders(stores.generations)]
    target = _before(stores, current, present) if to == PREVIOUS else to
    if target == current:
        raise Refused(f"Generation {target} is current already.", remedy="Nothing is to be done.")
    if target not in present and not (current is None and (stores.generations / target).is_dir()):
        listed = ", ".join(present) or "none"
        raise Refused(f"There is no published generation {target}.", remedy=f"Those kept are: {listed}.")
    return target


def _before(stores: Stores, current: str | None, present: list[str]) -> str:
    """The generation that was current when this one was built, or the next lower number."""
    lower = [name for name in present if current is not None and name < current]
    if current is not None:
        manifest = _readable(stores, current)
        if manifest is not None and manifest.previous in lower:
            return str(manifest.previous)
    if not lower:
        raise Refused("There is no earlier generation.", remedy="Build anew with ncrs build.")
    return lower[-1]


def _readable(stores: Stores, name: str) -> GenerationManifest | None:
    try:
        return files.read_manifest(stores.generations / name)
    except GenerationError:
        return None
