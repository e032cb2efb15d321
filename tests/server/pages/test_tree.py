"""The runs of a trace in the order in which they are read."""

from __future__ import annotations

from driftline_server.pages.critical_path import critical_path
from driftline_server.pages.tree import RunTree

from .summaries import run, tree


def outline(grown: RunTree) -> list[str]:
    """Each row with a dot for every level above it."""
    return ["." * (node.level - 1) + node.run.id for node in grown.nodes]


def test_children_stand_below_their_parent_by_their_start() -> None:
    grown = tree(
        run("late", "root", at=50), run("root"), run("early", "root", at=10), run("leaf", "early", at=11)
    )
    assert outline(grown) == ["root", ".early", "..leaf", ".late"]


def test_a_row_knows_its_place_among_its_siblings() -> None:
    grown = tree(run("root"), run("a", "root", at=1), run("b", "root", at=2))
    assert [(node.position, node.siblings) for node in grown.nodes] == [(1, 1), (1, 2), (2, 2)]


def test_a_run_whose_parent_never_came_is_a_root_that_says_so() -> None:
    grown = tree(run("root"), run("lost", "gone", at=5))
    assert outline(grown) == ["root", "lost"]
    assert [node.is_orphan for node in grown.nodes] == [False, True]


def test_a_ring_of_parents_is_shown_once_and_ends() -> None:
    grown = tree(run("root"), run("a", "c", at=1), run("b", "a", at=2), run("c", "b", at=3))
    assert outline(grown) == ["root", "a", ".b", "..c"]
    assert grown.by_id["c"].children == ()


def test_a_run_without_a_start_comes_last() -> None:
    assert outline(tree(run("root"), run("when", "root", at=None), run("a", "root", at=1))) == [
        "root",
        ".a",
        ".when",
    ]


def test_a_chain_of_thousands_is_no_problem() -> None:
    runs = [run("0"), *(run(str(n), str(n - 1), at=n) for n in range(1, 5000))]
    grown = tree(*runs)
    assert grown.nodes[-1].level == 5000
    assert "0" in critical_path(grown)


def test_ancestors_go_from_the_root_down() -> None:
    grown = tree(run("root"), run("a", "root"), run("b", "a"))
    assert [node.run.id for node in grown.ancestors("b")] == ["root", "a"]
    assert grown.ancestors("root") == ()


def test_a_child_that_claims_to_start_before_its_parent_is_marked() -> None:
    grown = tree(run("root", at=0), run("early", "root", at=-800), run("a_little", "root", at=-3))
    assert grown.by_id["early"].skew_ms == 800
    assert grown.by_id["a_little"].skew_ms == 0


def test_the_trace_begins_where_its_first_root_does() -> None:
    grown = tree(run("root", at=0), run("early", "root", at=-800), run("later", "root", at=40))
    assert grown.by_id["later"].start_ms == 40
    assert grown.by_id["early"].start_ms == -800


def test_no_runs_make_an_empty_tree() -> None:
    assert tree().nodes == ()
    assert tree().origin is None


def test_the_critical_path_follows_what_ended_last() -> None:
    grown = tree(
        run("root", took=100),
        run("search", "root", at=0, took=40),
        run("fast", "search", at=0, took=10),
        run("slow", "search", at=0, took=39),
        run("answer", "root", at=41, took=58),
        run("log", "root", at=50, took=5),
    )
    assert set(critical_path(grown)) == {"root", "search", "slow", "answer"}


def test_of_runs_side_by_side_only_the_slowest_is_on_the_critical_path() -> None:
    grown = tree(
        run("root", took=230),
        run("quick", "root", at=0, took=66),
        run("slow", "root", at=0, took=218),
        run("middling", "root", at=1, took=184),
        run("outlived", "root", at=225, took=100),
    )
    assert critical_path(grown) == {"root": ((218, 230),), "slow": ((0, 218),)}


def test_the_own_time_of_a_run_is_on_the_critical_path_where_no_child_was() -> None:
    grown = tree(run("search", took=863), run("embed", "search", at=4, took=216))
    assert critical_path(grown) == {"search": ((220, 863), (0, 4)), "embed": ((4, 220),)}


def test_a_step_that_ended_a_hair_after_the_next_began_is_on_the_critical_path() -> None:
    grown = tree(run("root", took=90), run("a", "root", took=42), run("b", "root", at=40, took=50))
    assert critical_path(grown) == {"root": (), "b": ((40, 90),), "a": ((0, 40),)}


def test_what_never_ended_is_not_on_the_critical_path() -> None:
    assert critical_path(tree(run("root", took=None), run("a", "root"))) == {}
