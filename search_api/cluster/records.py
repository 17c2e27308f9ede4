"""Reading one generation's records from the cluster, by NHS number: the twin of ``replica.py``.

Belongs here: requests by id and the plain values made of their answers. Does not belong here: the form of
the documents (``records_form.py``), filling the index (``records_writer.py``), what a caller may see.

Every answer is proved before it counts: the sentinel of each shard asked must have come with it, holding
the token of this index, and each record must have the fingerprint that was written with it. "Not
found" of an index that is gone, empty, or another one of its name is therefore never "no such patient".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from schemas.errors import GenerationError
from schemas.feeds import PDS_PATIENT, SCR_SUMMARY
from schemas.generation import RecordsState
from schemas.identifiers import format_nhs_number
from search_api.cluster import records_form as form
from search_api.cluster.answers import BROKEN, FAILED_SHARDS, NOT_FOUND, WRONG_INDEX, Answer, reason_of, unavailable
from search_api.cluster.client import Cluster
from search_api.index.opensearch_form import sentinel_id
from search_api.index.opensearch_indices import Found, Indices
from search_api.index.opensearch_places import ROLL_BACK, Places
from search_api.index.provider import IndexPlace, checksum_of
from search_api.index.words import FINGERPRINT, PART_BITS
from search_api.records import NumberChange, PatientRecord, standing_number
from search_api.settings import Settings

# Most records of one request; a search shows fewer.
_BATCH = 200
# For what no caller waits for: opening, counting, sums.
PATIENT_SECONDS = 60.0
_PATIENT_COLUMNS = tuple(name for name in PDS_PATIENT.columns if name != "related_persons")

Body = Mapping[str, Any]


class ClusterRecords:
    """The records of one index. Safe to use from several threads; holds nothing open.

    Raises GenerationError on opening for an index that lacks its proof, and on every later use when it
    was closed or a record is damaged; ClusterUnavailable when the cluster cannot be asked or gives an
    answer that is not proved.
    """

    def __init__(self, cluster: Cluster, found: Found) -> None:
        meta = found.meta
        if meta is None:
            raise gone(found.name)
        self._cluster = cluster
        self._name = found.name
        self._uuid = found.uuid
        self._token = meta.token
        self._routes = meta.routes
        self._closed = False
        self._counts = self._count()

    def patient(self, nhs_number: int) -> PatientRecord | None:
        """The record held under exactly this number; invalidated ones are markers (REDACTED)."""
        found = self._one(f"p{nhs_number}", nhs_number)
        return _patient(found) if found else None

    def patients(self, nhs_numbers: Iterable[int]) -> dict[int, PatientRecord]:
        """Records by number; numbers without one are absent."""
        wanted = iter(dict.fromkeys(nhs_numbers))
        found: dict[int, PatientRecord] = {}
        while batch := list(islice(wanted, _BATCH)):
            for body in self._bodies([(f"p{number}", number) for number in batch]):
                if body is not None:
                    record = _patient(body)
                    found[record.nhs_number] = record
        return found

    def related(self, nhs_number: int) -> list[dict[str, Any]]:
        """The patient's FHIR RelatedPerson resources, as sent."""
        found = self._one(f"p{nhs_number}", nhs_number)
        if not found or found["related"] is None:
            return []
        return [orjson.loads(text) for text in orjson.loads(found["related"])]

    def number_change(self, nhs_number: int) -> NumberChange | None:
        """What became of this number, or None when nothing did."""
        found = self._one(f"c{nhs_number}", nhs_number)
        return NumberChange(found["old"], found["new"], found["type"]) if found else None

    def current_number(self, nhs_number: int) -> int | None:
        """The number that stands now, following chains; None when the last link is invalidated.

        A number without a change is its own current number, whether or not a record exists. One request a link.
        """
        return standing_number(nhs_number, self.number_change)

    def summary(self, nhs_number: int) -> dict[str, Any] | None:
        """The newest summary of this (current) number: nhs_number and the scr_summary columns."""
        found = self._one(f"s{nhs_number}", nhs_number)
        if not found:
            return None
        columns: dict[str, Any] = dict.fromkeys(SCR_SUMMARY.columns)
        return {"nhs_number": format_nhs_number(nhs_number), **columns, **orjson.loads(found["record"])}

    def count(self, table: str) -> int:
        """Rows of one replica table, by its name in the manifest.

        Of tables that are never answered from only the rows are written down; the others were counted on opening.
        """
        rows = self._counts.get(table)
        if not isinstance(rows, int):
            raise GenerationError(f"The records {self._name} say nothing of a table {table}.", remedy=ROLL_BACK)
        return rows

    def documents(self) -> int:
        """Records in the index, the sentinels left out."""
        return sum(self.count(table) for table in form.TABLES.values())

    def checksum(self) -> str:
        """``checksum_of`` the fingerprints of all records, added up by the cluster."""
        found = self._added_up({part: {"sum": {"field": part}} for part in FINGERPRINT})
        sums = [int(found[part]["value"]) for part in FINGERPRINT]
        return checksum_of([sum(value << position * PART_BITS for position, value in enumerate(sums))])

    def confirm(self) -> None:
        """The index is still the one that was opened. Raises GenerationError."""
        if uuid_of(self._cluster, self._name) != self._uuid:
            raise gone(self._name)

    def close(self) -> None:
        """Nothing is held, but nothing more is answered."""
        self._closed = True

    def _count(self) -> dict[str, int]:
        """Rows by table, as they are now, with a sentinel from each shard."""
        filters = {kind: {"term": {"kind": kind}} for kind in form.TABLES}
        buckets = self._added_up({"kinds": {"filters": {"filters": filters}}})["kinds"]["buckets"]
        counts = {kind: int(bucket["doc_count"]) for kind, bucket in buckets.items()}
        only_counted = self._one(form.COUNTED_ID, 0) or {}
        return {**{table: counts[kind] for kind, table in form.TABLES.items()}, **only_counted}

    def _added_up(self, aggregations: Mapping[str, Any]) -> Mapping[str, Any]:
        """Aggregations over the whole index, with the sentinel of each shard as the only hits."""
        proof = {"post_filter": {"term": {"kind": form.SENTINEL}}, "size": len(self._routes) + 1}
        found = self._cluster.search(self._name, {**proof, "aggs": aggregations}, budget=PATIENT_SECONDS)
        tokens = [hit["_source"]["body"].get("token") for hit in found["hits"]["hits"]]
        if tokens != [self._token] * len(self._routes):
            raise gone(self._name)
        summed: Mapping[str, Any] = found["aggregations"]
        return summed

    def _one(self, document: str, number: int) -> Body | None:
        return self._bodies([(document, number)])[0]

    def _bodies(self, wanted: Sequence[tuple[str, int]]) -> list[Body | None]:
        """The bodies of some documents in their order, None for those that are not there, in one request."""
        if self._closed:
            raise GenerationError(f"The records {self._name} are closed.", remedy="Pin the generation again.")
        routed = [(document, form.shard_of(self._routes, number)) for document, number in wanted]
        proofs = [(sentinel_id(shard), shard) for shard in dict.fromkeys(shard for _, shard in routed)]
        asked = [{"_id": document, "routing": self._routes[shard]} for document, shard in (*proofs, *routed)]
        answer = self._cluster.repeat("POST", f"/{self._name}/_mget", {"docs": asked})
        found = self._found(answer, [document for document, _ in (*proofs, *routed)])
        for source in found[: len(proofs)]:
            if source is None or source["body"].get("token") != self._token:
                raise unavailable(WRONG_INDEX)
        return [self._body(source) for source in found[len(proofs) :]]

    def _found(self, answer: Answer, asked: Sequence[str]) -> list[Body | None]:
        """The documents of an answer; every one must be said to be there or not."""
        if answer.status != 200:
            raise gone(self._name) if reason_of(answer) == NOT_FOUND else unavailable(reason_of(answer))
        documents = answer.body.get("docs") if isinstance(answer.body, dict) else None
        if not isinstance(documents, list) or [document.get("_id") for document in documents] != list(asked):
            raise unavailable(BROKEN)
        return [self._source(document) for document in documents]

    def _source(self, document: Mapping[str, Any]) -> Body | None:
        if "error" in document:
            reason = reason_of(Answer(503, document))
            raise gone(self._name) if reason == NOT_FOUND else unavailable(reason or FAILED_SHARDS)
        if document.get("_index") != self._name or type(document.get("found")) is not bool:
            raise unavailable(WRONG_INDEX)
        if not document["found"]:
            return None
        source = document.get("_source")
        if not isinstance(source, dict) or not {"kind", "body"} <= source.keys():
            raise unavailable(WRONG_INDEX)  # a part of it is hidden from the account
        return source

    def _body(self, source: Body | None) -> Body | None:
        if source is None:
            return None
        body: Body = source["body"]
        if source["kind"] not in form.TABLES:
            return body
        if form.fingerprint_of(source["kind"], body) != form.kept_fingerprint(source):
            raise GenerationError(f"A record in {self._name} is damaged.", remedy=ROLL_BACK)
        return body


