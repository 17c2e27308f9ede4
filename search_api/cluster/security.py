"""Who we are to the cluster, and how we know it is the cluster.

Belongs here: the TLS context, basic authentication, SigV4. Does not belong here: addresses
(``addresses.py``), what a refused account looks like (``answers.py``).

Certificates and host names are always verified, and nothing older than TLS 1.2 is spoken: there is no
setting to turn that off.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opensearchpy.helpers.signer import AWSV4Signer

from schemas.errors import ClusterUnavailable, ConfigurationError
from search_api.cluster.addresses import Address, addresses
from search_api.settings import Settings


class Signer(Protocol):
    """Adds what proves the account to the headers of one request; may wait for the account's provider."""

    def sign(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str] | None = None
    ) -> dict[str, str]: ...


@dataclass(frozen=True)
class Security:
    """What each request takes along: headers made once, a TLS context, and a signer if each one is signed."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    context: ssl.SSLContext | None = None
    signer: Signer | None = None


def security_of(settings: Settings) -> Security:
    """From the settings. Raises ConfigurationError for files that cannot be read and settings that contradict."""
    found = addresses(settings)
    _check_account(settings, found)
    encrypted = any(address.encrypted for address in found)
    return Security(
        headers=_basic(settings),
        context=_context(settings) if encrypted else None,
        signer=_signer(settings),
    )


def _check_account(settings: Settings, found: tuple[Address, ...]) -> None:
    basic = settings.opensearch_user is not None or settings.opensearch_password is not None
    if basic and not (settings.opensearch_user and settings.opensearch_password):
        raise ConfigurationError(
            "One of NCRS_OPENSEARCH_USER and NCRS_OPENSEARCH_PASSWORD is set and the other is not.",
            remedy="Set both, or neither.",
        )
    if settings.opensearch_user and ":" in settings.opensearch_user:
        raise ConfigurationError("NCRS_OPENSEARCH_USER holds a colon, which basic authentication cannot carry.")
    if basic and settings.opensearch_aws_region:
        raise ConfigurationError(
            "Basic authentication and SigV4 are both set up for the cluster.",
            remedy="Unset NCRS_OPENSEARCH_USER and NCRS_OPENSEARCH_PASSWORD, or NCRS_OPENSEARCH_AWS_REGION.",
        )
    if settings.opensearch_key and not settings.opensearch_certificate:
        raise ConfigurationError(
            "NCRS_OPENSEARCH_KEY is set without NCRS_OPENSEARCH_CERTIFICATE.", remedy="Set both, or neither."
        )
    if basic and not all(address.encrypted or address.loopback for address in found):
        raise ConfigurationError(
            "NCRS_OPENSEARCH_PASSWORD would be sent over plain http to another machine.",
            remedy="Use https:// in NCRS_INDEX. NCRS_OPENSEARCH_PLAIN_HTTP does not allow this.",
        )


def _basic(settings: Settings) -> dict[str, str]:
    if not settings.opensearch_user or not settings.opensearch_password:
        return {}
    pair = f"{settings.opensearch_user}:{settings.opensearch_password.get_secret_value()}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.opensearch_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The file of NCRS_OPENSEARCH_CA cannot be used ({type(error).__name__}).",
            remedy="Name a file of PEM certificates that this user can read.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.opensearch_certificate:
        try:
            context.load_cert_chain(settings.opensearch_certificate, settings.opensearch_key, _no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                "The files of NCRS_OPENSEARCH_CERTIFICATE and NCRS_OPENSEARCH_KEY cannot be used"
                f" ({type(error).__name__}).",
                remedy="Name a PEM certificate and its key, readable and without a password.",
            ) from None
    return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal, and a server would wait there for ever."""
    return ""


def _signer(settings: Settings) -> Signer | None:
    if not settings.opensearch_aws_region:
        return None
    try:
        from botocore.session import Session
    except ImportError:
        raise ConfigurationError(
            "NCRS_OPENSEARCH_AWS_REGION asks for SigV4, and its library is not installed.",
            remedy="Install the extra: pip install 'ncrs-replica[aws]'.",
        ) from None
    credentials = Session().get_credentials()
    if credentials is None:
        raise ConfigurationError(
            "NCRS_OPENSEARCH_AWS_REGION asks for SigV4, and the environment has no AWS account.",
            remedy="Give the process a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    return _AccountSigner(AWSV4Signer(credentials, settings.opensearch_aws_region, settings.opensearch_aws_service))


class _AccountSigner:
    """opensearch-py's signer; an account that cannot be had is a refused one, whatever its provider says."""

    def __init__(self, signer: AWSV4Signer) -> None:
        self._signer = signer

    def sign(self, method: str, url: str, body: bytes | None, headers: dict[str, str] | None = None) -> dict[str, str]:
        from botocore.exceptions import BotoCoreError

        try:
            return dict(self._signer.sign(method, url, body or b"", headers))
        except BotoCoreError as error:
            raise ClusterUnavailable(
                f"The account for the search cluster cannot be had ({type(error).__name__}).", reason="refused_account"
            ) from None
