"""The API of the cast, opened once a test module and engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search_api.settings import Settings
from tests.lib.api import Api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, served: Settings) -> Iterator[Api]:
    """The API over the cast's generation, with an audit log of its own."""
    with Api(tmp_path_factory.mktemp("audit"), served) as opened:
        yield opened
