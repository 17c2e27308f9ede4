"""Our top-level names are generic: each package must come from this repository and nowhere else."""

from __future__ import annotations

import importlib
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.lib import house


@pytest.mark.parametrize("name", house.PACKAGES)
def test_package_imports_from_this_repository(name: str) -> None:
    place = Path(str(importlib.import_module(name).__file__)).resolve()
    assert place == house.ROOT / name / "__init__.py"


def test_no_dependency_installs_one_of_our_names() -> None:
    owners = metadata.packages_distributions()
    foreign = {name: [d for d in owners.get(name, []) if d != "ncrs-replica"] for name in house.PACKAGES}
    assert {name: found for name, found in foreign.items() if found} == {}


def test_pyproject_lists_exactly_the_packages_there_are() -> None:
    listed = tomllib.loads((house.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(house.ROOT).parts)
        for package in house.PACKAGES
        for path in (house.ROOT / package).rglob("__init__.py")
    }
    assert set(listed) == found


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in house.modules()}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
