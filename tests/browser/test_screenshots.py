"""The pictures of the README, made where somebody asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import Visitor
from .scenes import Scenes

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
ASKED_FOR = os.environ.get("DRIFTLINE_SCREENSHOTS") == "1"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_can_be_pictured(visitor: Visitor, scenes: Scenes, theme: str, tmp_path: Path) -> None:
    folder = IMAGES if ASKED_FOR else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    for name, address in (
        ("traces", "/traces?project=fin-extract"),
        ("trace", f"/traces/{scenes.key_terms}"),
    ):
        picture = folder / f"{name}-{theme}.png"
        visitor.open(address, theme=theme).screenshot(path=picture)
        assert picture.stat().st_size > 10_000
