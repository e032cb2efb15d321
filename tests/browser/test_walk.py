"""Every page in both themes and at every width: silent, at home, readable, accessible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from .conftest import AXE, HEIGHTS, Visitor
from .scenes import HOSTILE, Scenes

TRACES = ("key_terms", "failed", "running", "incomplete", "cancelled", "hostile", "deep", "big")
PLACES = (
    "/traces",
    "/traces?q=nowhere&feature=extract",
    *(f"/traces/{{{name}}}" for name in TRACES),
)
SERIOUS = ("serious", "critical")


def place(template: str, scenes: Scenes) -> str:
    """The address of a place with the ids of the scenes."""
    return template.format(**{name: getattr(scenes, name) for name in TRACES})


def sideways(page: Any) -> int:
    """By how many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def complaints(page: Any, *, within: str = "html", only: Sequence[str] = ()) -> list[str]:
    """What axe finds in a part of a page that is serious, by all its rules or by some."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if only:
        options["runOnly"] = list(only)
    found = page.evaluate("([part, options]) => axe.run(part, options)", [within, options])
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"][:3]
    ]


def in_the_dark(page: Any, *, within: str = "html") -> list[str]:
    """What axe finds in the dark theme; only colours differ."""
    page.emulate_media(color_scheme="dark")
    found = complaints(page, within=within, only=["color-contrast"])
    page.emulate_media(color_scheme="light")
    return found


@pytest.mark.parametrize("template", PLACES)
def test_a_page_is_accessible_in_both_themes_and_fits_every_window(
    visitor: Visitor, scenes: Scenes, template: str
) -> None:
    page = visitor.open(place(template, scenes))
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    # A thousand rows are all alike, and axe would look at each for a minute.
    if "big" not in template:
        assert complaints(page) == []
        assert in_the_dark(page) == []
    for width, height in HEIGHTS.items():
        page.set_viewport_size({"width": width, "height": height})
        assert sideways(page) <= 0, width


def test_every_view_of_a_run_is_accessible_in_both_themes(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    for kind, keys in (("llm", "2345"), ("retriever", "12")):
        page.locator(f".run[data-kind={kind}]").last.click()
        page.locator(f".d-all[data-detail-kind={kind}]").wait_for()
        for key in keys:
            page.keyboard.press(key)
            assert complaints(page, within="#detail") == []
            assert in_the_dark(page, within="#detail") == []


def test_a_fault_that_was_put_there_is_found(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert complaints(page, only=["button-name"]) != []


@pytest.mark.parametrize("template", ["/traces", "/traces/{key_terms}"])
def test_a_page_is_accessible_on_a_telephone(visitor: Visitor, scenes: Scenes, template: str) -> None:
    page = visitor.open(place(template, scenes), width=390, has_touch=True, is_mobile=True)
    assert complaints(page) == []


@pytest.mark.parametrize("template", ["/traces", "/traces/{hostile}", "/traces/{hostile}?tab=metadata"])
def test_hostile_text_stays_text(visitor: Visitor, scenes: Scenes, template: str) -> None:
    page = visitor.open(place(template, scenes))
    assert page.locator("main img[src=x]").count() == 0
    assert page.get_by_text(HOSTILE).count() > 0
    assert page.locator(".ctl", has_text="U+202E").count() > 0
    assert page.locator("a[href^='javascript:']").count() == 0


def test_tab_reaches_the_controls_and_shows_where_it_is(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("""() => {
                const at = document.activeElement;
                const drawn = at.closest(".filter, .row") ?? at;
                const style = getComputedStyle(drawn);
                const ring = style.outlineStyle !== "none" || style.boxShadow !== "none";
                return `${at.tagName} ${at.className} ${at.name ?? ""} ${ring ? "ring" : "NO RING"}`;
            }""")
        )
    assert not [each for each in seen if "NO RING" in each]
    assert any("q ring" in each for each in seen)
    assert any(each.startswith("SUMMARY") for each in seen)


def test_the_first_visit_shows_the_zone_of_the_browser(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open("/traces", timezone="Asia/Tokyo")
    page.locator(".range summary", has_text="Tokyo, UTC+9").wait_for()
    page.locator(".range summary").click()
    page.get_by_text("Show times in UTC").click()
    page.locator(".range summary", has_text="UTC").wait_for()
    assert page.locator(".row time").first.get_attribute("datetime").endswith("+00:00")


def test_a_page_prints_without_its_frame_and_with_everything_open(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator(".rail").is_visible()
    assert page.locator("#pane-metadata").is_visible()
    assert page.locator(".fold").first.get_attribute("open") is not None
    for unwanted in (".find", ".more", "kbd", "button"):
        assert page.locator(unwanted).locator("visible=true").count() == 0, unwanted
    titles = page.locator(".pane").evaluate_all(
        "panes => panes.map(pane => getComputedStyle(pane, '::before').content)"
    )
    assert titles == ['"Conversation"', '"Data"', '"Scores"', '"Timing"', '"Metadata"']
    assert page.locator(".print-foot").inner_text() == page.url
    assert page.locator(".q-title").is_visible()
    assert styles(page, ".detail", "breakBefore") == {"auto"}
    assert styles(page, ".msg", "breakInside") == {"auto"}
    assert styles(page, ".run-name", "backgroundImage") == {"none"}


def test_a_stack_is_wrapped_on_the_screen_and_on_paper(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.failed}")
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        assert page.locator(".stack").evaluate("stack => stack.scrollWidth - stack.clientWidth") == 0, media


def styles(page: Any, selector: str, name: str) -> set[str]:
    """The values that a property has on all elements of a selector."""
    script = "(all, name) => all.map(each => getComputedStyle(each)[name])"
    return set(page.locator(selector).evaluate_all(script, name))


def test_type_has_the_sizes_that_were_agreed(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")
    sizes = {
        selector: page.locator(selector).first.evaluate("element => getComputedStyle(element).fontSize")
        for selector in ("body", "h1", ".facts dt", ".fall-foot", ".msg-body .said", ".axis text", "kbd")
    }
    assert sizes == {
        "body": "13px",
        "h1": "18px",
        ".facts dt": "11px",
        ".fall-foot": "12px",
        ".msg-body .said": "15px",
        ".axis text": "11px",
        "kbd": "11px",
    }
