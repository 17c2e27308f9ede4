"""Judging on several threads comes to an end, whatever else they ask of polars.

A Python function inside an expression is called by one of polars' own threads, which needs the interpreter's lock. A thread
that holds the lock while it waits for those threads, as polars' ``to_pandas`` does, then waits for ever: an extract of
57 million summaries was once judged for 35 minutes without a row.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.lib.house import ROOT

SECONDS = 60
_PACKAGES = ("assets", "quality", "schemas", "search_api", "pipelines")
_JUDGING = """
import os, threading, time
import polars as pl
from quality.judge import judge
from quality.rule import Context
from schemas.feeds import FEEDS
from tests.lib.extracts import AS_AT, frame, patient, summary

NOBODY = pl.Series("row_no", [], dtype=pl.Int64())
END = time.monotonic() + 3
done = []

def judged(feed, rows):
    while time.monotonic() < END:
        judge(FEEDS[feed], rows, Context("full", AS_AT), NOBODY)
    done.append(feed)

def converted(rows):
    while time.monotonic() < END:
        rows.select("source_key", "nhs_number").to_pandas()
    done.append("pandas")

summaries = frame("scr_summary", [summary(at % 60, source_key=str(at), bundle_json='{"a":%d}' % at) for at in range(3000)])
patients = frame("pds_patient", [patient(at % 60, source_key=str(at), source_json='{"a":%d}' % at,
                                         related_persons=['{"b":1}']) for at in range(600)])
threads = [threading.Thread(target=judged, args=("scr_summary", summaries), daemon=True),
           threading.Thread(target=judged, args=("pds_patient", patients), daemon=True),
           threading.Thread(target=converted, args=(summaries,), daemon=True),
           threading.Thread(target=converted, args=(patients,), daemon=True)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(done))
"""


@pytest.mark.slow
def test_judging_and_converting_side_by_side_come_to_an_end() -> None:
    command = [sys.executable, "-c", _JUDGING]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert ended.stdout.strip() == "['pandas', 'pandas', 'pds_patient', 'scr_summary']"


def test_no_expression_calls_back_into_python() -> None:
    calls = re.compile(r"\.(map_batches|map_elements|map_rows|map_groups|register_plugin_function)\(")
    modules = [path for package in _PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(modules) > 300
    assert [str(path.relative_to(ROOT)) for path in modules if calls.search(path.read_text("utf-8"))] == []
