"""The API as it runs, in process, over a small generation that was built the real way.

Belongs here: extracts of the cast through landing, validation, replica, index and publication, and a
client with tokens of a real key pair and a real gate. Does not belong here: what is asked.

The generation is built once a test process and engine; every ``Api`` has its own audit log and settings. Over
OpenSearch it is a node with an empty home, which reads index and records from the cluster (``engines.py``).
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import shutil
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx2
from sqlalchemy import select

from assets.landing.land import land
from assets.published.service import build_and_publish, builder
from assets.stores import Stores
from assets.validated.validate import validate
from schemas.feeds import FEEDS
from search_api.access.audit import AuditLog
from search_api.access.audit_store import EVENTS
from search_api.access.gate import AccessGate
from search_api.app import create_app
from search_api.generations import Generations
from search_api.index.engines import index_engine
from search_api.matching.matcher import Matcher
from search_api.ops.database import control_engine
from search_api.ops.ledger import Ledger
from search_api.records import RecordsReader
from search_api.services import Services
from search_api.settings import Settings
from tests.lib import cast
from tests.lib.engines import EMBEDDED, EngineKind
from tests.lib.extracts import Delivery, no_opinion
from tests.lib.tokens import Signer, bearer

Json = dict[str, Any]
T = TypeVar("T")

BASE = "/FHIR/R4"
SIGNER = Signer()


def deliver(drop: Path, feed: str, lines: list[Json], sequence: int = 1) -> None:
    """Write one true NDJSON delivery of these lines, as at now."""
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    now = datetime.now(UTC).isoformat()
    control = 0
    for line in lines:
        control ^= int(line.get("nhs_number") or line["id"])
    kind = "full" if sequence == 1 and "full" in FEEDS[feed].kinds else "delta"
    source = FEEDS[feed].sources[0]
    file = {
        "name": "rows.ndjson",
        "format": "ndjson",
        "rows": len(lines),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    manifest = {
        "source": source, "feed": feed, "kind": kind, "sequence": sequence,
        "previous_sequence": sequence - 1 if sequence > 1 else None, "window_from": now, "window_to": now,
        "created_at": now, "schema_version": "1", "files": [file], "record_count": len(lines), "control": control,
    }  # fmt: skip
    Delivery({"rows.ndjson": content}, manifest, feed, source, sequence).write(drop)


def build_home(home: Path, kind: EngineKind = EMBEDDED, **lines: list[Json]) -> Settings:
    """Publish a generation of these lines; the settings of an API node that serves it."""
    settings = kind.building(home)
    publish(settings, **lines)
    return kind.serving(settings, home / "node")


def publish(settings: Settings, **lines: list[Json]) -> None:
    """Deliver these lines, feed by feed, and publish the generation that they make. Every line must be accepted."""
    stores = Stores(settings.home, settings.drop_folder)
    ledger = Ledger(control_engine(settings.control_url))
    for feed in FEEDS:
        if feed in lines:
            deliver(settings.drop_folder, feed, lines[feed])
        land(stores, ledger, settings, feed)
        for entry in validate(stores, ledger, settings, feed, auditor=no_opinion):
            assert (entry.outcome, entry.quarantined) == ("accepted", 0), (feed, entry.code, entry.rule, entry.text)
    build_and_publish(builder(stores, ledger, settings, "test"), "api-tests", "a test")


@cache
def cast_home(kind: EngineKind = EMBEDDED) -> Settings:
    """The settings of a node that serves the cast's generation; made once an engine, removed when the process ends."""
    home = Path(tempfile.mkdtemp(prefix="ncrs-cast-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return build_home(
        home,
        kind,
        pds_patient=cast.patients(),
        pds_number_change=cast.number_changes(),
        scr_summary=cast.summaries(),
    )


class Api:
    """The API in process. Use as a context manager; ``folder`` holds its audit log.

    ``served`` are the settings of a node with a published generation, the cast's of the embedded engine by
    default; ``changes`` replace single ones.
    """

    def __init__(self, folder: Path, served: Settings | None = None, **changes: Any) -> None:
        given = (served or cast_home()).model_dump(exclude_unset=True)
        self.settings = Settings(**{**given, "audit_db": f"sqlite:///{folder / 'audit.db'}", **changes})
        audit = AuditLog(self.settings)
        self.services = Services(
            settings=self.settings,
            generations=Generations(self.settings, index_engine(self.settings)),
            matcher=Matcher(),
            gate=AccessGate(self.settings, audit=audit, keys=SIGNER.key_store(self.settings)),
            audit=audit,
            ledger=Ledger(control_engine(self.settings.control_url)),
        )
        self.app = create_app(self.services)
        self._life = self.app.router.lifespan_context(self.app)
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://ncrs.test")

    def __enter__(self) -> Api:
        self._runner = asyncio.Runner()
        self.run(self._life.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._client.aclose())
        self.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end in the API's event loop."""
        return self._runner.run(work)

    def send(
        self, method: str, path: str, token: str | None = None, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        """One request with the token (a clinician's by default); ``headers`` replace the usual ones."""
        sent = bearer(token or SIGNER.clinician()) if headers is None else headers
        return self.run(self._client.request(method, path, headers=sent, **more))

    def get(self, path: str, token: str | None = None, **params: Any) -> httpx2.Response:
        """GET below the FHIR base; ``params`` become the query, ``_`` for ``-`` in their names not touched."""
        return self.send("GET", BASE + path, token, params=params or None)

    def search(self, token: str | None = None, **params: Any) -> httpx2.Response:
        """A patient search; write ``address_postalcode`` for ``address-postalcode`` and so on."""
        return self.send("GET", f"{BASE}/Patient", token, params=query(params))

    @property
    def records(self) -> type[RecordsReader]:
        """The class that reads the records of this API, for a test that breaks it."""
        with self.services.generations.pin() as generation:
            return type(generation.replica)

    def events(self) -> list[Json]:
        """The audit log so far, oldest first."""
        with self.services.audit.engine.connect() as connection:
            rows = connection.execute(select(EVENTS).order_by(EVENTS.c.sequence)).mappings().all()
        return [dict(row) for row in rows]


NAMES = {"death_date": "death-date", "address_postalcode": "address-postalcode", "address_postcode": "address-postcode",
         "general_practitioner": "general-practitioner", "fuzzy": "_fuzzy-match", "exact": "_exact-match",
         "history": "_history", "most": "_max-results", "mode": "_ncrs-mode", "explain": "_ncrs-explain"}  # fmt: skip


def query(params: dict[str, Any]) -> list[tuple[str, str]]:
    """Parameters by their Python names; a list repeats one, True and False are written as PDS does."""
    items: list[tuple[str, str]] = []
    for key, value in params.items():
        values = value if isinstance(value, list) else [value]
        texts = (str(item).lower() if isinstance(item, bool) else str(item) for item in values)
        items.extend((NAMES.get(key, key), text) for text in texts)
    return items
