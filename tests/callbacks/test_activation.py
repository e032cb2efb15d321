"""One line, or one environment variable, watches an application that knows nothing of Driftline."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.testing import FaultyServer

ROOT = Path(__file__).parents[2]
APPLICATION = """
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

chain = ChatPromptTemplate.from_messages([("user", "hello {name}")]) | RunnableLambda(lambda value: "done")
print(chain.invoke({"name": "you"}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a new environment into which the wheel was installed, with LangChain beside it."""
    folder = tmp_path_factory.mktemp("environment")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "venv")
    interpreter = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    [wheel] = (folder / "dist").glob("*.whl")
    pip(interpreter, "install", "--no-index", "--no-deps", str(wheel))
    # A folder that a .pth file names is searched, but .pth files in it are not read: this checkout stays out.
    site = _site_packages(interpreter)
    (site / "frameworks.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(interpreter)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


def pip(interpreter: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "--quiet", "--no-input", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def _site_packages(interpreter: Path) -> Path:
    command = [str(interpreter), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def run(python: str, program: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("DRIFTLINE", "PYTHON"))
    }
    return subprocess.run(
        [python, *options, "-c", textwrap.dedent(program)],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def names(server: FaultyServer) -> list[str]:
    return sorted(run.name for request in server.requests for run in request.runs)


CHAIN = ["ChatPromptTemplate", "RunnableLambda", "RunnableSequence"]


def test_an_environment_variable_is_enough(python: str, server: FaultyServer) -> None:
    done = run(python, APPLICATION, DRIFTLINE_AUTO="1", DRIFTLINE_URL=server.url, DRIFTLINE_PROJECT="shop")
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert names(server) == CHAIN
    assert {run.project for request in server.requests for run in request.runs} == {"shop"}


@pytest.mark.parametrize("value", [None, "", "no"])
def test_without_the_variable_nothing_happens(python: str, server: FaultyServer, value: str | None) -> None:
    environ = {"DRIFTLINE_URL": server.url} | ({} if value is None else {"DRIFTLINE_AUTO": value})
    program = (
        APPLICATION + "\nimport sys; print([name for name in sys.modules if name == 'driftline.runtime'])"
    )
    done = run(python, program, **environ)
    assert (done.stdout, done.stderr) == ("done\n[]\n", "")
    assert server.requests == []


def test_switched_off_it_watches_nothing(python: str, server: FaultyServer) -> None:
    done = run(python, APPLICATION, DRIFTLINE_AUTO="1", DRIFTLINE_ENABLED="0", DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert server.requests == []


def test_an_interpreter_that_ignores_its_environment_is_left_alone(python: str, server: FaultyServer) -> None:
    done = run(python, APPLICATION, "-E", DRIFTLINE_AUTO="1", DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert server.requests == []


def test_a_value_that_says_neither_yes_nor_no_is_one_line(python: str, server: FaultyServer) -> None:
    done = run(python, APPLICATION, DRIFTLINE_AUTO="banana", DRIFTLINE_URL=server.url)
    assert done.stdout == "done\n"
    assert done.stderr == "driftline: DRIFTLINE_AUTO is 'banana'; nothing is watched. Set it to 1 or 0\n"
    assert server.requests == []


def test_installing_without_any_framework_says_what_to_install(python: str) -> None:
    program = "import sys; sys.path = [each for each in sys.path if {!r} not in each]".format(
        sysconfig.get_path("purelib")
    )
    lines = "import driftline; driftline.install(); driftline.install()"
    done = run(python, f"{program}\n{lines}")
    assert done.stderr == (
        "driftline: install() found no framework to watch; install one, such as: pip install langchain\n"
    )


def test_a_program_without_a_framework_imports_none(python: str) -> None:
    program = "import sys; print(sorted(set(sys.modules) & {'langchain_core', 'driftline.runtime', 'ssl'}))"
    done = run(python, program, DRIFTLINE_AUTO="1")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_where_it_is_not_asked_for_the_interpreter_imports_nothing_of_ours(python: str) -> None:
    done = run(python, "import sys; print([name for name in sys.modules if 'driftline' in name])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_broken_installation_neither_prints_nor_stops_the_interpreter(python: str, tmp_path: Path) -> None:
    (tmp_path / "driftline.py").write_text("this is no Python")
    done = run(python, "print('started')", DRIFTLINE_AUTO="1", PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("started\n", "")


@pytest.mark.parametrize(
    "first",
    [
        "import langchain_core.tracers.context",
        "from langchain_core.tracers import context",
        "import langgraph.graph",
        "from langchain_core.runnables import RunnableLambda; RunnableLambda(len).invoke('at import time')",
    ],
)
def test_it_does_not_matter_what_is_imported_first(python: str, server: FaultyServer, first: str) -> None:
    done = run(python, f"{first}\n{APPLICATION}", DRIFTLINE_AUTO="1", DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert [name for name in names(server) if name != "len"] == CHAIN


def test_the_first_runs_of_many_threads_are_all_seen(python: str, server: FaultyServer) -> None:
    program = """
        import threading
        from langchain_core.runnables import RunnableLambda
        barrier = threading.Barrier(8)
        def work(number):
            barrier.wait()
            RunnableLambda(lambda value: value, name=f"run {number}").invoke(1)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
    """
    done = run(python, program, DRIFTLINE_AUTO="1", DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("", "")
    assert names(server) == [f"run {number}" for number in range(8)]


def test_the_watched_module_looks_as_it_always_does(python: str) -> None:
    program = """
        import inspect, sys
        from langchain_core.tracers import context
        from langchain_core.runnables import RunnableLambda
        print(type(context.__spec__.loader).__name__, type(context.__loader__).__name__)
        print("def register_configure_hook" in inspect.getsource(context))
        print([each for each in sys.meta_path if type(each).__module__.startswith("driftline")])
    """
    done = run(python, program, DRIFTLINE_AUTO="1")
    assert (done.stdout, done.stderr) == ("SourceFileLoader SourceFileLoader\nTrue\n[]\n", "")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_one_line_is_enough_wherever_it_stands(python: str, server: FaultyServer, moment: str) -> None:
    line = "import driftline; driftline.install(); driftline.install()"
    imports, _, rest = APPLICATION.partition("\n\n")
    program = f"{line}\n{APPLICATION}" if moment == "before" else f"{imports}\n{line}\n{rest}"
    done = run(python, program, DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert names(server) == CHAIN


@pytest.mark.parametrize("moment", ["before the first run", "after it"])
def test_uninstall_stops_the_watch(python: str, server: FaultyServer, moment: str) -> None:
    program = f"""
        import driftline
        from langchain_core.runnables import RunnableLambda
        driftline.install()
        if {moment == "after it"}:
            RunnableLambda(lambda value: value, name="seen").invoke(1)
        driftline.uninstall()
        RunnableLambda(lambda value: value, name="not seen").invoke(1)
        driftline.install()
        RunnableLambda(lambda value: value, name="seen again").invoke(1)
        print(driftline.flush(20), driftline.delivery_report().delivered)
    """
    done = run(python, program, DRIFTLINE_URL=server.url)
    expected = ["seen", "seen again"] if moment == "after it" else ["seen again"]
    assert (done.stdout, done.stderr) == (f"True {len(expected)}\n", "")
    assert names(server) == expected


def test_a_handler_beside_the_installed_one_records_each_run_once(python: str, server: FaultyServer) -> None:
    program = """
        from driftline.integrations.langchain import DriftlineCallbackHandler
        from langchain_core.runnables import RunnableLambda
        handler = DriftlineCallbackHandler()
        RunnableLambda(lambda value: value, name="once").invoke(1, {"callbacks": [handler]})
    """
    done = run(python, program, DRIFTLINE_AUTO="1", DRIFTLINE_URL=server.url)
    assert (done.stdout, done.stderr) == ("", "")
    assert names(server) == ["once"]


def test_uninstalling_the_package_leaves_nothing_behind(python: str, tmp_path: Path) -> None:
    folder = tmp_path / "another"
    venv.create(folder)
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    [wheel] = Path(python).parents[2].joinpath("dist").glob("*.whl")

    def everything() -> set[str]:
        return {str(path) for path in folder.rglob("*") if "__pycache__" not in path.parts}

    before = everything()
    pip(interpreter, "install", "--no-index", "--no-deps", str(wheel))
    assert _site_packages(interpreter).joinpath("driftline_autostart.pth").exists()
    run(str(interpreter), "import driftline.runtime", DRIFTLINE_AUTO="1")
    pip(interpreter, "uninstall", "--yes", "driftline")
    assert everything() - before == set()
    assert run(str(interpreter), "print('started')", DRIFTLINE_AUTO="1").stderr == ""
