"""Landed parquet files that become validated parts as they lie, and those that must not."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from assets.landing.land import land
from assets.validated import extract as extract_module
from assets.validated.quarantined import read_quarantine
from assets.validated.validate import validate
from schemas.feeds import FEEDS
from tests.lib.extracts import Delivery, House, Row, control, delivery, frame, house, patient

FEED = "pds_patient"


def packed(rows: Sequence[Row], group: int = 1000) -> bytes:
    """Parquet bytes in the shape of most suppliers' files: pyarrow, statistics, groups of ``group`` rows."""
    table = frame(FEED, rows).to_arrow(compat_level=pl.CompatLevel.oldest())
    into = io.BytesIO()
    pq.write_table(table, into, row_group_size=group, compression="zstd")
    return into.getvalue()


def delivered(made: House, files: Sequence[bytes], rows: Sequence[Row], folder: Path) -> None:
    """Deliver, land and validate these files, which hold these rows."""
    made_of = delivery(rows, folder)
    named = {f"file-{place}.parquet": content for place, content in enumerate(files)}
    entries = [
        {"name": name, "format": "parquet", "rows": pq.read_metadata(io.BytesIO(content)).num_rows}
        for name, content in named.items()
    ]
    whole = Delivery(named, made_of.manifest | {"files": entries, "control": control(rows)}).recount()
    whole.write(made.stores.drop)
    [landed] = land(made.stores, made.ledger, made.settings, FEED)
    assert landed.outcome == "landed", landed.text
    validate(made.stores, made.ledger, made.settings, FEED, auditor=lambda _feed, _rows: [])


def folders(made: House) -> tuple[Path, Path, Path]:
    """Drop, landing and validated folder of the extract."""
    place = Path(FEED, "PDS", "00000001")
    return made.stores.drop / place, made.stores.home / "landing" / place, made.stores.home / "validated" / place


def linked(made: House) -> list[str]:
    """Landed files that are parts as they lie."""
    _, landing, validated = folders(made)
    parts = {path.stat().st_ino for path in validated.glob("part-*.parquet")}
    return sorted(path.name for path in landing.glob("*.parquet") if path.stat().st_ino in parts)


def accepted(made: House) -> list[int]:
    return made.accepted()["row_no"].to_list()


def test_a_file_without_a_fault_becomes_a_part_without_being_written(tmp_path: Path) -> None:
    made = house(tmp_path / "house")
    rows = [patient(index) for index in range(30)]
    delivered(made, [packed(rows[:20], 7), packed(rows[20:])], rows, tmp_path)
    drop, landing, validated = folders(made)
    assert linked(made) == ["file-0.parquet", "file-1.parquet"]
    assert made.accepted().equals(frame(FEED, rows))
    # The supplier's own file is never a part: writing into it changes nothing of ours.
    (drop / "file-0.parquet").write_bytes(b"changed")
    assert made.accepted().equals(frame(FEED, rows))
    # The second name is as good as the first: clearing the landing away leaves the part.
    (landing / "file-0.parquet").unlink()
    assert made.accepted().equals(frame(FEED, rows))
    assert all(path.stat().st_mode & 0o077 == 0 for path in validated.iterdir())


