"""What holds for every test: the order in which they run, nothing of the operator's settings, one OpenSearch.

Belongs here: hooks and fixtures that all tests share. Does not belong here: test data
(``tests/lib/``), fixtures of one part.

Order: fast folders first, so that a mistake shows in seconds; of the slow ones the longest files first, so that
no worker runs one alone at the end. Within a folder the order is random with a printed seed (pytest-randomly),
which also seeds ``random`` and numpy before each test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lib import opensearch

if TYPE_CHECKING:
    from sandbox.opensearch.cluster import LocalCluster
    from search_api.settings import Settings
    from tests.lib.engines import EngineKind

FOLDERS = (
    "unit",
    "spec",
    "property",
    "drift",
    "integration",
    "api",
    "privacy",
    "faults",
    "performance",
    "acceptance",
    "browser",
)
FIRST_OF_THE_SLOW = FOLDERS.index("integration")
# By measurement, longest first; a file that is not named here takes its turn with its folder.
LONGEST = (
    "faults/test_opensearch_nodes.py",
    "faults/test_publish_crash.py",
    "acceptance/test_make_run.py",
    "acceptance/test_make_run_opensearch.py",
    "integration/test_engines_agree.py",
    "faults/test_index_load_killed.py",
    "integration/test_opensearch_life.py",
    "integration/test_cluster_build.py",
    "integration/test_commands.py",
    "integration/test_splink_rival.py",
    "integration/test_cluster_only_node.py",
    "integration/test_weights_propose.py",
    "integration/test_cluster_records.py",
    "faults/test_trace_kill.py",
    "faults/test_build_resume.py",
    "integration/test_build_shown.py",
)


def pytest_configure() -> None:
    """Before workers start: what they share of the run. Processes that tests start keep what they compile."""
    if opensearch.begin_run():
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Also after Ctrl-C, when the workers have gone: stop what the run started."""
    opensearch.end_run()


def _rank(item: pytest.Item) -> tuple[int, int]:
    """The folder's place, and among the slow folders the place of a long file before them all."""
    path = item.path.relative_to(Path(__file__).parent)
    if path.as_posix() in LONGEST:
        return FIRST_OF_THE_SLOW, LONGEST.index(path.as_posix())
    folder = path.parts[0]
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS), len(LONGEST)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder, stably: pytest-randomly has shuffled before. ``last`` closes its module."""
    met: dict[Path, int] = {}
    for place, item in enumerate(items):
        met.setdefault(item.path, place)
    items.sort(key=lambda item: (_rank(item), met[item.path], item.get_closest_marker("last") is not None))


@pytest.fixture(autouse=True)
def _no_operator_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's NCRS_* and DAGSTER_HOME must not reach a test, nor a test the developer's data."""
    for name in list(os.environ):
        if name.startswith("NCRS_") and not name.startswith(("NCRS_TEST_", "NCRS_CACHE")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session")
def opensearch_kind(opensearch_url: str) -> Iterator[EngineKind]:
    """The engine in a cluster; every index made with it is removed at the end."""
    from tests.lib.engines import EngineKind

    kind = EngineKind("opensearch", opensearch_url)
    yield kind
    kind.clear()


@pytest.fixture(scope="module", params=["embedded", "opensearch"])
def engine_kind(request: pytest.FixtureRequest) -> EngineKind:
    """Each engine in turn: whoever asks for it, runs over both."""
    from tests.lib.engines import EMBEDDED

    if request.param == EMBEDDED.name:
        return EMBEDDED
    found: EngineKind = request.getfixturevalue("opensearch_kind")
    return found


@pytest.fixture(scope="module")
def served(engine_kind: EngineKind) -> Settings:
    """The settings of an API node that serves the cast's generation from this engine."""
    from tests.lib.api import cast_home

    return cast_home(engine_kind)


@pytest.fixture(scope="session")
def opensearch_url() -> str:
    """The address of a real OpenSearch: of the run's one node, or ``OPENSEARCH_URL``."""
    return opensearch.opensearch_address()


@pytest.fixture
def opensearch_prefix(opensearch_url: str) -> Iterator[str]:
    """A prefix of index names for one test; what is made under it is removed afterwards."""
    with opensearch.index_prefix(opensearch_url) as prefix:
        yield prefix


@pytest.fixture(scope="module")
def opensearch_module_prefix(opensearch_url: str) -> Iterator[str]:
    """The same for a whole module."""
    with opensearch.index_prefix(opensearch_url) as prefix:
        yield prefix


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[LocalCluster]:
    """Three nodes of a module's own, which it may kill."""
    with opensearch.local_cluster(3) as cluster:
        yield cluster
