"""The house's figures hold: short functions, modules that can be read, a charter on each."""

from __future__ import annotations

import ast
import statistics

from tests.lib import house


def _all_functions() -> list[house.Function]:
    return [function for path in house.modules() for function in house.functions(path)]


def test_no_function_is_over_the_limit() -> None:
    long = [f"{f.place}: {f.lines} lines" for f in _all_functions() if f.lines > house.FUNCTION_LIMIT]
    assert not long


def test_functions_are_short_as_a_rule() -> None:
    lengths = sorted(function.lines for function in _all_functions())
    assert statistics.quantiles(lengths, n=20)[-1] < house.FUNCTION_P95


def test_no_module_is_over_the_limit() -> None:
    sizes = {path.relative_to(house.ROOT): len(path.read_text().splitlines()) for path in house.modules()}
    assert {str(path): size for path, size in sizes.items() if size > house.MODULE_LIMIT} == {}


def test_every_module_opens_with_a_charter() -> None:
    """What belongs here and what does not; an empty ``__init__`` needs none."""
    missing = []
    for path in house.modules():
        text = path.read_text(encoding="utf-8")
        charter = ast.get_docstring(ast.parse(text)) or ""
        if text.strip() and "belongs here" not in charter.lower() and path.name not in ("__init__.py", "__main__.py"):
            missing.append(str(path.relative_to(house.ROOT)))
    assert missing == []


def test_every_package_module_has_a_docstring_when_it_has_code() -> None:
    bare = [
        str(path.relative_to(house.ROOT))
        for path in house.modules()
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert bare == []