@pytest.mark.parametrize("bad", [0, 4, 17, 19])
def test_a_file_with_one_rejected_row_is_written_without_it(
    bad: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the row lies: cuts that were thought not to need writing are written after all."""
    monkeypatch.setattr(extract_module, "FRAME_ROWS", 6)
    made = house(tmp_path / "house")
    rows = [patient(index, **({"gender": "?"} if index == bad else {})) for index in range(30)]
    delivered(made, [packed(rows[:20], 5), packed(rows[20:], 5)], rows, tmp_path)
    assert linked(made) == ["file-1.parquet"]
    assert accepted(made) == [row_no for row_no in range(1, 31) if row_no != bad + 1]
    held = read_quarantine(made.stores.stage("quarantine", FEED, "PDS", 1))
    assert held["row_no"].to_list() == [bad + 1]
    assert '"gender":"?"' in held["received"][0]


def test_a_file_that_numbers_its_rows_otherwise_is_written_with_our_numbers(tmp_path: Path) -> None:
    made = house(tmp_path / "house")
    rows = [patient(index) for index in range(20)]
    again = [row | {"row_no": place + 1} for place, row in enumerate(rows[10:])]
    delivered(made, [packed(rows[:10]), packed(again)], rows, tmp_path)
    assert linked(made) == ["file-0.parquet"]
    assert accepted(made) == list(range(1, 21))


def test_a_file_larger_than_a_part_may_be_is_written_in_parts(tmp_path: Path) -> None:
    made = house(tmp_path / "house", part_rows=8)
    rows = [patient(index) for index in range(20)]
    delivered(made, [packed(rows)], rows, tmp_path)
    assert linked(made) == []
    assert accepted(made) == list(range(1, 21))


def test_a_file_packed_in_a_way_not_every_reader_knows_is_written(tmp_path: Path) -> None:
    made = house(tmp_path / "house")
    rows = [patient(index) for index in range(20)]
    content = io.BytesIO()
    pq.write_table(frame(FEED, rows).to_arrow(compat_level=pl.CompatLevel.oldest()), content, compression="brotli")
    delivered(made, [content.getvalue()], rows, tmp_path)
    assert linked(made) == []
    assert accepted(made) == list(range(1, 21))


def test_a_file_of_another_writer_is_written(tmp_path: Path) -> None:
    made = house(tmp_path / "house")
    rows = [patient(index) for index in range(20)]
    content = packed(rows)
    name = pq.read_metadata(io.BytesIO(content)).created_by.encode()
    delivered(made, [content.replace(name, b"?" * len(name))], rows, tmp_path)
    assert linked(made) == []
    assert accepted(made) == list(range(1, 21))


def _lying(rows: Sequence[Row], said: bytes, true: bytes) -> bytes:
    """A file whose footer says ``said`` where the bounds of a column are ``true``."""
    content = packed(rows)
    length = int.from_bytes(content[-8:-4], "little")
    footer = len(content) - 8 - length
    assert content[footer:].count(true) >= 2
    return content[:footer] + content[footer:].replace(true, said)


def test_a_file_whose_footer_is_wrong_about_its_rows_is_written(tmp_path: Path) -> None:
    """Readers skip row groups by such bounds: as it lies, the file would lose people without a word."""
    rows = [patient(index, language="q7w") for index in range(20)]
    lying = _lying(rows, b"q7a", b"q7w")
    (tmp_path / "lying.parquet").write_bytes(lying)
    asked = "SELECT count(*) FROM read_parquet('{}') WHERE language = 'q7w'"
    assert duckdb.execute(asked.format(tmp_path / "lying.parquet")).fetchall() == [(0,)]
    made = house(tmp_path / "house")
    delivered(made, [lying], rows, tmp_path)
    assert linked(made) == []
    [part] = folders(made)[2].glob("part-*.parquet")
    assert duckdb.execute(asked.format(part)).fetchall() == [(20,)]


def test_parts_are_written_where_folders_cannot_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(18, "another file system")

    monkeypatch.setattr("assets.validated.adopted.os.link", refuse)
    made = house(tmp_path / "house")
    rows = [patient(index) for index in range(20)]
    delivered(made, [packed(rows)], rows, tmp_path)
    assert linked(made) == []
    assert made.accepted().equals(frame(FEED, rows))


def test_every_column_of_every_feed_has_a_form_that_is_known_as_ours() -> None:
    """What our own writers write stands; so an adopted file never differs from a written one in type."""
    from assets.validated.adopted import _formed_like_ours

    for feed in FEEDS.values():
        into = io.BytesIO()
        pl.DataFrame(schema=feed.polars_schema).write_parquet(into, compression="zstd")
        assert _formed_like_ours(pq.read_metadata(into), feed)
