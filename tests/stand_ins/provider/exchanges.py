"""What the stand-in heard and wrote, by its own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.records import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One event of a stream as it goes over the wire."""

    data: bytes
    channel: Channel | None = None
    """What it carries; ``None`` where it is no content, such as a role, a ping or a usage chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A frame, with the moment just before it was handed to the socket."""

    at_ns: int
    """``perf_counter_ns``: the clock that the handler in the same process reads."""
    channel: Channel | None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and what became of it."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    received_ns: int = field(default_factory=time.perf_counter_ns)
    status: int | None = None
    writes: list[Write] = field(default_factory=list)
    client_left: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def streamed(self) -> bool:
        return self.body.get("stream") is True

    @property
    def retry_count(self) -> int:
        """What the SDK says about itself; 0 is the first attempt."""
        return int(self.headers.get("x-stainless-retry-count", "0"))

    @property
    def content(self) -> list[Write]:
        """The writes that carried content, in their order."""
        return [write for write in self.writes if write.channel is not None]

    def wait(self, timeout_s: float = 10.0) -> None:
        """Wait until the stand-in is done with the request.

        Raises:
            TimeoutError: it was not, in time.
        """
        if not self.ended.wait(timeout_s):
            raise TimeoutError(f"{self.path} is still being answered after {timeout_s:g} s")
