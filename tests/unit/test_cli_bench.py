"""``ncrs bench``: starts the benchmarks of a checkout, and says what to do where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import cli_bench
from pipelines.cli_common import Exit
from schemas.errors import Refused

RUNNER = CliRunner()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose benchmarks write down their arguments, and fail when told."""
    for module in (cli_bench.SUITE, cli_bench.QUALITY, cli_bench.NATIONAL):
        folder = tmp_path.joinpath(*module.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        code = f"import sys, pathlib\nopen({str(tmp_path / 'told')!r}, 'a').write('{module} ' + ' '.join(sys.argv[1:]) + '\\n')\n"
        code += f"sys.exit(4 if pathlib.Path({str(tmp_path / 'fail')!r}).exists() and '{module}' == '{cli_bench.QUALITY}' else 0)\n"
        (folder / "__main__.py").write_text(code)
    monkeypatch.setattr(cli_bench, "SOURCE", tmp_path)
    return tmp_path


def _told(checkout: Path) -> list[str]:
    return (checkout / "told").read_text().splitlines()


def test_match_passes_its_options_on(checkout: Path) -> None:
    done = RUNNER.invoke(
        cli_bench.app, ["match", "--patients", "5000", "--rivals", "ours", "--dry", "--sets", "febrl3"]
    )
    assert done.exit_code == 0
    assert _told(checkout) == [
        "tests.performance.quality --patients 5000 --queries 20000 --rivals ours --seed 1 --dry --sets febrl3"
    ]


def test_national_gets_a_whole_country_unless_told(checkout: Path) -> None:
    assert RUNNER.invoke(cli_bench.app, ["national", "--home", str(checkout / "n")]).exit_code == 0
    assert _told(checkout) == [f"tests.performance.national --patients 63000000 --seed 1 --home {checkout / 'n'}"]


def test_all_goes_on_after_a_failure_and_ends_with_its_code(checkout: Path) -> None:
    (checkout / "fail").touch()
    assert RUNNER.invoke(cli_bench.app, ["all"]).exit_code == 4
    assert [line.split()[0] for line in _told(checkout)] == [cli_bench.SUITE, cli_bench.QUALITY, cli_bench.NATIONAL]


@pytest.mark.parametrize("command", ["match", "national", "all"])
def test_without_the_source_it_refuses_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(cli_bench, "SOURCE", tmp_path)
    done = RUNNER.invoke(cli_bench.app, [command])
    assert isinstance(done.exception, Refused)
    assert "source checkout" in str(done.exception)


def test_a_benchmark_that_is_killed_is_a_failure(checkout: Path) -> None:
    start = checkout.joinpath(*cli_bench.QUALITY.split("."), "__main__.py")
    start.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert RUNNER.invoke(cli_bench.app, ["match"]).exit_code == Exit.FAILURE
