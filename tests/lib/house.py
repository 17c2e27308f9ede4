"""The house's figures, measured on the code: length of functions and modules, charters, parameters.

Belongs here: measuring. Does not belong here: the limits' reasons (docs/decisions) or ruff's rules.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "quality", "assets", "pipelines", "search_api", "sandbox")

FUNCTION_LIMIT = 60
FUNCTION_P95 = 40
MODULE_LIMIT = 500
PARAMETER_LIMIT = 5


@dataclass(frozen=True)
class Function:
    """One function: where it is, its lines (decorators not counted), its parameters without self and cls."""

    place: str
    lines: int
    parameters: int


def tracked_files() -> list[Path]:
    """Files under version control; what is new and not ignored counts as well."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def modules() -> list[Path]:
    """Python modules of the product."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(
                f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
                (node.end_lineno or node.lineno) - node.lineno + 1,
                _parameters(node),
            )


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])
