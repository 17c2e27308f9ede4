"""What every index of ours in a cluster has: what it says of itself, a form, settings to load and to serve.

Belongs here: ``_meta``, the digest that tells one release's fields from another's, settings. Does not belong
here: the fields and documents of one kind of index (``opensearch_mapping.py``, ``cluster/records_form.py``), requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import orjson

PRODUCT = "ncrs-replica"


@dataclass(frozen=True)
class Meta:
    """What an index says of itself (``_meta``); whoever reads it knows whether it may be used, and for what.

    ``home``: the installation it belongs to. ``location``: its own name, so that a bare copy under another
    name is not taken for whole. ``build``: what it was made from and with. ``token``: what its sentinels
    hold. ``schema``: the digest of its form. ``routes``: the routing that leads to each shard.
    ``finished``: written when all else is done.
    """

    home: str
    location: str
    build: str
    token: str
    schema: str
    routes: tuple[str, ...] = ()
    finished: bool = False
    product: str = PRODUCT

    def as_mapping(self) -> dict[str, Any]:
        """The value of ``_meta``."""
        return {**asdict(self), "routes": list(self.routes)}

    @classmethod
    def read(cls, raw: Any) -> Meta | None:
        """What an index says of itself; None when it is none of ours."""
        if not isinstance(raw, dict) or raw.get("product") != PRODUCT:
            return None
        try:
            return cls(**{**raw, "routes": tuple(raw.get("routes", ()))})
        except TypeError:
            # Of a release that says more or less: no form has this digest, so it is refused as another one's.
            return cls(str(raw.get("home")), str(raw.get("location")), "", "", schema="unknown")


@dataclass(frozen=True)
class Form:
    """One kind of index: its mapping (``_meta`` left out), settings beyond those of all, what a sentinel holds."""

    content: str
    fields: Mapping[str, Any]
    settings: Mapping[str, Any]
    sentinel: Callable[[str], dict[str, Any]]

    @cached_property
    def digest(self) -> str:
        """Tells the fields of one release, and of one kind of index, from those of another."""
        text = orjson.dumps([self.content, dict(self.fields)], option=orjson.OPT_SORT_KEYS)
        return sha256(text).hexdigest()[:16]

    def mapping(self, meta: Meta) -> dict[str, Any]:
        """The mapping of a new index."""
        return {**self.fields, "_meta": meta.as_mapping()}

    def loading_settings(self, shards: int) -> dict[str, Any]:
        """Settings of an index that is being filled: no refresh, no copies; a document acknowledged is on disk."""
        return {"index.number_of_shards": shards, **self.settings, **REOPENED}

    def sentinel_line(self, meta: Meta, position: int) -> bytes:
        """The sentinel of one shard as two lines of a bulk request."""
        action = {"index": {"_id": sentinel_id(position), "routing": meta.routes[position]}}
        return orjson.dumps(action) + b"\n" + orjson.dumps(self.sentinel(meta.token)) + b"\n"


# No shard is moved for balance meanwhile: without a recovery source a shard that takes documents cannot be moved, and
# the attempt would never end (tried on 3.8.0).
REOPENED: Mapping[str, Any] = {
    "index.number_of_replicas": 0,
    "index.refresh_interval": "-1",
    "index.translog.durability": "request",
    "index.routing.rebalance.enable": "none",
    "index.blocks.write": None,
}


def serving_settings(replicas: int) -> dict[str, Any]:
    """Settings of an index that is finished: as many copies as promised, refresh and moves as the cluster has them."""
    return {
        "index.number_of_replicas": replicas,
        "index.refresh_interval": None,
        "index.routing.rebalance.enable": None,
    }


def sentinel_id(position: int) -> str:
    """The id of a shard's sentinel; no document of ours has such a one."""
    return f"!sentinel-{position}"
