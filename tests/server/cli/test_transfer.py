"""What becomes of lines that are imported: over HTTP, in batches, with their scores."""

from __future__ import annotations

import json
from pathlib import Path

from contracts.records import a_run

from driftline.wire import encode_run
from driftline_server.serving import running
from driftline_server.settings import Settings

from .conftest import Cli


def test_half_a_character_spoils_neither_its_line_nor_its_neighbours(cli: Cli, tmp_path: Path) -> None:
    lines = [
        json.dumps(encode_run(a_run(name=name))) for name in ("one", "half an emoji \ud83d", "three \u20ac")
    ]
    with running(Settings(data=tmp_path / "data", port=0)) as server:
        result = cli("traces", "import", "--url", server.url, stdin="\n".join(lines))
        listed = cli("traces", "list", "--url", server.url, "--json").out.splitlines()
    assert result.err == "imported 3 runs: 3 new, 0 merged, 0 unchanged; 0 lines refused\n"
    assert {json.loads(line)["name"] for line in listed} == {"one", "half an emoji \ufffd", "three \u20ac"}
