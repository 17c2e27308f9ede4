"""What a blocking key is worth when candidates are ranked, and which keys are left out as crowded.

Belongs here: the rarity of a key from name frequencies and its kind, and the cap. Does not belong here:
which keys a question has (``blocking.py``), engines. Nothing here asks an index: every engine so ranks
and cuts alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class WeighedKey(NamedTuple):
    """A blocking key and its rarity in whole bits, at least 1."""

    key: str
    rarity: int


class KeyCounts(Protocol):
    """What is known of keys: those that many documents have, with how many, counted at the last full build."""

    @property
    def crowded(self) -> dict[str, int]: ...


@dataclass(frozen=True)
class Weighed:
    """The keys to ask, and how many were left out because too many people share them."""

    keys: tuple[WeighedKey, ...]
    over_cap: int


# Bits of each kind: what share of the population one key of the kind holds, by order of size.
_BITS = {"a": 22, "b": 26, "c": 20, "e": 20, "m": 22, "p": 27, "t": 25, "@": 25}


def weigh(keys: Iterable[str], counts: KeyCounts, cap: int) -> Weighed:
    """Rarity of each key; keys that more than ``cap`` documents had at the last full build are left out."""
    crowded = counts.crowded
    kept = []
    over = 0
    for key in keys:
        if crowded.get(key, 0) > cap:
            over += 1
        else:
            kept.append(WeighedKey(key, _BITS[key[0]]))
    return Weighed(tuple(kept), over)
