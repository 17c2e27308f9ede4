"""Batch trace over HTTP: small files at once, large ones as jobs; whose they are, what is recorded, what is refused."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import PassingFault
from search_api.settings import Settings
from search_api.trace import desk as desks
from search_api.trace.jobs import Jobs
from tests.lib import cast
from tests.lib.api import SIGNER, Api
from tests.lib.engines import EngineKind
from tests.lib.tokens import bearer, role
from tests.lib.trace_files import CUTHBERT, JANE, JANET, answers, many, text_of

Json = dict[str, Any]

PATH = "/api/trace"
CSV = "text/csv"
SMALL = text_of([{**JANE, "NHS_NO": cast.JANE}, CUTHBERT, {**JANET, "NHS_NO": cast.JANET}])


@pytest.fixture
def home(tmp_path: Path, served: Settings, engine_kind: EngineKind) -> Settings:
    """A node of its own, so that no other test's desk takes its jobs."""
    folder = tmp_path / "home"
    if engine_kind.in_cluster:
        folder.mkdir()
    else:
        shutil.copytree(served.home, folder, ignore=shutil.ignore_patterns("dagster", "drop", "landing", "trace"))
    given = served.model_dump(exclude_unset=True)
    return Settings(**{**given, "home": folder, "trace_chunk_rows": 10, "trace_processes": 1})


@pytest.fixture
def api(home: Settings, tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path, home) as opened:
        yield opened


def post(api: Api, content: str | bytes, token: str | None = None, media: str = CSV, **headers: str) -> Any:
    sent = {**bearer(token or SIGNER.clinician()), "content-type": media, **headers}
    return api.send("POST", PATH, headers=sent, content=content)


def job_of(api: Api, content: str | None = None) -> Json:
    response = post(api, content or text_of(many(45)), Prefer="respond-async")
    assert response.status_code == 202, response.text
    made: Json = response.json()
    assert response.headers["location"] == f"{PATH}/{made['job']}"
    assert response.headers["retry-after"]
    return made


