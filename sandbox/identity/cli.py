"""Commands of the sandbox's issuer: serve it, ask it for a token, list whom one may play.

Belongs here: arguments and printing. Does not belong here: the issuer. ``register`` adds the commands
to the sandbox's own command line (``python -m sandbox``).
"""

from __future__ import annotations

from typing import Annotated

import httpx2
import typer

from sandbox.identity.assertions import client_assertion
from sandbox.identity.grants import ASSERTION_TYPE, PERSONA_GRANT, Grants
from sandbox.identity.issuer import create_issuer
from sandbox.identity.personas import Persona, cast
from sandbox.identity.settings import IdentitySettings
from sandbox.identity.tokens import Issuer
from schemas.errors import NcrsError, Refused

TIMEOUT_S = 5.0


def settings_for(issuer: str | None = None, port: int | None = None) -> IdentitySettings:
    """Settings of the environment; an address given, or a port that is not the configured one, goes before."""
    settings = IdentitySettings()
    if issuer:
        return settings.model_copy(update={"issuer": issuer.rstrip("/")})
    if port and "issuer" not in settings.model_fields_set:
        return settings.model_copy(update={"issuer": f"http://127.0.0.1:{port}"})
    return settings


def serve(port: int, host: str = "127.0.0.1", issuer: str | None = None) -> None:
    """Serve until stopped. Paths and queries are not logged."""
    import uvicorn

    uvicorn.run(create_issuer(settings_for(issuer, port)), host=host, port=port, access_log=False, log_level="warning")


def fetch_token(settings: IdentitySettings, persona: Persona, form: dict[str, str]) -> str | None:
    """A token of the running issuer; None when nobody listens. Raises Refused with the issuer's reason."""
    try:
        answer = httpx2.post(
            f"{settings.issuer}/token", data=_form(settings, persona, form), timeout=TIMEOUT_S, trust_env=False
        )
    except httpx2.TransportError:
        return None
    body = answer.json()
    if answer.status_code != httpx2.codes.OK:
        raise Refused(f"The issuer refused: {body.get('error_description')}", remedy="Mend the options.")
    return str(body["access_token"])


def sign_token(settings: IdentitySettings, persona: Persona, form: dict[str, str]) -> str:
    """A token signed here with the kept key: for use while the issuer does not run."""
    grant = Grants(settings, cast()).grant({"grant_type": PERSONA_GRANT, "persona": persona.name, **form})
    return Issuer(settings).access_token(grant, int(form["expires_in"]))


def _form(settings: IdentitySettings, persona: Persona, form: dict[str, str]) -> dict[str, str]:
    if persona.kind != "application":
        return {"grant_type": PERSONA_GRANT, "persona": persona.name, **form}
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client_assertion(settings, str(persona.client_id)),
        "expires_in": form["expires_in"],
    }


def register(app: typer.Typer) -> None:
    """Add ``identity``, ``token`` and ``personas`` to a command line."""
    app.command("identity")(identity)
    app.command("token")(token)
    app.command("personas")(personas)


def identity(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8010,
    issuer: Annotated[
        str | None, typer.Option(help="Name in the tokens; default NCRS_ISSUER, else the address.")
    ] = None,
) -> None:
    """Serve the sign-in service until Ctrl-C."""
    serve(port, issuer=issuer)


def token(
    persona: Annotated[str, typer.Option(help="Who asks; see personas.")] = "clinician",
    role: Annotated[str | None, typer.Option(help="Role profile id to select, for who has several.")] = None,
    nhs_number: Annotated[str | None, typer.Option(help="Own number of the patient persona.")] = None,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="Life of the token.")] = 3600,
    issuer: Annotated[str | None, typer.Option(help="Address of the issuer; default NCRS_ISSUER.")] = None,
) -> None:
    """Print an access token: of the running issuer, or signed with its kept key."""
    settings = settings_for(issuer)
    asked = {"role": role, "nhs_number": nhs_number, "expires_in": str(seconds)}
    form = {name: value for name, value in asked.items() if value is not None}
    try:
        chosen = cast().persona(persona)
        typer.echo(fetch_token(settings, chosen, form) or sign_token(settings, chosen, form))
    except NcrsError as error:
        typer.echo(f"{error.message} {error.remedy}", err=True)
        raise typer.Exit(1) from error


def personas() -> None:
    """List whom one may play."""
    for each in cast().personas:
        typer.echo(f"{each.name:<24}{each.title}")
