"""Runs the LangChain tests against other versions than the one that is installed.

    python tests/providers/matrix.py            every row
    python tests/providers/matrix.py 1.7        one row

Each row has a virtual environment of its own under ``build/matrix``, which a later call uses again. It ends
with 0 where all tests passed, 1 where some failed, and 2 where the tests of a row did not run, because its
versions could not be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITES = (ROOT / "tests" / "callbacks" / "langchain", ROOT / "tests" / "providers")
SHOWN = ("langchain-core", "langchain", "langgraph", "langchain-openai", "langchain-anthropic")
TOOLS = ("pytest>=8.2", "pytest-timeout>=2.3")
PASSED, FAILED, NOT_INSTALLED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Row:
    """One version of langchain-core, with whatever versions of the others go with it."""

    name: str
    requirement: str

    @property
    def requirements(self) -> tuple[str, ...]:
        return (self.requirement, *SHOWN[1:], *TOOLS)


ROWS = (
    Row("1.7", "langchain-core>=1.7,<1.8"),
    Row("1.8", "langchain-core>=1.8,<1.9"),
)


_LIST = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


class NotInstalledError(Exception):
    """A row whose versions cannot be had here; the message is pip's last word."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the LangChain tests against other versions.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "matrix", help="for the environments")
    given = parser.parse_args(arguments)
    unknown = set(given.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    chosen = [row for row in ROWS if not given.rows or row.name in given.rows]
    return max(run_row(row, given.folder / row.name) for row in chosen)


def run_row(row: Row, folder: Path) -> int:
    """Install a row where it is not installed yet, run its tests, and say how it went."""
    try:
        python = install(row, folder)
    except NotInstalledError as error:
        print(f"{row.requirement}: COULD NOT BE INSTALLED, so its tests did not run: {error}", flush=True)
        return NOT_INSTALLED
    versions = versions_in(python)
    told = ", ".join(f"{name} {versions[name]}" for name in SHOWN)
    print(f"{told}: testing", flush=True)
    ended = [run_suite(python, suite) for suite in SUITES]
    print(f"{told}: {'FAILED' if any(ended) else 'passed'}", flush=True)
    return FAILED if any(ended) else PASSED


def install(row: Row, folder: Path) -> Path:
    """Make the environment of a row; returns its interpreter.

    Raises:
        NotInstalledError: pip did not find what the row asks for, or settled for something else.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Without an upgrade strategy an environment that is used again keeps the versions that it began with.
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--upgrade", "--upgrade-strategy", "eager", "--editable", str(ROOT), *row.requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotInstalledError(_last_error(done.stderr))
    installed = versions_in(python)["langchain-core"]
    if not installed.startswith(f"{row.name}."):
        raise NotInstalledError(f"pip chose langchain-core {installed}")
    return python


def versions_in(python: Path) -> dict[str, str]:
    """Which versions an environment holds."""
    done = subprocess.run([str(python), "-c", _LIST, *SHOWN], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def run_suite(python: Path, suite: Path) -> int:
    """Run one folder of tests; what the whole house shares needs more than a row installs."""
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*pytest, f"--confcutdir={suite}", str(suite)], cwd=ROOT, check=False).returncode


def _last_error(said: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    return (errors or said.splitlines() or ["pip said nothing"])[-1]


if __name__ == "__main__":
    sys.exit(main())
