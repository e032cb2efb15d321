"""Watches every framework of the process, whenever the application imports it.

``install`` does it by one line of code; the environment variable ``DRIFTLINE_AUTO=1`` by none: a line in the
``.pth`` file beside the package calls ``autostart`` when the interpreter starts.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

AUTO_VARIABLE = "DRIFTLINE_AUTO"
_INTEGRATIONS = {"langchain_core.tracers.context": "driftline.integrations.langchain"}
"""By the module of the framework whose import is the moment to begin."""
_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})


def install() -> None:
    """Watch every framework that the process uses, or comes to use; nothing is imported before that.

    Calling it again changes nothing. With ``DRIFTLINE_ENABLED=0`` nothing is watched.
    """
    if _watch() and all(_is_missing(moment) for moment in _INTEGRATIONS):
        _say_once("install() found no framework to watch; install one, such as: pip install langchain")


def _watch() -> bool:
    if os.environ.get("DRIFTLINE_ENABLED", "").strip().lower() in _OFF:
        return False
    for moment, integration in _INTEGRATIONS.items():
        if integration in sys.modules or moment in sys.modules:
            _begin(integration)
        elif moment not in _finder.awaited:
            _finder.awaited[moment] = integration
    if _finder.awaited and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    return True


def uninstall() -> None:
    """Stop watching. What is recorded already is still delivered."""
    _finder.awaited.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for later in _expected:
        later.integration = None
    _expected.clear()
    for integration in _INTEGRATIONS.values():
        module = sys.modules.get(integration)
        if module is not None:
            module.uninstall()


def autostart() -> None:
    """Install if the environment asks for it. Never raises, for the interpreter is starting.

    A value that says neither yes nor no is one log line.
    """
    asked, complaint = asked_by_environment()
    if sys.flags.ignore_environment:
        return
    if asked:
        _attempt("starting by environment", _watch)
    elif complaint:
        _attempt("starting by environment", _say_once, complaint)


def asked_by_environment() -> tuple[bool, str]:
    """Whether the environment asks for it; and what is to be said of a value that is neither yes nor no."""
    value = os.environ.get(AUTO_VARIABLE, "").strip()
    if not value or value.lower() in _OFF:
        return False, ""
    if value.lower() in _ON:
        return True, ""
    return False, f"{AUTO_VARIABLE} is {value[:80]!r}; nothing is watched. Set it to 1 or 0"


def _is_missing(moment: str) -> bool:
    from importlib.util import find_spec

    package = moment.partition(".")[0]
    return package not in sys.modules and find_spec(package) is None


def _say_once(message: str) -> None:
    from driftline.causes import say

    if message not in _said:
        _said.add(message)
        say(message)


def _begin(integration: str) -> None:
    import_module(integration).install()


def _await_first_run(module: ModuleType, integration: str) -> None:
    later = _Later(integration)
    module.register_configure_hook(later, inheritable=True)
    _expected.append(later)


def _attempt(where: str, act: Callable[..., object], *args: Any) -> None:
    try:
        act(*args)
    except Exception as error:
        from driftline.guarding import failures

        failures.note(where, error)


class _Later:
    """Stands among LangChain's hooks until its first run, and begins then.

    While a framework is still importing itself, an integration that imports it in turn would find it half
    done; at its first run it is whole. LangChain asks a hook only for its value, as of a context variable.
    """

    def __init__(self, integration: str) -> None:
        self.integration: str | None = integration
        # The first runs of other threads wait too, or they would go unseen.
        self._beginning = RLock()

    def get(self) -> None:
        """Nothing of its own; but what it begins is asked next, in the same round."""
        if self.integration is None:
            return
        with self._beginning:
            if self.integration is not None:
                _attempt("installing", _begin, self.integration)
                self.integration = None


class _Finder:
    """Notices the import of the modules that are awaited; it finds nothing itself."""

    def __init__(self) -> None:
        self.awaited: dict[str, str] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find a module, and watch how it is executed."""
        if name not in self.awaited:
            return None
        integration = self.awaited.pop(name)
        for finder in tuple(sys.meta_path):
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if not self.awaited and self in sys.meta_path:
                    sys.meta_path.remove(self)
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Watching(spec.loader, integration)  # type: ignore[assignment]
                return spec
        return None


class _Watching:
    """Loads a module as its own loader does, and puts that one back afterwards."""

    def __init__(self, loader: Any, integration: str) -> None:
        self._loader = loader
        self._integration = integration

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; then let the integration wait for the first run."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _attempt("waiting for the first run", _await_first_run, module, self._integration)


_finder = _Finder()
_expected: list[_Later] = []
_said: set[str] = set()
