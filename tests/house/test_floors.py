"""The floors hold, also where no contract names a library yet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent.parent
OURS = ("driftline", "driftline_evaluators", "driftline_server")

FRAMEWORKS = {"langchain_core", "langgraph", "pydantic"}
WEB = {"flask", "jinja2", "markupsafe", "werkzeug"}
ALLOWED = {
    "driftline.integrations": FRAMEWORKS,
    "driftline": set(),
    "driftline_evaluators": {"numpy", "sklearn", "scipy"},
    "driftline_server.api": WEB | {"msgspec", "orjson", "zstandard"},
    "driftline_server.app": WEB,
    "driftline_server.cli": {"click", "rich"},
    "driftline_server.demo": {
        "anthropic",
        "langchain",
        "langchain_anthropic",
        "langchain_core",
        "langgraph",
        "pydantic",
    },
    "driftline_server.doors": WEB,
    "driftline_server.jobs": {"huey", "psycopg"},
    "driftline_server.operations": {"argon2", "genai_prices"},
    "driftline_server.pages": WEB | {"markdown_it", "nh3"},
    "driftline_server.security": WEB | {"itsdangerous"},
    "driftline_server.serving": {"waitress"},
    "driftline_server.settings": {"platformdirs"},
    "driftline_server.storage": {"alembic", "msgspec", "psycopg", "sqlalchemy", "zstandard"},
    "driftline_server.waitress_server": {"waitress"},
    "driftline_server": set(),
}
"""What else than the standard library a room may import; the longest name that fits counts."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*OURS, include_external_packages=True)


def foreign_imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    for module in graph.modules:
        if module.partition(".")[0] in OURS:
            for imported in graph.find_modules_directly_imported_by(module):
                library = imported.partition(".")[0]
                if library not in OURS and library not in sys.stdlib_module_names:
                    yield module, library


def room_of(module: str) -> str:
    return max((room for room in ALLOWED if f"{module}.".startswith(f"{room}.")), key=len)


def test_each_room_imports_only_the_libraries_that_are_its_own(graph: grimp.ImportGraph) -> None:
    climbed = sorted(
        f"{module} imports {library}"
        for module, library in foreign_imports(graph)
        if library not in ALLOWED[room_of(module)]
    )
    assert climbed == []


def test_the_client_needs_nothing_but_the_standard_library(graph: grimp.ImportGraph) -> None:
    client = [
        (module, library)
        for module, library in foreign_imports(graph)
        if module.startswith("driftline.") and not module.startswith("driftline.integrations")
    ]
    assert client == []


def test_the_import_contracts_are_kept() -> None:
    command = (sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()")
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def imported_by(code: str) -> set[str]:
    """The top-level names that a fresh interpreter holds after some code."""
    printed = f"import sys; {code}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run((sys.executable, "-c", printed), capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_client_imports_no_library_and_little_else() -> None:
    before = imported_by("pass")
    after = imported_by("import driftline")
    assert after - before <= sys.stdlib_module_names | {"driftline"}
    assert not after & {"asyncio", "http", "logging", "ssl", "sqlite3", "urllib"} - before


def test_the_web_process_stays_light() -> None:
    heavy = {"langchain", "langchain_core", "langgraph", "numpy", "pandas", "scipy", "sklearn"}
    names = imported_by("import driftline_server.app, driftline_server.serving, driftline_server.wiring")
    assert names & heavy == set()
