"""What the docs tell people to do works, and what they point at is there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from house.snippets import Snippet, snippets_of
from printing import DOCS, ROOT, pages

from driftline.testing import wait_until

PAGES = pages()
SNIPPETS = [snippet for page in PAGES for snippet in snippets_of(page)]
RUN = ("python", "sh")
READ = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
NEEDS = re.compile(r"server|postgres|stays|elsewhere=\S+|because=\S+")
READY = "Ctrl-C ends it"
LINK = re.compile(r"(?:\]\(|src=\"|srcset=\")([^)\s\"]+)")


def named(wanted: list[Snippet]) -> list[object]:
    return [pytest.param(each, id=each.place) for each in wanted]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a reader's shell has, with the tools of this environment first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DRIFTLINE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "HOME": str(folder), "DRIFTLINE_DATA": str(folder / "data"), **more}


def command_of(snippet: Snippet) -> list[str]:
    if snippet.language == "sh":
        return ["bash", "-euo", "pipefail", "-c", snippet.code]
    return [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", snippet.code]


def run(snippet: Snippet, folder: Path, variables: Mapping[str, str]) -> None:
    ran = subprocess.run(
        command_of(snippet),
        cwd=folder,
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, f"{snippet.place}\n{ran.stdout}\n{ran.stderr}"


def run_until_ctrl_c(snippet: Snippet, folder: Path, variables: Mapping[str, str]) -> None:
    said = ""
    with subprocess.Popen(
        command_of(snippet),
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout is not None
            for line in running.stdout:
                said += line
                if READY in line:
                    # As a terminal does it: the shell and what it started all hear of it.
                    os.killpg(running.pid, signal.SIGINT)
            code = running.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert READY in said, f"{snippet.place}\n{said}"
    assert code == 0, f"{snippet.place}\n{said}"


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    log = folder / "log"
    command = [sys.executable, "-m", "driftline", "serve", "--port", "0"]
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment(folder), stdout=output, stderr=output)
    try:
        wait_until(lambda: "http://" in log.read_text() or server.poll() is not None, deadline_s=60)
        address = re.search(r"http://\S+", log.read_text())
        assert address, log.read_text()
        yield address[0]
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.mark.parametrize(
    "snippet", named([each for each in SNIPPETS if each.language in RUN and each.elsewhere is None])
)
def test_a_snippet_runs(snippet: Snippet, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    more = {}
    if "server" in snippet.needs:
        more["DRIFTLINE_URL"] = request.getfixturevalue("server_url")
    if "postgres" in snippet.needs:
        more["DRIFTLINE_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    if "stays" in snippet.needs:
        run_until_ctrl_c(snippet, tmp_path, environment(tmp_path, DRIFTLINE_PORT="0", **more))
    else:
        run(snippet, tmp_path, environment(tmp_path, **more))


@pytest.mark.parametrize("snippet", named([each for each in SNIPPETS if each.language in READ]))
def test_a_document_can_be_read(snippet: Snippet) -> None:
    assert READ[snippet.language](snippet.code) is not None


@pytest.mark.parametrize("snippet", named([each for each in SNIPPETS if each.elsewhere is not None]))
def test_a_snippet_that_is_run_elsewhere_names_a_place_that_is_there_or_says_why(snippet: Snippet) -> None:
    if snippet.elsewhere == "reader":
        assert snippet.because
    else:
        assert (ROOT / str(snippet.elsewhere)).exists()


def test_every_block_says_what_it_is() -> None:
    unclear = [
        each.place
        for each in SNIPPETS
        if each.language not in {*RUN, *READ, "text"} or not all(NEEDS.fullmatch(need) for need in each.needs)
    ]
    assert unclear == []


def test_there_are_snippets_to_run() -> None:
    assert len([each for each in SNIPPETS if each.language in RUN and each.elsewhere is None]) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (heading and heading not in headings_of(file)):
            lost.append(target)
    assert lost == []


def headings_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles}


def test_every_page_is_linked_from_the_index() -> None:
    linked = set(LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in DOCS.glob("*.md")} - linked == {"index.md"}
