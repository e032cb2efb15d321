"""Wrong usage is two lines and code 2; a failure is a line or two and code 1; a stack only on demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import driftline_server.cli
import driftline_server.cli.show_settings
from driftline.version import __version__
from driftline_server.cli.console import safe
from driftline_server.cli.root import root

from .conftest import Cli


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("bogus",), "No such command 'bogus'."),
        (("trace", "list"), "No such command 'trace'. Did you mean 'traces'?"),
        (("serve", "--port", "many"), "'many' is not a port between 0 and 65535"),
        (("serve", "--port", "99999"), "'99999' is not a port between 0 and 65535"),
        (("demo", "--port", "-1"), "'-1' is not a port between 0 and 65535"),
        (("traces", "show"), "Missing argument 'TRACE_ID'"),
        (("traces", "show", "abc"), "'abc' is no id of a trace"),
        (("traces", "list", "--since", "soon"), "no moment such as 2h, 3d or"),
        (("traces", "list", "--status", "fine"), "'fine' is not one of"),
        (("traces", "list", "--min-duration", "long"), "'long' is not a time such as 5 s or 800 ms"),
        (
            ("traces", "list", "--data", "no/such/folder"),
            "there is no data folder no/such/folder: driftline serve --data",
        ),
        (("traces", "list", "--url", "ftp://here"), "no address of a server"),
        (("traces", "import", "no-such-file"), "does not exist"),
        (("prices", "set", "m", "--input", "cheap", "--output", "1"), "'cheap' is no price"),
        (("prices", "set", "m*y", "--input", "1", "--output", "1"), "'m*y' is no name of a model"),
        (("prices", "set", "", "--input", "1", "--output", "1"), "'' is no name of a model"),
        (("settings", "--data", ""), "the path is empty: name one, or leave the option out"),
        (("settings", "--config", " "), "the path is empty"),
        (("traces", "list", "--data", ""), "the path is empty"),
        (("traces", "export", "--output", ""), "the path is empty"),
        (("demo", "--data", ""), "the path is empty"),
        (("demo", "--traces", "0"), "0 is not in the range"),
        (("open", "--url"), "requires an argument"),
    ],
)
def test_wrong_usage_is_two_lines_and_code_2(cli: Cli, arguments: tuple[str, ...], problem: str) -> None:
    result = cli(*arguments)
    assert result.code == 2
    first, second = result.err.splitlines()
    assert first.startswith("driftline: ")
    assert problem in first
    assert second.startswith("see: driftline ")
    assert second.endswith(" --help")


def test_a_wrong_setting_is_one_line_and_code_1(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "driftline.toml").write_text("prot = 8321\n")
    result = cli("settings", "--data", tmp_path)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "did you mean 'port'?" in line


def test_an_unexpected_error_shows_no_stack_unless_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(driftline_server.cli.show_settings, "list_settings", fail)
    result = cli("settings")
    assert result.code == 1
    assert result.err.splitlines() == [
        "driftline: unexpected ZeroDivisionError: by nought",
        "run it again with --debug to see where",
    ]
    for arguments in (("--debug", "settings"), ("settings", "--debug")):
        with pytest.raises(ZeroDivisionError):
            cli(*arguments)


def test_ctrl_c_is_code_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driftline_server.cli.show_settings, "list_settings", interrupt)
    assert cli("settings").code == 130


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").out == f"driftline {__version__}\n"


def test_help_lists_every_command_and_comes_with_h(cli: Cli) -> None:
    for option in ("-h", "--help"):
        result = cli(option)
        assert result.code == 0
        assert all(f"  {name} " in result.out for name in ("serve", "demo", "traces", "keys", "worker"))


@pytest.mark.parametrize("words", [(), ("traces",), ("keys",)])
def test_a_command_without_its_verb_shows_its_help(cli: Cli, words: tuple[str, ...]) -> None:
    bare, asked = cli(*words), cli(*words, "--help")
    assert (bare.code, bare.err) == (0, "")
    assert bare.out == asked.out
    assert cli("help", *words).out == asked.out


def test_help_is_a_word_too(cli: Cli) -> None:
    assert cli("help", "traces", "list").out.startswith("Usage: driftline traces list")
    assert cli("help", "bogus").code == 2


def test_the_shell_completes_commands_and_their_parts(
    cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def completed(words: str) -> list[str]:
        monkeypatch.setenv("_DRIFTLINE_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        with pytest.raises(SystemExit):
            cli()
        return [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]

    assert completed("driftline tr") == ["traces"]
    assert completed("driftline traces ex") == ["export"]
    assert "--feature" in completed("driftline traces list --f")


@pytest.mark.parametrize("name", root.list_commands(None))  # type: ignore[arg-type]
def test_every_command_has_help_in_its_own_words(cli: Cli, name: str) -> None:
    result = cli(name, "-h")
    assert result.code == 0
    assert f"usage: driftline {name}" in result.out.lower()


@pytest.mark.parametrize(
    ("installed", "missing"),
    [
        ((), "langchain-core and langchain and langgraph, which are"),
        (("langchain_core",), "langchain and langgraph, which are"),
        (("langchain_core", "langchain"), "langgraph, which is"),
    ],
)
def test_a_demo_without_its_packages_names_them_and_says_where_to_read_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], missing: str
) -> None:
    monkeypatch.setattr(
        "driftline_server.cli.demonstrating.find_spec", lambda name: name if name in installed else None
    )
    result = cli("demo")
    assert result.code == 1
    assert result.err == (
        f"driftline: the demo needs {missing} not installed: "
        "install Driftline with the extra [demo], as README.md shows\n"
    )


def test_no_remedy_names_an_index_that_does_not_have_us() -> None:
    server = Path(driftline_server.cli.__file__).parents[1]
    naming = [
        path.name for path in server.rglob("*.py") if "pip install 'driftline" in path.read_text("utf-8")
    ]
    assert naming == []


@given(st.text())
def test_no_text_can_steer_a_terminal(text: str) -> None:
    shown = safe(text)
    assert all(each.isprintable() or each in "\t\n" or each.isspace() for each in shown)
    assert safe(shown) == shown, "what is safe stays as it is"


@given(st.text(alphabet=st.characters(categories=("L", "N", "P"), codec="utf-8")))
def test_words_of_every_language_stay_as_they_are(text: str) -> None:
    assert safe(text) == text
