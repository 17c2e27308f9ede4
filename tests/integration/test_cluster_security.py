"""Certificates and accounts against a TLS server in front of a real node: what is not right fails closed."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from schemas.errors import ClusterUnavailable, ConfigurationError
from search_api.cluster.client import Cluster
from search_api.cluster.security import security_of
from search_api.settings import Settings
from tests.lib.front import PASS, Asked, Front, Treatment, say

USER = {"opensearch_user": "ncrs", "opensearch_password": "correct horse: ä"}
REGION, KEY_ID, KEY_SECRET = "eu-west-2", "AKIDEXAMPLE", "wJalrXUtnFEMI"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


def _server(cert: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    cert.configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


def _files(cert: trustme.LeafCert, folder: Path) -> dict[str, Path]:
    folder.mkdir()
    pem, key = folder / "client.pem", folder / "client.key"
    cert.cert_chain_pems[0].write_to_path(str(pem))
    cert.private_key_pem.write_to_path(str(key))
    return {"opensearch_certificate": pem, "opensearch_key": key}


@contextmanager
def _asking(front: Front, **settings: Any) -> Iterator[Cluster]:
    cluster = Cluster(Settings(index=front.address, **settings))
    try:
        yield cluster
    finally:
        cluster.close()


def _reason(front: Front, **settings: Any) -> str:
    with _asking(front, **settings) as cluster, pytest.raises(ClusterUnavailable) as raised:
        cluster.call("GET", "/", budget=5.0)
    return raised.value.reason


# Certificates


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_right_authority_is_trusted(
    opensearch_url: str, ca: trustme.CA, ca_file: Path, newest: ssl.TLSVersion
) -> None:
    context = _server(ca.issue_cert("localhost"))
    context.maximum_version = newest
    with Front(opensearch_url, context) as front, _asking(front, opensearch_ca=ca_file) as cluster:
        assert cluster.call("GET", "/", budget=5.0).body["tagline"]
        assert front.address.startswith("https://localhost:")


def test_nothing_older_than_tls_1_2(ca_file: Path) -> None:
    context = security_of(Settings(index="https://one.example", opensearch_ca=ca_file)).context
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def _expired(ca: trustme.CA) -> trustme.LeafCert:
    now = datetime.now(UTC)
    return ca.issue_cert("localhost", not_before=now - timedelta(days=3), not_after=now - timedelta(days=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda _ca: trustme.CA().issue_cert("localhost"),
        lambda ca: ca.issue_cert("elsewhere.example"),
        _expired,
    ],
    ids=["another authority", "another host", "expired"],
)
def test_a_wrong_certificate_is_not_trusted_and_sees_no_account(
    opensearch_url: str, ca: trustme.CA, ca_file: Path, make: Callable[[trustme.CA], trustme.LeafCert]
) -> None:
    with Front(opensearch_url, _server(make(ca))) as front:
        assert _reason(front, opensearch_ca=ca_file, **USER) == "untrusted"
        assert not front.asked


def test_the_systems_authorities_do_not_sign_ours(opensearch_url: str, ca: trustme.CA) -> None:
    with Front(opensearch_url, _server(ca.issue_cert("localhost"))) as front:
        assert _reason(front) == "untrusted"


def test_plain_http_where_tls_is_spoken_is_no_answer(opensearch_url: str, ca: trustme.CA) -> None:
    with Front(opensearch_url, _server(ca.issue_cert("localhost"))) as front:
        cluster = Cluster(Settings(index=front.address.replace("https", "http")))
        with pytest.raises(ClusterUnavailable):
            cluster.call("GET", "/", budget=5.0)
        cluster.close()
        assert not front.asked


def test_a_client_certificate_is_shown(opensearch_url: str, ca: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    ours = _files(ca.issue_cert("ncrs@example.org"), tmp_path / "ours")
    strange = _files(trustme.CA().issue_cert("ncrs@example.org"), tmp_path / "strange")
    with Front(opensearch_url, _server(ca.issue_cert("localhost"), clients=ca)) as front:
        with _asking(front, opensearch_ca=ca_file, **ours) as cluster:
            assert cluster.call("GET", "/", budget=5.0).status == 200
        seen = len(front.asked)
        for wrong in ({}, strange):
            assert _reason(front, opensearch_ca=ca_file, **wrong) in ("untrusted", "unreachable")
        assert len(front.asked) == seen


# Accounts


def _basic(asked: Asked) -> Treatment:
    expected = base64.b64encode(f"ncrs:{USER['opensearch_password']}".encode()).decode()
    return PASS if asked.headers.get("authorization") == f"Basic {expected}" else say(401, b"Unauthorized")


def test_basic_authentication(opensearch_url: str, ca: trustme.CA, ca_file: Path) -> None:
    with Front(opensearch_url, _server(ca.issue_cert("localhost"))) as front:
        front.rule = _basic
        with _asking(front, opensearch_ca=ca_file, **USER) as cluster:
            assert cluster.call("GET", "/", budget=5.0).status == 200
        assert _reason(front, opensearch_ca=ca_file, **{**USER, "opensearch_password": "wrong"}) == "refused_account"
        assert _reason(front, opensearch_ca=ca_file) == "refused_account"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b"Unauthorized"),
        (403, {"error": {"type": "security_exception", "reason": "no permissions for [x] and User [y]"}}),
        (403, {"Message": "User: anonymous is not authorized to perform: es:ESHttpGet"}),
    ],
)
def test_a_refused_account_is_no_answer(opensearch_url: str, status: int, body: Any) -> None:
    with Front(opensearch_url) as front:
        front.rule = lambda _asked: say(status, body)
        assert _reason(front) == "refused_account"
        with _asking(front) as cluster, pytest.raises(ClusterUnavailable) as raised:
            cluster.search("any", {"size": 0})
        assert raised.value.reason == "refused_account"
        assert "anonymous" not in str(raised.value)


def test_a_password_is_never_shown() -> None:
    settings = Settings(index="https://one.example", **USER)
    shown = repr(settings) + repr(security_of(settings)) + repr(Cluster(settings))
    assert "horse" not in shown
    assert base64.b64encode(f"ncrs:{USER['opensearch_password']}".encode()).decode() not in shown


# Addresses


def test_a_path_before_the_cluster(opensearch_url: str) -> None:
    with Front(opensearch_url, prefix="/search/v1") as front, _asking(front) as cluster:
        assert cluster.call("GET", "/_cluster/health").body["status"]
        assert front.asked[0].target == "/search/v1/_cluster/health"


def test_ipv6(opensearch_url: str) -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("This machine has no IPv6.")
    with Front(opensearch_url, host="[::1]") as front, _asking(front) as cluster:
        assert cluster.call("GET", "/").body["tagline"]
        assert front.asked[0].headers["host"] == f"[::1]:{front.port}"


# SigV4


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The account of the environment, and none besides."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY_SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def _signed(asked: Asked, scheme: str, service: str) -> bool:
    """Whether the signature is that of our key over what arrived."""
    scope, names, given = (part.partition("=")[2] for part in asked.headers["authorization"].split(", "))
    headers = {name: asked.headers[name] for name in names.split(";")}
    url = f"{scheme}://{asked.headers['host']}{asked.target}"
    request = AWSRequest(method=asked.method, url=url, data=asked.body, headers=headers)
    request.context["timestamp"] = asked.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(KEY_ID, KEY_SECRET), service, REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    whole = asked.headers["x-amz-content-sha256"] == hashlib.sha256(asked.body).hexdigest()
    return (
        whole
        and scope.startswith(f"{KEY_ID}/")
        and scope.endswith(f"/{REGION}/{service}/aws4_request")
        and signature == given
    )


def _aws_rule(service: str) -> Callable[[Asked], Treatment]:
    refused = say(403, {"message": "The request signature we calculated does not match the signature you provided."})
    return lambda asked: PASS if _signed(asked, "https", service) else refused


@pytest.mark.usefixtures("aws")
def test_sigv4(
    opensearch_url: str, opensearch_prefix: str, ca: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: dict[str, Any] = {"opensearch_ca": ca_file, "opensearch_aws_region": REGION}
    name = f"{opensearch_prefix}signed"
    with Front(opensearch_url, _server(ca.issue_cert("localhost"))) as front:
        front.rule = _aws_rule("es")
        with _asking(front, **chosen) as cluster:
            assert cluster.call("PUT", f"/{name}", {"settings": {"number_of_replicas": 0}}, budget=10.0).status == 200
            lines = '{"index":{"_id":"ä"}}\n{"n":1}\n'.encode()
            assert cluster.call("POST", f"/{name}/_bulk", lines, params={"refresh": "true"}, budget=10.0).status == 200
            assert len(cluster.search(name, {"size": 5}, budget=10.0)["hits"]["hits"]) == 1
        assert _reason(front, **chosen, opensearch_aws_service="aoss") == "refused_account"
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        assert _reason(front, **chosen) == "refused_account"


@pytest.mark.usefixtures("aws")
def test_sigv4_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ConfigurationError, match=r"ncrs-replica\[aws\]"):
        security_of(Settings(index="https://one.example", opensearch_aws_region=REGION))


@pytest.mark.usefixtures("aws")
def test_sigv4_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="no AWS account"):
        security_of(Settings(index="https://one.example", opensearch_aws_region=REGION))
