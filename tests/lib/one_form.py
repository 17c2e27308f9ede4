"""Answers of one form of the matcher, compiled or plain, from a process of its own.

Belongs here: choosing the form, asking, printing. Does not belong here: comparing them (``test_compiled.py``).

Run as ``python -m tests.lib.one_form HOME ROWS COUNT [FOLDER]``: people of the parquet file ROWS are asked about; FOLDER
holds the compiled form. The first line says which file the matcher was loaded from.
"""

from __future__ import annotations

import sys
from pathlib import Path

from search_api import compiled

SEED = 7


def main(home: str, rows: str, count: str, folder: str = "") -> None:
    """Print each answer on a line."""
    compiled.FOLDER = Path(folder) if folder else Path(home) / "nothing is here"
    # The form is chosen when the package is imported for the first time, which is here.
    import polars as pl

    from search_api.matching import matcher
    from tests.lib.engines import EMBEDDED
    from tests.lib.people import People
    from tests.lib.questions import questions
    from tests.lib.twins import KEY_CAP, Twin

    sys.stdout.write(f"{matcher.__file__}\n")
    people = People(pl.read_parquet(rows).to_dicts())
    asking = matcher.Matcher(key_cap=KEY_CAP)
    with Twin(EMBEDDED, Path(home)).open() as generation:
        for asked in questions(people, SEED, int(count)):
            answer = asking.answer(asked.question, generation.index, generation.frequencies)
            sys.stdout.write(f"{answer}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
