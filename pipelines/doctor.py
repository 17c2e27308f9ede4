"""What will go wrong on this machine, and what to do about each finding.

Belongs here: one function per thing looked at on this machine; each looks and changes nothing.
Does not belong here: the search cluster (``doctor_cluster.py``), printing (``cli_status.py``), repairs.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError, GenerationError
from schemas.feeds import PDS_PATIENT
from schemas.generation import CURRENT_NAME, GenerationManifest
from search_api import compiled
from search_api.cluster.addresses import check, on_cluster
from search_api.generation_files import read_current, read_manifest
from search_api.settings import Settings

Level = Literal["ok", "warn", "fail"]

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "9p", "fuse.sshfs"}
)
LEAST_FREE = 1_000_000_000
LEAST_OPEN_FILES = 1024
DAGSTER_PORT = 3000
# Sensors look every 30 seconds.
SILENCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``remedy`` says what to do when it is not ``ok``."""

    name: str
    level: Level
    text: str
    remedy: str = ""

    def line(self) -> str:
        """``warn  ports: the text. The remedy.``"""
        return f"{self.level:<5} {self.name}: {self.text}{' ' + self.remedy if self.remedy else ''}"


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order of the list below."""
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        python,
        contradictions,
        cluster,
        folders,
        file_systems,
        disk,
        memory,
        open_files,
        ports,
        databases,
        generation,
        leftovers,
        deliveries,
        sensors,
    )
    return [finding for look in looks for finding in look(settings)]


def python(_settings: Settings) -> Iterator[Finding]:
    """3.11 to 3.13 are tested; the matcher is quicker compiled."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("python", "ok" if good else "fail", version, "" if good else "Use Python 3.11 to 3.13.")
    form = "compiled" if compiled.used() else "plain Python; ncrs compile saves a third of its processor time"
    yield Finding("matcher", "ok", f"{form}.")


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Settings that are each allowed and together wrong."""
    issuer = urlsplit(settings.issuer)
    if issuer.scheme != "https" and issuer.hostname not in ("127.0.0.1", "localhost", "::1"):
        yield Finding("settings", "fail", "NCRS_ISSUER is neither https nor this machine.", "Use an https address.")
    if settings.retention < 2:
        yield Finding(
            "settings", "fail", "NCRS_RETENTION below 2 leaves nothing to roll back to.", "Set it to 2 or more."
        )
    try:
        check(settings)
    except ConfigurationError as error:
        yield Finding("settings", "fail", error.message, error.remedy)
    yield Finding("settings", "ok", f"read; home is {settings.home}")


def cluster(settings: Settings) -> Iterator[Finding]:
    """The search cluster, when there is one and its settings can be used."""
    try:
        check(settings)
    except ConfigurationError:
        return
    if on_cluster(settings):
        from pipelines import doctor_cluster

        yield from doctor_cluster.examine(settings)


def folders(settings: Settings) -> Iterator[Finding]:
    """The home is written, the drop folder read; the home is nobody else's business."""
    home = settings.home
    if not home.exists():
        yield Finding("folders", "ok", "the home does not exist yet; the first command makes it")
    elif not os.access(home, os.W_OK | os.X_OK):
        yield Finding("folders", "fail", "the home cannot be written.", f"Give this user the folder {home}.")
    elif home.stat().st_mode & 0o077:
        yield Finding("folders", "warn", "others on this machine can reach the home.", f"chmod 700 {home}")
    else:
        yield Finding("folders", "ok", "the home is this user's alone")
    drop = settings.drop_folder
    if drop.exists() and not os.access(drop, os.R_OK | os.X_OK):
        yield Finding("folders", "fail", "the drop folder cannot be read.", f"Let this user read {drop}.")


