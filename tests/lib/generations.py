"""Generations as files, for tests that look at manifests and markers and open no store."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from schemas.generation import (
    CURRENT_NAME,
    GENERATION_MANIFEST_NAME,
    GENERATION_SCHEMA_VERSION,
    CurrentGeneration,
    FeedState,
    FileState,
    GenerationManifest,
    IndexState,
    TableState,
)
from search_api.generation_files import PUBLISHED
from search_api.settings import Settings

CONTENT = b"content of a file"
AS_AT = datetime(2026, 11, 20, 6, tzinfo=UTC)


def manifest(number: int = 1, **sequences: int) -> GenerationManifest:
    """A generation of one file; ``sequences`` are feed name to last sequence, of source PDS."""
    feeds = tuple(
        FeedState(feed=feed, source="PDS", sequence=sequence, as_at=AS_AT, kind="full")
        for feed, sequence in (sequences or {"pds_patient": 1}).items()
    )
    return GenerationManifest(
        generation=f"{number:06d}-{number:08x}",
        number=number,
        base=None,
        built_at=AS_AT,
        as_at=AS_AT,
        schema_version=GENERATION_SCHEMA_VERSION,
        code_version="0.1.0",
        weights_version="1",
        feeds=feeds,
        tables=(TableState(table="replica__pds_patient", rows=3, checksum="0" * 16),),
        index=IndexState(engine="embedded", location="index", documents=3, checksum="0" * 16),
        files=(FileState(path="content.bin", bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()),),
    )


def write_generation(settings: Settings, made: GenerationManifest) -> bytes:
    """Write the folder of a generation that was published once; returns the bytes of its manifest."""
    folder = settings.generations_folder / made.generation
    folder.mkdir(parents=True)
    (folder / made.files[0].path).write_bytes(CONTENT)
    text = made.model_dump_json().encode()
    (folder / GENERATION_MANIFEST_NAME).write_bytes(text)
    record = settings.generations_folder / PUBLISHED / made.generation
    record.parent.mkdir(exist_ok=True)
    record.touch()
    return text


def write_current(settings: Settings, made: GenerationManifest) -> None:
    """Write a generation and the marker that names it."""
    text = write_generation(settings, made)
    marker = CurrentGeneration(
        generation=made.generation,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        published_at=AS_AT,
        reason="test",
    )
    (settings.generations_folder / CURRENT_NAME).write_text(marker.model_dump_json())
