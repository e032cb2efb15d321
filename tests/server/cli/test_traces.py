"""Traces in a terminal: listed, shown, moved out and in, over HTTP or in a data folder."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contracts.records import BEGIN, a_child, a_run

from driftline.records import Cost, Kind, Run, RunError, Status, TokenTimeline, Usage
from driftline.wire import encode_run
from driftline_server.cli.doors import Traces
from driftline_server.cli.transfer import export_traces
from driftline_server.serving import running
from driftline_server.settings import Settings
from driftline_server.wiring import opened_services

from .conftest import Cli, Result

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\r\n\x00[red]markup[/red]"
ESCAPES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def a_trace(**values: object) -> list[Run]:
    """A root with a model run that streamed, and a tool that failed."""
    root = a_run(
        name="ask_document", duration_ms=2_000.0, inputs={"question": "When?"}, outputs="On Monday.", **values
    )
    model = a_child(
        root,
        name="answer",
        kind=Kind.LLM,
        after_ms=500.0,
        duration_ms=1_500.0,
        model_answered="m-1",
        usage=Usage(input_tokens=1_000, output_tokens=200),
        timeline=TokenTimeline(ttft_ms=600.0, first_text_ms=600.0, chunks=20),
    )
    tool = a_child(
        model, name="fx_rate", kind=Kind.TOOL, status=Status.ERROR, after_ms=100.0, duration_ms=200.0,
        error=RunError(type="TimeoutError", message="the desk did not answer"),
    )  # fmt: skip
    return [root, model, tool]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def runs(data: Path) -> list[Run]:
    return store(data, a_trace(user_id="ada", feature="rag_qa"))


def store(data: Path, runs: list[Run]) -> list[Run]:
    with opened_services(Settings(data=data)) as services:
        services.runs.add_runs(runs)
    return runs


def lines_of(result: Result) -> list[str]:
    return [line.rstrip() for line in result.out.splitlines()]


def test_a_list_says_what_was_asked_and_what_came_back(cli: Cli, data: Path, runs: list[Run]) -> None:
    result = cli("traces", "list", "--data", data)
    assert result.code == 0
    head, first, second = lines_of(result)
    assert head.split()[:3] == ["Started", "Trace", "Took"]
    assert all(words in first for words in ("ask_document ok", "2.00 s", "1,200", "When?"))
    assert all(words in second for words in (runs[0].trace_id, "→ On Monday."))


def test_a_list_can_be_filtered_and_read_by_programs(cli: Cli, data: Path, runs: list[Run]) -> None:
    store(data, [a_run(name="other", user_id="bob")])
    result = cli("traces", "list", "--data", data, "--json", "--user", "ada", "--feature", "rag_qa")
    (found,) = [json.loads(line) for line in result.out.splitlines()]
    assert found["trace_id"] == runs[0].trace_id
    assert cli("traces", "list", "--data", data, "--user", "nobody").err == "no traces pass this filter\n"


def test_a_duration_is_asked_for_in_the_units_of_the_pages(cli: Cli, data: Path, runs: list[Run]) -> None:
    def found(*wanted: str) -> int:
        return len(cli("traces", "list", "--data", data, "--json", *wanted).out.splitlines())

    assert [found("--min-duration", each) for each in ("2s", "2000 ms", "2", "2.1s", "1m")] == [1, 1, 1, 0, 0]
    assert [found("--max-duration", each) for each in ("1999ms", "2s")] == [0, 1]


@pytest.mark.parametrize("columns", [200, 100, 60])
def test_a_list_of_several_projects_says_which_one_a_trace_is_of(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    store(data, a_trace(project="lending"))
    assert "lending" not in cli("traces", "list", "--data", data).out
    store(data, a_trace(project="support"))
    listed = cli("traces", "list", "--data", data).out
    assert "lending" in listed
    assert "support" in listed
    assert "lending" not in cli("traces", "list", "--data", data, "--project", "lending").out


def test_a_list_goes_on_over_pages_up_to_its_limit(cli: Cli, data: Path) -> None:
    store(
        data,
        [a_run(name=f"n{number}", started_at=BEGIN + timedelta(seconds=number)) for number in range(450)],
    )
    names = [
        json.loads(line)["name"]
        for line in cli("traces", "list", "--data", data, "--json", "--limit", 430).out.splitlines()
    ]
    assert names == [f"n{number}" for number in range(449, 19, -1)]


def test_an_empty_store_says_how_to_fill_it(cli: Cli, data: Path) -> None:
    store(data, [])
    result = cli("traces", "list", "--data", data)
    assert (result.code, result.out) == (0, "")
    assert result.err == "no traces yet: send one with DRIFTLINE_AUTO=1, or see README\n"


LONG = "When does the facility of the group mature, and who tells us so in the end, after all?"


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (160, ["Started", "Trace", "Took", "First token", "Tokens", "Cost", "Question and answer"]),
        (80, ["Started", "Trace", "Took", "First token", "Tokens", "Cost"]),
        (56, ["Started", "Trace", "Took", "Tokens", "Cost"]),
        (30, ["Started", "Trace"]),
    ],
)
def test_a_list_fits_its_window_and_keeps_question_and_answer(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch, columns: int, titles: list[str]
) -> None:
    store(data, [a_run(name="ask_" * 12, inputs={"question": LONG}, outputs="Not yet known. " * 9)])
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = cli("traces", "list", "--data", data).out.splitlines()
    assert re.split(r"  +", lines[0]) == titles
    assert max(map(len, lines)) <= columns
    assert "When does the" in "".join(lines)
    assert "→ Not yet" in "".join(lines)


def test_a_list_in_a_pipe_is_neither_cut_nor_filled_with_blanks(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    store(data, [a_run(inputs={"question": LONG}, outputs="Yes.")])
    lines = cli("traces", "list", "--data", data).out.splitlines()
    assert lines[1].endswith(LONG)
    assert [line for line in lines if line != line.rstrip()] == []


def test_what_is_missing_is_the_same_word_in_list_and_tree(cli: Cli, data: Path) -> None:
    root = a_run(name="root", duration_ms=5.0)
    going = a_run(name="going", status=Status.RUNNING, duration_ms=None)
    store(data, [root, a_child(root, name="ask", kind=Kind.LLM, duration_ms=4.0), going, a_run(name="plain")])
    listed = cli("traces", "list", "--data", data).out.splitlines()
    shown = cli("traces", "show", root.trace_id, "--data", data).out

    def words(name: str, lines: list[str]) -> list[str]:
        (line,) = (line for line in lines if name in line.split()[:2])
        return re.split(r"  +", line.strip())

    assert words("root", listed)[3:6] == ["none", "not reported", "not reported"]
    assert words("going", listed)[2:6] == ["running", "not yet", "not yet", "not yet"]
    assert words("plain", listed)[3:6] == ["none", "none", "none"]
    assert "first token none  tokens not reported  cost not reported" in shown
    assert words("ask", shown.splitlines())[-3:] == ["none", "not reported", "not reported"]


def test_a_cost_is_unknown_where_only_the_price_is_missing(cli: Cli, data: Path) -> None:
    used = Usage(input_tokens=10, output_tokens=5)
    asked = a_run(name="asked", kind=Kind.LLM, duration_ms=4.0, model_requested="nobody-knows-1", usage=used)
    store(data, [asked])
    (listed,) = (line for line in cli("traces", "list", "--data", data).out.splitlines() if "asked" in line)
    shown = cli("traces", "show", asked.trace_id, "--data", data).out
    assert re.split(r"  +", listed.strip())[5] == "unknown"
    assert "cost unknown" in shown
    assert "not reported" not in listed + shown


@pytest.mark.parametrize("verb", [("list",), ("show", "f" * 32), ("export",)])
def test_reading_makes_no_database(cli: Cli, data: Path, verb: tuple[str, ...]) -> None:
    data.mkdir()
    result = cli("traces", *verb, "--data", data)
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"driftline: there is no Driftline database in {data}")
    assert list(data.iterdir()) == []


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that anybody may read; nobody is kept out by the folders above it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_folder_can_be_read(cli: Cli, readable_folder: Path) -> None:
    data = readable_folder / "data"
    (root, *_) = store(data, a_trace())
    verbs = (("list",), ("show", root.trace_id), ("export",))
    # What Python has imported by then, an unprivileged reader need not be able to import.
    before = [cli("traces", *verb, "--data", data) for verb in verbs]
    assert [result.code for result in before] == [0, 0, 0]
    (data / "driftline.db").chmod(0o444)
    data.chmod(0o555)
    privileged = os.geteuid() == 0
    try:
        if privileged:
            os.seteuid(65534)
        assert not os.access(data, os.W_OK, effective_ids=True)
        assert [cli("traces", *verb, "--data", data) for verb in verbs] == before
    finally:
        if privileged:
            os.seteuid(0)
        data.chmod(0o755)
    assert [path.name for path in data.iterdir()] == ["driftline.db"]


def test_a_trace_is_shown_as_a_tree_with_bars_tokens_and_errors(
    cli: Cli, data: Path, runs: list[Run]
) -> None:
    shown = lines_of(cli("traces", "show", runs[0].trace_id, "--data", data))
    tree = [line for line in shown if re.match(r" *(ask_document chain|answer llm|fx_rate tool)", line)]
    assert [len(line) - len(line.lstrip()) for line in tree] == [0, 2, 4]
    assert "1.50 s" in tree[1]
    assert "600 ms" in tree[1]
    assert "1,200" in tree[1]
    assert "░" in tree[1], "the wait for the first token"
    assert tree[1].index("░") > tree[0].index("█"), "it began later"
    assert "fx_rate TimeoutError: the desk did not answer" in shown


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (120, ["Run", "0 to 2.00 s", "Took", "First token", "Tokens", "Cost"]),
        (100, ["Run", "0 to 2.00 s", "Took", "First token", "Tokens", "Cost"]),
        (72, ["Run", "Took", "First token", "Tokens", "Cost"]),
        (50, ["Run", "Took", "Cost"]),
        (20, ["Run"]),
    ],
)
def test_a_tree_fits_its_window_and_cuts_names_but_no_figure(
    cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch, columns: int, titles: list[str]
) -> None:
    root, model, tool = a_trace()
    cost = Cost(
        total_micro_usd=11_800, input_micro_usd=11_800, output_micro_usd=0, price_source="catalog",
        price_version="1",
    )  # fmt: skip
    store(data, [root, replace(model, name="answer_" * 12, cost=cost), tool])
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = lines_of(cli("traces", "show", root.trace_id, "--data", data))
    (head,) = (number for number, line in enumerate(shown) if line.startswith("Run"))
    assert re.split(r"  +", shown[head]) == titles
    assert max(map(len, shown[head : head + 4])) <= columns
    figures = {"Took": "1.50 s", "First token": "600 ms", "Tokens": "1,200", "Cost": "$0.0118"}
    wanted = [figures[title] for title in titles if title in figures]
    assert re.split(r"  +", shown[head + 2].strip())[-len(wanted) :] == wanted or not wanted
    assert "…" in shown[head + 2]


def test_an_error_that_rose_is_told_once_where_it_began(cli: Cli, data: Path) -> None:
    error = RunError(type="ValueError", message="no luck")
    root = a_run(status=Status.ERROR, error=error)
    child = a_child(root, name="inner", status=Status.ERROR, error=error)
    store(data, [root, child])
    result = cli("traces", "show", root.trace_id, "--data", data)
    assert [line for line in lines_of(result) if "no luck" in line] == ["inner ValueError: no luck"]


def test_runs_without_parent_in_a_circle_or_without_end_are_shown_too(cli: Cli, data: Path) -> None:
    root = a_run(name="root")
    orphan = a_child(root, name="orphan", status=Status.RUNNING, duration_ms=None)
    one = a_child(root, name="one")
    other = a_child(one, name="other")
    circle = [Run(**{**fields_of(one), "parent_id": other.id}), other]
    lost = Run(**{**fields_of(orphan), "parent_id": "f" * 32})
    store(data, [root, lost, *circle])
    result = cli("traces", "show", root.trace_id, "--data", data)
    assert all(f"{name} " in result.out for name in ("root", "orphan", "one", "other"))
    assert "its parent is missing" in result.out
    assert "running" in result.out


def fields_of(run: Run) -> dict[str, object]:
    return {name: getattr(run, name) for name in Run.__dataclass_fields__}


@pytest.mark.parametrize("command", ["list", "show"])
def test_names_cannot_steer_the_terminal(cli: Cli, data: Path, command: str) -> None:
    error = RunError(type=HOSTILE, message=HOSTILE)
    run = a_run(
        name=HOSTILE, user_id=HOSTILE, inputs=HOSTILE, outputs=HOSTILE, status=Status.ERROR, error=error
    )
    store(data, [run])
    wanted = [run.trace_id] if command == "show" else []
    result = cli("traces", command, *wanted, "--data", data)
    assert result.code == 0
    assert not ESCAPES.search(result.out)
    assert "[red]markup[/red]" in result.out, "it is text, not markup"
    assert r"\x1b[2J" in result.out, "what is hidden is made visible"


def test_exported_runs_come_back_unchanged(cli: Cli, data: Path, tmp_path: Path, runs: list[Run]) -> None:
    file = tmp_path / "runs.jsonl"
    result = cli("traces", "export", "--data", data, "--output", file)
    assert (result.code, result.err) == (0, "exported 3 runs of 1 trace\n")
    other = tmp_path / "other"
    other.mkdir()
    assert cli("traces", "import", file, "--data", other).err.startswith("imported 3 runs: 3 new")
    assert cli("traces", "import", file, "--data", other).err.startswith(
        "imported 3 runs: 0 new, 0 merged, 3 unchanged"
    )
    again = cli("traces", "export", "--data", other)
    assert again.out == file.read_text("utf-8")


def test_one_trace_or_those_of_a_filter_can_be_exported(cli: Cli, data: Path, runs: list[Run]) -> None:
    other = a_run(name="other")
    store(data, [other])
    by_id = cli("traces", "export", other.trace_id, "--data", data)
    assert [json.loads(line)["id"] for line in by_id.out.splitlines()] == [other.id]
    by_name = cli("traces", "export", "--name", "other", "--data", data)
    assert by_name.out == by_id.out


def test_lines_that_cannot_be_read_are_told_and_do_not_stop_the_others(cli: Cli, data: Path) -> None:
    data.mkdir()
    good = json.dumps(encode_run(a_run()))
    lines = ["{", good, "", "5", '{"id": "x", "trace_id": "y"}', json.dumps({"runs": [encode_run(a_run())]})]
    result = cli("traces", "import", "--data", data, stdin="\n".join(lines))
    assert result.code == 1
    told = result.err.splitlines()
    assert told[0].startswith("input:1: is not JSON")
    assert told[1].startswith("input:4: is no run")
    assert told[2] == "input:5: id: expected 32 hexadecimal digits, as of a UUID"
    assert told[3] == "imported 2 runs: 2 new, 0 merged, 0 unchanged; 3 lines refused"


def test_lines_that_no_server_takes_do_not_stop_the_others(cli: Cli, data: Path) -> None:
    data.mkdir()
    whole = json.dumps(encode_run(a_run()))
    started = whole.removesuffix("}")
    lines = [
        f'{started}, "inputs": NaN}}',
        f'{started}, "inputs": [-Infinity]}}',
        f'{started}, "inputs": 1e400}}',
        f'{started}, "inputs": {"[" * 5_000}{"]" * 5_000}}}',
        f'{started}, "inputs": {"[" * 700}{"]" * 700}}}',
        f'{started}, "inputs": {"[" * 300}{"]" * 300}}}',
        f'{started}, "inputs": {[[]] * 600}}}',
        f'{started}, "inputs": "{"[" * 600}"}}',
    ]
    result = cli("traces", "import", "--data", data, stdin="\n".join(lines))
    assert result.code == 1
    told = result.err.splitlines()
    assert told[:5] == [
        "input:1: has NaN, which is no number of JSON",
        "input:2: has -Infinity, which is no number of JSON",
        "input:3: has 1e400, which is more than any program can read",
        "input:4: is nested too deeply",
        "input:5: is nested too deeply",
    ]
    assert told[5] == "input:6: inputs: is nested more than 64 levels deep"
    assert told[6].startswith("imported 2 runs: 1 new")
    assert told[6].endswith("6 lines refused")


def test_what_is_no_json_lines_file_is_said_once(cli: Cli, data: Path, runs: list[Run]) -> None:
    table = "Started  Trace  Took\n" * 41
    result = cli("traces", "import", "--data", data, stdin=table)
    assert result.code == 1
    *told, said, counted = result.err.splitlines()
    assert [line.split(":")[1] for line in told] == ["1", "2", "3"]
    assert said == "input is no JSON lines file: driftline traces export writes such files"
    assert counted == "imported 0 runs: 0 new, 0 merged, 0 unchanged; 3 lines refused"


def test_a_file_with_broken_lines_among_good_ones_is_read_to_its_end(cli: Cli, data: Path) -> None:
    data.mkdir()
    good = [json.dumps(encode_run(a_run())) for _ in range(2)]
    result = cli("traces", "import", "--data", data, stdin="\n".join([good[0], *"{" * 30, good[1]]))
    *told, further, counted = result.err.splitlines()
    assert len(told) == 10
    assert further == "further lines were refused; they are only counted"
    assert counted == "imported 2 runs: 2 new, 0 merged, 0 unchanged; 30 lines refused"


def test_an_import_in_which_every_line_is_refused_says_why(cli: Cli, data: Path) -> None:
    data.mkdir()
    result = cli("traces", "import", "--data", data, stdin='{"id": "x"}\n{"trace_id": "y"}\n')
    assert result.code == 1
    assert result.err.splitlines()[-1] == "imported 0 runs: 0 new, 0 merged, 0 unchanged; 2 lines refused"
    assert "input:1:" in result.err
    assert "input:2:" in result.err


def test_more_runs_than_fit_into_one_batch_are_imported(cli: Cli, data: Path) -> None:
    data.mkdir()
    lines = "\n".join(json.dumps(encode_run(a_run())) for _ in range(1_203))
    assert cli("traces", "import", "--data", data, stdin=lines).err.startswith(
        "imported 1,203 runs: 1,203 new"
    )


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    cli: Cli, data: Path, runs: list[Run], tmp_path: Path
) -> None:
    result = cli("traces", "export", "--data", data, "--output", tmp_path / "missing" / "runs.jsonl")
    assert result.code == 1
    assert "cannot write" in result.err
    assert not (tmp_path / "missing").exists()


def test_a_file_that_is_there_is_written_over_only_by_force(
    cli: Cli, data: Path, runs: list[Run], tmp_path: Path
) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text("mine")
    refused = cli("traces", "export", "--data", data, "-o", file)
    assert (refused.code, file.read_text()) == (1, "mine")
    assert refused.err == (
        f"driftline: {file} is there already: write over it with --force, or choose another name\n"
    )
    assert cli("traces", "export", "--data", data, "-o", file, "--force").code == 0
    assert len(file.read_text().splitlines()) == 3


def test_an_export_is_for_its_owner_only(cli: Cli, data: Path, runs: list[Run], tmp_path: Path) -> None:
    file, left = tmp_path / "runs.jsonl", tmp_path / "runs.jsonl.part"
    left.touch(mode=0o644)
    assert cli("traces", "export", "--data", data, "-o", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_a_trace_that_the_server_fails_over_does_not_stop_an_export() -> None:
    class Door:
        def ask(self, method: str, path: str, document: Any = None) -> tuple[int, dict[str, str], Any]:
            if path.endswith("a"):
                return 500, {}, {"error": {"problem": "something went wrong here"}}
            return 200, {}, {"runs": [encode_run(good)] if path.endswith("b") else [{"id": "x"}]}

    good, told, lines = a_run(), list[str](), io.StringIO()
    ids = [31 * "0" + digit for digit in "abc"]
    count = export_traces(Traces(Door()), ids, lines, told.append)
    assert (count.traces, count.runs, count.unreadable) == (1, 1, 2)
    assert lines.getvalue().count("\n") == 1
    assert told[0] == f"left out trace {ids[0]}: something went wrong here"
    assert told[1] == f"left out trace {ids[2]}: trace_id: is missing"


def test_an_export_into_a_pipe_leaves_the_pipe_there(
    cli: Cli, data: Path, runs: list[Run], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli("traces", "export", "--data", data, "-o", pipe).code == 0
        assert len(os.read(reader, 65_536).splitlines()) == 3
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_running_server_is_asked_over_http(cli: Cli, data: Path, runs: list[Run]) -> None:
    with running(Settings(data=data, port=0)) as server:
        over_http = cli("traces", "show", runs[0].trace_id, "--url", server.url)
        sent = cli("traces", "import", "--url", server.url, stdin=json.dumps(encode_run(a_run(name="sent"))))
        listed = cli("traces", "list", "--json", "--url", f"{server.url}/traces?q=sent")
    assert over_http.out == cli("traces", "show", runs[0].trace_id, "--data", data).out
    assert sent.code == 0
    assert len(listed.out.splitlines()) == 2


def test_a_server_that_asks_for_a_key_says_how_to_make_one(cli: Cli, data: Path, runs: list[Run]) -> None:
    key = cli("keys", "add", "ci", "--data", data).out.strip()
    cli("users", "add", "ada", "--password", "correct horse", "--data", data)
    with running(Settings(data=data, host="0.0.0.0", port=0)) as server:
        refused = cli("traces", "list", "--url", server.url)
        let_in = cli("traces", "list", "--url", server.url, "--api-key", key)
        unknown = cli("traces", "list", "--url", server.url, "--api-key", "dl_unknown")
    remedy = "where the server runs, make one with driftline keys add NAME, and set DRIFTLINE_API_KEY to it"
    assert (refused.code, refused.err) == (1, f"driftline: this server asks for an API key: {remedy}\n")
    assert unknown.err == f"driftline: the API key is not known here, or was revoked: {remedy}\n"
    assert runs[0].trace_id in let_in.out


def test_a_server_that_is_away_is_one_line_with_the_remedy(cli: Cli) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = cli("traces", "list", "--url", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "start it with driftline serve" in line


def test_a_trace_that_is_not_there_is_said(cli: Cli, data: Path, runs: list[Run]) -> None:
    result = cli("traces", "show", "f" * 32, "--data", data)
    assert result.code == 1
    assert result.err == f"driftline: there is no trace {'f' * 32}: driftline traces list shows them\n"


def test_a_trace_is_found_by_its_first_or_last_digits(cli: Cli, data: Path) -> None:
    one, other, twin = ("0123456789" + "a" * 22, "0123456780" + "b" * 22, "f" * 22 + "0" + "b" * 9)
    store(data, [a_run(id=each, trace_id=each, name=f"n{each[0]}") for each in (one, other, twin)])
    for part in ("0123456789", "A" * 10, f"{one[:8]}-{one[8:]}"):
        found = json.loads(cli("traces", "show", part, "--json", "--data", data).out)
        assert found["trace_id"] == one
    several = cli("traces", "show", "01234567", "--data", data)
    assert several.code == 1
    assert several.err.startswith("driftline: 2 traces have 01234567, give more digits:\n")
    assert sorted(line.split()[0] for line in several.err.splitlines()[1:]) == sorted([one, other])
    nobody = cli("traces", "show", "dddddddd", "--data", data)
    assert nobody.code == 1
    assert "driftline traces list shows them" in nobody.err
