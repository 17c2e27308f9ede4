"""The API of the cast, opened once a test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lib.api import Api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over the cast's generation, with an audit log of its own."""
    with Api(tmp_path_factory.mktemp("audit")) as opened:
        yield opened
