"""Traces of LangChain and LangGraph applications, kept on your own machine.

Importing this costs next to nothing: every name is looked up when it is first used, and no framework is
imported before the application does so itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from driftline.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from driftline.activation import install, uninstall
    from driftline.context import context
    from driftline.delivery import DeliveryReport
    from driftline.errors import DriftlineError
    from driftline.records import Run, Score
    from driftline.runtime import delivery_report, flush
    from driftline.threads import patch_threads

__all__ = [
    "DeliveryReport",
    "DriftlineError",
    "Run",
    "Score",
    "__version__",
    "context",
    "delivery_report",
    "flush",
    "install",
    "patch_threads",
    "uninstall",
]
_HOMES = {
    "DeliveryReport": "driftline.delivery",
    "DriftlineError": "driftline.errors",
    "Run": "driftline.records",
    "Score": "driftline.records",
    "context": "driftline.context",
    "delivery_report": "driftline.runtime",
    "flush": "driftline.runtime",
    "install": "driftline.activation",
    "patch_threads": "driftline.threads",
    "uninstall": "driftline.activation",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # When a part of the package is imported, Python puts it here under its name. ``driftline.context``
        # must stay what people call, whoever imports the module of that name, and whenever.
        if name == "context" and isinstance(value, ModuleType):
            value = value.context
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
