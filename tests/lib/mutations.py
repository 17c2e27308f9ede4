"""Ways to mutate a true delivery: bytes, lines, columns, rows, manifest, folder.

Each helper makes a ``Mutate``: a function that changes a delivery about to be written.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tests.lib.extracts import Delivery, Row, control, data_file, frame, patient

FEED = "pds_patient"
COUNT = 20
Mutate = Callable[[Delivery, Path], None]


@dataclass(frozen=True)
class Mutation:
    """``refused`` is a file rule; ``lost`` maps row numbers to the record rule; neither is harmless."""

    name: str
    form: str
    mutate: Mutate
    refused: str | None = None
    lost: dict[int, str] | None = None
    kind: str = "delta"


def golden() -> list[Row]:
    return [patient(index, action="update", version_id=4) for index in range(COUNT)]


def name_of(made: Delivery) -> str:
    return str(made.manifest["files"][0]["name"])


def on_bytes(change: Callable[[bytes], bytes], *, recount: bool = False) -> Mutate:
    """Change the data file's bytes; ``recount`` makes bytes and hash of the manifest follow."""

    def mutate(made: Delivery, _folder: Path) -> None:
        made.files[name_of(made)] = change(made.files[name_of(made)])
        if recount:
            made.recount()

    return mutate


def on_lines(change: Callable[[list[bytes]], list[bytes]], joiner: bytes = b"\n") -> Mutate:
    """Change the lines of an NDJSON file; bytes and hash follow, the counts do not."""

    def mutate(made: Delivery, _folder: Path) -> None:
        content = made.files[name_of(made)]
        packed = name_of(made).endswith(".gz")
        lines = (gzip.decompress(content) if packed else content).splitlines()
        changed = joiner.join(change(lines)) + joiner
        made.files[name_of(made)] = gzip.compress(changed, mtime=0) if packed else changed
        made.recount()

    return mutate


def on_line(number: int, change: Callable[[bytes], bytes]) -> Mutate:
    def mutate(lines: list[bytes]) -> list[bytes]:
        lines[number - 1] = change(lines[number - 1])
        return lines

    return on_lines(mutate)


def on_object(number: int, **changes: Any) -> Mutate:
    """Change fields of one line's envelope."""
    return on_line(number, lambda line: json.dumps(json.loads(line) | changes).encode())


def on_manifest(**changes: Any) -> Mutate:
    def mutate(made: Delivery, _folder: Path) -> None:
        made.manifest |= changes

    return mutate


def on_file(**changes: Any) -> Mutate:
    """Change the manifest's words about the data file."""

    def mutate(made: Delivery, _folder: Path) -> None:
        made.manifest["files"][0] |= changes

    return mutate


def on_frame(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Mutate:
    """Change the parquet's frame; bytes and hash follow."""

    def mutate(made: Delivery, folder: Path) -> None:
        path = folder / "mutated.parquet"
        change(frame(FEED, golden())).write_parquet(path)
        made.files[name_of(made)] = path.read_bytes()
        made.recount()

    return mutate


def on_rows(change: Callable[[list[Row]], list[Row]]) -> Mutate:
    """Another set of rows, with a manifest that is true of them."""

    def mutate(made: Delivery, folder: Path) -> None:
        rows = change(golden())
        form = made.manifest["files"][0]["format"]
        made.files[name_of(made)] = data_file(FEED, rows, form, folder)[1]
        made.manifest["files"][0]["rows"] = made.manifest["record_count"] = len(rows)
        made.manifest["control"] = control(rows)
        made.recount()

    return mutate


def on_row(number: int, **changes: Any) -> Mutate:
    def mutate(rows: list[Row]) -> list[Row]:
        rows[number - 1] |= changes
        return rows

    return on_rows(mutate)


def after_files(change: Callable[[Path], None]) -> Mutate:
    """Change the delivery folder after the data files are written."""

    def mutate(made: Delivery, _folder: Path) -> None:
        made.after.append(change)

    return mutate


def together(*mutations: Mutate) -> Mutate:
    def mutate(made: Delivery, folder: Path) -> None:
        for one in mutations:
            one(made, folder)

    return mutate


def flip(content: bytes, seed: int) -> bytes:
    place = random.Random(seed).randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << seed % 8]) + content[place + 1 :]


def replaced_by(make: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """Replace the data file by something else: a link, a pipe, a folder."""

    def change(folder: Path) -> None:
        [path] = [path for path in folder.iterdir() if path.name.startswith("rows.")]
        elsewhere = folder.parent.parent.parent / "elsewhere"
        path.rename(elsewhere)
        make(path, elsewhere)

    return change


def split_in_two(made: Delivery, folder: Path) -> None:
    rows, form = golden(), made.manifest["files"][0]["format"]
    made.files, made.manifest["files"] = {}, []
    for number, part in enumerate((rows[:7], rows[7:])):
        name, content = data_file(FEED, part, form, folder)
        made.files[f"{number}-{name}"] = content
        made.manifest["files"].append({"name": f"{number}-{name}", "format": form, "rows": len(part)})
    made.recount()


def two_members(content: bytes) -> bytes:
    plain = gzip.decompress(content)
    return gzip.compress(plain[:500], mtime=0) + gzip.compress(plain[500:], mtime=0)


def flat_lie(content: bytes) -> bytes:
    """A gzip whose checksum does not fit its content."""
    return content[:-8] + zlib.crc32(b"other").to_bytes(4, "little") + content[-4:]
