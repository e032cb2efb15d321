"""Prints into the docs what the code lists; ``make docs`` runs it, and a test fails where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from driftline.wire_schema import batch_schema

DOCS = Path(__file__).parent


def wire_schema() -> str:
    """The JSON Schema of a batch."""
    return json.dumps(batch_schema(), indent=2, ensure_ascii=False) + "\n"


FILES: Mapping[str, Callable[[], str]] = {"wire-schema.json": wire_schema}
"""Files that are printed whole."""


def printed() -> dict[Path, str]:
    """What each file should hold."""
    return {DOCS / name: print_file() for name, print_file in FILES.items()}


def main() -> None:
    """Bring every file up to date."""
    for path, text in printed().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
