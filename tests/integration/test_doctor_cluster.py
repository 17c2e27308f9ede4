"""What ``ncrs doctor`` finds in a real cluster, and in one that is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from pipelines import doctor, doctor_cluster
from search_api.settings import Settings
from tests.lib.front import DROP, PASS, Asked, Front, Treatment, doctored, say

Json = dict[str, Any]
Find = Callable[..., list[doctor.Finding]]


@pytest.fixture
def front(opensearch_url: str) -> Iterator[Front]:
    with Front(opensearch_url) as opened:
        yield opened


@pytest.fixture
def find(front: Front, opensearch_prefix: str) -> Find:
    """The findings when requests of one kind are treated otherwise."""

    def found(part: str = "", treatment: Treatment = PASS, **settings: Any) -> list[doctor.Finding]:
        def rule(asked: Asked) -> Treatment:
            path = asked.target.partition("?")[0]
            return treatment if part and (path == part or (part != "/" and part in path)) else PASS

        front.rule = rule
        chosen = {"opensearch_replicas": 0, "opensearch_prefix": opensearch_prefix, **settings}
        return list(doctor.cluster(Settings(index=front.address, **chosen)))

    return found


def _of(findings: list[doctor.Finding], word: str) -> doctor.Finding:
    (found,) = [finding for finding in findings if word in finding.text]
    return found


def test_a_cluster_that_will_do(find: Find, opensearch_url: str, opensearch_prefix: str) -> None:
    found = find()
    assert "OpenSearch 3" in found[0].text
    assert found[-1].level == "ok", found[-1].line()
    assert "clone" in found[-1].text
    left = httpx2.get(f"{opensearch_url}/_cat/indices/{opensearch_prefix}*", params={"expand_wildcards": "all"})
    assert left.text == ""
    assert all(finding.remedy for finding in found if finding.level != "ok")


def test_an_embedded_index_has_no_cluster() -> None:
    assert list(doctor.cluster(Settings())) == []


@pytest.mark.parametrize(
    ("part", "treatment", "words", "remedy"),
    [
        ("/", DROP, "cannot be reached", "NCRS_INDEX"),
        ("/", say(401, b"Unauthorized"), "refuses the account", "NCRS_OPENSEARCH_PASSWORD"),
        ("/", say(200, b"<html>"), "cannot be read", "not OpenSearch"),
        (
            "/_cluster/health",
            say(503, {"error": {"type": "cluster_manager_not_discovered_exception"}}),
            "manager",
            "Wait",
        ),
    ],
)
def test_a_cluster_that_cannot_be_asked(find: Find, part: str, treatment: Treatment, words: str, remedy: str) -> None:
    last = find(part, treatment)[-1]
    assert (last.level, words in last.text, remedy in last.remedy) == ("fail", True, True), last.line()


@pytest.mark.parametrize(
    ("number", "distribution", "level"),
    [
        ("2.14.0", "opensearch", "fail"),
        ("2.19.1", "opensearch", "warn"),
        ("8.1.0", None, "fail"),
        ("4.0.0", "opensearch", "warn"),
    ],
)
def test_versions(find: Find, number: str, distribution: str | None, level: str) -> None:
    said = {"number": number, "distribution": distribution}
    assert find("/", doctored(lambda body: {**body, "version": said}))[0].level == level


@pytest.mark.parametrize(("status", "level"), [("green", "ok"), ("yellow", "warn"), ("red", "fail")])
def test_states(find: Find, status: str, level: str) -> None:
    found = find("/_cluster/health", doctored(lambda body: {**body, "status": status}))
    assert _of(found, "without a node").level == level


def test_more_copies_than_nodes(find: Find) -> None:
    found = _of(find(opensearch_replicas=40), "hold data")
    assert (found.level, "NCRS_OPENSEARCH_REPLICAS" in found.remedy) == ("fail", True)


@pytest.mark.parametrize(("free", "level"), [(500, "ok"), (100, "warn"), (40, "fail")])
def test_disks_at_their_marks(find: Find, free: int, level: str) -> None:
    marks = {"low": "85%", "flood_stage": "95%"}
    disk = {"cluster": {"routing": {"allocation": {"disk": {"watermark": marks}}}}}

    def nearly(body: Json) -> Json:
        for node in body.get("nodes", {}).values():
            node["fs"] = {"total": {"total_in_bytes": 1000, "available_in_bytes": free}}
        return {"defaults": disk} if "defaults" in body else body

    found = [each for each in find("/_", doctored(nearly)) if each.text.startswith("disk")]
    assert {each.level for each in found} == {level}


@pytest.mark.parametrize(
    ("mark", "free"),
    [("85%", 150.0), ("0.85", 150.0), ("10b", 10.0), ("1kb", 1024.0), ("0.5kb", 512.0), ("100%", 0.0)],
)
def test_marks_of_disks(mark: str, free: float) -> None:
    assert doctor_cluster.must_be_free(mark, 1000) == pytest.approx(free)


def test_the_account_of_an_api_node_is_no_fault(find: Find, front: Front) -> None:
    """It may neither see disks and heaps nor make an index: each is said, and none of it ends the list."""
    refused = say(403, {"error": {"type": "security_exception", "reason": "no permissions"}})

    def forbidden(asked: Asked) -> Treatment:
        path = asked.target.partition("?")[0]
        builders = path.startswith(("/_cluster/settings", "/_nodes")) or asked.method == "PUT"
        return refused if builders else PASS

    find()
    front.rule = forbidden
    found = list(doctor.cluster(Settings(index=front.address, opensearch_replicas=0)))
    assert {finding.level for finding in found} <= {"ok", "warn"}, [finding.line() for finding in found]
    assert [word for word in ("disks", "heaps", "make an index") if any(word in each.text for each in found)] == [
        "disks",
        "heaps",
        "make an index",
    ]


@pytest.mark.parametrize(
    ("part", "step"),
    [
        ("/_bulk", "write"),
        ("/_recovery", "copies"),
        ("/_clone/", "clone"),
        ("/_block/write", "close"),
        ("/_aliases", "alias"),
        ("/_mget", "read"),
    ],
)
def test_rights_that_are_missing(find: Find, opensearch_url: str, opensearch_prefix: str, part: str, step: str) -> None:
    refused = say(403, {"error": {"type": "security_exception", "reason": "no permissions"}})
    last = find(part, refused)[-1]
    assert (last.level, step in last.text, opensearch_prefix in last.remedy) == ("fail", True, True), last.line()
    left = httpx2.get(f"{opensearch_url}/_cat/indices/{opensearch_prefix}*", params={"expand_wildcards": "all"})
    assert left.text == ""


def test_an_index_that_cannot_be_removed_is_named(find: Find, front: Front, opensearch_prefix: str) -> None:
    front_find = find()
    assert front_find[-1].level == "ok"
    front.rule = lambda asked: say(403, {"error": {"type": "security_exception"}}) if asked.method == "DELETE" else PASS
    chosen = Settings(index=front.address, opensearch_replicas=0, opensearch_prefix=opensearch_prefix)
    last = list(doctor.cluster(chosen))[-1]
    assert (last.level, f"{opensearch_prefix}ncrs-doctor-" in last.text) == ("fail", True)
