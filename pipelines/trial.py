"""A question to try: a patient of the published generation, asked for with a misspelt name.

Belongs here: choosing the patient, misspelling the name, asking the running API, the command to print.
Does not belong here: data that is not synthetic: ``ncrs run`` is for the sandbox's people only.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from pipelines.cli_status import current_generation
from pipelines.instance import ROOT
from schemas.errors import PermanentFault
from schemas.feeds import PDS_PATIENT
from schemas.generation import REPLICA_NAME
from schemas.identifiers import format_nhs_number
from search_api.settings import Settings

PERSONA = "clinician"
SHORTEST = 6
LOOKED_AT = 400
TRIED = 25
_ISO_DATE = len("2000-01-31")
_LOWEST = (
    "SELECT nhs_number, unpack_pds_patient(record) FROM "
    "(SELECT nhs_number, record FROM replica__pds_patient ORDER BY nhs_number LIMIT ?)"
)


@dataclass(frozen=True)
class Person:
    """Someone to be found."""

    nhs_number: str
    family: str
    given: str
    birth_date: str


@dataclass(frozen=True)
class Trial:
    """The lines of the command, and what it answered when it was tried just now."""

    lines: tuple[str, ...]
    answer: str


def find_trial(settings: Settings, api: str, issuer: str) -> Trial:
    """Ask the API until a misspelt question finds its person first.

    Raises PermanentFault when none of the people tried is found.
    """
    token = _token(issuer)
    for person in _people(settings):
        query = urlencode(
            {
                "_fuzzy-match": "true",
                "family": misspell(person.family),
                "given": person.given,
                "birthdate": f"eq{person.birth_date}",
            }
        )
        address = f"{api}/FHIR/R4/Patient?{query}"
        first = _first_match(address, token)
        if first is not None and first["resource"]["id"] == person.nhs_number:
            return Trial(_lines(address, issuer), _describe(first))
    raise PermanentFault(
        "The API answered, but no misspelt name that was tried found its patient.", remedy="See docs/match-quality.md."
    )


def misspell(name: str) -> str:
    """Two letters in the middle change places: ``Robinson`` becomes ``Robnison``."""
    middle = len(name) // 2
    return name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]


def _people(settings: Settings) -> Iterator[Person]:
    """People of the replica, lowest number first, whose name and birth date suit the trial."""
    import orjson

    from search_api import db, packed

    manifest = current_generation(settings)
    if manifest is None:
        return
    connection = db.open_reader(settings.generations_folder / manifest.generation / REPLICA_NAME, 1.0)
    try:
        packed.install(connection, PDS_PATIENT.name)
        rows = db.rows(connection, _LOWEST, [LOOKED_AT])
    finally:
        connection.close()
    suitable = (suits(number, orjson.loads(record)) for number, record in rows)
    yield from islice((person for person in suitable if person is not None), TRIED)


def suits(number: int, row: dict[str, Any]) -> Person | None:
    """The person of a record, which leaves out what it has no value of, if unrestricted, alive, with a long enough name whose middle letters differ."""
    names = [name for name in row.get("names") or [] if name["use"] == "usual" and name["state"] == "current"]
    birth = row.get("birth_date") or ""
    if row["security"] != "U" or row.get("deceased") or not names or len(birth) != _ISO_DATE:
        return None
    family, given = names[0]["family"] or "", (names[0]["given"] or [""])[0]
    plain = family.isalpha() and family.isascii() and given.isalpha()
    if not plain or len(family) < SHORTEST or misspell(family) == family:
        return None
    return Person(format_nhs_number(number), family, given, birth)


def _token(issuer: str) -> str:
    command = [sys.executable, "-m", "pipelines.cli", "sandbox", "token", "--persona", PERSONA, "--issuer", issuer]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise PermanentFault("The sandbox's sign-in service gave no token.", remedy=done.stderr.strip()[-200:])
    return done.stdout.strip()


def _first_match(address: str, token: str) -> dict[str, Any] | None:
    import httpx2

    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": str(uuid.uuid4())}
    answer = httpx2.get(address, headers=headers, timeout=30.0)
    if answer.status_code != httpx2.codes.OK:
        raise PermanentFault(f"The API answered {answer.status_code}.", remedy="See the log of the API.")
    entries = answer.json().get("entry") or []
    return entries[0] if entries else None


def _lines(address: str, issuer: str) -> tuple[str, ...]:
    place = "" if issuer == Settings.model_fields["issuer"].default else f" --issuer {issuer}"
    return (
        f"TOKEN=$(.venv/bin/ncrs sandbox token --persona {PERSONA}{place})",
        f'curl -s -H "Authorization: Bearer $TOKEN" -H "X-Request-ID: {uuid.uuid4()}" \\',
        f"  '{address}'",
    )


def _describe(entry: dict[str, Any]) -> str:
    patient = entry["resource"]
    name = patient["name"][0]
    score = entry.get("search", {}).get("score")
    return (
        f"{patient['id']}  {name.get('family', '')}, {' '.join(name.get('given', []))}  "
        f"born {patient.get('birthDate', '')}  score {score}"
    )
