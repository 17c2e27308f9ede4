"""What an acceptable manifest is: readable, typed, complete, at home in its folder.

Belongs here: every check that needs the manifest alone. Does not belong here: its place among
other extracts (``chain.py``), the data files (``assets/landing``).
Source: reference/services.md 19.2; each refusal names a rule of ``reasons.py``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import ValidationError

from quality.reasons import refused
from schemas.extract import MANIFEST_NAME, ExtractManifest
from schemas.feeds import Feed

MANIFEST_LIMIT = 1_000_000
_LARGEST = 2**63 - 1


def read_manifest(raw: bytes) -> ExtractManifest:
    """The manifest of these bytes; strict: no unknown field, no coercion, every time with offset.

    Raises FileRefused naming fields, never values.
    """
    if len(raw) > MANIFEST_LIMIT:
        raise refused("MANIFEST_UNREADABLE")
    try:
        manifest = ExtractManifest.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _as_refusal(error) from None
    _check_times(manifest)
    _check_numbers(manifest)
    return manifest


def check_manifest(manifest: ExtractManifest, feed: Feed, now: datetime, leeway: timedelta) -> None:
    """The manifest against the catalogue and the clock. Raises FileRefused."""
    if manifest.source not in feed.sources:
        raise refused("SOURCE_NOT_ALLOWED")
    if manifest.kind not in feed.kinds:
        raise refused("KIND_NOT_ALLOWED", manifest.kind)
    if manifest.schema_version != feed.schema_version:
        raise refused("VERSION_UNKNOWN", f"the feed's is {feed.schema_version}")
    if manifest.window_to > now + leeway:
        raise refused("MANIFEST_FUTURE", f"more than {leeway} ahead of our clock")
    _check_files(manifest)
    _check_empty(manifest)


def check_place(manifest: ExtractManifest, feed: str, source: str, sequence: int) -> None:
    """The manifest must say what its folder says. Raises FileRefused."""
    said = {"feed": manifest.feed == feed, "source": manifest.source == source}
    said["sequence"] = manifest.sequence == sequence
    wrong = [name for name, agrees in said.items() if not agrees]
    if wrong:
        raise refused("MANIFEST_PLACE", ", ".join(wrong))


def _check_times(manifest: ExtractManifest) -> None:
    times = {"window_from": manifest.window_from, "window_to": manifest.window_to, "created_at": manifest.created_at}
    bare = [name for name, moment in times.items() if moment is not None and moment.tzinfo is None]
    if bare:
        raise refused("MANIFEST_TIME", ", ".join(bare))
    if manifest.window_from is not None and manifest.window_from > manifest.window_to:
        raise refused("MANIFEST_TIME", "window_from, window_to")


def _check_numbers(manifest: ExtractManifest) -> None:
    # A JSON number may be of any size; the ledger holds 64 bits.
    numbers = [manifest.sequence, manifest.record_count, manifest.control, manifest.previous_sequence or 0]
    numbers += [number for file in manifest.files for number in (file.rows, file.bytes)]
    if max(numbers) > _LARGEST:
        raise refused("MANIFEST_FIELD", "a number beyond 64 bits")


def _check_files(manifest: ExtractManifest) -> None:
    names = [file.name.casefold() for file in manifest.files]
    if len(set(names)) != len(names) or MANIFEST_NAME in names:
        raise refused("FILES_NAMED_TWICE")
    if sum(file.rows for file in manifest.files) != manifest.record_count:
        raise refused("RECORD_COUNT", f"record_count {manifest.record_count}")


def _check_empty(manifest: ExtractManifest) -> None:
    if manifest.kind == "full" and manifest.record_count == 0:
        raise refused("FULL_EMPTY")
    hollow = [file.name for file in manifest.files if file.rows > 0 and file.bytes == 0]
    if hollow:
        raise refused("DATA_EMPTY", ", ".join(hollow))


def _as_refusal(error: ValidationError) -> Exception:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(item["type"] == "json_invalid" for item in errors):
        return refused("MANIFEST_UNREADABLE")
    known = set(ExtractManifest.model_fields)
    places = {str(item["loc"][0]) if item["loc"] else "manifest" for item in errors}
    named = sorted(place if place in known else "an unknown field" for place in places)
    return refused("MANIFEST_FIELD", ", ".join(dict.fromkeys(named)))