def ended(api: Api, job: str) -> Json:
    """The job when it has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        document: Json = api.send("GET", f"{PATH}/{job}").json()
        if document["state"] in ("done", "failed"):
            return document
        time.sleep(0.1)
    raise AssertionError("The job did not end.")


def trace_events(api: Api) -> list[Json]:
    return [event for event in api.events() if event["policy"] == "trace"]


def test_a_small_file_is_answered_at_once_and_recorded_first(api: Api) -> None:
    response = post(api, SMALL)
    assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, CSV)
    assert response.headers["ncrs-generation"]
    rows = answers(response.text)
    assert [row["OUTCOME"] for row in rows] == ["cross_checked", "found", "restricted"]
    assert [row["MATCHED_NHS_NO"] for row in rows] == [cast.JANE, cast.CUTHBERT, cast.JANET]
    (event,) = trace_events(api)
    assert set(json.loads(event["patients"])) >= {int(cast.JANE), int(cast.CUTHBERT), int(cast.JANET)}
    assert event["user_id"]
    assert list(api.app.state.trace.jobs.folder.iterdir()) == []


def test_nothing_is_answered_when_it_cannot_be_recorded(api: Api) -> None:
    api.services.audit.close()
    response = post(api, SMALL)
    assert response.status_code == 503
    assert cast.JANE not in response.text


def test_a_large_file_is_a_job_with_the_same_answer(api: Api) -> None:
    content = text_of(many(45))
    at_once = post(api, content).text
    made = job_of(api, content)
    assert (made["state"], made["rows"]) == ("waiting", 45)
    document = ended(api, made["job"])
    assert (document["state"], document["done"], sum(document["outcomes"].values())) == ("done", 45, 45)
    answer = api.send("GET", document["file"])
    assert (answer.status_code, answer.text) == (200, at_once)
    assert answer.headers["content-disposition"].startswith("attachment")
    chunks = [event for event in trace_events(api) if event["detail"].startswith("chunk=")]
    assert len(chunks) == 5
    assert {event["correlation_id"] for event in chunks} == {made["job"]}
    assert len({event["user_id"] for event in trace_events(api)}) == 1


def test_a_job_is_its_callers_alone(api: Api) -> None:
    job = job_of(api)["job"]
    other = SIGNER.worker(role("S8000:G8000:R8001", profile="920000000099"))
    for token in (other, SIGNER.application()):
        for method, path in (("GET", f"{PATH}/{job}"), ("GET", f"{PATH}/{job}/file"), ("DELETE", f"{PATH}/{job}")):
            assert api.send(method, path, token).status_code == 404
    assert ended(api, job)["state"] == "done"
    assert api.send("GET", f"{PATH}/{job}/file", other).status_code == 404


def test_who_may_trace(api: Api) -> None:
    assert post(api, SMALL, SIGNER.application()).status_code == 200
    assert post(api, SMALL, SIGNER.patient(int(cast.JANE))).status_code == 403
    assert post(api, SMALL, SIGNER.worker(role("S8000:G8000:R8012"))).status_code == 403
    assert api.send("POST", PATH, headers={"content-type": CSV}, content=SMALL).status_code == 401
    assert post(api, SMALL, **{"X-Request-ID": ""}).status_code == 400


@pytest.mark.parametrize(
    ("content", "media", "status", "said"),
    [
        ("", CSV, 400, "empty"),
        ("FAMILY_NAME\nSecretson\n", CSV, 400, "header"),
        ('UNIQUE REFERENCE,FAMILY_NAME\nR1,"Secretson\n', CSV, 400, "Line"),
        (SMALL, "application/json", 415, "text/csv"),
        ("x" * 30_000, CSV, 413, "larger"),
    ],
)
def test_what_is_no_trace_file_is_refused(
    home: Settings, tmp_path: Path, content: str, media: str, status: int, said: str
) -> None:
    with Api(tmp_path, home, trace_body_limit=20_000) as api:
        response = post(api, content, media=media)
        assert response.status_code == status
        body = response.json()
        assert body["resourceType"] == "OperationOutcome"
        assert said in body["issue"][0]["diagnostics"]
        assert "Secretson" not in response.text
        folder = api.app.state.trace.jobs.folder
        assert not folder.exists() or list(folder.iterdir()) == []


def test_no_more_jobs_than_may_wait(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks.Desk, "wake", lambda _self: None)
    with Api(tmp_path, home, trace_jobs=2) as api:
        made = [job_of(api)["job"] for _ in range(2)]
        refused = post(api, SMALL)
        assert (refused.status_code, bool(refused.headers["retry-after"])) == (429, True)
        assert api.send("DELETE", f"{PATH}/{made[0]}").status_code == 204
        assert post(api, SMALL).status_code == 200


def test_a_job_goes_on_after_a_restart(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after its second chunk; the next process gives the same answer, no row asked or recorded twice."""
    plain = desks.Jobs.save

    def save(self: Jobs, job: Any) -> None:
        plain(self, job)
        if job.done >= 20:
            api.app.state.trace._stopping.set()

    with Api(tmp_path, home) as api, monkeypatch.context() as patched:
        patched.setattr(desks.Jobs, "save", save)
        job = job_of(api)["job"]
        deadline = time.monotonic() + 60
        while not api.app.state.trace._stopping.is_set() and time.monotonic() < deadline:
            time.sleep(0.05)
    with Api(tmp_path, home) as api:
        assert ended(api, job)["state"] == "done"
        assert api.send("GET", f"{PATH}/{job}/file").text == post(api, text_of(many(45))).text
        chunks = [event["detail"].split()[0] for event in trace_events(api) if event["detail"].startswith("chunk=")]
        assert sorted(chunks) == [f"chunk={index}" for index in range(5)]


def test_a_job_that_is_called_off_ends_and_goes(api: Api) -> None:
    job = job_of(api, text_of(many(400)))["job"]
    assert api.send("DELETE", f"{PATH}/{job}").status_code == 204
    assert api.send("GET", f"{PATH}/{job}").status_code == 404
    folder = api.app.state.trace.jobs.path(job)
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def test_a_finished_job_expires(home: Settings, tmp_path: Path) -> None:
    with Api(tmp_path, home, trace_keep_hours=1.0) as api:
        job = job_of(api)["job"]
        expires = ended(api, job)["expires"]
        assert timedelta(0) < datetime.fromisoformat(expires) - datetime.now(UTC) <= timedelta(hours=1)
        jobs = api.app.state.trace.jobs
        jobs.sweep(1.0, datetime.now(UTC) + timedelta(minutes=30))
        assert api.send("GET", f"{PATH}/{job}/file").status_code == 200
        jobs.sweep(1.0, datetime.now(UTC) + timedelta(minutes=61))
        assert api.send("GET", f"{PATH}/{job}").status_code == 404
        left = jobs.begin("0" * 32)
        jobs.sweep(1.0, datetime.now(UTC))
        assert left.exists()
        jobs.sweep(1.0, datetime.now(UTC) + timedelta(hours=2))
        assert not left.exists()


def test_a_passing_fault_is_tried_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, tries = desks.trace_file, []

    def fails_once(*values: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise PassingFault("Not now.")
        return plain(*values)

    monkeypatch.setattr(desks, "trace_file", fails_once)
    assert ended(api, job_of(api)["job"])["state"] == "done"
    assert len(tries) == 2


def test_a_job_that_is_none_is_not_found(api: Api) -> None:
    for job in ("0" * 32, "desk.lock", "..", "0" * 31 + "/"):
        assert api.send("GET", f"{PATH}/{job}").status_code in (404, 400, 405)
