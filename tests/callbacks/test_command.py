"""The command exists without the server and says what to install; the package itself is cheap to import."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import driftline
from driftline import command

OWN = """\
Without the server there are:
  driftline doctor  Check what this machine sends, where to, and what became of it.
  driftline spool   Look at the runs that wait on disk, and send them.
"""


def fail_to_find(name: str) -> Any:
    def find(wanted: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return find


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["serve", "--port", "1"],
            "driftline serve needs the server: install it with the extra [server], as README.md shows\n"
            "without it there are: doctor, spool\n",
        ),
        (
            ["--quiet", "demo"],
            "driftline demo needs the server: install it with the extra [server], as README.md shows\n"
            "without it there are: doctor, spool\n",
        ),
        ([], f"driftline needs the server: install it with the extra [server], as README.md shows\n{OWN}"),
    ],
)
@pytest.mark.parametrize("missing", ["click", "flask.app", "driftline_server"])
def test_without_the_server_it_says_what_to_install(
    arguments: list[str], said: str, missing: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(command, "import_module", fail_to_find(missing))
    monkeypatch.setattr(sys, "argv", ["driftline", *arguments])
    assert command.main() == 2
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_without_the_server_shows_what_there_is(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "import_module", fail_to_find("click"))
    monkeypatch.setattr(sys, "argv", ["driftline", option])
    assert command.main() == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"usage: driftline COMMAND\n\n{OWN}")
    assert "needs the server: install it with the extra [server]" in shown.out
    assert shown.err == ""


def test_a_library_that_only_the_running_command_misses_is_told_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        command, "import_module", lambda name: SimpleNamespace(main=lambda: fail_to_find("click")(""))
    )
    monkeypatch.setattr(sys, "argv", ["driftline", "serve"])
    assert command.main() == 2
    assert "install it with the extra [server], as README.md shows" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_taken_for_a_missing_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "import_module", fail_to_find("driftline_server.storage.gone"))
    monkeypatch.setattr(sys, "argv", ["driftline", "serve"])
    with pytest.raises(ModuleNotFoundError):
        command.main()


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_needs_no_server(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "import_module", fail_to_find("click"))
    monkeypatch.setattr(sys, "argv", ["driftline", option])
    assert command.main() == 0
    assert capsys.readouterr().out == f"driftline {driftline.__version__}\n"


@pytest.mark.parametrize(("given", "code"), [(None, 0), (0, 0), (3, 3)])
def test_with_the_server_it_is_the_command_of_the_server(
    given: int | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "import_module", lambda name: SimpleNamespace(main=lambda: given))
    monkeypatch.setattr(sys, "argv", ["driftline", "serve"])
    assert command.main() == code


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "driftline", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"driftline {driftline.__version__}\n"


def test_importing_the_package_imports_hardly_anything() -> None:
    program = """
import sys
before = set(sys.modules)
import driftline
driftline.__version__
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("importlib")))
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    # The others are what importlib needs, which differs between versions of Python.
    assert set(done.stdout.split()) - {"warnings", "types"} == {
        "__future__",
        "driftline",
        "driftline.version",
    }


@pytest.mark.parametrize("first", ["pass", "import driftline.context", "from driftline.context import Scope"])
def test_context_is_what_people_call_whoever_imports_its_module(first: str) -> None:
    program = f"""
import sys
{first}
import driftline
import driftline.recorder
from driftline.context import Scope, context
assert driftline.context is context
assert sys.modules["driftline.context"].Scope is Scope
with driftline.context(user_id="u1"):
    pass
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_that_is_offered_is_there() -> None:
    assert set(driftline.__all__) <= set(dir(driftline))
    for name in driftline.__all__:
        assert not isinstance(getattr(driftline, name), ModuleType)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'driftline' has no attribute 'nothing'"):
        _ = driftline.nothing
