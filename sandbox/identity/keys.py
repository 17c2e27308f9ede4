"""Keys of the sandbox: made at first start, kept in files that only their owner may read.

Belongs here: making and keeping. Does not belong here: signing (``tokens.py``).
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from joserfc.jwk import RSAKey

BITS = 2048


def kept_key(path: Path) -> RSAKey:
    """The key of the file, made if there is none (mode 0600). Its key id is the RFC 7638 thumbprint.

    Two processes that start at once end up with the same key: the file appears whole or not at all.
    """
    if not path.exists():
        _create(path, RSAKey.generate_key(BITS).as_pem(private=True))
    key = RSAKey.import_key(path.read_bytes())
    return RSAKey.import_key(path.read_bytes(), parameters={"kid": key.thumbprint()})


def issuer_key(folder: Path) -> RSAKey:
    """The key that signs tokens."""
    return kept_key(folder / "issuer.pem")


def client_key(folder: Path, client_id: str) -> RSAKey:
    """The key of a client that signs its own assertions."""
    return kept_key(folder / "clients" / f"{client_id}.pem")


def _create(path: Path, pem: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was faster; its key is the one
    finally:
        temporary.unlink()
