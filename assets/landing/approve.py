"""Letting a shrunken full pass, with a name and a reason.

Belongs here: the one approval there is. Does not belong here: the shrink rule (``quality/chain.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime

from quality.reasons import FILE_RULES
from schemas.errors import Refused
from search_api.ops.ledger import ExtractApproval, ExtractEntry, Ledger

SHRINK = FILE_RULES["SHRUNK"].code


def approve_shrink(ledger: Ledger, refusal: ExtractEntry, actor: str, reason: str) -> ExtractApproval:
    """Let exactly these refused manifest bytes pass the shrink rule; the next run tries them again.

    Raises Refused when the extract was refused for something else, or without a reason.
    """
    if refusal.outcome != "refused" or refusal.code != SHRINK:
        raise Refused("Only an extract refused for shrinking can be approved.", remedy="See ncrs status.")
    if not reason.strip() or not actor.strip():
        raise Refused("An approval needs a name and a reason.", remedy="Give both; they are recorded.")
    approval = ExtractApproval(
        feed=refusal.feed,
        source=refusal.source,
        sequence=refusal.sequence,
        sha256=refusal.sha256,
        code=SHRINK,
        actor=actor,
        reason=reason,
        approved_at=datetime.now(UTC),
    )
    ledger.approve(approval)
    return approval
