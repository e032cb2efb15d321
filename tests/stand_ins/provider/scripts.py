"""What a test asks the stand-in to answer, in words that both providers' wires can say."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Visible text; a stream sends each piece in a chunk of its own."""

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Thoughts: Anthropic's thinking with its signature, a reasoning summary of OpenAI's Responses API.

    Chat completions never show them: there they are reasoning tokens only.
    """

    pieces: tuple[str, ...]
    signature: str = "EqQBCkgIARABGAIiQL8sAIGNATURE"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The provider declines."""

    pieces: tuple[str, ...]
    category: str = "cyber"

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool call; a stream sends the name first, then each piece of the arguments."""

    name: str
    pieces: tuple[str, ...]
    """Together the JSON of the arguments."""
    id: str | None = None

    @classmethod
    def of(cls, name: str, /, id: str | None = None, **arguments: Any) -> ToolUse:
        """A call whose arguments come in three pieces."""
        written = json.dumps(arguments)
        third = max(1, len(written) // 3)
        pieces = (written[:third], written[third : 2 * third], written[2 * third :])
        return cls(name=name, id=id, pieces=tuple(piece for piece in pieces if piece))

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def arguments(self) -> Any:
        return json.loads(self.text or "{}")


Block: TypeAlias = "Text | Reasoning | Refusal | ToolUse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What an answer is billed for, each token once; the wires add them up as each provider does."""

    uncached: int = 12
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 7
    """All output, reasoning included."""
    reasoning: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def input(self) -> int:
        return self.uncached + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a stream waits before its chunks with content, after the gate where there is one."""

    first_s: float = 0.0
    gap_s: float = 0.0
    stalls_s: Mapping[int, float] = field(default_factory=dict)
    """Extra waits, by the number of the chunk that comes after; 1 is the first."""

    def before(self, chunk: int) -> float:
        return (self.first_s if chunk == 1 else self.gap_s) + self.stalls_s.get(chunk, 0.0)


class Gate:
    """Lets chunks through one by one, so that a test decides what has been written when.

    The first ``free`` chunks pass by themselves; each further one needs one ``let_through``.
    """

    def __init__(self, *, free: int = 1) -> None:
        self.free = free
        self._passes = threading.Semaphore(0)

    def let_through(self, chunks: int = 1) -> None:
        self._passes.release(chunks)

    def wait(self, timeout_s: float) -> bool:
        return self._passes.acquire(timeout=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's answer, with the faults that a stream can have on its way."""

    blocks: tuple[Block, ...] = (Text(("Good", " morning", ".")),)
    others: tuple[tuple[Block, ...], ...] = ()
    """Further choices, where the request asks for ``n`` of them; the first is repeated where they run out."""
    tokens: Tokens = Tokens()
    model: str | None = None
    """Who answers; ``None`` for the model asked for."""
    fingerprint: str | None = "fp_44709d6fcb"
    stop: str | None = None
    """In the provider's own words; ``None`` for what follows from the blocks."""
    tier: str = "default"
    """The service tier in which OpenAI says that it worked; Anthropic's wire keeps its own word."""
    pace: Pace = Pace()
    gate: Gate | None = None
    break_after: int | None = None
    """Break the connection after so many chunks with content, without a last HTTP chunk."""
    end_after: int | None = None
    """End the stream after so many chunks with content as if it were complete."""
    error_after: int | None = None
    """Send an error event after so many chunks with content, inside the 200."""

    @classmethod
    def of(cls, *pieces: str, **changes: Any) -> Answer:
        """An answer of text only."""
        return cls(blocks=(Text(pieces),), **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An HTTP error in the provider's shape."""

    status: int
    message: str = "The server had an error while processing your request."
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No answer at all until the client gives up, or the connection is broken after ``seconds``."""

    seconds: float = 10.0


Script: TypeAlias = "Answer | Failure | Silence"
