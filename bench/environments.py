"""Empty Python environments, and what installing Driftline puts into them."""

from __future__ import annotations

import json
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def new_environment(folder: Path) -> str:
    """The Python of a new, empty environment."""
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


def installed(python: str) -> set[str]:
    """What pip list shows, less what every new environment holds."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return {each["name"] for each in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}


def size_mb(folder: Path) -> float:
    """What a folder holds, in megabytes of 1,000,000 bytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def measure() -> dict[str, dict[str, Any]]:
    """Distributions and megabytes of ``pip install .`` and of its server extra."""
    return {f"pip install '.{extra}'": _measure_extra(extra) for extra in ("", "[server]")}


def _measure_extra(extra: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = new_environment(folder)
        before = size_mb(folder)
        command = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{ROOT}{extra}")
        subprocess.run(command, check=True, cwd=name, stderr=subprocess.DEVNULL)
        return {"distributions": len(installed(python)), "megabytes": size_mb(folder) - before}
