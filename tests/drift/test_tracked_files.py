"""What must never be in the repository: addresses of package registries, this machine, real people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.identifiers import is_nhs_number
from tests.lib import house

MOST_BYTES = 1_000_000
# Written in halves, so that this file does not find itself.
REGISTRIES = tuple(
    "".join(parts) for parts in (("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org"), ("maven", ".org"))
)
HOMES = re.compile(r"(?<![\w.$}/])/(?:" + "home|Users|root|work" + r")/[A-Za-z0-9_.-]+")
TEN_DIGITS = re.compile(r"(?<![0-9A-Za-z.,_+-])[0-9]{10}(?![0-9A-Za-z_,]|[.-][0-9])")
# Numbers that the national services publish as examples of what is wrong, and moments in seconds.
ALLOWED_TEN_DIGITS = frozenset({"0123456789", "0000000000", "1234567890", "1111111111", "9999999999"})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="ignore")


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return house.tracked_files()


def test_no_file_is_large(files: list[Path]) -> None:
    assert [str(path.relative_to(house.ROOT)) for path in files if path.stat().st_size > MOST_BYTES] == []


def test_no_package_registry_is_named(files: list[Path]) -> None:
    found = [f"{path.relative_to(house.ROOT)}: {name}" for path in files for name in REGISTRIES if name in _text(path)]
    assert found == []


def test_the_lock_names_no_address_and_every_hash() -> None:
    lock = (house.ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"^[a-zA-Z0-9][^\n]*?==[^\n]*", lock, flags=re.MULTILINE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_no_absolute_path_of_a_machine(files: list[Path]) -> None:
    found = [
        f"{path.relative_to(house.ROOT)}: {match.group()}"
        for path in files
        if path.suffix != ".lock"
        for match in HOMES.finditer(_text(path))
    ]
    assert found == []


def test_every_nhs_number_is_of_the_synthetic_range(files: list[Path]) -> None:
    """Ten digits with a right check digit that do not begin with 9 may be someone's."""
    found = [
        f"{path.relative_to(house.ROOT)}: {token[:3]}*******"
        for path in files
        if path.suffix not in (".lock",)
        for token in TEN_DIGITS.findall(_text(path))
        if token not in ALLOWED_TEN_DIGITS and not token.startswith("9") and is_nhs_number(token)
    ]
    assert found == []
