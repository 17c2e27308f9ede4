"""The Dagster job ``trace``: every file of one folder traced into another.

Belongs here: the job's configuration and its order. Does not belong here: tracing one file (``search_api/trace``).
What the orchestrator keeps of a run is names of outcomes and counts; names of files stay out of it. Annotations are evaluated here: Dagster looks at the context's.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg

from assets.failures import translated
from schemas.errors import ConfigurationError
from search_api.settings import Settings

TRACE = "trace"
ENDINGS = (".csv", ".txt", ".dat", ".parquet")
CONFIG = {
    "folder_in": dg.Field(str, description="Folder whose files are traced, in order of their names."),
    "folder_out": dg.Field(str, description="Folder of the answers; each has the name of its file."),
    "actor": dg.Field(str, description="Who traces; recorded with every patient matched."),
    "reason": dg.Field(str, description="Why; recorded. Names no patient."),
}


def trace_folder(settings: Settings, config: dict[str, str]) -> Counter[str]:
    """Trace each file that has no answer yet; a run that was killed is gone on with. Files and outcomes counted."""
    from search_api.trace.operator import order_of
    from search_api.trace.running import trace_file

    source, target = Path(config["folder_in"]), Path(config["folder_out"])
    if not source.is_dir() or source.resolve() == target.resolve():
        raise ConfigurationError(
            "folder_in is no folder, or is folder_out.", remedy="Name two folders in the job's configuration."
        )
    counts: Counter[str] = Counter(files=0, answered_before=0)
    for file in sorted(path for path in source.iterdir() if path.suffix.lower() in ENDINGS and path.is_file()):
        answer = target / file.name
        if answer.exists():
            counts["answered_before"] += 1
            continue
        counts.update(trace_file(settings, order_of(file, answer, config["actor"], config["reason"])).outcomes)
        counts["files"] += 1
    return counts


@dg.op(name="trace_files", config_schema=CONFIG, required_resource_keys={"settings"})
def trace_files(context: dg.OpExecutionContext) -> None:
    """Trace what lies in the folder."""
    counts = translated(trace_folder)(context.resources.settings, context.op_config)
    context.add_output_metadata({name: int(count) for name, count in sorted(counts.items())})


@dg.job(
    name=TRACE,
    description="Find the NHS numbers of the rows of every file in a folder; each patient matched is recorded.",
    executor_def=dg.in_process_executor,
)
def trace_job() -> None:
    """One step: it goes on after a kill by itself."""
    trace_files()


def trace() -> Any:
    """The job."""
    return trace_job
