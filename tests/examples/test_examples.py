"""Each example runs as a reader would run it, and its trace is on the server that it names."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from stand_ins.provider import Answer, Provider, ToolUse

from driftline_server.operations import access
from driftline_server.serving import running
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text())
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and what it wrote."""

    code: int
    said: str
    complained: str


def run_example(name: str, *words: str, **environment: str) -> Outcome:
    """Run an example in a process of its own that knows neither keys nor servers of this machine."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("DRIFTLINE", "ANTHROPIC"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *words],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def _spools_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits on disk lies beside the test, for the examples and for the command."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DRIFTLINE_SPOOL", raising=False)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server that listens."""
    with running(Settings(data=tmp_path / "data", port=0, worker=False)) as server:
        yield server.url


@pytest.fixture
def unused_url() -> str:
    """Where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def trace_at(outcome: Outcome, url: str) -> list[dict[str, Any]]:
    """The runs of the trace that the example says to look at, by its page and by the API."""
    found = re.search(
        rf"^Look at the trace: ({re.escape(url)}/traces/(\w{{32}}))$", outcome.said, re.MULTILINE
    )
    assert found is not None, outcome
    with urlopen(found[1]) as page:
        assert page.status == 200
    with urlopen(f"{url}/api/v1/traces/{found[2]}") as answer:
        runs: list[dict[str, Any]] = json.load(answer)["runs"]
    return runs


def traces_on(url: str) -> int:
    """How many traces a server holds."""
    with urlopen(f"{url}/api/v1/traces") as answer:
        return len(json.load(answer)["traces"])


def test_there_are_examples() -> None:
    assert PROGRAMS == ["langchain_rag.py", "langgraph_agent.py"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_sends_its_trace_to_the_server_that_runs(name: str, url: str) -> None:
    outcome = run_example(name, DRIFTLINE_URL=url)
    assert outcome.code == 0, outcome
    assert outcome.complained == ""
    runs = trace_at(outcome, url)
    assert [run["id"] for run in runs if run["parent_id"] is None] == [runs[0]["trace_id"]]
    assert {run["status"] for run in runs} == {"ok"}
    assert {run["user_id"] for run in runs} == {"u-42"}
    answer = [run for run in runs if run["kind"] == "llm"][-1]
    assert answer["usage"]["output_tokens"] > 0
    assert answer["timeline"]["ttft_ms"] > 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_trace_without_a_server_waits_on_disk_for_the_one_that_is_started(
    name: str, unused_url: str, tmp_path: Path
) -> None:
    outcome = run_example(name, DRIFTLINE_URL=unused_url)
    assert outcome.code == 0, outcome
    assert "keeps runs on disk" in outcome.complained
    port = urlsplit(unused_url).port
    *_, waits, start, replay = outcome.said.splitlines()
    assert waits == f"No server at {unused_url}, so the trace waits on disk: see driftline spool"
    assert start == f"Start one with: driftline serve --port {port}"
    with running(Settings(data=tmp_path / "data", port=port or 0, worker=False)):
        words = replay.removeprefix("Then send the trace with: driftline ").split()
        subprocess.run([sys.executable, "-m", "driftline", *words], check=True, timeout=TIMEOUT_S)
        assert traces_on(unused_url) == 1


def test_where_nothing_may_lie_on_disk_nothing_is_recorded_without_a_server(unused_url: str) -> None:
    outcome = run_example("langchain_rag.py", DRIFTLINE_URL=unused_url, DRIFTLINE_SPOOL="off")
    assert outcome.complained == ""
    port = urlsplit(unused_url).port
    assert outcome.said.splitlines()[1:] == [
        f"No server at {unused_url}. Start one with: driftline serve --port {port}"
    ]


def test_the_chain_answers_from_what_it_found(url: str) -> None:
    outcome = run_example("langchain_rag.py", "Which law governs the guarantee?", DRIFTLINE_URL=url)
    assert outcome.said.splitlines()[0] == "The guarantee is governed by German law."
    runs = trace_at(outcome, url)
    assert runs[0]["name"] == "explain_terms"
    (retriever,) = (run for run in runs if run["kind"] == "retriever")
    best = retriever["documents"][0]
    assert best["id"] == "guarantee.md"
    assert best["score"] > 0


def test_the_agent_calls_two_tools_and_answers_from_them(url: str) -> None:
    outcome = run_example("langgraph_agent.py", DRIFTLINE_URL=url)
    assert "977 days" in outcome.said.splitlines()[0]
    runs = trace_at(outcome, url)
    assert (runs[0]["name"], runs[0]["kind"]) == ("maturity_agent", "agent")
    assert sorted(run["name"] for run in runs if run["kind"] == "tool") == ["days_between", "maturity"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When does the Elbe loan mature?", "The Elbe loan matures on 30 June 2028."),
        ("Is the ISAR NOTE due?", "The Isar note matures on 04 March 2031."),
        ("What is there?", "The Isar note matures on 04 March 2031. The Isar note and the Elbe loan mature"),
    ],
)
def test_the_agent_answers_about_what_the_question_names(question: str, answer: str, unused_url: str) -> None:
    outcome = run_example("langgraph_agent.py", question, DRIFTLINE_URL=unused_url)
    assert outcome.said.splitlines()[0].startswith(answer), outcome


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_is_no_question(name: str, url: str) -> None:
    outcome = run_example(name, "--help", DRIFTLINE_URL=url)
    assert outcome.code == 0
    assert outcome.said.startswith(f"usage: {name}")
    assert f"python examples/{name}" in outcome.said
    assert traces_on(url) == 0
    assert run_example(name, "--lvie", DRIFTLINE_URL=url).code == 2


def test_words_without_quotes_are_one_question(unused_url: str) -> None:
    words = ["Which", "law", "governs", "the", "guarantee?"]
    outcome = run_example("langchain_rag.py", *words, DRIFTLINE_URL=unused_url)
    assert outcome.said.splitlines()[0] == "The guarantee is governed by German law."


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            {"DRIFTLINE_ENABLED": "0"},
            "Nothing was recorded: DRIFTLINE_ENABLED or another setting turns tracing off.",
        ),
        (
            {"DRIFTLINE_SAMPLE_RATE": "0"},
            "Nothing was recorded: the sample of DRIFTLINE_SAMPLE_RATE leaves this trace out.",
        ),
    ],
)
def test_where_nothing_is_recorded_no_trace_is_pointed_at(
    setting: dict[str, str], said: str, url: str
) -> None:
    outcome = run_example("langchain_rag.py", DRIFTLINE_URL=url, **setting)
    assert outcome.code == 0, outcome
    assert outcome.said.splitlines()[1:] == [said]
    assert traces_on(url) == 0


def test_a_trace_in_a_file_is_said_to_be_there(unused_url: str, tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    outcome = run_example("langchain_rag.py", DRIFTLINE_URL=unused_url, DRIFTLINE_FILE=str(file))
    assert outcome.said.splitlines()[1:] == [f"The trace is in {file}"]
    assert len(file.read_text().splitlines()) > 3


def test_a_trace_that_the_server_refuses_is_not_pointed_at(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=0, worker=False, host="0.0.0.0")
    with opened_services(settings) as services:
        access.add_api_key(services, "ci")
        access.put_user(services, "ada", "correct horse battery")
    with running(settings) as server:
        outcome = run_example("langchain_rag.py", DRIFTLINE_URL=server.url)
    assert outcome.code == 0, outcome
    assert outcome.said.splitlines()[1:] == [
        "The trace waits on disk, and the lines above say why: see driftline spool"
    ]
    assert "API key" in outcome.complained


@pytest.mark.parametrize("name", PROGRAMS)
def test_live_without_a_key_is_told_in_one_line(name: str, unused_url: str) -> None:
    outcome = run_example(name, "--live", DRIFTLINE_URL=unused_url)
    assert outcome.code == 1
    assert outcome.said == ""
    assert outcome.complained == "--live needs a key: set ANTHROPIC_API_KEY.\n"


@pytest.mark.parametrize(
    ("name", "missing"), [("langgraph_agent.py", "langchain"), ("langchain_rag.py", "langchain_core")]
)
def test_what_is_not_installed_is_told_in_one_line(name: str, missing: str, tmp_path: Path) -> None:
    absent = f"raise ModuleNotFoundError('No module named {missing}', name='{missing}')"
    (tmp_path / f"{missing}.py").write_text(absent)
    outcome = run_example(name, PYTHONPATH=str(tmp_path))
    assert outcome.code == 1
    assert outcome.said == ""
    assert outcome.complained == (
        f"This example needs {missing}: install Driftline with the extra [demo], as README.md shows.\n"
    )


def test_live_asks_claude(url: str) -> None:
    """Claude's place is taken by the stand-in, which speaks as the provider does."""
    with Provider(Answer.of("It matures", " on 04/03/2031.")) as provider:
        outcome = run_example("langchain_rag.py", "--live", **live(provider, url))
    assert outcome.said.splitlines()[0] == "It matures on 04/03/2031."
    (model,) = (run for run in trace_at(outcome, url) if run["kind"] == "llm")
    assert (model["provider"], model["usage"]["output_tokens"]) == ("anthropic", 7)


def test_a_live_agent_lets_claude_choose_its_tools(url: str) -> None:
    call = ToolUse.of("maturity", name="Elbe loan")
    with Provider(Answer(blocks=(call,)), Answer.of("On 30 June 2028.")) as provider:
        outcome = run_example("langgraph_agent.py", "--live", "And the Elbe loan?", **live(provider, url))
    assert outcome.said.splitlines()[0] == "On 30 June 2028."
    (tool,) = (run for run in trace_at(outcome, url) if run["kind"] == "tool")
    assert tool["inputs"] == {"name": "Elbe loan"}


def live(provider: Provider, url: str) -> dict[str, str]:
    """The environment in which Claude is the stand-in."""
    return {
        "DRIFTLINE_URL": url,
        "ANTHROPIC_API_KEY": provider.key,
        "ANTHROPIC_BASE_URL": provider.anthropic_url,
    }
