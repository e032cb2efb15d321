"""Prints into the docs what the code lists; ``make docs`` runs it, and a test fails where they differ.

A list stands in a page between ``<!-- printed: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from driftline.wire_schema import batch_schema

DOCS = Path(__file__).parent
ROOT = DOCS.parent
_LIST = re.compile(r"(<!-- printed: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def wire_schema() -> str:
    """The JSON Schema of a batch."""
    return json.dumps(batch_schema(), indent=2, ensure_ascii=False) + "\n"


def client_variables() -> str:
    """What the client reads from the environment."""
    from driftline.configuration import VARIABLES, Configuration

    unset = Configuration()
    rows = []
    for each in VARIABLES:
        default = getattr(unset, each.field)
        shown = ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
        rows.append([f"`{each.name}`", each.meaning, each.expected, f"`{shown}`" if shown else "unset"])
    return _table(["variable", "what it says", "a right value", "default"], rows)


def server_settings() -> str:
    """Every setting of the server."""
    from driftline_server.settings import Settings, list_settings

    rows = [
        [f"`{each.name}`", each.about, each.allowed, each.default or "empty"]
        for each in list_settings(Settings(data=Path("data")))
    ]
    return _table(["setting", "what it says", "allowed", "default"], rows)


def detectors() -> str:
    """What can be taken out of texts."""
    from driftline.redaction import DETECTORS

    rows = [
        [f"`{name}`", (find.__doc__ or "").splitlines()[0].rstrip(".")] for name, find in DETECTORS.items()
    ]
    return _table(["name", "what it finds"], rows)


def endpoints() -> str:
    """Every address of the API."""
    from driftline_server.api import ENDPOINTS

    rows = [[f"`{each.method}`", f"`{each.path}`", each.about] for each in ENDPOINTS]
    return _table(["method", "address", "what it gives or takes"], rows)


def commands() -> str:
    """What the command can do."""
    import click

    from driftline.commands import COMMANDS, VERBS
    from driftline_server.cli.root import root

    rows = []
    with click.Context(root, info_name="driftline") as context:
        for name in root.list_commands(context):
            command = root.get_command(context, name)
            assert command is not None
            verbs = sorted(command.commands) if isinstance(command, click.Group) else VERBS.get(name, ())
            about = COMMANDS.get(name) or _first_line(command.help)
            rows.append([f"`driftline {name}`", about, ", ".join(verbs)])
    return _table(["command", "what it does", "its verbs"], rows)


def evaluators() -> str:
    """Every evaluator that comes with Driftline."""
    from driftline_evaluators.protocol import get_evaluators

    return _table(["name", "1 means"], [[f"`{each.name}`", each.about] for each in get_evaluators()])


def run_fields() -> str:
    """Every field of a run."""
    return _record_fields("Run")


def timeline_fields() -> str:
    """Every field of a token timeline."""
    return _record_fields("TokenTimeline")


def usage_fields() -> str:
    """Every field of a usage."""
    return _record_fields("Usage")


FILES: Mapping[str, Callable[[], str]] = {"wire-schema.json": wire_schema}
"""Files that are printed whole."""
LISTS: Mapping[str, Callable[[], str]] = {
    "client-variables": client_variables,
    "server-settings": server_settings,
    "detectors": detectors,
    "endpoints": endpoints,
    "commands": commands,
    "evaluators": evaluators,
    "run-fields": run_fields,
    "timeline-fields": timeline_fields,
    "usage-fields": usage_fields,
}
"""Lists that stand in pages."""


def printed() -> dict[Path, str]:
    """What each file with something printed should hold."""
    files = {DOCS / name: print_file() for name, print_file in FILES.items()}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if _LIST.search(text):
            files[page] = _LIST.sub(_with_list, text)
    return files


def pages() -> list[Path]:
    """Every page of the docs, the READMEs for newcomers among them."""
    return [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted(DOCS.glob("*.md"))]


def main() -> None:
    """Bring every file up to date."""
    for path, text in printed().items():
        path.write_text(text, encoding="utf-8")


def _with_list(found: re.Match[str]) -> str:
    return f"{found[1]}{LISTS[found[2]]()}\n{found[3]}"


def _record_fields(name: str) -> str:
    fields: dict[str, dict[str, Any]] = batch_schema()["$defs"][name]["properties"]
    rows = [
        [f"`{field}`", _type_of(schema), schema.get("description", "").replace("\n", " ")]
        for field, schema in fields.items()
    ]
    return _table(["field", "type", "what it says"], rows)


def _type_of(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"{schema['$ref'].rpartition('/')[2]}"
    if "anyOf" in schema:
        return _type_of(schema["anyOf"][0])
    kind = schema.get("type", "any JSON")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return f"array of {_type_of(schema['items'])}"
    return "moment" if schema.get("format") == "date-time" else str(kind)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    main()
