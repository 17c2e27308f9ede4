"""Mutations of a golden extract: each is refused with its reason, caught row by row, or harmless.

Sequence 1 (a full of twenty patients) was accepted before; the mutated delivery is sequence 2. The
oracle, whatever the mutation: what was accepted before is untouched; a refused delivery leaves no
validated row; of a taken one, accepted rows equal the golden ones, and every golden row that is
missing lies in quarantine with the expected rule.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from assets.landing.deliveries import strays
from assets.landing.land import land, pending
from assets.validated.quarantined import read_quarantine
from assets.validated.validate import validate
from quality.reasons import FILE_RULES
from schemas.feeds import FEEDS
from tests.lib.extracts import (
    NUMBERS,
    House,
    delivery,
    frame,
    house,
    no_opinion,
    patient,
)
from tests.lib.mutations import (
    COUNT,
    FEED,
    Mutation,
    after_files,
    flat_lie,
    flip,
    golden,
    on_bytes,
    on_file,
    on_frame,
    on_line,
    on_lines,
    on_manifest,
    on_object,
    on_row,
    on_rows,
    replaced_by,
    split_in_two,
    together,
    two_members,
)

NOW = datetime(2026, 5, 3, tzinfo=UTC)

REFUSED_BYTES = [
    *(Mutation(f"bit-flip-{seed}", form, on_bytes(lambda content, seed=seed: flip(content, seed)), "FILE_HASH")
      for seed in range(6) for form in ("parquet", "ndjson", "ndjson.gz")),
    *(Mutation(f"cut-to-{share}", form, on_bytes(lambda content, share=share: content[: len(content) * share // 100]), "FILE_SIZE")
      for share in (0, 1, 50, 99) for form in ("parquet", "ndjson.gz")),
    Mutation("byte-appended", "ndjson", on_bytes(lambda content: content + b"\n"), "FILE_SIZE"),
    Mutation("tail-zeroed", "parquet", on_bytes(lambda content: content[:-64] + bytes(64)), "FILE_HASH"),
    Mutation("two-bytes-swapped", "ndjson", on_bytes(lambda content: content[:9] + content[10:8:-1] + content[11:]), "FILE_HASH"),
    Mutation("lines-reversed-hash-kept", "ndjson", on_bytes(lambda content: b"".join(content.splitlines(True)[::-1])), "FILE_HASH"),
    Mutation("data-file-missing", "parquet", lambda made, _: made.files.clear(), "FILE_MISSING"),
    Mutation("cut-recounted", "parquet", on_bytes(lambda content: content[:-1], recount=True), "FILE_FORMAT"),
    Mutation("cut-recounted", "ndjson.gz", on_bytes(lambda content: content[:-1], recount=True), "FILE_UNPACK"),
    Mutation("half-recounted", "ndjson.gz", on_bytes(lambda content: content[: len(content) // 2], recount=True), "FILE_UNPACK"),
    Mutation("half-recounted", "ndjson", on_bytes(lambda content: content[: len(content) // 2], recount=True), "FILE_ROWS"),
    Mutation("emptied-recounted", "ndjson", on_bytes(lambda _: b"", recount=True), "DATA_EMPTY"),
    Mutation("emptied-recounted", "parquet", on_bytes(lambda _: b"", recount=True), "DATA_EMPTY"),
    Mutation("footer-garbled", "parquet", on_bytes(lambda content: content[:-40] + b"\xff" * 32 + content[-8:], recount=True), "FILE_FORMAT"),
    Mutation("data-page-garbled", "parquet", on_bytes(lambda content: content[:4] + bytes(400) + content[404:], recount=True), "FILE_FORMAT"),
    Mutation("magic-only", "parquet", on_bytes(lambda _: b"PAR1PAR1", recount=True), "FILE_FORMAT"),
    Mutation("checksum-lies", "ndjson.gz", on_bytes(flat_lie, recount=True), "FILE_UNPACK"),
    Mutation("garbage-after-gzip", "ndjson.gz", on_bytes(lambda content: content + b"garbage", recount=True), "FILE_UNPACK"),
    Mutation("bomb", "ndjson.gz", on_bytes(lambda _: gzip.compress(bytes(64 << 20)), recount=True), "FILE_EXPANSION"),
    Mutation("bomb-of-lines", "ndjson.gz", on_bytes(lambda _: gzip.compress(b"{}\n" * (16 << 20)), recount=True), "FILE_EXPANSION"),
]  # fmt: skip

REFUSED_FORMATS = [
    Mutation("gzip-called-plain", "ndjson.gz", on_file(format="ndjson"), "FILE_FORMAT"),
    Mutation("plain-called-gzip", "ndjson", on_file(format="ndjson.gz"), "FILE_FORMAT"),
    Mutation("ndjson-called-parquet", "ndjson", on_file(format="parquet"), "FILE_FORMAT"),
    Mutation("parquet-called-ndjson", "parquet", on_file(format="ndjson"), "FILE_ROWS"),
    Mutation("format-unknown", "parquet", on_file(format="csv"), "MANIFEST_FIELD"),
    Mutation("utf-16", "ndjson", on_bytes(lambda content: content.decode().encode("utf-16"), recount=True), "FILE_FORMAT"),
    Mutation("column-missing", "parquet", on_frame(lambda rows: rows.drop("gender")), "FILE_COLUMNS"),
    Mutation("column-extra", "parquet", on_frame(lambda rows: rows.with_columns(eye_colour=pl.lit("blue"))), "FILE_COLUMNS"),
    Mutation("column-renamed", "parquet", on_frame(lambda rows: rows.rename({"birth_date": "birthDate"})), "FILE_COLUMNS"),
    Mutation("column-retyped-narrower", "parquet", on_frame(lambda rows: rows.cast({"version_id": pl.Int32})), "FILE_COLUMNS"),
    Mutation("column-retyped-text", "parquet", on_frame(lambda rows: rows.cast({"version_id": pl.String})), "FILE_COLUMNS"),
    Mutation("number-as-integer", "parquet", on_frame(lambda rows: rows.cast({"nhs_number": pl.Int64})), "FILE_COLUMNS"),
    Mutation("date-as-date", "parquet", on_frame(lambda rows: rows.with_columns(pl.col("birth_date").str.to_date("%Y-%m-%d"))), "FILE_COLUMNS"),
    Mutation("time-without-zone", "parquet", on_frame(lambda rows: rows.with_columns(pl.col("recorded_at").dt.replace_time_zone(None))), "FILE_COLUMNS"),
    Mutation("nested-flattened", "parquet", on_frame(lambda rows: rows.with_columns(names=pl.col("names").list.first())), "FILE_COLUMNS"),
    Mutation("nested-field-renamed", "parquet", on_frame(lambda rows: rows.with_columns(
        names=pl.col("names").list.eval(pl.element().struct.rename_fields(["state", "id", "use", "start", "end", "prefix", "given", "surname", "suffix"])))), "FILE_COLUMNS"),
    Mutation("all-null-column", "parquet", on_frame(lambda rows: rows.with_columns(gender=pl.lit(None))), "FILE_COLUMNS"),
    Mutation("no-columns", "parquet", on_frame(lambda rows: pl.DataFrame({"x": range(COUNT)})), "FILE_COLUMNS"),
]  # fmt: skip

REFUSED_COUNTS = [
    Mutation("rows-one-more", "ndjson", together(on_file(rows=COUNT + 1), on_manifest(record_count=COUNT + 1)), "FILE_ROWS"),
    Mutation("rows-one-less", "parquet", together(on_file(rows=COUNT - 1), on_manifest(record_count=COUNT - 1)), "FILE_ROWS"),
    Mutation("record-count-off", "ndjson.gz", on_manifest(record_count=COUNT + 1), "RECORD_COUNT"),
    Mutation("bytes-off", "parquet", on_file(bytes=17), "FILE_SIZE"),
    Mutation("hash-of-nothing", "ndjson", on_file(sha256="e" * 64), "FILE_HASH"),
    Mutation("control-off", "parquet", on_manifest(control=1), "FILE_CONTROL"),
    Mutation("control-off", "ndjson.gz", on_manifest(control=1), "FILE_CONTROL"),
    Mutation("control-huge", "ndjson", on_manifest(control=2**70), "MANIFEST_FIELD"),
    Mutation("line-lost", "ndjson", on_lines(lambda lines: lines[:-1]), "FILE_ROWS"),
    Mutation("line-doubled", "ndjson.gz", on_lines(lambda lines: [*lines, lines[0]]), "FILE_ROWS"),
    Mutation("one-patient-for-another", "ndjson", on_object(3, **json.loads(json.dumps({"nhs_number": NUMBERS[40], "source_key": NUMBERS[40], "action": "delete"}))), "FILE_CONTROL"),
    Mutation("rows-counted-none-there", "ndjson", together(on_manifest(files=[]),), "RECORD_COUNT"),
    Mutation("carriage-returns-only", "ndjson", on_bytes(lambda content: content.replace(b"\n", b"\r"), recount=True), "FILE_ROWS"),
    Mutation("pretty-printed", "ndjson", on_lines(lambda lines: [part for line in lines for part in json.dumps(json.loads(line), indent=1).encode().splitlines()]), "FILE_ROWS"),
    Mutation("one-json-array", "ndjson", on_bytes(lambda content: b"[" + b",".join(content.splitlines()) + b"]", recount=True), "FILE_ROWS"),
]  # fmt: skip

REFUSED_MANIFESTS = [
    Mutation("feed-unknown", "parquet", on_manifest(feed="pds_patients"), "MANIFEST_PLACE"),
    Mutation("feed-of-another", "parquet", on_manifest(feed="scr_summary"), "MANIFEST_PLACE"),
    Mutation("source-of-another", "parquet", on_manifest(source="SCR"), "MANIFEST_PLACE"),
    Mutation("source-with-path", "parquet", on_manifest(source="../PDS"), "MANIFEST_FIELD"),
    Mutation("sequence-of-another", "parquet", on_manifest(sequence=3), "MANIFEST_PLACE"),
    Mutation("kind-unknown", "parquet", on_manifest(kind="partial"), "MANIFEST_FIELD"),
    Mutation("version-next", "parquet", on_manifest(schema_version="2"), "VERSION_UNKNOWN"),
    Mutation("field-unknown", "parquet", on_manifest(comment="hello"), "MANIFEST_FIELD"),
    Mutation("time-without-offset", "parquet", on_manifest(window_to="2026-05-02T03:00:00"), "MANIFEST_TIME"),
    Mutation("window-inside-out", "parquet", on_manifest(window_from="2026-05-02T04:00:00Z"), "MANIFEST_TIME"),
    Mutation("window-next-year", "parquet", on_manifest(window_to="2027-05-02T03:00:00Z"), "MANIFEST_FUTURE"),
    Mutation("window-before-accepted", "parquet", on_manifest(window_from=None, window_to="2026-04-30T03:00:00Z"), "OLDER"),
    Mutation("name-climbs", "parquet", on_file(name="../../../00000001/rows.parquet"), "MANIFEST_FIELD"),
    Mutation("name-absolute", "parquet", on_file(name="/etc/passwd"), "MANIFEST_FIELD"),
    Mutation("name-of-manifest", "parquet", on_file(name="manifest.json"), "FILES_NAMED_TWICE"),
    Mutation("name-twice", "parquet", lambda made, _: made.manifest.update(
        files=[made.manifest["files"][0], made.manifest["files"][0] | {"rows": 0}]), "FILES_NAMED_TWICE"),
    Mutation("file-is-link", "parquet", after_files(replaced_by(lambda path, other: path.symlink_to(other))), "FILE_NOT_PLAIN"),
    Mutation("file-is-pipe", "ndjson", after_files(replaced_by(lambda path, _: os.mkfifo(path))), "FILE_NOT_PLAIN"),
    Mutation("file-is-folder", "ndjson", after_files(replaced_by(lambda path, _: path.mkdir())), "FILE_NOT_PLAIN"),
]  # fmt: skip

REFUSED_ORDER = [
    Mutation("predecessor-missing", "parquet", on_manifest(previous_sequence=None), "GAP"),
    Mutation("follows-itself", "parquet", on_manifest(previous_sequence=2), "SEQUENCE_STEP"),
    Mutation("full-shrunk", "parquet", on_rows(lambda rows: rows[:19]), "SHRUNK", kind="full"),
    Mutation("full-halved", "ndjson.gz", on_rows(lambda rows: rows[:10]), "SHRUNK", kind="full"),
    Mutation("full-empty", "parquet", on_rows(lambda _: []), "FULL_EMPTY", kind="full"),
    Mutation("full-shrunk-by-rejection", "parquet", on_rows(
        lambda rows: [row | {"gender": "?"} if row["row_no"] < 6 else row for row in rows]), "SHRUNK", kind="full"),
    Mutation("every-row-bad", "parquet", on_rows(lambda rows: [row | {"gender": "?"} for row in rows]), "NONE_LOADED"),
    Mutation("every-line-bad", "ndjson", on_lines(lambda lines: [b"{" for _ in lines]), "NONE_LOADED"),
    Mutation("lines-of-another-feed", "ndjson", on_lines(
        lambda lines: [b'{"resourceType":"Bundle"}' for _ in lines]), "NONE_LOADED"),
    Mutation("keys-renamed-in-every-line", "ndjson", on_lines(
        lambda lines: [line.replace(b'"action"', b'"ACTION"') for line in lines]), "NONE_LOADED"),
]  # fmt: skip

LOST_ROWS = [
    Mutation("check-digit-wrong", "parquet", on_row(4, nhs_number="9000000000", source_key="9000000000"), lost={4: "NHS_NUMBER_INVALID"}),
    Mutation("number-missing", "parquet", on_row(4, nhs_number=None), lost={4: "NHS_NUMBER_INVALID"}),
    Mutation("key-missing", "parquet", on_row(4, source_key=None), lost={4: "KEY_MISSING"}),
    Mutation("action-new-word", "parquet", on_row(4, action="merge"), lost={4: "ACTION_UNKNOWN"}),
    Mutation("security-new-word", "parquet", on_row(4, security="T"), lost={4: "SECURITY_UNKNOWN"}),
    Mutation("gender-new-word", "parquet", on_row(4, gender="m"), lost={4: "GENDER_UNKNOWN"}),
    Mutation("birth-in-future", "ndjson", on_row(4, birth_date="2026-12-24"), lost={4: "BIRTH_IN_FUTURE"}),
    Mutation("birth-impossible", "ndjson", on_row(4, birth_date="1980-02-30"), lost={4: "BIRTH_DATE_SHAPE"}),
    Mutation("version-zero", "parquet", on_row(4, version_id=0), lost={4: "VERSION_BELOW_ONE"}),
    Mutation("nul-in-name", "parquet", on_row(4, names=[golden()[3]["names"][0] | {"family": "A\x00B"}]), lost={4: "CONTROL_CHARACTER"}),
    Mutation("nul-escaped-in-name", "ndjson", on_row(4, names=[golden()[3]["names"][0] | {"family": "A\x00B"}]), lost={4: "CONTROL_CHARACTER"}),
    Mutation("ten-megabyte-field", "parquet", on_row(4, names=[golden()[3]["names"][0] | {"family": random.Random(4).randbytes(5_000_000).hex()}]), lost={4: "TEXT_TOO_LONG"}),
    Mutation("ten-megabyte-line", "ndjson", on_object(4, padding="A" * 10_000_000), lost={4: "LINE_TOO_LONG"}),
    Mutation("same-row-twice", "parquet", on_rows(lambda rows: [*rows, rows[3] | {"row_no": 21}]), lost={21: "DUPLICATE_KEY"}),
    Mutation("older-version-after", "ndjson", on_rows(lambda rows: [*rows, rows[3] | {"row_no": 21, "version_id": 3}]), lost={21: "DUPLICATE_KEY"}),
    Mutation("two-truths", "parquet", on_rows(lambda rows: [*rows, rows[3] | {"row_no": 21, "gender": "other"}]), lost={4: "DUPLICATE_KEY", 21: "DUPLICATE_KEY"}),
    Mutation("another-patient-inside", "parquet", on_row(4, source_json=json.dumps({"id": NUMBERS[9]})), lost={4: "SOURCE_OF_ANOTHER"}),
    Mutation("line-not-json", "ndjson", on_line(4, lambda line: line[:-1]), lost={4: "LINE_NOT_JSON"}),
    Mutation("line-number", "ndjson", on_line(4, lambda _: b"17"), lost={4: "RECORD_NOT_AN_OBJECT"}),
    Mutation("line-empty-object", "ndjson", on_line(4, lambda _: b"{}"), lost={4: "RECORD_ACTION_UNKNOWN"}),
    Mutation("line-with-nul", "ndjson", on_line(4, lambda line: line[:30] + b"\x00" + line[30:]), lost={4: "LINE_NOT_JSON"}),
    Mutation("line-latin-1", "ndjson", on_line(4, lambda line: line.decode().encode("latin-1")), lost={4: "LINE_NOT_UTF8"}),
    Mutation("file-latin-1", "ndjson.gz", on_lines(lambda lines: [line.decode().encode("latin-1") if number in (4, 9) else line for number, line in enumerate(lines, 1)]), lost={4: "LINE_NOT_UTF8", 9: "LINE_NOT_UTF8"}),
    Mutation("lone-surrogate", "ndjson", on_line(4, lambda line: line.replace(b"Zo\xc3\xab", b"\\ud800")), lost={4: "LINE_NOT_JSON"}),
    Mutation("line-nested-deep", "ndjson", on_line(4, lambda _: b"[" * 50_000 + b"]" * 50_000), lost={4: "LINE_NOT_JSON"}),
    Mutation("not-a-number", "ndjson", on_line(4, lambda line: line[:-1] + b',"x":NaN}'), lost={4: "LINE_NOT_JSON"}),
    Mutation("payload-of-another-type", "ndjson", on_object(4, payload={"resourceType": "Observation"}), lost={4: "RECORD_WRONG_RESOURCE"}),
    Mutation("payload-missing", "ndjson", on_object(4, payload=None), lost={4: "RECORD_WITHOUT_PAYLOAD"}),
    Mutation("payload-is-a-list", "ndjson", on_object(4, payload=[]), lost={4: "RECORD_WITHOUT_PAYLOAD"}),
    Mutation("envelope-time-bare", "ndjson", on_object(4, recorded_at="2026-04-30T03:00:00"), lost={4: "RECORD_TIME_MALFORMED"}),
    Mutation("envelope-key-a-number", "ndjson", on_object(4, source_key=17), lost={4: "RECORD_ENVELOPE_MALFORMED"}),
]  # fmt: skip

HARMLESS = [
    *(Mutation("untouched", form, lambda made, _: None) for form in ("parquet", "ndjson", "ndjson.gz")),
    *(Mutation("rows-reversed", form, on_rows(lambda rows: rows[::-1])) for form in ("parquet", "ndjson")),
    Mutation("columns-reordered", "parquet", on_frame(lambda rows: rows.select(sorted(rows.columns)))),
    Mutation("row-numbers-nonsense", "parquet", on_frame(lambda rows: rows.with_columns(row_no=pl.lit(-7, dtype=pl.Int64)))),
    Mutation("other-compression", "parquet", lambda made, folder: on_bytes(
        lambda _: (frame(FEED, golden()).write_parquet(folder / "x", compression="snappy"), (folder / "x").read_bytes())[1], recount=True)(made, folder)),
    *(Mutation("split-in-two", form, split_in_two) for form in ("parquet", "ndjson", "ndjson.gz")),
    Mutation("byte-order-mark", "ndjson", on_bytes(lambda content: b"\xef\xbb\xbf" + content, recount=True)),
    Mutation("carriage-returns", "ndjson", on_lines(lambda lines: lines, joiner=b"\r\n")),
    Mutation("blank-lines", "ndjson", on_lines(lambda lines: [part for line in lines for part in (line, b"", b"  ")])),
    Mutation("no-last-line-end", "ndjson", on_bytes(lambda content: content.rstrip(b"\n"), recount=True)),
    Mutation("spaces-in-json", "ndjson", on_lines(lambda lines: [json.dumps(json.loads(line), separators=(" , ", " : ")).encode() for line in lines])),
    Mutation("keys-sorted", "ndjson", on_lines(lambda lines: [json.dumps(json.loads(line), sort_keys=True).encode() for line in lines])),
    Mutation("ascii-escapes", "ndjson", on_lines(lambda lines: [json.dumps(json.loads(line), ensure_ascii=True).encode() for line in lines])),
    Mutation("two-gzip-members", "ndjson.gz", on_bytes(two_members, recount=True)),
    Mutation("gzip-padded", "ndjson.gz", on_bytes(lambda content: content + bytes(512), recount=True)),
    Mutation("gzip-stored", "ndjson.gz", on_bytes(lambda content: gzip.compress(gzip.decompress(content), compresslevel=0), recount=True)),
    Mutation("unlisted-file-beside", "parquet", after_files(lambda folder: (folder / "notes.txt").write_text("x") and None)),
    Mutation("delivered-as-full", "parquet", lambda made, _: None, kind="full"),
]  # fmt: skip

MUTATIONS = [
    *REFUSED_BYTES,
    *REFUSED_FORMATS,
    *REFUSED_COUNTS,
    *REFUSED_MANIFESTS,
    *REFUSED_ORDER,
    *LOST_ROWS,
    *HARMLESS,
]


def first_accepted(folder: Path) -> House:
    """A house that has accepted sequence 1."""
    made = house(folder)
    delivery([patient(index) for index in range(COUNT)], folder).write(made.stores.drop)
    run(made)
    assert [entry.outcome for entry in made.ledger.entries(FEED)] == ["accepted"]
    return made


def run(made: House) -> None:
    land(made.stores, made.ledger, made.settings, FEED, now=NOW)
    validate(made.stores, made.ledger, made.settings, FEED, auditor=no_opinion)


def same_rows(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    """Equal but for row numbers, which tell where a row stood."""
    by = "source_key"
    return found.drop("row_no").sort(by).equals(expected.drop("row_no").sort(by))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[f"{m.name}-{m.form}" for m in MUTATIONS])
def test_mutation(mutation: Mutation, tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    before = made.accepted(sequence=1)
    mutated = delivery(golden(), tmp_path, mutation.form, sequence=2, kind=mutation.kind)
    mutation.mutate(mutated, tmp_path)
    mutated.write(made.stores.drop)
    run(made)

    assert made.accepted(sequence=1).equals(before)
    [entry] = [entry for entry in made.ledger.entries(FEED) if entry.sequence == 2]
    if mutation.refused is not None:
        check_refused(made, mutation.refused)
    else:
        check_taken(made, mutation.lost or {})
    answer = json.loads(made.stores.ack(FEED, "PDS", 2).read_bytes())
    assert (answer["outcome"], answer["code"]) == (entry.outcome, entry.code)
    assert answer["accepted"] + answer["quarantined"] == (0 if mutation.refused else entry.record_count)
    # A second run changes nothing.
    state = [entry.model_dump() for entry in made.ledger.entries(FEED)]
    run(made)
    assert [entry.model_dump() for entry in made.ledger.entries(FEED)] == state


def check_refused(made: House, rule: str) -> None:
    [entry] = [entry for entry in made.ledger.entries(FEED) if entry.sequence == 2]
    assert (entry.rule, entry.code) == (rule, FILE_RULES[rule].code)
    assert entry.outcome in ("refused", "deferred")
    assert [known.sequence for known in made.ledger.validated(FEED)] == [1]
    for stage in ("landing", "validated", "quarantine"):
        assert not made.stores.stage(stage, FEED, "PDS", 2).exists()
    leftovers = [path for path in made.stores.home.rglob("*") if ".partial" in path.name]
    assert leftovers == []


def check_taken(made: House, lost: dict[int, str]) -> None:
    [entry] = [entry for entry in made.ledger.entries(FEED) if entry.sequence == 2]
    assert entry.outcome == ("partial" if lost else "accepted"), entry.text
    held = read_quarantine(made.stores.stage("quarantine", FEED, "PDS", 2))
    assert dict(held.select("row_no", "rule").iter_rows()) == lost
    assert held["received"].null_count() == 0
    accepted = made.accepted(sequence=2)
    expected = frame(FEED, [row for row in golden() if row["row_no"] not in lost])
    assert same_rows(accepted, expected)
    assert accepted.height + held.height == entry.record_count
    assert accepted["row_no"].is_unique().all()


def test_there_are_enough_kinds_of_mutation() -> None:
    names = {mutation.name for mutation in MUTATIONS}
    assert len(names) >= 100
    assert {mutation.refused for mutation in MUTATIONS} >= {
        "FILE_HASH", "FILE_SIZE", "FILE_ROWS", "FILE_CONTROL", "FILE_COLUMNS", "FILE_EXPANSION", "FILE_UNPACK",
        "GAP", "OLDER", "SHRUNK", "NONE_LOADED", "MANIFEST_PLACE", "VERSION_UNKNOWN",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"{", b"not json", b"[]", b"\x00" * 100, b'{"source":"PDS"}'])
def test_a_manifest_that_cannot_be_read_refuses_the_delivery(content: bytes, tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    folder = delivery(golden(), tmp_path, sequence=2).write(made.stores.drop)
    (folder / "manifest.json").write_bytes(content)
    run(made)
    assert made.ledger.refusals(FEED)[0].code == "FILE_MALFORMED"


def test_a_manifest_that_is_a_link_refuses_the_delivery(tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    folder = delivery(golden(), tmp_path, sequence=2).write(made.stores.drop)
    (folder / "manifest.json").rename(tmp_path / "elsewhere.json")
    (folder / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    run(made)
    assert made.ledger.refusals(FEED)[0].rule == "FILE_NOT_PLAIN"


def test_a_delivery_without_manifest_is_left_alone(tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    folder = delivery(golden(), tmp_path, sequence=2).write(made.stores.drop)
    (folder / "manifest.json").unlink()
    run(made)
    assert pending(made.stores, made.ledger, FEED) == []
    assert [entry.sequence for entry in made.ledger.entries(FEED)] == [1]


def test_deliveries_that_nobody_will_read_are_found(tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    for feed, source, sequence in (("pds_patients", "PDS", 1), (FEED, "P DS", 1)):
        stray = delivery(golden(), tmp_path)
        stray.folder_feed, stray.folder_source, stray.folder_sequence = feed, source, sequence
        stray.write(made.stores.drop)
    run(made)
    assert [str(path.parent) for path in strays(made.stores)] == [f"{FEED}/P DS/00000001", "pds_patients/PDS/00000001"]
    assert [entry.sequence for entry in made.ledger.entries(FEED)] == [1]


def test_a_source_that_may_not_send_is_refused(tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    wrong = delivery(golden(), tmp_path, source="RXX")
    wrong.folder_source = "RXX"
    wrong.write(made.stores.drop)
    run(made)
    assert made.ledger.refusals(FEED)[0].code == "FILE_UNAUTHORISED"
    assert FEEDS[FEED].sources == ("PDS",)


def test_no_refusal_text_and_no_answer_holds_a_value_of_a_row(tmp_path: Path) -> None:
    marker = "QUAGGASMITH"
    made = first_accepted(tmp_path)
    rows = [row | {"gender": marker, "birth_date": marker} if row["row_no"] < 9 else row for row in golden()]
    delivery(rows, tmp_path, "ndjson", sequence=2).write(made.stores.drop)
    run(made)
    said = json.dumps([entry.model_dump(mode="json") for entry in made.ledger.entries(FEED)])
    said += "".join(path.read_text() for path in (made.stores.drop.parent / "ack").rglob("*.json"))
    assert marker not in said
    assert not any(number in said for number in NUMBERS[:COUNT])


def test_late_clock_is_not_the_suppliers_fault(tmp_path: Path) -> None:
    made = first_accepted(tmp_path)
    early = NOW - timedelta(days=1, hours=12)
    delivery(golden(), tmp_path, sequence=2).write(made.stores.drop)
    land(made.stores, made.ledger, made.settings, FEED, now=early)
    assert [entry.outcome for entry in made.ledger.landed(FEED)] == ["landed"]
