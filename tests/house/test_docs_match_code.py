"""What the docs list is what the code holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from printing import DOCS, printed

PRINTED = printed()


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_printed_list_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PRINTED[path], "run: make docs"
