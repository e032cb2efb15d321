"""Watch a LangChain or LangGraph application: pass the handler, or install it for the whole process."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

try:
    from langchain_core.tracers.context import register_configure_hook
except ImportError as error:
    raise ImportError(
        "this integration needs LangChain: install Driftline with the extra [langchain], as README.md shows"
    ) from error

from driftline.guarding import failures, is_of_signal
from driftline.integrations.langchain_events import EventTranslator
from driftline.recorder import Recorder

__all__ = ["DriftlineCallbackHandler", "install", "uninstall"]


class DriftlineCallbackHandler(EventTranslator):
    """Records what a LangChain application does.

    Pass it in ``config={"callbacks": [handler]}``; one handler serves any number of threads and calls.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        project: str | None = None,
        *,
        recorder: Recorder | None = None,
        strict: bool | None = None,
    ) -> None:
        """What is ``None`` comes from the environment (``DRIFTLINE_URL``, …).

        ``strict`` lets mistakes of ours reach the program; it is for tests, and holds for the whole process.
        """
        super().__init__(recorder or _shared_recorder(url, api_key, project))
        if strict is not None:
            failures.strict = strict
        self._raises = failures.strict
        self.enabled = recorder is not None or _is_enabled(url)
        """Whether events are listened to; LangChain asks for each."""
        self._origin = (url, project)
        self._is_shared = recorder is None
        if recorder is not None:
            _handlers_of.setdefault(recorder, WeakSet()).add(self)

    @property
    def last_trace_id(self) -> str | None:
        """The trace that began last with this handler; ``None`` before the first."""
        trace_id = self._calls.last_trace_id
        return None if trace_id is None else f"{trace_id:032x}"

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything that ended is delivered; false where time ran out."""
        return self._calls.recorder.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Hand over everything, and record nothing more; false where time ran out before all was delivered.

        Runs that are still open are recorded as ``incomplete``. This is for a handler with its own recorder.
        A handler that was given none shares the recorder of the process, and several may have been given the
        same one: closing such a handler only flushes, and it goes on recording.
        """
        recorder = self._calls.recorder
        if not self._is_shared and set(_handlers_of[recorder]) == {self}:
            recorder.close("the handler was closed")
        return recorder.flush(timeout_s)

    # Applications copy and pickle their configs. A copy is the same handler; what is unpickled elsewhere
    # takes its key from the environment there, so that no secret travels.

    @property
    def raise_error(self) -> bool:
        """Whether the error that LangChain holds right now is to reach the program.

        Of all that our methods let through, that is what a signal handler of the program raised: LangChain
        would only log it, and a program that ends by an alarm what takes too long would go on.
        """
        return self._raises or is_of_signal(sys.exc_info()[1])

    @raise_error.setter
    def raise_error(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._raises = value

    def __copy__(self) -> DriftlineCallbackHandler:
        return self

    def __deepcopy__(self, memo: Any) -> DriftlineCallbackHandler:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        url, project = self._origin
        return type(self), (url, None, project)

    # LangChain reads these on every event, so they are the switch.

    @property
    def ignore_llm(self) -> bool:
        return not self.enabled

    @property
    def ignore_chat_model(self) -> bool:
        return not self.enabled

    @property
    def ignore_chain(self) -> bool:
        return not self.enabled

    @property
    def ignore_agent(self) -> bool:
        return not self.enabled

    @property
    def ignore_retriever(self) -> bool:
        return not self.enabled

    @property
    def ignore_retry(self) -> bool:
        return not self.enabled

    @property
    def ignore_custom_event(self) -> bool:
        return not self.enabled


def install(handler: DriftlineCallbackHandler | None = None) -> DriftlineCallbackHandler:
    """Watch every LangChain run of this process, without passing a handler anywhere.

    Calling it again gives the handler that is installed already. A run that is also given a handler of its
    own with the same recorder is recorded once.
    """
    installed = _installed.get("handler")
    if installed is None:
        installed = _installed["handler"] = handler or DriftlineCallbackHandler()
        # A default needs no propagation: it is seen in threads whose context was never copied.
        variable: ContextVar[Any] = ContextVar("driftline_langchain_handler", default=installed)
        register_configure_hook(variable, inheritable=True)
    else:
        installed.enabled = True
    return installed


def uninstall() -> None:
    """Stop watching what ``install`` watches. LangChain forgets no hook, so the handler is switched off."""
    installed = _installed.get("handler")
    if installed is not None:
        installed.enabled = False


_installed: dict[str, DriftlineCallbackHandler] = {}
_handlers_of: WeakKeyDictionary[Recorder, WeakSet[DriftlineCallbackHandler]] = WeakKeyDictionary()
"""Who records with a recorder that the application made."""


def _shared_recorder(url: str | None, api_key: str | None, project: str | None) -> Recorder:
    from driftline.runtime import get_recorder

    return get_recorder(url=url, api_key=api_key, project=project)


def _is_enabled(url: str | None) -> bool:
    from driftline.runtime import is_enabled

    return is_enabled(url=url)
