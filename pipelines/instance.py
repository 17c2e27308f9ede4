"""The Dagster instance of one home.

Belongs here: where DAGSTER_HOME is, how it gets its ``dagster.yaml``, runs that died without a word.
Does not belong here: what runs (``jobs.py``), the home itself (``home.py``).

DAGSTER_HOME is ``{home}/dagster``. The ``dagster.yaml`` of the repository is copied there at each start,
so the UI, the daemon, the command line and the tests see one instance with one set of settings. An
operator who sets NCRS_DAGSTER_HOME brings his own ``dagster.yaml``; it is used as it is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.home import prepare_home
from schemas.errors import ConfigurationError
from search_api.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

ROOT = Path(__file__).resolve().parents[1]
DAGSTER_YAML = "dagster.yaml"
WORKSPACE_YAML = "workspace.yaml"
PROCESS_TAG = "ncrs/process"


def dagster_home(settings: Settings) -> Path:
    """Absolute DAGSTER_HOME, made and with its ``dagster.yaml``.

    Raises ConfigurationError when the operator's own home has none.
    """
    if settings.dagster_home is not None:
        chosen = settings.dagster_home.resolve()
        if not (chosen / DAGSTER_YAML).is_file():
            raise ConfigurationError(
                f"NCRS_DAGSTER_HOME has no {DAGSTER_YAML}.",
                remedy="Copy the one of the repository there and change it, or leave the setting out.",
            )
        return chosen
    prepare_home(settings)
    home = settings.home.resolve() / "dagster"
    home.mkdir(exist_ok=True, mode=0o700)
    _copy_when_changed(ROOT / DAGSTER_YAML, home / DAGSTER_YAML)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance, with runs of command lines that were killed marked as failed."""
    import dagster as dg

    home = dagster_home(settings)
    instance = dg.DagsterInstance.from_config(str(home))
    close_abandoned(instance)
    return instance


def process_tag() -> dict[str, str]:
    """Tag of a run that lives in this process: lets another process tell that it died."""
    return {PROCESS_TAG: _identity(os.getpid())}


def close_abandoned(instance: dg.DagsterInstance) -> int:
    """Mark runs whose process is gone as failed; they would hold their pool for ever. Returns how many."""
    import dagster as dg

    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    closed = 0
    for run in instance.get_runs(unfinished):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and _identity(int(process.partition("@")[0])) != process:
            instance.report_run_failed(run, message="The command line that ran this ended without a word.")
            closed += 1
    return closed


def _identity(process: int) -> str:
    """``number@start``: numbers are used again, in a container soon, so the start time belongs to it.

    A number without a start where the system has no ``/proc``; empty when the process is gone.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    stat = Path(f"/proc/{process}/stat")
    # The name, in brackets, may hold blanks; the start is the 20th value after it.
    start = stat.read_text().rpartition(")")[2].split()[19] if stat.exists() else ""
    return f"{process}@{start}"


def _copy_when_changed(source: Path, target: Path) -> None:
    """Replace in one step, and only when it differs: another process may be reading it."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copyfile(source, fresh)
    fresh.replace(target)
