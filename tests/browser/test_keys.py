"""The list of keys is true: each of them works, and no other does."""

from __future__ import annotations

import string
from typing import Any

import pytest

from .conftest import Visitor
from .scenes import Scenes

NAMES = {"↓": "ArrowDown", "↑": "ArrowUp", "←": "ArrowLeft", "→": "ArrowRight", "↵": "Enter"}
BY_THE_BROWSER = {"Enter"}
"""The list says it, and the focused link does it."""
LEAVING = {"u", "J", "K"}


def listed(page: Any) -> set[str]:
    """The keys that ``?`` shows."""
    page.keyboard.press("?")
    shown = page.locator("dialog.keymap kbd").all_inner_texts()
    page.keyboard.press("Escape")
    return {NAMES.get(key, key) for key in shown}


def is_taken(page: Any, key: str) -> bool:
    """Whether the page does something with a key."""
    return bool(
        page.evaluate(
            """key => {
                const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
                document.body.dispatchEvent(event);
                for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
                document.activeElement.blur();
                return event.defaultPrevented;
            }""",
            key,
        )
    )


@pytest.mark.parametrize("template", ["/traces", "/traces/{key_terms}"])
def test_the_keys_that_are_listed_are_the_keys_that_work(
    visitor: Visitor, scenes: Scenes, template: str
) -> None:
    page = visitor.open(template.format(key_terms=scenes.key_terms), permissions=["clipboard-write"])
    keys = listed(page)
    assert {"?", "t"} <= keys
    every = {
        *string.ascii_letters,
        *string.digits,
        "/",
        "?",
        ".",
        "ArrowUp",
        "ArrowDown",
        "ArrowLeft",
        "ArrowRight",
    }
    for key in sorted((every | keys) - LEAVING - BY_THE_BROWSER):
        assert is_taken(page, key) == (key in keys), key


def test_the_list_of_keys_follows_the_chosen_run(visitor: Visitor, scenes: Scenes) -> None:
    page = visitor.open(f"/traces/{scenes.key_terms}")

    def numbers() -> set[str]:
        return {key for key in listed(page) if key.isdigit()}

    for kind in ("llm", "prompt"):
        page.locator(f".run[data-kind={kind}]").last.click()
        page.locator(f".d-all[data-detail-kind={kind}]").wait_for()
        count = page.locator("#detail [role=tab]").count()
        assert numbers() == {str(number + 1) for number in range(count)}


def test_keys_are_letters_while_one_types(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.keyboard.press("/")
    page.keyboard.type("t?jk")
    assert page.locator("input[name=q]").input_value() == "t?jk"
    assert page.locator("html").get_attribute("data-theme") is None
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_escape_closes_a_menu_and_returns_to_its_button(visitor: Visitor) -> None:
    page = visitor.open("/traces")
    page.locator(".range summary").click()
    assert page.locator(".range .sheet").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".range .sheet").is_visible()
    assert page.evaluate("document.activeElement.matches('.range summary')")
