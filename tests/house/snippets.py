"""The code blocks of the docs, and how each of them is run.

The first word after the fence is the language, as every viewer of Markdown understands it; the words after it
say what the block needs:

- ``python`` and ``sh`` blocks are run, each in a process of its own in an empty folder;
- ``server``: with a fresh server, whose address is in ``DRIFTLINE_URL``;
- ``postgres``: with an empty database of PostgreSQL, whose address is in ``DRIFTLINE_DATABASE_URL``;
- ``stays``: it ends with a program that goes on until Ctrl-C, and is ended so as soon as that one is ready;
- ``elsewhere=PLACE``: not run here, because PLACE runs it (such as ``.ci/try_demo.py``), or the reader alone:
  then ``because=WHY`` says what is missing here;
- ``json``, ``toml`` and ``yaml`` blocks are read; ``text`` is for people.

A comment ``<!-- before`` … ``-->`` in front of a block holds code that is run before it, one
``<!-- after`` … ``-->`` behind it what is to hold afterwards; readers see neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- before\n(?P<before>.*?)^-->\n+)?"
    r"^```(?P<language>[a-z]*)(?P<needs>[^\n]*)\n(?P<code>.*?)^```$"
    r"(?:\n+<!-- after\n(?P<after>.*?)^-->$)?",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    needs: tuple[str, ...]
    code: str
    """With what is run before and after it."""

    @property
    def place(self) -> str:
        """Where it stands, for the name of a test."""
        return f"{self.page.name}:{self.line}"

    @property
    def elsewhere(self) -> str | None:
        """Who runs it in place of this test; ``None`` where it is run here."""
        return self._need("elsewhere")

    @property
    def because(self) -> str | None:
        """Why only a reader can run it; ``None`` where that is not said."""
        return self._need("because")

    def _need(self, name: str) -> str | None:
        return next((each.partition("=")[2] for each in self.needs if each.startswith(f"{name}=")), None)


def snippets_of(page: Path) -> Iterator[Snippet]:
    """The blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        parts = (found["before"] or "", found["code"], found["after"] or "")
        yield Snippet(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            needs=tuple(found["needs"].split()),
            code="".join(parts),
        )
