"""What people, models and documents said, ready to be read or looked at as it was written."""

from __future__ import annotations

import json
from dataclasses import dataclass

from markupsafe import Markup

from driftline_server.pages.formatting import byte_length, plural, size
from driftline_server.pages.json_view import view_json
from driftline_server.pages.markdown import render_markdown
from driftline_server.pages.quoting import visible

MOST_CHARACTERS = 20_000
FOLD_LINES = 12
FOLD_CHARACTERS = 900
_PREVIEW = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A text in both its views."""

    read: Markup
    source: Markup
    is_whole: bool
    size_text: str
    raw: str
    """Where in the run the whole text lies, for the address that gives it out."""
    fold: str = ""
    """What unfolds it, such as ``Show all 214 lines``; empty where it stands open."""
    preview: Markup | None = None
    """Its beginning; ``None`` where it stands open."""


def quote_text(text: str, *, raw: str, folded: bool = False, whole: bool = False) -> Said:
    """Prepare a text; long ones are cut unless ``whole``, and ``folded`` ones show their beginning only."""
    shown = text if whole else text[:MOST_CHARACTERS]
    lines = text.count("\n") + 1
    fold = ""
    if folded and (lines > 3 or len(text) > _PREVIEW):
        fold = f"Show all {plural(lines, 'line')}" if lines > 3 else "Show all of it"
    return Said(
        read=_read(shown),
        source=visible(shown),
        is_whole=len(shown) == len(text),
        size_text=size(byte_length(text)).text,
        raw=raw,
        fold=fold,
        preview=visible(" ".join(text[:_PREVIEW].split())) if fold else None,
    )


def _read(text: str) -> Markup:
    """A text that is an object or a list in JSON is read as an outline, every other as Markdown."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(value, dict | list) and value:
                return Markup('<div class="json">{}</div>').format(view_json(value).html)
    return render_markdown(text)
