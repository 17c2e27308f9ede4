"""Settings of the sandbox's sign-in service, read from the same environment as the product's.

Belongs here: what the two must agree on. Does not belong here: personas and clients (``personas.json``).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IdentitySettings(BaseSettings):
    """The issuer's name and audience must be those that the product trusts (``search_api/settings.py``)."""

    model_config = SettingsConfigDict(env_prefix="NCRS_", extra="ignore", frozen=True)

    home: Path = Field(Path("data"), description="Folder of everything; the sandbox keeps its keys below it.")
    issuer: str = Field("http://127.0.0.1:8010", description="Name of the issuer in every token; also its address.")
    audience: str = Field("ncrs", description="Audience of access tokens.")

    @property
    def folder(self) -> Path:
        """Where the keys are kept."""
        return self.home / "sandbox" / "identity"
