"""Settings of the cluster: addresses and accounts that are read, and those that are refused with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from schemas.errors import ConfigurationError
from search_api.cluster.addresses import addresses, check
from search_api.cluster.security import security_of
from search_api.cluster.shared import cluster_of
from search_api.index.engines import index_engine
from search_api.settings import Settings


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://one.example", ["https://one.example:443"]),
        ("https://one.example:9200/", ["https://one.example:9200"]),
        ("https://ONE.example/a/b-c/", ["https://one.example:443/a/b-c"]),
        ("http://127.0.0.1", ["http://127.0.0.1:9200"]),
        ("http://localhost:9201", ["http://localhost:9201"]),
        ("http://[::1]:9201", ["http://[::1]:9201"]),
        ("http://127.9.9.9:1", ["http://127.9.9.9:1"]),
        ("https://[2001:db8::1]", ["https://[2001:db8::1]:443"]),
        ("https://a.example, https://b.example:1", ["https://a.example:443", "https://b.example:1"]),
    ],
)
def test_addresses_are_read(given: str, read: list[str]) -> None:
    settings = Settings(index=given)
    check(settings)
    assert [str(address) for address in addresses(settings)] == read


@pytest.mark.parametrize(
    "given",
    [
        "opensearch",
        "Embedded",
        "",
        "one.example:9200",
        "ftp://one.example",
        "https://",
        "https://one.example:port",
        "https://one.example:99999",
        "https://one.example,",
        "https://a.example,,https://b.example",
        "https://a.example;https://b.example",
        "https://one.example?pretty",
        "https://one.example/#part",
        "https://one.example/a b",
        "https://one.example/%2e%2e",
        "https://one.example,https://one.example:443/",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused_with_the_way_out(given: str) -> None:
    with pytest.raises(ConfigurationError, match="NCRS_INDEX") as raised:
        check(Settings(index=given))
    assert raised.value.remedy != ConfigurationError.remedy


def test_an_account_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="NCRS_OPENSEARCH_PASSWORD") as raised:
        check(Settings(index="https://ncrs:secret@one.example"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("given", ["http://one.example:9200", "http://10.0.0.1", "http://localhost.example"])
def test_plain_http_to_another_machine_is_refused_unless_allowed(given: str) -> None:
    for ask in (check, index_engine, cluster_of):
        with pytest.raises(ConfigurationError, match="NCRS_OPENSEARCH_PLAIN_HTTP"):
            ask(Settings(index=given))
    mixed = Settings(index=f"https://safe.example,{given}")
    with pytest.raises(ConfigurationError, match="Address 2"):
        check(mixed)
    check(Settings(index=given, opensearch_plain_http=True))


def test_a_password_never_goes_over_plain_http_to_another_machine() -> None:
    account = {"opensearch_user": "ncrs", "opensearch_password": "secret"}
    with pytest.raises(ConfigurationError, match="plain http"):
        security_of(Settings(index="http://one.example", opensearch_plain_http=True, **account))
    assert "authorization" in security_of(Settings(index="http://127.0.0.1:9200", **account)).headers


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"opensearch_user": "ncrs"}, "NCRS_OPENSEARCH_PASSWORD"),
        ({"opensearch_password": "secret"}, "NCRS_OPENSEARCH_USER"),
        ({"opensearch_user": "nc:rs", "opensearch_password": "secret"}, "colon"),
        ({"opensearch_user": "a", "opensearch_password": "b", "opensearch_aws_region": "eu-west-2"}, "SigV4"),
        ({"opensearch_key": Path("key.pem")}, "NCRS_OPENSEARCH_CERTIFICATE"),
        ({"opensearch_ca": Path("missing.pem")}, "NCRS_OPENSEARCH_CA"),
        ({"opensearch_certificate": Path("missing.pem")}, "NCRS_OPENSEARCH_CERTIFICATE"),
    ],
)
def test_accounts_that_contradict_are_refused(more: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as raised:
        security_of(Settings(index="https://one.example", **more))
    assert "secret" not in str(raised.value)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("ncrs@example.org")
    certificate, key = tmp_path / "client.pem", tmp_path / "other.key"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    trustme.CA().issue_cert("ncrs@example.org").private_key_pem.write_to_path(str(key))
    for given in (None, key, certificate):
        with pytest.raises(ConfigurationError, match="NCRS_OPENSEARCH_KEY"):
            security_of(Settings(index="https://one.example", opensearch_certificate=certificate, opensearch_key=given))


def test_records_in_a_cluster_need_the_cluster() -> None:
    for ask in (check, index_engine):
        with pytest.raises(ConfigurationError, match="NCRS_RECORDS"):
            ask(Settings(records="opensearch"))


@pytest.mark.parametrize("prefix", ["A", "_a", "-a", "a*", "a,b", "a b", "a" * 42])
def test_a_prefix_that_begins_no_index_name_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="NCRS_OPENSEARCH_PREFIX"):
        check(Settings(index="https://one.example", opensearch_prefix=prefix))


def test_threads_follow_the_engine() -> None:
    assert Settings().read_threads == 2
    assert Settings(index="https://one.example").read_threads == 32
    assert Settings(index="https://one.example", worker_threads=7).read_threads == 7


def test_one_cluster_for_one_set_of_values() -> None:
    one = cluster_of(Settings(index="https://one.example"))
    assert cluster_of(Settings(index="https://one.example", home=Path("elsewhere"))) is one
    assert cluster_of(Settings(index="https://one.example", opensearch_pool=3)) is not one
    assert cluster_of(Settings(index="https://two.example")) is not one
