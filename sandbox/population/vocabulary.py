"""Word lists of the population: name stems and endings, streets, post towns (``vocabulary.json``).

Belongs here: reading the file. Does not belong here: what the words are for.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, Any]:
    """The lists by name: stems, links, endings, street_names, street_types (weights), towns (by area)."""
    text = (resources.files("sandbox.population") / "vocabulary.json").read_text(encoding="utf-8")
    lists: dict[str, Any] = json.loads(text)
    return lists
