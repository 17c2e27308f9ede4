"""Which installation of the product this is: a name drawn once, kept in the home.

Belongs here: drawing and reading it. Does not belong here: what carries it (the ``_meta`` of every index in
a cluster, so that no installation removes what another one made).
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from search_api.durable import sync_folder

NAME = "installation"


def installation_of(home: Path) -> str:
    """The name of the installation with this home; drawn when it is first asked for."""
    path = home / NAME
    if found := _read(path):
        return found
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    drawn = path.with_name(f".{NAME}-{uuid4().hex}")
    with drawn.open("w", encoding="ascii") as file:
        file.write(uuid4().hex)
        file.flush()
        os.fchmod(file.fileno(), 0o600)
        # Lost in a power cut, it would leave every index in the cluster without an owner.
        os.fsync(file.fileno())
    try:
        # Whoever is second keeps the name of the first.
        os.link(drawn, path)
    except FileExistsError:
        pass
    finally:
        drawn.unlink()
    sync_folder(home)
    return _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return ""
