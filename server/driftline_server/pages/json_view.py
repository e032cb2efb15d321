"""JSON as a folded outline, rendered on the server within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from driftline.records import Json
from driftline_server.pages.formatting import byte_length, plural, size
from driftline_server.pages.quoting import visible

MOST_VALUES = 400
MOST_CHARACTERS = 1_000
"""Of one string."""
OPEN_LEVELS = 5
_OPEN_CHILDREN = 40
_PROSE_SPACES = 7
_LAID_OUT = re.compile(r"  |\t|[{}<>=]|\|.*\|")
"""What shows that the place of its characters matters in a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonView:
    """One value as HTML, and what was left out."""

    html: Markup
    is_whole: bool
    size_text: str


@dataclass(slots=True)
class _Budget:
    values: int
    characters: int
    was_cut: bool = False


def view_json(
    value: Json, *, most_values: int = MOST_VALUES, most_characters: int = MOST_CHARACTERS
) -> JsonView:
    """Render a value; beyond the bounds it says how much is missing."""
    budget = _Budget(values=most_values, characters=most_characters)
    html = Markup().join(_render(value, budget, label=Markup(""), depth=0))
    length = byte_length(pretty_json(value))
    return JsonView(html=html, is_whole=not budget.was_cut, size_text=size(length).text)


def pretty_json(value: Json) -> str:
    """The value as text that a person can read and copy."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _render(value: Json, budget: _Budget, *, label: Markup, depth: int) -> Iterator[Markup]:
    budget.values -= 1
    if isinstance(value, dict) and value:
        fields = [
            (Markup('<span class="jk">{}</span> ').format(visible(key)), each) for key, each in value.items()
        ]
        yield from _branch(fields, budget, label=label, depth=depth, noun="field")
    elif isinstance(value, list) and value:
        items = [
            (Markup('<span class="ji">{}</span> ').format(place), each) for place, each in enumerate(value)
        ]
        yield from _branch(items, budget, label=label, depth=depth, noun="item")
    else:
        yield label + _leaf(value, budget)


def _branch(
    items: list[tuple[Markup, Json]], budget: _Budget, *, label: Markup, depth: int, noun: str
) -> Iterator[Markup]:
    if depth:
        is_open = depth < OPEN_LEVELS and len(items) <= _OPEN_CHILDREN
        head = Markup("<details{}><summary>{}{}</summary>")
        yield head.format(Markup(" open" if is_open else ""), label, plural(len(items), noun))
    yield Markup("<ul>")
    for place, (name, each) in enumerate(items):
        if budget.values <= 0:
            budget.was_cut = True
            yield Markup('<li class="jcut">{} more</li>').format(f"{len(items) - place:,}")
            break
        yield Markup("<li>")
        yield from _render(each, budget, label=name, depth=depth + 1)
        yield Markup("</li>")
    yield Markup("</ul>")
    if depth:
        yield Markup("</details>")


def _voice(text: str) -> str:
    """Sentences are set as what somebody said; columns, code and short values stay in the machine's voice."""
    is_prose = text.count(" ") >= _PROSE_SPACES and not _LAID_OUT.search(text)
    return " prose" if is_prose else ""


def _leaf(value: Json, budget: _Budget) -> Markup:
    if isinstance(value, str):
        shown = value[: budget.characters]
        if len(shown) < len(value):
            budget.was_cut = True
            rest = size(byte_length(value)).text
            return Markup('<span class="js{}">{}</span> <span class="jcut">… {} in all</span>').format(
                _voice(shown), visible(shown), rest
            )
        return Markup('<span class="js{}">{}</span>').format(_voice(shown), visible(shown) if shown else "“”")
    if isinstance(value, dict | list):
        return Markup('<span class="jn">{}</span>').format(
            "no fields" if isinstance(value, dict) else "no items"
        )
    return Markup('<span class="jn">{}</span>').format(json.dumps(value))
