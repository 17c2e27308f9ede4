"""The personas and clients of the sandbox, read from ``personas.json`` and checked.

Belongs here: their shape and look-up. Does not belong here: tokens (``tokens.py``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.errors import ConfigurationError
from schemas.identifiers import is_nhs_number

FILE = Path(__file__).parent / "personas.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Client(_Strict):
    """A program that may ask for tokens: public (with PKCE) or with a key of its own."""

    client_id: str
    title: str
    kind: Literal["public", "private_key_jwt"]
    scope: str
    redirect_uris: tuple[str, ...]


class Persona(_Strict):
    """Somebody to play. ``roles`` are entries of CIS2's ``nhsid_nrbac_roles`` with the organisation's name."""

    name: str
    title: str
    kind: Literal["user", "patient", "application"]
    user_id: str | None = None
    full_name: str | None = None
    roles: tuple[dict[str, Any], ...] = ()
    nhs_number: str | None = None
    client_id: str | None = None


class Cast(_Strict):
    """The whole file."""

    note: str
    portal: str
    clients: tuple[Client, ...]
    personas: tuple[Persona, ...]

    def client(self, client_id: str) -> Client | None:
        """The client of that id, or None."""
        return next((client for client in self.clients if client.client_id == client_id), None)

    def persona(self, name: str) -> Persona:
        """The persona of that name. Raises ConfigurationError that lists the names."""
        for persona in self.personas:
            if persona.name == name:
                return persona
        names = ", ".join(persona.name for persona in self.personas)
        raise ConfigurationError("There is no such persona.", remedy=f"Choose one of: {names}.")


@cache
def cast() -> Cast:
    """The personas and clients shipped with the sandbox."""
    return Cast.model_validate_json(FILE.read_bytes())


def as_patient(persona: Persona, nhs_number: str | None) -> Persona:
    """The persona with another NHS number. Raises ConfigurationError unless it is a patient with a real one."""
    if nhs_number is None:
        return persona
    if persona.kind != "patient" or not is_nhs_number(nhs_number):
        raise ConfigurationError("Only a patient has an NHS number.", remedy="Use ten digits with the patient persona.")
    return persona.model_copy(update={"nhs_number": nhs_number})
