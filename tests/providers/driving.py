"""How a test drives a runnable through the handler."""

from __future__ import annotations

from typing import Any

from providers.models import Models
from providers.modes import Drive, Mode, is_async
from providers.recording import Recording


def driver(models: Models, recording: Recording) -> Drive:
    """Drives a runnable in a mode with the handler attached; entries of the config by keyword."""

    def drive(mode: Mode, runnable: Any, value: Any, **config: Any) -> Any:
        result = mode(runnable, value, {**recording.config, **config})
        return models.run(result) if is_async(mode) else result

    return drive
