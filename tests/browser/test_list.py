"""The trace list by keyboard, by mouse, and without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.records import a_run

from .conftest import NOW, Site, Visitor, until
from .scenes import Scenes


def chosen_row(page: Any) -> str:
    """The id of the row that has the focus; empty where none has."""
    return str(page.evaluate("document.activeElement.closest('.row')?.id ?? ''"))


def test_keys_move_through_the_rows_open_one_and_come_back_to_it(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    rows = page.locator(".row").evaluate_all("rows => rows.map(row => row.id)")
    page.keyboard.press("j")
    assert chosen_row(page) == rows[0]
    for _ in range(19):
        page.keyboard.press("j")
    page.keyboard.press("k")
    assert chosen_row(page) == rows[18]
    before = page.evaluate("scrollY")
    assert before > 0
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces/*")
    page.go_back()
    until(page, "document.activeElement.closest('.row') !== null")
    assert chosen_row(page) == rows[18]
    assert abs(page.evaluate("scrollY") - before) <= 1


def test_the_way_up_from_a_trace_leads_to_its_row(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    rows = page.locator(".row").evaluate_all("rows => rows.map(row => row.id)")
    page.locator(".row .asked a").nth(20).click()
    page.wait_for_url("**/traces/*")
    page.keyboard.press("J")
    page.wait_for_url(f"**/traces/{rows[21].removeprefix('t-')}*")
    page.keyboard.press("u")
    page.wait_for_url(lambda url: "#t-" in url)
    until(page, "document.activeElement.closest('.row') !== null")
    assert chosen_row(page) == rows[21]
    assert page.locator(f"[id='{rows[21]}'] .asked").is_visible()


def test_a_press_anywhere_on_a_row_opens_it(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.locator(".row .c-took").nth(3).click()
    page.wait_for_url("**/traces/*")


def test_selecting_text_in_a_row_opens_nothing(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    box = page.locator(".reply.answer").first.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 8)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()")
    assert page.url.endswith("/traces")


def test_slash_searches_and_the_search_stays_in_the_address(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.keyboard.press("/")
    page.keyboard.type("auditor")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=auditor**")
    assert page.locator(".chips").inner_text().startswith("text ~ auditor")
    questions = page.locator(".row .qn").all_inner_texts()
    assert questions
    assert all("auditor" in question for question in questions)
    page.locator(".chips a").first.click()
    page.wait_for_url(lambda url: "q=" not in url)


def test_more_fields_narrow_the_list(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.locator(".more-fields summary").click()
    page.locator("#offers-user option[value='s.weber']").wait_for(state="attached")
    page.locator("input[name=user]").fill("s.weber")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**user=s.weber**")
    assert set(page.locator(".c-user span:first-child").all_inner_texts()) == {"s.weber"}


def test_the_number_on_a_tab_is_the_number_of_its_rows(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    tab = page.locator(".views a", has_text="error")
    number = int(tab.locator("b").inner_text())
    tab.click()
    page.wait_for_url("**status=error**")
    assert page.locator(".row").count() == number


def test_dragging_over_the_ribbon_narrows_the_time_and_back_undoes_it(visitor: Visitor) -> None:
    page = visitor.open("/traces?feature=extract")
    box = page.locator(".ribbon").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url("**range=custom**")
    assert "feature=extract" in page.url
    assert page.locator(".range summary b").inner_text() == "23 Nov 23:52 to 24 Nov 05:52"
    page.go_back()
    page.wait_for_url(lambda url: "custom" not in url)
    page.go_forward()
    page.wait_for_url("**range=custom**")
    assert page.locator("[data-do=whole-range]").inner_text().startswith("23 Nov 23:52 to 24 Nov 05:52")
    page.locator(".ribbon").dblclick(position={"x": 300, "y": 40})
    page.wait_for_url(lambda url: "custom" not in url)
    assert "feature=extract" in page.url


def test_older_and_newest_turn_the_pages(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    first = page.locator(".row").first.get_attribute("id")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**after=**")
    assert page.locator(".count-l").inner_text().startswith("51 to 100 of")
    page.get_by_role("link", name="Newest").click()
    page.wait_for_url(lambda url: "after" not in url)
    assert page.locator(".row").first.get_attribute("id") == first


def test_the_theme_is_one_key_away_and_stays(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.keyboard.press("t")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


def test_an_answer_shows_at_least_sixty_characters(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    width = page.locator(".reply.answer").first.evaluate("""element => {
        const probe = document.createElement("span");
        probe.textContent = "Three months to the end of a calendar quarter, by registered";
        element.append(probe);
        const needed = probe.getBoundingClientRect().width;
        probe.remove();
        return element.clientWidth - needed;
    }""")
    assert width > 0


@pytest.mark.parametrize("width", [768, 1024, 1440, 1920])
@pytest.mark.parametrize("address", ["/traces", "/traces?range=all&status=cancelled"])
def test_no_figure_is_cut(visitor: Visitor, address: str, width: int) -> None:
    page = visitor.open(address, width=width)
    page.locator("td.c-cost").evaluate_all(
        "cells => cells.forEach(cell => { cell.textContent = '≥<$0.0001'; })"
    )
    cut = page.locator("td.n").evaluate_all(
        "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.textContent)"
    )
    assert cut == []


def test_the_ring_is_about_the_chosen_row(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.keyboard.press("j")
    rings = page.evaluate("""() => [document.activeElement, document.activeElement.closest(".row")]
        .map(element => getComputedStyle(element).outlineStyle)""")
    assert rings == ["none", "solid"]


def test_on_paper_the_list_has_a_title_its_filters_and_whole_lines(visitor: Visitor) -> None:
    page = visitor.open("/traces?feature=rag_qa", width=720)
    page.emulate_media(media="print")
    assert (
        page.locator(".paper-title").inner_text().startswith("All projects, Traces, last 24 h up to 24 Nov")
    )
    assert page.locator(".chips a").first.is_visible()
    cut = page.locator(".qn, .reply").evaluate_all(
        "lines => lines.filter(line => line.scrollWidth > line.clientWidth).map(line => line.textContent)"
    )
    assert cut == []
    page.emulate_media(media="screen")
    assert not page.locator(".paper-title").is_visible()


def test_a_mistyped_field_is_marked_and_can_be_mended_in_place(browser: Any, site: Site) -> None:
    # The answer has the status 400, which the browser writes to its console.
    visitor = Visitor(browser=browser, site=site)
    page = visitor.open("/traces?min_duration=fast")
    rows = page.locator(".row").count()
    assert rows == 50
    field = page.locator("input[name=min_duration]")
    assert not field.is_visible()
    page.get_by_text("More fields", exact=True).click()
    page.get_by_role("link", name="Leave it out").click(trial=True)
    described = field.get_attribute("aria-describedby")
    assert "is not a time" in page.locator(f"#{described}").inner_text()
    assert page.get_by_role("button", name="Search").is_visible()
    field.fill("1s")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/traces?min_duration=1s")
    assert page.locator(".mistakes").count() == 0
    assert page.locator(".chips a").first.inner_text().startswith("took ≥ 1")
    visitor.close()


def test_without_scripts_the_list_filters_pages_and_opens(visitor: Visitor) -> None:
    page = visitor.open("/traces", java_script_enabled=False)
    assert page.locator(".needs-script:visible").count() == 0
    page.locator("input[name=q]").fill("auditor")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=auditor**")
    page.locator(".row .asked a").first.click()
    page.wait_for_url("**/traces/*")
    page.locator("a[role=tab]", has_text="Metadata").click()
    page.wait_for_url("**tab=metadata**")
    assert page.locator("#pane-metadata").is_visible()


def test_without_scripts_long_traces_are_paged_and_runs_are_links(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.big}", java_script_enabled=False)
    page.get_by_role("link", name="Next 500 runs").click()
    page.wait_for_url("**from=501**")
    page.locator(".run", has_text="tool_700").click()
    page.wait_for_url("**run=**")
    assert page.locator(".d-title h2").inner_text() == "tool_700"


def test_the_empty_page_shows_the_first_trace_as_soon_as_it_arrives(browser: Any, empty_site: Site) -> None:
    visitor = Visitor(browser=browser, site=empty_site)
    page = visitor.open("/traces")
    assert empty_site.url in page.locator(".codeline").first.inner_text()
    empty_site.services.runs.add_runs([a_run(name="first_trace", started_at=NOW)])
    page.locator(".row", has_text="first_trace").wait_for()
    visitor.close()
    assert visitor.noise == []


def test_a_server_that_is_away_is_told_and_the_line_goes_when_it_is_back(
    browser: Any, empty_site: Site
) -> None:
    # Requests that fail are written to the console, so this visitor is not held to silence.
    empty_site.services.runs.add_runs([a_run(started_at=NOW)])
    visitor = Visitor(browser=browser, site=empty_site)
    page = visitor.open("/traces")
    line = page.locator(".connection")
    assert not line.is_visible()
    page.route("**/healthz", lambda route: route.abort())
    line.wait_for()
    assert page.locator(".rail-foot .dot.bad").count() == 1
    page.unroute("**/healthz")
    line.wait_for(state="hidden")
    assert page.locator(".rail-foot .dot.good").count() == 1
    page.context.set_offline(True)
    line.wait_for()
    page.context.set_offline(False)
    line.wait_for(state="hidden")
    visitor.close()
