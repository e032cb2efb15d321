"""The trace page by keyboard and mouse."""

from __future__ import annotations

from typing import Any

import pytest

from driftline_server.app import create_app

from .conftest import Site, Visitor, served, until
from .scenes import Scenes


def chosen(page: Any) -> str:
    """The name of the chosen run."""
    return str(page.locator(".run[aria-selected=true] b").first.inner_text())


def row(page: Any, name: str) -> Any:
    """The rows of the runs of a name."""
    return page.locator(".run").filter(has=page.locator(f"b:text-is('{name}')"))


def panel(page: Any, title: str) -> None:
    """Wait until the panel shows a run."""
    page.locator(".d-title h2", has_text=title).wait_for()


def test_keys_walk_through_the_tree_and_the_panel_follows(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    assert chosen(page) == "claude-sonnet-4-5"
    page.keyboard.press("j")
    assert chosen(page) == "parse_terms"
    panel(page, "parse_terms")
    page.keyboard.press("ArrowUp")
    panel(page, "claude-sonnet-4-5")
    page.keyboard.press("Home")
    panel(page, "key_terms")
    page.keyboard.press("End")
    panel(page, "guard_output")
    assert "run=" in page.url


def test_arrows_fold_unfold_and_go_to_parents_and_children(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.keyboard.press("Home")
    visible = page.locator(".run:visible").count()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".run:visible").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.locator(".run:visible").count() == visible
    page.keyboard.press("ArrowRight")
    assert chosen(page) == "guard_input"
    page.keyboard.press("ArrowLeft")
    assert chosen(page) == "key_terms"


def test_the_twist_folds_without_choosing(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    before = chosen(page)
    row = page.locator(".run", has_text="gather_evidence")
    row.locator(".twist").click()
    assert row.get_attribute("aria-expanded") == "false"
    assert not page.locator(".run", has_text="search_terms").is_visible()
    assert chosen(page) == before


def test_a_link_to_a_run_has_it_chosen_and_in_view(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.big}")
    row = page.locator(".run", has_text="tool_490")
    run = row.get_attribute("data-run")
    page = visitor.open(f"/traces/{scenes.big}?run={run}")
    row = page.locator(".run[aria-selected=true]")
    assert row.get_attribute("data-run") == run
    box, list_box = row.bounding_box(), page.locator(".runs").bounding_box()
    assert list_box["y"] <= box["y"] <= list_box["y"] + list_box["height"] - box["height"]
    assert page.locator(".d-title h2").inner_text() == "tool_490"


def test_reload_keeps_the_run_and_the_tab(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    row(page, "fx_rate").first.click()
    panel(page, "fx_rate")
    page.locator("[role=tab]", has_text="Timing").click()
    page.reload()
    assert chosen(page) == "fx_rate"
    assert page.locator("#pane-timing").is_visible()


def test_the_tab_is_kept_for_runs_of_the_same_kind(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.keyboard.press("5")
    assert page.locator("#pane-metadata").is_visible()
    page.locator(".run", has_text="fx_context").click()
    panel(page, "fx_context")
    assert page.locator("#pane-data").is_visible()
    page.locator(".run[data-kind=llm]").first.click()
    panel(page, "claude-haiku-4-5")
    assert page.locator("#pane-metadata").is_visible()


def test_n_visits_every_problem_once_and_begins_again(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.keyboard.press("Home")
    visited = []
    for _ in range(3):
        page.keyboard.press("n")
        visited.append(chosen(page))
    assert visited == ["fx_rate", "claude-sonnet-4-5", "fx_rate"]
    page.keyboard.press("N")
    assert chosen(page) == "claude-sonnet-4-5"


def test_a_finding_leads_to_its_run(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.locator(".findings a", has_text="fx_rate failed once").click()
    panel(page, "fx_rate")
    assert "no answer within 650 ms" in page.locator(".failure").inner_text()


def test_neighbours_and_the_list_are_one_key_away_within_the_filter(visitor: Visitor) -> None:
    page = visitor.open("/traces?feature=rag_qa")
    page.locator(".row .asked a").nth(4).click()
    page.wait_for_url("**/traces/*feature=rag_qa*")
    first = page.url
    assert page.locator(".pos span").inner_text().startswith("5 of")
    page.keyboard.press("J")
    page.locator(".pos span", has_text="6 of").wait_for()
    page.wait_for_load_state()
    page.keyboard.press("K")
    page.locator(".pos span", has_text="5 of").wait_for()
    assert page.url.split("?")[0] == first.split("?")[0]
    page.wait_for_load_state()
    page.keyboard.press("u")
    page.wait_for_url("**/traces?**feature=rag_qa**")


@pytest.mark.parametrize("width", [1920, 1440, 1024, 390])
def test_the_first_token_mark_stands_at_start_plus_wait_at_every_width(
    visitor: Visitor, scenes: Scenes, width: int
) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}", width=width)
    measured = page.evaluate(
        """run => {
        const row = document.querySelector(`.run[data-run="${run}"]`);
        const lane = row.querySelector(".lane").getBoundingClientRect();
        const mark = row.querySelector(".ttft").getBoundingClientRect();
        const root = document.querySelector(".run .lane .bracket").getBoundingClientRect();
        const line = document.querySelectorAll(".grid line")[2].getBoundingClientRect();
        const label = document.querySelectorAll(".axis text")[2];
        return { mark: mark.x + mark.width / 2 - lane.x, lane: lane.width, root: root.width,
                 line: line.x - lane.x, label: label.x.baseVal[0].value };
    }""",
        scenes.answer_run,
    )
    runs = {run.id: run for run in scenes.runs}
    root, answer = runs[scenes.key_terms], runs[scenes.answer_run]
    assert answer.timeline is not None
    assert answer.started_at is not None
    assert root.started_at is not None
    start_ms = (answer.started_at - root.started_at).total_seconds() * 1000
    expected = (start_ms + (answer.timeline.ttft_ms or 0)) / (root.duration_ms or 1) * measured["lane"]
    assert measured["mark"] == pytest.approx(expected, abs=1)
    assert measured["line"] == pytest.approx(4000 / (root.duration_ms or 1) * measured["lane"], abs=1)
    assert measured["label"] == pytest.approx(measured["line"], abs=1)


def test_find_dims_what_does_not_match_and_enter_goes_to_the_hits(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.keyboard.press("/")
    page.keyboard.type("retrieve")
    assert page.locator(".hits").inner_text() == "3 hits"
    assert page.locator(".run:not(.miss)").count() == 3
    assert page.locator(".run.hit").count() == 3
    assert (
        page.locator(".run.miss[aria-selected=true]").evaluate("row => getComputedStyle(row).opacity") == "1"
    )
    page.keyboard.press("Enter")
    panel(page, "retrieve")
    page.keyboard.press("Escape")
    assert page.locator(".run.miss, .run.hit").count() == 0
    page.locator(".find input").fill("no run is called so")
    assert page.locator(".hits").inner_text() == "0 hits"
    assert page.locator(".run.miss, .run.hit").count() == 0


def test_the_critical_path_is_a_mode_that_shows_that_it_is_on(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    button = page.get_by_role("button", name="critical path")
    page.keyboard.press("c")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(".only-critical").count() == 1
    off_path = page.locator(".run:not(.on-path)").first
    opacity = "row => getComputedStyle(row).opacity"
    assert off_path.evaluate(opacity) == "0.35"
    off_path.click()
    assert off_path.evaluate(opacity) == "1"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator(".only-critical").count() == 0


def test_the_map_frames_the_rows_in_view_and_leads_to_others(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.big}")
    frame = page.locator(".mini-view")
    before = float(frame.get_attribute("y"))
    box = page.locator(".minimap").bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] * 0.25)
    until(page, f"Number(document.querySelector('.mini-view').getAttribute('y')) !== {before}")
    assert page.evaluate("document.querySelector('.runs').scrollTop") > 2000
    short = visitor.open(f"/traces/{scenes.cancelled}")
    assert not short.locator(".minimap").is_visible()


def test_the_last_of_very_many_runs_is_one_key_or_one_press_away(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.big}")
    last = page.locator(".tree").get_attribute("data-last-run")
    assert last
    page.keyboard.press("End")
    page.wait_for_url(f"**{last}")
    rows = page.locator(".run")
    assert rows.last.get_attribute("aria-selected") == "true"
    page.keyboard.press("Home")
    page.wait_for_url(lambda url: last not in url)
    assert rows.first.get_attribute("aria-selected") == "true"
    assert page.locator(".run.context").count() == 0
    box = page.locator(".minimap").bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] - 1)
    page.wait_for_url("**from=*")
    until(
        page, "document.querySelector('.tree .run:last-child').getBoundingClientRect().bottom <= innerHeight"
    )


@pytest.mark.parametrize("name", ["key_terms", "big"])
def test_no_row_is_cut_at_the_top_of_the_list(visitor: Visitor, scenes: Scenes, name: str) -> None:
    page = visitor.open(f"/traces/{getattr(scenes, name)}")
    for by in ("opened", "end"):
        if by == "end":
            page.evaluate("document.querySelector('.runs').scrollTop = 1e6")
        scrolled = page.evaluate("document.querySelector('.runs').scrollTop")
        assert scrolled % page.locator(".run").first.evaluate("row => row.offsetHeight") == 0


def test_on_a_telephone_a_short_tree_does_not_scroll_within_the_page(
    visitor: Visitor, scenes: Scenes
) -> None:
    page = visitor.open(f"/traces/{scenes.failed}", width=360, has_touch=True, is_mobile=True)
    assert (
        page.evaluate("(list => list.scrollHeight - list.clientHeight)(document.querySelector('.runs'))") == 0
    )


def test_rows_can_be_narrowed_to_models_or_problems(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    for label in ("Models", "Problems"):
        button = page.locator(".fall-tools button", has_text=label)
        button.click()
        assert page.locator(".run:visible").count() == int(button.locator("b").inner_text())
    page.locator(".fall-tools button", has_text="All").click()
    assert page.locator(".run:visible").count() == 25


def test_read_or_source_is_remembered(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    answer = page.locator(".msg.answer")
    assert answer.locator("table").is_visible()
    page.get_by_role("button", name="Source").click()
    assert not answer.locator("table").is_visible()
    assert "| Term | Value | Passage |" in answer.locator(".as-source").inner_text()
    page.reload()
    assert page.locator(".msg.answer .as-source").is_visible()


def test_what_was_unfolded_can_be_folded_at_its_end(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    fold = page.locator(".msg.system .fold")
    fold.locator(".more", has_text="Show all").click()
    assert fold.get_attribute("open") is not None
    button = fold.get_by_role("button", name="Fold")
    text, end = fold.locator(".said:visible").last.bounding_box(), button.bounding_box()
    assert end["y"] >= text["y"] + text["height"] - 1
    button.click()
    assert fold.get_attribute("open") is None
    assert fold.locator("summary").evaluate("summary => summary === document.activeElement")


def test_copying_gives_the_original_text(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.hostile}", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".msg.user").first.hover()
    page.locator(".msg.user [data-copy]").first.click()
    page.locator(".says", has_text="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "\u202efdp.tnemeerga \x07\u200b" in copied
    assert "U+202E" not in copied


def test_a_run_opens_on_a_telephone_below_the_tree(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}", width=390, has_touch=True, is_mobile=True)
    page.locator(".run", has_text="guard_output").tap()
    panel(page, "guard_output")
    until(page, "document.getElementById('detail').getBoundingClientRect().top < innerHeight / 2")


def test_on_a_telephone_every_link_among_the_facts_is_a_finger_high(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}", width=390)
    heights = page.locator(".facts a").evaluate_all("""links => links.map(link => {
        link.scrollIntoView({ block: "center", inline: "center" });
        const { left, top, bottom } = link.getBoundingClientRect();
        let height = 0;
        for (let y = top - 40; y < bottom + 40; y++) {
            if (document.elementFromPoint(left + 4, y) === link) height++;
        }
        return height;
    })""")
    assert len(heights) > 3
    assert min(heights) >= 40


def test_on_a_telephone_the_rows_can_be_narrowed_and_the_chosen_tab_is_in_view(
    visitor: Visitor, scenes: Scenes
) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}?tab=metadata", width=390, has_touch=True, is_mobile=True)
    page.locator(".fall-tools button", has_text="Problems").tap()
    assert page.locator(".run:visible").count() == 2
    tabs, tab = (
        page.locator(".tablist").bounding_box(),
        page.locator("[aria-selected=true][role=tab]").bounding_box(),
    )
    assert tab["x"] + tab["width"] <= tabs["x"] + tabs["width"]
    icons = page.locator("#detail .plain:visible").evaluate_all(
        "all => all.map(each => Math.round(each.getBoundingClientRect().right))"
    )
    assert len(set(icons)) == 1


def test_a_server_that_went_away_is_said_and_the_run_can_be_asked_for_again(
    browser: Any, site: Site, scenes: Scenes
) -> None:
    with served(create_app(site.services)) as url:
        visitor = Visitor(browser=browser, site=Site(url=url, services=site.services))
        page = visitor.open(f"/traces/{scenes.key_terms}")
        page.context.set_offline(True)
        page.keyboard.press("j")
        page.locator(".part-failed", has_text="No connection to the server since ").wait_for()
        assert page.locator(".part-failed svg").is_visible()
        assert page.locator("#detail .answer").is_visible()
        page.context.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        panel(page, "parse_terms")
        assert page.locator(".part-failed").count() == 0
        visitor.close()
    assert [line for line in visitor.noise if "ERR_INTERNET_DISCONNECTED" not in line] == []
