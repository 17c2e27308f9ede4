"""One concrete index of the cluster as a thing: made, looked at, filled, finished, copied, removed.

Belongs here: the requests that change an index as a whole, and what it says of itself. Does not belong here:
documents (``opensearch_writer.py``), searching (``opensearch_reader.py``), which index (``opensearch.py``).

While an index is filled an alias leads to it, ``<name>-loading``, for bulk requests alone (``sending.py`` says
why). It is gone when the index is finished, and no search ever uses it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from schemas.errors import ClusterUnavailable, GenerationError, PassingFault, PermanentFault, Refused
from search_api.cluster.answers import NOT_FOUND, reason_of, unavailable
from search_api.cluster.client import Answer, Cluster
from search_api.index.opensearch_form import REOPENED, Form, Meta, serving_settings
from search_api.index.opensearch_health import ADMIN_SECONDS, Health
from search_api.index.opensearch_reader import Held
from search_api.index.sending import Sender
from search_api.settings import Settings

LOOK_SECONDS = 10.0
REFRESH_SECONDS = 600.0
# A merge that has not begun for so long will not: there is nothing to merge.
MERGE_IDLE_SECONDS = 5.0
MOST_ROUTES = 10_000
_EXISTS = "resource_already_exists_exception"
_SNAPSHOT = "snapshot_in_progress_exception"


@dataclass(frozen=True)
class Found:
    """A concrete index as the cluster shows it; ``meta`` is None when it is none of ours.

    ``blocked``: it is closed to writing, or was about to be.
    """

    name: str
    uuid: str
    shards: int
    closed: bool
    meta: Meta | None
    blocked: bool = False

    @property
    def held(self) -> Held:
        """What a reader needs of it."""
        return Held(self.name, self.uuid, self.shards, self.meta.token if self.meta else "")


class Indices:
    """The indexes of one cluster and one form, by concrete name."""

    def __init__(self, cluster: Cluster, settings: Settings, form: Form) -> None:
        self.cluster = cluster
        self.form = form
        self._settings = settings
        self.health = Health(cluster, settings.opensearch_bulk_patience)

    def look(self, name: str) -> Found | None:
        """The index of this name, or None. Raises Refused when the name is an alias: none is ever served."""
        answer = self.cluster.call("GET", f"/{name}", budget=LOOK_SECONDS)
        if answer.status == 404:
            return None
        body = _taken(answer)
        if set(body) != {name}:
            raise Refused(
                f"{name} is an alias in the cluster.", remedy="Remove the alias: only concrete indexes serve."
            )
        settings, said = body[name]["settings"]["index"], body[name]["mappings"].get("_meta")
        closed = settings.get("verified_before_close") == "true"
        blocked = settings.get("blocks", {}).get("write") == "true"
        return Found(name, settings["uuid"], int(settings["number_of_shards"]), closed, Meta.read(said), blocked)

    def make(self, name: str, home: str, build: str) -> Found:
        """A new, empty index, ready to be filled. Raises PermanentFault when the name is taken."""
        meta = Meta(home, name, build, uuid4().hex, self.form.digest)
        body = {
            "settings": self.form.loading_settings(self._settings.opensearch_shards),
            "mappings": self.form.mapping(meta),
            "aliases": {loading(name): {}},
        }
        answer = self.cluster.call("PUT", f"/{name}", body, budget=ADMIN_SECONDS)
        if answer.status == 400 and _type(answer) == _EXISTS:
            raise taken(name)
        _taken(answer)
        return self._marked(self._look_again(name), meta)

    def clone(self, base: Found, name: str, home: str, build: str) -> Found:
        """A copy of a finished index under a new name, ready to be changed; the base keeps every byte."""
        body = {"settings": dict(REOPENED), "aliases": {loading(name): {}}}
        answer = self.cluster.call("PUT", f"/{base.name}/_clone/{name}", body, budget=ADMIN_SECONDS)
        if answer.status == 400 and _type(answer) == _EXISTS:
            raise taken(name)
        _taken(answer)
        self.health.wait_for(name, "yellow")
        return self._marked(self._look_again(name), Meta(home, name, build, uuid4().hex, self.form.digest))

    def reopen(self, found: Found) -> Found:
        """An index of ours whose filling goes on: as when it was made."""
        if found.meta is None:
            raise taken(found.name)
        if found.blocked:
            # A closing that failed leaves a block that the setting does not lift, but a closing does that succeeds.
            self._settings_of(found.name, {"index.number_of_replicas": 0})
            self._close_to_writing(found.name)
        self._settings_of(found.name, REOPENED)
        action = {"add": {"index": found.name, "alias": loading(found.name)}}
        _taken(self.cluster.repeat("POST", "/_aliases", {"actions": [action]}, budget=ADMIN_SECONDS))
        return self._marked(found, replace(found.meta, finished=False))

    def sender(self, name: str) -> Sender:
        """What sends documents into an index that is being filled."""
        return Sender(self.cluster, loading(name), self._settings.opensearch_bulk_patience)

    def refresh(self, name: str) -> None:
        """Let searches see what was written."""
        body = _taken(self.cluster.repeat("POST", f"/{name}/_refresh", budget=REFRESH_SECONDS))
        if body["_shards"]["failed"]:
            raise ClusterUnavailable(f"Not every shard of {name} could be refreshed.", reason="failed_shards")

    def merge(self, found: Found) -> None:
        """Put each shard into one segment, which searches the faster; without it all is as right.

        The cluster does it in its own time, and no request waits for it.
        """
        params = {"max_num_segments": "1", "wait_for_completion": "false"}
        _taken(self.cluster.repeat("POST", f"/{found.name}/_forcemerge", params=params, budget=ADMIN_SECONDS))
        pause, idle = 0.05, 0.0
        while idle < MERGE_IDLE_SECONDS and self._segments(found.name, "segments", "count") > found.shards:
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
            idle = 0.0 if self._segments(found.name, "merges", "current") else idle + pause
            self.refresh(found.name)

    def finish(self, found: Found) -> None:
        """Close an index to writing, with the copies and the refresh that the settings promise; it is finished when
        those copies are there."""
        if found.meta is None:
            raise taken(found.name)
        self._flush(found.name)
        # Closed before copies are made: a shard that cannot be closed could not be copied either.
        self._close_to_writing(found.name)
        self._settings_of(found.name, serving_settings(self._settings.opensearch_replicas))
        self._without_alias(found.name)
        self.health.wait_for(found.name, "green")
        self._say(found.name, replace(found.meta, finished=True))

    def _flush(self, name: str) -> None:
        """Put every document into the files of its shard. Without a recovery source a copy can be made from files
        only: with documents outside them it would never come to an end (tried on 3.8.0)."""
        body = _taken(self.cluster.repeat("POST", f"/{name}/_flush", budget=REFRESH_SECONDS))
        if body["_shards"]["failed"]:
            raise ClusterUnavailable(f"Not every shard of {name} could be flushed.", reason="failed_shards")

    def _close_to_writing(self, name: str) -> None:
        """Raises PassingFault when not every shard confirms that no write is under way any more."""
        params = {"timeout": f"{max(1, min(30, int(self._settings.opensearch_bulk_patience)))}s"}
        body = _taken(self.cluster.repeat("PUT", f"/{name}/_block/write", params=params, budget=ADMIN_SECONDS))
        # No index is named when it was closed already: then there was nothing for a shard to confirm.
        if body.get("indices") and not body.get("shards_acknowledged"):
            raise PassingFault(
                f"The index {name} could not be closed to writing: a shard of it does not confirm.",
                remedy="Is a shard being moved (GET _cat/recovery)? Cancel it (POST _cluster/reroute), then build again.",
            )

    def remove(self, name: str, home: str, uuid: str = "") -> None:
        """Delete an index that this installation made; nothing when it is gone, or when ``uuid`` tells that another
        one has its name now.

        Raises Refused when it is another's, PassingFault while a snapshot holds it.
        """
        found = self.look(name)
        if found is None or (uuid and found.uuid != uuid):
            return
        if found.meta is None or found.meta.home != home:
            raise Refused(
                f"The index {name} of the cluster was not made by this installation.",
                remedy="It was left alone. If nobody needs it, delete it by hand.",
            )
        answer = self.cluster.repeat("DELETE", f"/{name}", budget=ADMIN_SECONDS)
        if answer.status == 400 and _type(answer) == _SNAPSHOT:
            raise PassingFault(f"A snapshot of {name} is being taken.", remedy="Try again when it is done.")
        if answer.status != 404:
            _taken(answer)

    def _segments(self, name: str, part: str, value: str) -> int:
        body = _taken(self.cluster.call("GET", f"/{name}/_stats/segments,merge", budget=ADMIN_SECONDS))
        return int(body["_all"]["primaries"][part][value])

    def _look_again(self, name: str) -> Found:
        found = self.look(name)
        if found is None:
            raise GenerationError(f"The index {name} was removed while it was made.", remedy="Build again.")
        return found

    def _marked(self, found: Found, meta: Meta) -> Found:
        """The index with this to say of itself, and one sentinel in each shard that proves it."""
        meta = replace(meta, routes=meta.routes or self._routes(found))
        self._say(found.name, meta)
        self.sender(found.name).send([self.form.sentinel_line(meta, position) for position in range(found.shards)])
        self.refresh(found.name)
        return replace(found, meta=meta)

    def _routes(self, found: Found) -> tuple[str, ...]:
        """For each shard a routing that leads there: the same ones each time the cluster is asked."""
        routes: dict[int, str] = {}
        for number in range(MOST_ROUTES):
            if len(routes) == found.shards:
                break
            params = {"routing": str(number)}
            answer = self.cluster.call("GET", f"/{found.name}/_search_shards", params=params, budget=ADMIN_SECONDS)
            routes.setdefault(int(_taken(answer)["shards"][0][0]["shard"]), str(number))
        return tuple(routes[shard] for shard in range(found.shards))

    def _say(self, name: str, meta: Meta) -> None:
        body = {"_meta": meta.as_mapping()}
        _taken(self.cluster.repeat("PUT", f"/{name}/_mapping", body, budget=ADMIN_SECONDS))

    def _settings_of(self, name: str, settings: Mapping[str, Any]) -> None:
        _taken(self.cluster.repeat("PUT", f"/{name}/_settings", dict(settings), budget=ADMIN_SECONDS))

    def _without_alias(self, name: str) -> None:
        action = {"remove": {"index": name, "alias": loading(name), "must_exist": False}}
        answer = self.cluster.repeat("POST", "/_aliases", {"actions": [action]}, budget=ADMIN_SECONDS)
        if answer.status != 404:
            _taken(answer)


def loading(name: str) -> str:
    """The alias that bulk requests use while an index is filled."""
    return f"{name}-loading"


def taken(name: str) -> PermanentFault:
    """The fault of a name that is in use."""
    return PermanentFault(
        f"An index {name} is in the cluster already.",
        remedy="Names are never reused. If nothing needs it, delete it by hand, then build again.",
    )


def _taken(answer: Answer) -> dict[str, Any]:
    """The body of a request that was carried out.

    Raises PermanentFault for one that never will be, ClusterUnavailable otherwise. Types only: the engine's
    texts may quote what was sent.
    """
    if answer.status == 200 and isinstance(answer.body, dict):
        return answer.body
    if answer.status == 400:
        raise PermanentFault(
            f"The search cluster refuses a request: {_type(answer) or 'no type'}.",
            remedy="See docs/opensearch.md: what the cluster must allow.",
        )
    if answer.status == 404 and reason_of(answer) == NOT_FOUND:
        raise GenerationError("The index was removed while it was at work on.", remedy="Build again.")
    raise unavailable(reason_of(answer))


def _type(answer: Answer) -> str:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""
