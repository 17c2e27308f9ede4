"""The one cluster of a process: index, records and catalogue ask the same connections.

Belongs here: one ``Cluster`` for each set of settings values, and who still needs it. Does not belong
here: the client (``client.py``), the end of the process (``background.py``).
"""

from __future__ import annotations

import os
import threading
from collections import Counter

from search_api.cluster.client import Cluster
from search_api.settings import Settings

Key = tuple[object, ...]

_lock = threading.Lock()
_clusters: dict[Key, Cluster] = {}
_held: Counter[Key] = Counter()


def cluster_of(settings: Settings) -> Cluster:
    """The cluster of these settings: the same one for the same values in one process.

    Nothing is opened before its first request.
    """
    key = _key(settings)
    with _lock:
        found = _clusters.get(key)
        if found is None:
            found = _clusters[key] = Cluster(settings)
        return found


def hold(settings: Settings) -> Cluster:
    """As ``cluster_of``, for an owner with a life of its own, who gives it back by ``let_go``."""
    with _lock:
        _held[_key(settings)] += 1
    return cluster_of(settings)


def let_go(settings: Settings) -> None:
    """Close the connections when the last owner goes; a later request opens new ones."""
    key = _key(settings)
    with _lock:
        _held[key] -= 1
        found = _clusters.get(key) if _held[key] <= 0 else None
    if found is not None:
        found.close()


def close_all() -> None:
    """Close the connections to every cluster."""
    with _lock:
        found = list(_clusters.values())
    for cluster in found:
        cluster.close()


def _key(settings: Settings) -> Key:
    """The values a connection depends on; a password is compared, never shown."""
    names = sorted(name for name in type(settings).model_fields if name.startswith("opensearch_"))
    return (settings.index, settings.search_deadline_ms, *(getattr(settings, name) for name in names))


def _unlock() -> None:
    """After a fork another thread of the parent may hold the lock for ever; the clusters look after themselves."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
