"""What people, models and documents said, ready to be read or looked at as it was written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftline_server.pages.formatting import byte_length, plural, size
from driftline_server.pages.halts import Halt, quoted_with, remarked
from driftline_server.pages.json_view import view_json
from driftline_server.pages.markdown import render_markdown
from driftline_server.pages.quoting import visible

MOST_CHARACTERS = 20_000
_LINE = 68
"""Characters that about fill a line of quoted text."""
_PREVIEW, _END = 320, 240


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
    begins: str = ""
    """Its beginning on one line, as it was written."""
    ends: str = ""
    """Its end on one line, where it is folded and its end says most; else empty."""

    @property
    def preview(self) -> Markup:
        """Its beginning, to stand in its place while it is folded."""
        return visible(self.begins)


def quote_text(
    text: str,
    *,
    raw: str,
    open_lines: int | None = None,
    whole: bool = False,
    halts: Sequence[Halt] = (),
    keep_end: bool = False,
) -> Said:
    """Prepare a text; a very long one is cut unless ``whole``, one above ``open_lines`` lines is folded.

    ``keep_end`` leaves its end in sight where it is folded.
    """
    shown = text if whole else text[:MOST_CHARACTERS]
    fold = _fold(text, open_lines) if open_lines is not None else ""
    return Said(
        read=_read(shown, halts),
        source=remarked(Markup(quoted_with(shown, halts, visible)), halts),
        is_whole=len(shown) == len(text),
        size_text=size(byte_length(text)).text,
        raw=raw,
        fold=fold,
        begins=" ".join(text[:_PREVIEW].split()),
        ends=_end_of(text) if fold and keep_end else "",
    )


def _end_of(text: str) -> str:
    """Its last line, or the last words of it where it is long."""
    line = text.strip().rpartition("\n")[2]
    return line if len(line) <= _END else f"… {line[-_END:].partition(' ')[2]}"


def _fold(text: str, open_lines: int) -> str:
    """What unfolds a text that takes more lines than may stand open."""
    lines = text.strip().split("\n")
    if sum(max(1, -(-len(line) // _LINE)) for line in lines) <= open_lines:
        return ""
    of_what = plural(len(lines), "line") if len(lines) > 3 else plural(len(text), "character")
    return f"Show all {of_what}"


def _read(text: str, halts: Sequence[Halt]) -> Markup:
    """A text that is an object or a list in JSON is read as an outline, every other as Markdown."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(value, dict | list) and value:
                return Markup('<div class="json">{}</div>').format(view_json(value).html)
    return render_markdown(text, halts=halts)
