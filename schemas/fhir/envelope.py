"""One line of an NDJSON extract, both ways: envelope and payload to a row of the feed, and back.

Belongs here: ``read_line``, ``write_line`` and the shape faults of one line. Does not belong here:
whether a row is acceptable (``quality/``): NHS number check digits, dates, codes are judged there.
Source: services.md 19.3.

A line is a bare resource (action ``new``), or an envelope::

    {"action", "source_key", "nhs_number", "effective_from", "effective_to", "recorded_at",
     "deleted_at", "delete_reason", "version_id", "payload", "history", "hidden", "related",
     "permission"}

``history`` and ``hidden`` hold values PDS keeps behind the API, ``related`` RelatedPerson
resources, ``permission`` the SCR permission. Shape faults: ``faults.py``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from schemas.feeds import FEEDS, PDS_PATIENT, SCR_SUMMARY
from schemas.fhir.datatypes import Row
from schemas.fhir.faults import (
    BAD_ACTION,
    NO_SUBJECT,
    NOT_AN_OBJECT,
    SUBJECT_DIFFERS,
    WRONG_RESOURCE,
    fault,
    moment,
    text_field,
    time_field,
)
from schemas.fhir.payloads import READERS, WRITERS
from schemas.fhir.scr import bundle_written_at
from schemas.fhir.values import Json, digits, integer, mapping, present

ACTIONS = ("new", "update", "delete")
_RESOURCES = {PDS_PATIENT.name: "Patient", SCR_SUMMARY.name: "Bundle"}
_NO_FEED_COLUMNS = {name: dict.fromkeys(feed.columns) for name, feed in FEEDS.items()}


def _version(value: object) -> int | None:
    return integer(value) if isinstance(value, int) else digits(value)


def _enveloped(feed: str, line: Json) -> Json:
    """The line itself, or an envelope around a bare resource."""
    kind = line.get("resourceType")
    if kind is None:
        return line
    if kind != _RESOURCES.get(feed):
        raise fault(WRONG_RESOURCE, f"A bare line of this resource type does not belong to feed {feed}.")
    written_at = bundle_written_at(line) if kind == "Bundle" else None
    return {"action": "new", "payload": line, "recorded_at": written_at if moment(written_at) else None}


def _deleted(feed: str, envelope: Json) -> Json:
    columns = dict(_NO_FEED_COLUMNS[feed])
    if "version_id" in columns:
        meta = mapping(mapping(envelope.get("payload")).get("meta"))
        version = envelope.get("version_id")
        columns["version_id"] = _version(meta.get("versionId") if version is None else version)
    return columns


def read_line(feed: str, obj: Any, row_no: int, as_at: str) -> Json:
    """One row of ``feed`` (envelope and feed columns) from one parsed NDJSON line.

    ``row_no`` counts from 1; ``as_at`` is the extract's as-at time in ISO form. Raises DataFault
    with a code of ``faults.SHAPE_CODES``. A delete needs no payload: its feed columns are null, but for
    the version it may carry (``version_id``, or the payload's).
    """
    if not isinstance(obj, dict):
        raise fault(NOT_AN_OBJECT, "The line is not a JSON object.")
    envelope = _enveloped(feed, obj)
    action = envelope.get("action")
    if action not in ACTIONS:
        raise fault(BAD_ACTION, "The envelope's action is not new, update or delete.")
    number = text_field(envelope, "nhs_number")
    if action == "delete":
        named, columns = None, _deleted(feed, envelope)
    else:
        named, columns = READERS[feed](envelope, as_at)
    if number is not None and named is not None and number != named:
        raise fault(SUBJECT_DIFFERS, "The envelope and its payload name different NHS numbers.")
    number = number or named
    if not number:
        raise fault(NO_SUBJECT, "The line names no NHS number.")
    return {
        "action": action,
        "source_key": text_field(envelope, "source_key") or number,
        "nhs_number": number,
        "effective_from": text_field(envelope, "effective_from"),
        "effective_to": text_field(envelope, "effective_to"),
        "recorded_at": time_field(envelope, "recorded_at"),
        "deleted_at": time_field(envelope, "deleted_at"),
        "delete_reason": text_field(envelope, "delete_reason"),
        "row_no": row_no,
        **columns,
    }


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def write_line(feed: str, row: Row) -> Json:
    """The envelope of one row: what ``read_line`` reads back to an equal row.

    The row holds envelope and feed columns; an empty list counts as None. Values of the resource
    come before history and hidden ones in names, addresses and telecoms, as ``read_line`` leaves
    them. HISTORIC names of use old or maiden go into the resource, as PDS sends them.
    """
    if row["action"] == "delete":
        content: Json = {"version_id": row.get("version_id")}
    else:
        content = WRITERS[feed](row)
    return present(
        (
            ("action", row["action"]),
            ("source_key", row["source_key"]),
            ("nhs_number", row["nhs_number"]),
            ("effective_from", row["effective_from"]),
            ("effective_to", row["effective_to"]),
            ("recorded_at", _iso(row["recorded_at"])),
            ("deleted_at", _iso(row["deleted_at"])),
            ("delete_reason", row["delete_reason"]),
            *content.items(),
        )
    )
