"""The lanes beside the tree, in percent of one axis."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contracts.records import BEGIN

from driftline.records import Kind, Status
from driftline_server.pages.tree import RunTree
from driftline_server.pages.waterfall import Lane, Waterfall, draw_waterfall

from .summaries import a_stream, run, tree

NOW = BEGIN + timedelta(seconds=1)


def drawn(grown: RunTree) -> Waterfall:
    return draw_waterfall(grown, grown.nodes, now=NOW)


def lanes(grown: RunTree) -> dict[str, Lane]:
    return dict(zip((node.run.id for node in grown.nodes), drawn(grown).lanes, strict=True))


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_a_bar_stands_where_its_run_was() -> None:
    lane = lanes(tree(run("root", took=1000), run("tool", "root", at=250, took=500, kind=Kind.TOOL)))["tool"]
    assert (lane.look, lane.x, lane.width, lane.end) == ("solid", "25.000%", "50.000%", "75.000%")


@pytest.mark.parametrize(
    ("kind", "look"),
    [(Kind.CHAIN, "bracket"), (Kind.AGENT, "dashed"), (Kind.TOOL, "solid"), (Kind.LLM, "solid")],
)
def test_containers_are_brackets_and_workers_bars(kind: Kind, look: str) -> None:
    assert lanes(tree(run("root", kind=kind)))["root"].look == look


def test_a_run_too_short_to_see_is_still_drawn_within_the_axis() -> None:
    lane = lanes(tree(run("root", took=1000), run("parse", "root", at=999.9, took=0.1, kind=Kind.PARSER)))[
        "parse"
    ]
    assert number(lane.width) == 0.4
    assert number(lane.end) == 100


def test_the_first_token_mark_stands_at_start_plus_wait() -> None:
    stream = a_stream(200, *[10.0] * 30)
    lane = lanes(
        tree(run("root", took=1000), run("llm", "root", at=100, took=500, kind=Kind.LLM, timeline=stream))
    )["llm"]
    assert lane.stream is not None
    assert lane.look == "stream"
    assert number(lane.stream.mark) == pytest.approx(30.0)
    assert number(lane.stream.wait_width) == pytest.approx(20.0)
    assert number(lane.stream.strip_x) + number(lane.stream.strip_width) == pytest.approx(60.0)


def test_a_strip_is_as_high_as_chunks_came() -> None:
    dense_then_sparse = a_stream(0.01, *[0.1] * 50, *[40.0] * 2)
    lane = lanes(tree(run("llm", took=100, kind=Kind.LLM, timeline=dense_then_sparse)))["llm"]
    assert lane.stream is not None
    heights = [float(bar.split("v")[1].split("h")[0]) for bar in lane.stream.strip.split("M")[1:]]
    assert heights[0] == max(heights) == 12.0
    assert min(heights) < 3


def test_a_stall_is_drawn_where_the_stream_stood_still_with_its_length() -> None:
    stream = a_stream(500, 10, 10, 2000, 10)
    stall = lanes(tree(run("llm", took=4000, kind=Kind.LLM, timeline=stream)))["llm"].stream.stalls[0]  # type: ignore[union-attr]
    assert number(stall.x) == pytest.approx(13.0)
    assert number(stall.width) == pytest.approx(50.0)
    assert stall.label == "2.00\u00a0s"


def test_a_stall_too_narrow_for_its_label_has_none() -> None:
    stream = a_stream(500, 10, 2000, 10)
    lane = lanes(
        tree(run("root", took=100_000), run("llm", "root", took=3000, kind=Kind.LLM, timeline=stream))
    )["llm"]
    assert lane.stream is not None
    assert lane.stream.stalls[0].label == ""


def test_gaps_that_another_writer_garbled_cost_the_strip_only() -> None:
    from dataclasses import replace

    stream = replace(a_stream(50, 10, 10), gaps="!!!")
    lane = lanes(tree(run("llm", took=100, kind=Kind.LLM, timeline=stream)))["llm"]
    assert lane.stream is not None
    assert number(lane.stream.mark) == pytest.approx(50.0)


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_look(status: Status) -> None:
    took = None if status in (Status.RUNNING, Status.INCOMPLETE) else 100.0
    assert lanes(tree(run("root", took=took, status=status)))["root"].state == status.value


def test_a_running_run_reaches_up_to_now_and_leaves_room_for_its_open_front() -> None:
    lane = lanes(tree(run("root", took=None, status=Status.RUNNING)))["root"]
    assert number(lane.end) == pytest.approx(100 / 1.08, abs=0.01)


def test_while_a_trace_runs_its_axis_reaches_now_though_all_that_came_has_ended() -> None:
    grown = tree(run("orphan", "root", took=500))
    waterfall = draw_waterfall(grown, grown.nodes, now=NOW, is_running=True)
    assert number(waterfall.now_at) == pytest.approx(100 / 1.08, abs=0.01)
    assert number(waterfall.lanes[0].end) == pytest.approx(50 / 1.08, abs=0.01)
    assert drawn(grown).now_at == ""


def test_a_model_that_has_not_answered_yet_is_waiting() -> None:
    assert lanes(tree(run("llm", took=None, status=Status.RUNNING, kind=Kind.LLM)))["llm"].look == "waiting"


def test_a_run_whose_end_never_arrived_fades_out_over_a_little_way() -> None:
    lane = lanes(
        tree(run("root", took=1000), run("lost", "root", at=100, took=None, status=Status.INCOMPLETE))
    )["lost"]
    assert (lane.state, number(lane.width)) == ("incomplete", 12.0)


def test_a_run_that_never_ended_reaches_as_far_as_what_was_heard_from_below_it() -> None:
    drawn_lanes = lanes(
        tree(
            run("root", took=None, status=Status.INCOMPLETE),
            run("search", "root", at=0, took=400, kind=Kind.RETRIEVER),
            run("other", at=0, took=1000),
        )
    )
    assert number(drawn_lanes["root"].end) == pytest.approx(40.0)


def test_the_critical_path_is_marked() -> None:
    drawn_lanes = lanes(tree(run("root"), run("a", "root", at=0, took=90), run("b", "root", at=0, took=20)))
    assert [name for name, lane in drawn_lanes.items() if lane.is_critical] == ["root", "a"]
    assert [lane.critical for lane in drawn_lanes.values()] == [
        "M900.00 23.5H1000.00",
        "M0.00 23.5H900.00",
        "",
    ]


def test_a_parser_that_only_follows_a_stream_is_an_outline_off_the_critical_path() -> None:
    stream = a_stream(100, *[10.0] * 80)
    drawn_lanes = lanes(
        tree(
            run("root", took=1010),
            run("llm", "root", at=5, took=995, kind=Kind.LLM, timeline=stream),
            run("parse", "root", at=8, took=1000, kind=Kind.PARSER),
            run("after", "root", at=1003, took=5, kind=Kind.PARSER),
        )
    )
    assert [name for name, lane in drawn_lanes.items() if lane.is_critical] == ["root", "llm", "after"]
    assert [drawn_lanes[name].look for name in ("parse", "after")] == ["outline", "solid"]


def test_a_skewed_run_stands_where_it_claims_and_is_marked() -> None:
    drawn_lanes = lanes(
        tree(run("root", at=0, took=1000), run("early", "root", at=-500, took=100, kind=Kind.TOOL))
    )
    assert drawn_lanes["early"].is_skewed
    assert number(drawn_lanes["early"].x) == 0
    assert number(drawn_lanes["root"].x) == pytest.approx(33.333, abs=0.01)


def test_a_clock_that_is_hours_off_does_not_squeeze_the_rest() -> None:
    drawn_lanes = lanes(tree(run("root", took=1000), run("early", "root", at=-3_600_000, took=100)))
    assert drawn_lanes["early"].beyond == "left"
    assert (drawn_lanes["root"].x, drawn_lanes["root"].width) == ("0.000%", "100.000%")


def test_a_run_without_a_start_has_an_empty_lane() -> None:
    assert lanes(tree(run("root"), run("when", "root", at=None)))["when"].look == "none"


@pytest.mark.parametrize(
    ("took", "labels"),
    [
        (9840, ["0", "2 s", "4 s", "6 s", "8 s"]),
        (420, ["0", "100 ms", "200 ms", "300 ms", ""]),
        (150_000, ["0", "30 s", "1 m", "1 m 30 s", "2 m"]),
        (0, ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms"]),
    ],
)
def test_gridlines_stand_at_round_moments(took: float, labels: list[str]) -> None:
    axis = drawn(tree(run("root", took=took))).axis
    assert [line.label.replace("\u00a0", " ") for line in axis.gridlines] == labels


def test_a_label_without_room_behind_its_line_is_left_out() -> None:
    lines = drawn(tree(run("root", took=620))).axis.gridlines
    assert [line.label for line in lines] == ["0", "200\u00a0ms", "400\u00a0ms", ""]


def test_a_label_gives_way_to_the_word_now() -> None:
    grown = tree(run("root", took=None, status=Status.RUNNING))
    later = draw_waterfall(grown, grown.nodes, now=BEGIN + timedelta(seconds=3.1), is_running=True)
    assert [line.label for line in later.axis.gridlines] == ["0", "1\u00a0s", "2\u00a0s", ""]


def test_gridlines_and_bars_share_one_axis() -> None:
    grown = tree(run("root", took=9840), run("tool", "root", at=4000, took=1000, kind=Kind.TOOL))
    line = next(line for line in drawn(grown).axis.gridlines if line.label == "4\u00a0s")
    assert line.at == lanes(grown)["tool"].x


def test_a_trace_of_years_still_has_an_axis() -> None:
    axis = drawn(tree(run("root", took=3e11))).axis
    assert 2 <= len(axis.gridlines) <= 10


def test_the_minimap_groups_its_lines_by_kind_and_failure() -> None:
    grown = tree(
        run("root"), run("a", "root", kind=Kind.TOOL), run("b", "root", kind=Kind.TOOL, status=Status.ERROR)
    )
    assert {group for group, _ in drawn(grown).minimap} == {"chain", "tool", "failed"}


def test_only_the_rows_that_were_asked_for_are_drawn() -> None:
    grown = tree(run("root", took=1000), *(run(f"r{n}", "root", at=n) for n in range(50)))
    assert len(draw_waterfall(grown, grown.nodes[:10], now=NOW).lanes) == 10