def open_records(cluster: Cluster, settings: Settings, state: RecordsState) -> ClusterRecords:
    """A reader of a finished index.

    Raises GenerationError when it is missing, unfinished, of another release, or not the one the state means.
    """
    places = Places(Indices(cluster, settings, form.FORM), settings.home)
    return ClusterRecords(cluster, places.usable(IndexPlace(settings.generations_folder, state.location, state.uuid)))


def check_records(records: ClusterRecords, state: RecordsState) -> None:
    """The records have the number and the checksum of the manifest. Raises GenerationError."""
    if (records.documents(), records.checksum()) != (state.documents, state.checksum):
        raise GenerationError(f"The records {state.location} have not the content of the manifest.", remedy=ROLL_BACK)


def uuid_of(cluster: Cluster, name: str) -> str:
    """The uuid of a concrete index; empty when there is none of this name.

    What a node knows by itself is enough to go on, so no cluster manager is needed; that an index is gone is believed
    of the manager alone, for a node that is cut off from it may not know of the index yet.
    """
    for asked in ("?local=true", ""):
        answer = cluster.call("GET", f"/{name}/_settings/index.uuid{asked}")
        if answer.status != 200 and reason_of(answer) != NOT_FOUND:
            raise unavailable(reason_of(answer))
        found = answer.body.get(name) if answer.status == 200 else None
        if found:
            return str(found["settings"]["index"]["uuid"])
    return ""


def gone(name: str) -> GenerationError:
    """The fault of an index that is not the one the manifest means."""
    return GenerationError(
        f"The records {name} of the cluster are gone, or another index has that name.", remedy=ROLL_BACK
    )


def _patient(body: Body) -> PatientRecord:
    columns: dict[str, Any] = dict.fromkeys(_PATIENT_COLUMNS)
    row = {"nhs_number": format_nhs_number(body["number"]), **columns, **orjson.loads(body["record"])}
    return PatientRecord(body["number"], body["version"], body["security"], row)
