"""Finds a Chromium or Chrome to drive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

VARIABLE = "DRIFTLINE_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_browser() -> str | None:
    """What ``DRIFTLINE_CHROMIUM`` names, else any that is installed; ``None`` where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return named if Path(named).exists() else shutil.which(named)
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return found
    own = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return next((str(place) for place in (*_PLACES, *reversed(own)) if Path(place).exists()), None)
