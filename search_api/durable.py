"""What makes a change of files survive a power cut, for building and serving alike.

Belongs here: syncing a folder. Does not belong here: files and folders of the stages (``assets/files.py``).
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
