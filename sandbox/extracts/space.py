"""Whether the disk has room for what is about to be made.

Belongs here: sizes as measured, and the refusal. Does not belong here: making anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.extracts.plan import Plan
from schemas.errors import Refused
from schemas.feeds import PDS_NUMBER_CHANGE, PDS_PATIENT

# Bytes a person of a full extract, as measured, with a tenth to spare.
_PARQUET = {PDS_NUMBER_CHANGE.name: 1, PDS_PATIENT.name: 120, "documents": 420, "headers": 60}
_NDJSON = {PDS_NUMBER_CHANGE.name: 1, PDS_PATIENT.name: 300, "documents": 700}


def check_space(plan: Plan, feeds: Sequence[str]) -> None:
    """Raise Refused when these feeds of a full would not fit on the drop folder's disk.

    What an earlier attempt left there counts as made.
    """
    if plan.day:
        return
    sizes = _PARQUET if plan.form == "parquet" else _NDJSON
    wanted = sum(sizes.get(feed, sizes.get(plan.summaries, 0)) * plan.patients for feed in feeds)
    wanted -= sum(_held(plan.folder(feed)) for feed in feeds)
    free = shutil.disk_usage(plan.drop).free
    if wanted > free:
        raise Refused(
            f"The extracts take about {_gigabytes(wanted)} GB, the disk of the drop folder has {_gigabytes(free)} GB.",
            remedy="Choose fewer patients, --summaries headers, or another disk.",
        )


def _held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}"
