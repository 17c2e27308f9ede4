"""``python -m sandbox``: the sandbox's command line (``cli.py``)."""

from __future__ import annotations

from sandbox.cli import main

if __name__ == "__main__":
    main()
