"""The one page of the sandbox's issuer: choose whom to play.

Belongs here: the page. Does not belong here: what choosing does (``issuer.py``). Everything shown is
escaped; the page has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from sandbox.identity.personas import Cast, Persona

STYLE = (
    "body{font-family:Arial,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;line-height:1.4;color:#212b32}"
    "form{margin:0 0 .5rem}button{font:inherit;width:100%;min-height:2.75rem;text-align:left;padding:.5rem 1rem;"
    "border:2px solid #005eb8;background:#fff;color:#212b32;cursor:pointer}"
    "button:focus{outline:4px solid #ffeb3b;border-color:#212b32}small{color:#4c6272}"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def chooser(cast: Cast, query: Mapping[str, str]) -> str:
    """One button a persona and role; the query of the authorisation request travels along."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in sorted(query.items())
    )
    forms = "".join(
        f'<form method="post" action="authorize">{hidden}{_button(persona, role)}</form>'
        for persona in cast.personas
        if persona.kind != "application"
        for role in (persona.roles or ({},))
    )
    return (
        '<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>Sign in to the sandbox</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>Sign in to the sandbox</h1>"
        f"<p>Nobody here is real. Choose whom to play.</p>{forms}</main></body></html>"
    )


def _button(persona: Persona, role: Mapping[str, str]) -> str:
    place = f"<br><small>{escape(role['org_name'])}</small>" if role else ""
    chosen = f'<input type="hidden" name="role" value="{escape(role["person_roleid"])}">' if role else ""
    return f'{chosen}<button name="persona" value="{escape(persona.name)}">{escape(persona.title)}{place}</button>'
