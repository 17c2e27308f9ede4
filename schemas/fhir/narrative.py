"""XHTML narratives of other systems: normalising for an HTML parser, and sanitising for serving.

Belongs here: everything that treats a narrative as mark-up of unknown origin. Does not belong
here: what SCR sections mean (``scr_sections.py``).

Narratives are kept as sent; only what is served is sanitised (services.md 20.1, point 6): no
scripts, styles, event handlers, links, images or comments; tables, ids, lists, headings stay. The
result is one well-formed XHTML ``div``, as FHIR wants it.
"""

from __future__ import annotations

import re
from typing import Any

import nh3

XHTML = "http://www.w3.org/1999/xhtml"

_TAGS = {
    *("div", "p", "span", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"),
    *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("ul", "ol", "li", "dl", "dt", "dd", "b", "strong", "i", "em", "u", "sub", "sup", "small"),
}
_CELL = {"colspan", "rowspan", "headers", "scope"}
_ATTRIBUTES = {"*": {"id", "class", "lang"}, "table": {"summary"}, "th": _CELL, "td": _CELL, "col": {"span"}}
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})

# <td/> is an empty cell in XHTML but an open one to an HTML parser. Each character fits one branch only, and a name
# ends where it must, so that little is tried twice; possessive groups would say so, and are wrong in CPython 3.11.2.
_SELF_CLOSED = re.compile(r"""<([A-Za-z][\w:.-]*)(?![\w:.-])((?:[^<>"'/]|/(?!>)|"[^"<]*"|'[^'<]*')*)/>""")
_UNCLOSED_VOID = re.compile(r"""<(br|hr|col)((?:[^<>"]|"[^"<]*")*)>""")
_DIV = re.compile(r"<(/?)div\b")
# Characters that XML 1.0 does not allow.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_html(xhtml: str) -> str:
    """The same mark-up with self-closed elements closed in full, for an HTML parser."""

    def expand(match: re.Match[str]) -> str:
        tag = match[1]
        return match[0] if tag.lower() in _VOID else f"<{tag}{match[2]}></{tag}>"

    return _SELF_CLOSED.sub(expand, xhtml)


def _one_root(html: str) -> bool:
    """True when the text is a single ``div`` element and nothing beside it."""
    if not html.startswith("<div") or not html.endswith("</div>"):
        return False
    depth, tags = 0, list(_DIV.finditer(html))
    for tag in tags[:-1]:
        depth += -1 if tag[1] else 1
        if depth == 0:
            return False
    return True


def sanitised(xhtml: str) -> str:
    """The narrative made safe to serve: one well-formed XHTML div, dangerous parts removed.

    Text of removed links stays; text of scripts and styles goes with them.
    """
    clean = nh3.clean(
        as_html(_NOT_XML.sub("", xhtml)), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=set(), link_rel=None
    ).strip()
    clean = _UNCLOSED_VOID.sub(r"<\1\2/>", clean.replace("&nbsp;", "&#160;"))
    if _one_root(clean):
        return f'<div xmlns="{XHTML}"{clean[len("<div") :]}'
    return f'<div xmlns="{XHTML}">{clean}</div>'


def with_sanitised_narratives(node: Any) -> Any:
    """A copy of a resource in which the ``div`` of every narrative is sanitised, wherever it is."""
    if isinstance(node, dict):
        return {
            name: sanitised(part) if name == "div" and isinstance(part, str) else with_sanitised_narratives(part)
            for name, part in node.items()
        }
    if isinstance(node, list):
        return [with_sanitised_narratives(part) for part in node]
    return node
