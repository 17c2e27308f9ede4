"""Who traces a file without a token: an operator of this machine, who gives a name and a reason.

Belongs here: the caller of a command or a job, and where its files go. Does not belong here: tracing
(``running.py``), callers with a token (``endpoints.py``).
"""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigurationError, Refused
from search_api.access.context import AccessMode, Caller
from search_api.trace.running import Order

CLIENT = "ncrs-operator"
REASON_LENGTH = 200


def operator(name: str) -> Caller:
    """The caller of an operator; the access log holds the name. Raises ConfigurationError for none."""
    if not name.strip() or not name.isprintable():
        raise ConfigurationError("A trace needs a name for the access log.", remedy="Give it with --actor.")
    return Caller(AccessMode.APPLICATION, name.strip(), CLIENT, None, None, None, frozenset())


def target_of(source: Path) -> Path:
    """Beside the file: ``names.csv`` is answered as ``names.traced.csv``."""
    return source.with_name(f"{source.stem}.traced{source.suffix or '.csv'}")


def order_of(source: Path, target: Path, actor: str, reason: str, *, restart: bool = False) -> Order:
    """What is to be done. Raises Refused for an answer that is there already, ConfigurationError for no reason."""
    if not reason.strip() or not reason.isprintable() or len(reason) > REASON_LENGTH:
        raise ConfigurationError(
            f"A trace needs a reason of 1 to {REASON_LENGTH} characters for the access log.",
            remedy="Give it with --reason; name no patient in it.",
        )
    caller = operator(actor)
    if not source.is_file():
        raise Refused(f"{source} is no file.", remedy="Name a file of rows to trace.")
    work = target.with_name(f".{target.name}.trace")
    if target.exists() and not restart and not work.exists():
        raise Refused(
            f"{target.name} is there already.", remedy="Name another with --out, or trace anew with --restart."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    return Order(source.resolve(), target.resolve(), work.resolve(), caller, reason.strip(), restart)
