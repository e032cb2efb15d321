"""The version matrix never passes for tests that did not run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from providers import matrix


def test_a_row_that_cannot_be_installed_is_said_and_is_no_success(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(matrix.__file__), "--folder", str(tmp_path), "1.7"],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == matrix.NOT_INSTALLED
    assert "langchain-core>=1.7,<1.8: COULD NOT BE INSTALLED, so its tests did not run" in done.stdout


def test_a_row_that_does_not_exist_is_told() -> None:
    done = subprocess.run(
        [sys.executable, str(matrix.__file__), "0.1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "no such row: 0.1" in done.stderr


def test_the_oldest_row_is_the_oldest_version_that_the_package_asks_for() -> None:
    asked = (matrix.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'langchain = ["langchain-core>={matrix.ROWS[0].name}"]' in asked