def file_systems(settings: Settings) -> Iterator[Finding]:
    """SQLite's locks do not hold on network file systems: databases break, silently."""
    if not Path("/proc/mounts").exists():
        yield Finding("file system", "warn", "not known on this system.", "Keep the home on a local disk.")
        return
    kind = _file_system(settings.home.resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding(
            "file system",
            "fail",
            f"the home is on {kind}; SQLite breaks there.",
            "Move NCRS_HOME to a local disk, or name PostgreSQL in NCRS_CONTROL_DB, NCRS_AUDIT_DB and dagster.yaml.",
        )
    else:
        yield Finding("file system", "ok", f"the home is on {kind}")


def disk(settings: Settings) -> Iterator[Finding]:
    """A build wants room for the next generation beside the last one."""
    place = _existing(settings.home)
    free = shutil.disk_usage(place).free
    manifest = _current(settings)
    size = sum(file.bytes for file in manifest.files) if manifest else 0
    wanted = max(LEAST_FREE, int(size * settings.free_space_factor))
    text = f"{free / 1e9:.1f} GB free, {wanted / 1e9:.1f} GB wanted for the next build"
    if free < wanted:
        yield Finding("disk", "fail", text, "Free space, lower NCRS_RETENTION, or move NCRS_HOME.")
    else:
        yield Finding("disk", "ok", text)


def memory(settings: Settings) -> Iterator[Finding]:
    """DuckDB may take what the setting allows while building."""
    source = Path("/proc/meminfo")
    if not source.exists():
        return
    line = next((row for row in source.read_text().splitlines() if row.startswith("MemAvailable")), "0 0")
    available = int(line.split()[1]) / 1e6
    text = f"{available:.1f} GB free, a build may take {settings.build_memory_gb:.1f} GB for DuckDB"
    if available < settings.build_memory_gb:
        yield Finding("memory", "warn", text, "Lower NCRS_BUILD_MEMORY_GB; a build then spills to disk.")
    else:
        yield Finding("memory", "ok", text)


def open_files(_settings: Settings) -> Iterator[Finding]:
    """Index segments and connections of three generations are open at a time."""
    try:
        import resource
    except ImportError:
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_OPEN_FILES:
        yield Finding("open files", "warn", f"the limit is {soft}.", f"ulimit -n {LEAST_OPEN_FILES}")
    else:
        yield Finding("open files", "ok", f"the limit is {'none' if soft == resource.RLIM_INFINITY else soft}")


def ports(settings: Settings) -> Iterator[Finding]:
    """Who listens already on the ports that ``ncrs run`` and ``ncrs serve`` take."""
    wanted = {"API": (settings.port, "NCRS_PORT"), "Dagster": (DAGSTER_PORT, "ncrs run --dagster-port")}
    issuer = urlsplit(settings.issuer)
    if issuer.hostname in ("127.0.0.1", "localhost") and issuer.port:
        wanted["sign-in"] = (issuer.port, "NCRS_ISSUER and ncrs run --identity-port")
    for name, (port, setting) in wanted.items():
        if port_taken(settings.host, port):
            yield Finding(
                "ports", "warn", f"{port} ({name}) is taken.", f"Fine when it is ours; otherwise set {setting}."
            )
        else:
            yield Finding("ports", "ok", f"{port} ({name}) is free")


def databases(settings: Settings) -> Iterator[Finding]:
    """The control and access databases open and have the tables this code knows."""
    if not settings.home.exists():
        return
    from sqlalchemy.exc import SQLAlchemyError

    from pipelines.home import ledger_of
    from search_api.access.audit_report import head
    from search_api.access.audit_store import audit_engine

    looks: dict[str, Callable[[], object]] = {
        "NCRS_CONTROL_DB": lambda: ledger_of(settings).entries(PDS_PATIENT.name),
        "NCRS_AUDIT_DB": lambda: head(audit_engine(settings.audit_url)),
    }
    for name, look in looks.items():
        try:
            look()
        except (SQLAlchemyError, OSError) as error:
            text = f"that of {name} cannot be used ({type(error).__name__})."
            yield Finding(
                "databases", "fail", text, "It is damaged, unreachable or of another version: see docs/runbook.md."
            )
        else:
            yield Finding("databases", "ok", f"that of {name} answers")


def generation(settings: Settings) -> Iterator[Finding]:
    """The marker must name a generation whose files are there (their content: ``ncrs verify``)."""
    if not (settings.generations_folder / CURRENT_NAME).exists():
        yield Finding("generation", "ok", "none published yet")
        return
    manifest = _current(settings)
    if manifest is None:
        yield Finding("generation", "fail", "the current one cannot be read.", "ncrs rollback --to an earlier one.")
        return
    folder = settings.generations_folder / manifest.generation
    wrong = [file.path for file in manifest.files if not _has_size(folder / file.path, file.bytes)]
    if wrong:
        text = f"{len(wrong)} files of {manifest.generation} are missing or of another size."
        yield Finding("generation", "fail", text, "ncrs rollback --to an earlier one, then ncrs publish.")
    else:
        yield Finding("generation", "ok", f"{manifest.generation} is complete; `ncrs verify` reads every byte")


def leftovers(settings: Settings) -> Iterator[Finding]:
    """What a build that was killed left behind; the next build removes it."""
    building = settings.home / "building"
    found = [path for path in building.iterdir() if path.is_dir()] if building.is_dir() else []
    if found:
        text = f"{len(found)} builds were begun and not finished, unless one runs now."
        yield Finding("leftovers", "warn", text, "The next `ncrs publish` removes them.")
    else:
        yield Finding("leftovers", "ok", "none")


def deliveries(settings: Settings) -> Iterator[Finding]:
    """Manifests that lie where nobody will ever read them."""
    from assets.landing.deliveries import strays
    from pipelines.home import stores_of

    found = strays(stores_of(settings))
    if found:
        text = f"{len(found)} manifests lie in folders of no known feed, source or sequence; the first is {found[0]}."
        yield Finding("deliveries", "warn", text, "Have the supplier deliver to {feed}/{source}/{sequence:08d}.")
    else:
        yield Finding("deliveries", "ok", "every manifest lies where it is looked for")


def sensors(settings: Settings) -> Iterator[Finding]:
    """A sensor that fails, or a daemon that is down, tells nobody; the age of its heartbeat does."""
    folder = settings.home / "heartbeat"
    beats = sorted(folder.iterdir()) if folder.is_dir() else []
    for beat in beats:
        age = datetime.now(UTC) - datetime.fromisoformat(beat.read_text())
        if age > SILENCE:
            text = f"{beat.name} last looked {int(age.total_seconds() // 60)} minutes ago."
            yield Finding(
                "sensors", "warn", text, "Start the Dagster daemon, or see its log; `ncrs ingest` works without."
            )
        else:
            yield Finding("sensors", "ok", f"{beat.name} looks")


def port_taken(host: str, port: int) -> bool:
    """Whether something answers at the address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    return place


def _file_system(path: Path) -> str:
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        point = mount.replace("\\040", " ")
        inside = str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def _current(settings: Settings) -> GenerationManifest | None:
    try:
        marker = read_current(settings.generations_folder)
        return read_manifest(settings.generations_folder / marker.generation) if marker else None
    except GenerationError:
        return None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
