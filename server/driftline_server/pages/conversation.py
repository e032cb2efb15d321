"""The dialogue of a model run: who said what, which tools were called, which files came along."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from driftline.records import Json, Part, Run, ToolCall
from driftline_server.pages.formatting import size
from driftline_server.pages.halts import Halt, find_halts
from driftline_server.pages.json_view import JsonView, pretty_json, view_json
from driftline_server.pages.quoting import visible
from driftline_server.pages.spoken import Spoken, read_dialogue
from driftline_server.pages.texts import Said, quote_text

ROLES = {"system": "System", "developer": "System", "user": "User", "human": "User", "assistant": "Assistant",
         "ai": "Assistant", "tool": "Tool", "function": "Tool"}  # fmt: skip
_SHOWN_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_MOST_PICTURE_BYTES = 2_000_000
_LATEST = 8
"""Messages of a long dialogue that stand open; what came before is folded."""
_OPEN_LINES = {"system": 3, "tool": 3, "user": 6}
"""Lines up to which a text stands open, so that the answer is in sight."""
_OPEN_QUESTION = 24
"""Lines up to which the last words of the user stand open: they are what the answer answers."""
_MOST_PREVIEW = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A file, picture or recording that came with a message; shown, never fetched."""

    title: str
    detail: str
    address: Markup
    picture: str = ""
    """A ``data:`` address that holds the picture itself; empty where there is none to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call, written as a call."""

    name: Markup
    arguments: tuple[tuple[Markup, Markup], ...]
    """Name and value; a call whose arguments are no object has one nameless value."""
    id: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a message: exactly one of the fields is set."""

    said: Said | None = None
    reasoning: Said | None = None
    tile: Tile | None = None
    data: JsonView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message."""

    role: str
    label: str
    note: Markup
    blocks: tuple[Block, ...]
    calls: tuple[Call, ...]

    @property
    def spoken(self) -> str:
        """Where in the run its first text lies; empty where it has none."""
        return next((block.said.raw for block in self.blocks if block.said is not None), "")

    @property
    def beginning(self) -> str:
        """Its first words, or the tools that it calls."""
        words = (text.begins for block in self.blocks if (text := block.said) is not None)
        return next(words, "") or ", ".join(f"{call.name.striptags()}(…)" for call in self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What a model was given, and what it answered."""

    earlier: tuple[Turn, ...]
    """Turns that stand folded, the system prompt aside: the model that answered last has seen them."""
    opening: tuple[Turn, ...]
    turns: tuple[Turn, ...]
    answers: tuple[Turn, ...]

    @property
    def earlier_preview(self) -> Markup:
        """How the folded turns begin."""
        left, lines = _MOST_PREVIEW, []
        for turn in self.earlier:
            words = turn.beginning[:left]
            left -= len(words)
            if words:
                who = Markup('<span class="e-who">{}:</span>').format(visible(turn.label))
                lines.append(Markup("{} {}").format(who, visible(words)))
        return Markup(" · ").join(lines)


def read_conversation(run: Run, *, whole: bool = False) -> Conversation:
    """Prepare the dialogue of a run; ``whole`` leaves nothing out."""
    dialogue = read_dialogue(run)
    if dialogue is None:
        return Conversation(opening=(), earlier=(), turns=(), answers=())
    called = {call.id: call.name for each in dialogue.given for call in each.message.tool_calls if call.id}
    turns = list(_turns(dialogue.given, called, whole))
    opening = 0
    while opening < len(turns) and turns[opening].role == "system":
        opening += 1
    seen = _already_seen(turns) if dialogue.known is None else dialogue.known
    latest = max(seen, _beyond_latest(turns, opening))
    if latest - opening < 2:
        latest = opening
    answers = list(_turns(dialogue.answers, called, whole, halts=find_halts(run), are_answers=True))
    return Conversation(
        opening=tuple(turns[:opening]),
        earlier=tuple(turns[opening:latest]),
        turns=tuple(turns[latest:]),
        answers=tuple(answers),
    )


def _already_seen(turns: Sequence[Turn]) -> int:
    """How many messages an earlier model run had before it: all up to the last that a model wrote."""
    answered = (index + 1 for index, turn in enumerate(turns[:-1]) if turn.role == "assistant")
    return max(answered, default=0)


def _beyond_latest(turns: Sequence[Turn], opening: int) -> int:
    latest = len(turns) - _LATEST
    return latest if latest - opening >= 3 else 0


def write_call(name: str, arguments: Json, *, raw: str, call_id: str = "") -> Call:
    """A call as ``fx_rate(currency="EUR", on="2026-03-04")``."""
    if isinstance(arguments, dict):
        pairs = tuple((visible(key), _value(value)) for key, value in arguments.items())
    else:
        pairs = () if arguments is None else ((Markup(), _value(arguments)),)
    return Call(name=visible(name), arguments=pairs, id=call_id, raw=raw)


def _turns(
    spoken: Sequence[Spoken],
    called: dict[str, str],
    whole: bool,
    *,
    halts: Sequence[Halt] = (),
    are_answers: bool = False,
) -> Iterator[Turn]:
    last_question = max(
        (n for n, each in enumerate(spoken) if _role(each.message.role) == "user"), default=-1
    )
    for index, each in enumerate(spoken):
        message = each.message
        role = _role(message.role)
        open_lines = _OPEN_QUESTION if index == last_question else _OPEN_LINES.get(role)
        note = message.name or ""
        if role == "tool" and message.tool_call_id in called:
            note = f"{called[message.tool_call_id]} returned"
        if are_answers and len(spoken) > 1:
            note = f"{index + 1} of {len(spoken)}"
        yield Turn(
            role=role,
            label=ROLES.get(message.role, message.role or "Unnamed"),
            note=_breakable(note),
            blocks=tuple(
                _block(part, raw, None if whole else open_lines, whole, halts, keep_end=role == "user")
                for part, raw in zip(message.parts, each.texts, strict=True)
            ),
            calls=tuple(
                _call(call, f"{each.place}/tool_calls/{n}") for n, call in enumerate(message.tool_calls)
            ),
        )


def _breakable(name: str) -> Markup:
    """A name that may break after its underscores, for the narrow margin."""
    return Markup("_<wbr>").join(visible(part) for part in name.split("_"))


def _role(role: str) -> str:
    label = ROLES.get(role, "")
    return label.lower() if label else "other"


def _block(
    part: Part, raw: str, open_lines: int | None, whole: bool, halts: Sequence[Halt], *, keep_end: bool
) -> Block:
    if part.type == "text" and part.text is not None:
        said = quote_text(
            part.text, raw=raw, open_lines=open_lines, whole=whole, halts=halts, keep_end=keep_end
        )
        return Block(said=said)
    if part.type == "reasoning" and part.text is not None:
        return Block(reasoning=quote_text(part.text, raw=raw, open_lines=3, whole=whole))
    if part.type in ("image", "audio", "video", "file") or part.url is not None:
        return Block(tile=_tile(part))
    if part.text is not None:
        return Block(said=quote_text(part.text, raw=raw, whole=whole))
    return Block(data=view_json(part.data))


def _call(call: ToolCall, raw: str) -> Call:
    return write_call(call.name, call.arguments, raw=raw, call_id=call.id or "")


def _value(value: Json) -> Markup:
    text = pretty_json(value) if isinstance(value, dict | list) else json_scalar(value)
    return visible(text if len(text) <= 2_000 else text[:2_000] + "…")


def json_scalar(value: Json) -> str:
    """A value that is neither list nor object, as JSON."""
    return pretty_json(value)


def _tile(part: Part) -> Tile:
    url = part.url or ""
    picture = _picture(part)
    shown = "held in the message" if url.startswith("data:") else url
    detail = [part.media_type or "unknown type"]
    if part.size_bytes is not None:
        detail.append(size(part.size_bytes).text)
    return Tile(
        title={"image": "Picture", "audio": "Recording", "video": "Film"}.get(part.type, "File"),
        detail=", ".join(detail),
        address=visible(shown if len(shown) <= 300 else shown[:300] + "…"),
        picture=picture,
    )


def _picture(part: Part) -> str:
    """The ``data:`` address of a picture that is whole and of a harmless type."""
    head, comma, body = (part.url or "").partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return ""
    media_type = head.removeprefix("data:").removesuffix(";base64").lower()
    if media_type not in _SHOWN_PICTURES or len(body) > _MOST_PICTURE_BYTES:
        return ""
    try:
        base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return f"data:{media_type};base64,{body}"
