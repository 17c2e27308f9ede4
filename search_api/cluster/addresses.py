"""Where the nodes of a cluster are, and which settings of them are refused.

Belongs here: reading ``NCRS_INDEX``, and the rules an operator's settings must keep before anything is
sent. Does not belong here: certificates and accounts (``security.py``), connections.

Patients' data goes to these addresses, so the rules fail closed: what is not encrypted must be this
machine, or be allowed by name. A password in an address would end in logs, so it is refused unread.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from schemas.errors import ConfigurationError
from search_api.settings import Settings

EMBEDDED = "embedded"
_FORM = "Give NCRS_INDEX as embedded, or as the https:// addresses of OpenSearch nodes, parted by commas."
_PORTS = {"http": 9200, "https": 443}
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_INDEX_PREFIX = re.compile(r"([a-z0-9][a-z0-9_.-]{0,40})?")


@dataclass(frozen=True)
class Address:
    """One node: ``host`` without brackets, ``prefix`` empty or beginning with a slash."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def encrypted(self) -> bool:
        """Whether the way to it is."""
        return self.scheme == "https"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, so that nothing leaves it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def on_cluster(settings: Settings) -> bool:
    """Whether the search index is OpenSearch."""
    return settings.index != EMBEDDED


def check(settings: Settings) -> None:
    """Raises ConfigurationError for settings of index and records that are wrong or contradict each other."""
    if settings.index == EMBEDDED:
        if settings.records == "opensearch":
            raise ConfigurationError(
                "NCRS_RECORDS is opensearch and NCRS_INDEX is embedded: the records are kept beside the index.",
                remedy="Set NCRS_INDEX to the addresses of the cluster, or NCRS_RECORDS to duckdb.",
            )
        return
    addresses(settings)
    if not _INDEX_PREFIX.fullmatch(settings.opensearch_prefix):
        raise ConfigurationError(
            "NCRS_OPENSEARCH_PREFIX is not the beginning of an index name.",
            remedy="Use small letters, digits, hyphens, underscores and dots, a letter or digit first, at most 41.",
        )


def addresses(settings: Settings) -> tuple[Address, ...]:
    """The nodes, in the order given. Raises ConfigurationError for what cannot be read or is not safe."""
    given = [part.strip() for part in settings.index.split(",")]
    found = tuple(_address(part, number) for number, part in enumerate(given, 1))
    if len(set(found)) != len(found):
        raise ConfigurationError("NCRS_INDEX names one node twice.", remedy="Name each node once.")
    for number, address in enumerate(found, 1):
        _check_safe(address, number, settings)
    return found


def _address(text: str, number: int) -> Address:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"Address {number} of NCRS_INDEX cannot be read.", remedy=_FORM) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigurationError(f"Address {number} of NCRS_INDEX is neither https:// nor http://.", remedy=_FORM)
    _check_plain(parts, number)
    prefix = parts.path.rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(f"The path in address {number} of NCRS_INDEX cannot be used.", remedy=_FORM)
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], prefix)


def _check_plain(parts: SplitResult, number: int) -> None:
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"Address {number} of NCRS_INDEX holds an account; addresses end in logs.",
            remedy="Set NCRS_OPENSEARCH_USER and NCRS_OPENSEARCH_PASSWORD, and take the account out of the address.",
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"Address {number} of NCRS_INDEX has more than a path.", remedy=_FORM)


def _check_safe(address: Address, number: int, settings: Settings) -> None:
    if address.encrypted or address.loopback or settings.opensearch_plain_http:
        return
    raise ConfigurationError(
        f"Address {number} of NCRS_INDEX is plain http and not this machine: patients' data and accounts"
        " could be read on the way.",
        remedy="Use https://, or set NCRS_OPENSEARCH_PLAIN_HTTP=true where the network itself is encrypted.",
    )
