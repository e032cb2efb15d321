"""The stand-in as tests see it: two base URLs, scripts in, exchanges out."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from stand_ins.provider.conversation import Conversation
from stand_ins.provider.dialects import COOKIE
from stand_ins.provider.exchanges import Exchange
from stand_ins.provider.listening import Listener
from stand_ins.provider.scripts import Answer, Failure, Script

Responder = Callable[[Exchange], Script]
NO_SCRIPT = "the stand-in has no script for this request"
_DEPLOYMENT = re.compile(r"^/openai/deployments/[^/]+")
_instances = itertools.count(1)


class Provider:
    """OpenAI and Anthropic behind one port of the loopback, for as long as a test lasts.

    Scripts are played in the order in which they were given; with a ``responder``, it chooses by the request
    once they are used up. A request that finds no script gets a 400 that says so.
    """

    def __init__(
        self, *scripts: Script, responder: Responder | None = None, key: str = "sk-stand-in"
    ) -> None:
        self.key = key
        """What a client must send; the answer to anything else is a 401."""
        self.cookie = COOKIE
        self.responder = responder
        self.exchanges: list[Exchange] = []
        self.closing = threading.Event()
        self._scripts = deque(scripts)
        self._serials = itertools.count(1)
        self._lock = threading.Lock()
        # SDK clients are cached by their base URL. A prefix of its own keeps a later test, on a port that
        # happens to be the same, from getting a client that is bound to an event loop of the past.
        self._prefix = f"/stand-in-{next(_instances)}"
        self._server = Listener(("127.0.0.1", 0), Conversation, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's clients."""
        return f"{self.root_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The base URL for Anthropic's clients, which add the version themselves."""
        return self.root_url

    @property
    def root_url(self) -> str:
        """Where everything is; the endpoint for Azure's clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._prefix}"

    def script(self, *scripts: Script) -> None:
        """Play these next."""
        with self._lock:
            self._scripts.extend(scripts)

    def last(self) -> Exchange:
        """The latest request.

        Raises:
            IndexError: there was none.
        """
        return self.exchanges[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join(10)

    def begin(self, exchange: Exchange) -> tuple[Script, int]:
        """Note a request; returns what to play, and the number that ids of its answer are made from."""
        with self._lock:
            self.exchanges.append(exchange)
            serial = next(self._serials)
            if exchange.path == "/v1/embeddings":
                return Answer(), serial
            if self._scripts:
                return self._scripts.popleft(), serial
        if self.responder is not None:
            return self.responder(exchange), serial
        return Failure(status=400, message=NO_SCRIPT), serial

    def local_path(self, path: str) -> str:
        """A request's path without our prefix and its query; Azure's deployments are OpenAI's endpoints."""
        return _DEPLOYMENT.sub("/v1", path.partition("?")[0].removeprefix(self._prefix))
