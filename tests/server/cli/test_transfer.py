"""What becomes of lines that are imported: over HTTP, in batches, with their scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.records import a_child, a_run, a_score

from driftline.records import Run
from driftline.wire import decode_run, encode_batch, encode_run
from driftline_server.api.documents import whole
from driftline_server.serving import running
from driftline_server.settings import Settings

from .conftest import Cli


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_half_a_character_spoils_neither_its_line_nor_its_neighbours(cli: Cli, tmp_path: Path) -> None:
    lines = [
        json.dumps(encode_run(a_run(name=name))) for name in ("one", "half an emoji \ud83d", "three \u20ac")
    ]
    with running(Settings(data=tmp_path / "data", port=0)) as server:
        result = cli("traces", "import", "--url", server.url, stdin="\n".join(lines))
        listed = cli("traces", "list", "--url", server.url, "--json").out.splitlines()
    assert result.err == "imported 3 runs: 3 new, 0 merged, 0 unchanged; 0 lines refused\n"
    assert {json.loads(line)["name"] for line in listed} == {"one", "half an emoji \ufffd", "three \u20ac"}


def lines_of(runs: list[Run]) -> str:
    return "\n".join(json.dumps(encode_run(run)) for run in runs)


@pytest.mark.parametrize(
    "limits", [{"max_runs_per_batch": 100}, {"max_body_bytes": 20_000}, {"max_expanded_bytes": 20_000}]
)
def test_a_batch_that_is_too_large_for_the_server_goes_in_parts(
    cli: Cli, tmp_path: Path, limits: dict[str, Any]
) -> None:
    with running(Settings(data=tmp_path / "data", port=0, **limits)) as server:
        result = cli("traces", "import", "--url", server.url, stdin=lines_of([a_run() for _ in range(400)]))
    assert result.err == "imported 400 runs: 400 new, 0 merged, 0 unchanged; 0 lines refused\n"


def test_a_line_that_is_too_large_for_the_server_does_not_stop_the_others(cli: Cli, tmp_path: Path) -> None:
    lines = lines_of([a_run(), a_run(inputs="x" * 200_000), a_run()])
    with running(Settings(data=tmp_path / "data", port=0, max_body_bytes=20_000)) as server:
        result = cli("traces", "import", "--url", server.url, stdin=lines)
    assert result.err.splitlines() == [
        "input:2: the body has more than 20,000 bytes",
        "imported 2 runs: 2 new, 0 merged, 0 unchanged; 1 line refused",
    ]


def test_a_trace_of_more_runs_than_fit_into_one_batch_is_imported(cli: Cli, tmp_path: Path) -> None:
    root = a_run()
    runs = [root, *(a_child(root) for _ in range(1_200))]
    line = json.dumps({"trace_id": root.trace_id, "runs": [whole(run) for run in runs], "scores": []})
    with running(Settings(data=tmp_path / "data", port=0, max_runs_per_batch=1_000)) as server:
        result = cli("traces", "import", "--url", server.url, stdin=line)
    assert result.err == "imported 1,201 runs: 1,201 new, 0 merged, 0 unchanged; 0 lines refused\n"


def test_a_line_of_which_much_was_refused_is_told_once(cli: Cli, data: Path) -> None:
    line = json.dumps({"runs": [encode_run(a_run()), *({"id": "x"} for _ in range(700))]})
    result = cli("traces", "import", "--data", data, stdin=line)
    assert result.code == 1
    assert result.err.splitlines() == [
        "input:1: trace_id: is missing",
        "imported 1 run: 1 new, 0 merged, 0 unchanged; 1 line refused",
    ]


def test_scores_come_with_their_runs_or_alone(cli: Cli, data: Path) -> None:
    one, other = a_run(), a_run()
    scores = [a_score(one), a_score(other), a_score(other, name="harmless")]
    lines = [
        json.dumps(encode_batch([one, other], scores[:2])),
        json.dumps({"version": 1, "scores": encode_batch([], scores[1:])["scores"]}),
    ]
    result = cli("traces", "import", "--data", data, stdin="\n".join(lines))
    assert result.code == 0
    assert result.err.splitlines() == [
        "imported 4 scores: 3 new",
        "imported 2 runs: 2 new, 0 merged, 0 unchanged; 0 lines refused",
    ]
    stored = json.loads(cli("traces", "show", other.trace_id, "--json", "--data", data).out)["scores"]
    assert {score["name"] for score in stored} == {"faithfulness", "harmless"}


def test_a_score_that_cannot_be_read_is_told_with_its_line(cli: Cli, data: Path) -> None:
    run = a_run()
    batch = encode_batch([run], [a_score(run), a_score(run)])
    del batch["scores"][1]["name"]
    result = cli("traces", "import", "--data", data, stdin=json.dumps(batch))
    assert result.code == 1
    assert result.err.splitlines() == [
        "input:1: name: is missing",
        "imported 1 score: 1 new",
        "imported 1 run: 1 new, 0 merged, 0 unchanged; 1 line refused",
    ]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"version": 99, "runs": []}, "version: 99 is newer than 1: upgrade the server"),
        ({"version": "1", "runs": []}, "version: is missing or no whole number from 1 on"),
        ({"version": 1}, "runs: is missing"),
        ({"version": 1, "runs": {}}, "runs: expected an array"),
        ({"version": 1, "scores": None}, "scores: expected an array"),
    ],
)
def test_a_batch_that_the_server_would_not_take_is_refused(
    cli: Cli, data: Path, frame: dict[str, Any], said: str
) -> None:
    if frame.get("runs") == []:
        frame = frame | {"runs": [encode_run(a_run())]}
    result = cli("traces", "import", "--data", data, stdin=f"{json.dumps(frame)}\n{lines_of([a_run()])}")
    told, counted = result.err.splitlines()
    assert told.startswith(f"input:1: {said}")
    assert counted == "imported 1 run: 1 new, 0 merged, 0 unchanged; 1 line refused"


def test_a_run_keeps_fields_that_are_called_as_those_of_a_batch(cli: Cli, data: Path) -> None:
    run = a_run(extra={"version": "2024-b", "scores": [1, 2]})
    assert cli("traces", "import", "--data", data, stdin=lines_of([run])).code == 0
    (exported,) = cli("traces", "export", "--data", data).out.splitlines()
    assert decode_run(json.loads(exported)).extra == run.extra
