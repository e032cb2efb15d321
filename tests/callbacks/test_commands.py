"""What the command can do beside the program that is traced, where only the client is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline import configuration
from driftline.commands import COMMANDS, VERBS, doctor, run_command, spool
from driftline.commands.printing import plain, shown_age, shown_bytes
from driftline.errors import Refusal
from driftline.spool import Spool
from driftline.testing import FaultyServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyServer]:
    """A server that the environment names, with a spool beside it."""
    for name in tuple(os.environ):
        if name.startswith("DRIFTLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(configuration, "_COMPLAINED", set())
    with FaultyServer() as started:
        monkeypatch.setenv("DRIFTLINE_URL", started.url)
        monkeypatch.setenv("DRIFTLINE_SPOOL", str(tmp_path / "spool"))
        yield started


@pytest.fixture
def kept(server: FaultyServer, tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", server.url)


def piece(number: int, **more: Any) -> bytes:
    run_id = f"{number:032x}"
    return json.dumps({"id": run_id, "trace_id": run_id, "name": f"run {number}", **more}).encode()


def nobody() -> str:
    with FaultyServer() as gone:
        return gone.url


class TestSpool:
    def test_without_a_spool_it_says_so(
        self, server: FaultyServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert spool.main([]) == 0
        assert "Nothing was ever kept on disk" in capsys.readouterr().out

    def test_that_is_off_is_told(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DRIFTLINE_SPOOL", "off")
        assert spool.main(["replay"]) == 1
        assert capsys.readouterr().err == (
            "driftline spool: DRIFTLINE_SPOOL is off, so nothing is kept on disk\n"
        )

    def test_lists_what_waits_for_each_server(
        self, server: FaultyServer, kept: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.put([piece(1), piece(2)])
        other = Spool(tmp_path / "spool", "https://traces.example")
        other.bury([Refusal(piece(3), "is too silly", 422)])
        (tmp_path / "spool" / "strange.spool").write_bytes(b"what is this")
        assert spool.main(["list"]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == [
            "server",
            "waiting",
            "oldest",
            "refused",
            "on",
            "disk",
            "delivered",
            "later",
            "lost",
        ]
        assert [row.split()[:2] for row in rows[:3]] == [
            [server.url, "2"], ["strange.spool", "cannot"], ["https://traces.example", "0"],
        ]  # fmt: skip

    def test_replays_what_waits(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.behave(refuse=lambda run: "is too silly" if run.name == "run 2" else None)
        kept.put([piece(1), piece(2)])
        kept.put([piece(3)])
        assert spool.main(["replay"]) == 0
        assert (
            capsys.readouterr().out
            == f"Sent 3 runs to {server.url}; 1 of them refused: see driftline spool letters.\n"
        )
        assert [run.name for request in server.requests for run in request.runs] == [
            "run 1",
            "run 2",
            "run 3",
        ]
        assert kept.counts().outcomes == {"delivered": 2, "refused": 1}

    def test_counts_refused_runs_only_where_there_are_some(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.put([piece(1)])
        assert spool.main(["replay"]) == 0
        assert spool.main(["replay"]) == 0
        assert capsys.readouterr().out == f"Sent 1 run to {server.url}.\nNothing waits for {server.url}.\n"

    def test_sends_nothing_where_the_address_cannot_be_read(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.put([piece(1)])
        assert spool.main(["replay", "--url", "nonsense"]) == 1
        assert capsys.readouterr().out == ""
        assert kept.counts().waiting == 1

    def test_leaves_everything_where_the_server_is_away(
        self, server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = nobody()
        waiting = Spool(tmp_path / "spool", url)
        waiting.put([piece(1)])
        assert spool.main(["replay", "--url", url]) == 1
        assert f"driftline spool: cannot reach {url}" in capsys.readouterr().err
        assert waiting.hold_oldest() is not None

    def test_sends_what_waits_for_a_server_that_has_moved(
        self, server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = nobody()
        waiting = Spool(tmp_path / "spool", url)
        waiting.put([piece(1), piece(2)])
        assert spool.main(["replay", "--url", url, "--to", "nonsense"]) == 1
        assert server.times_taken == {}
        assert spool.main(["replay", "--url", url, "--to", server.url]) == 0
        assert capsys.readouterr().out == f"Sent 2 runs to {server.url}.\n"
        assert len(server.times_taken) == 2
        assert waiting.counts().outcomes == {"delivered": 2}

    def test_says_what_another_process_holds(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.put([piece(1)])
        assert kept.hold_oldest() is not None
        assert spool.main(["replay"]) == 1
        assert "Held by another process, or by one that ended: 1 run" in capsys.readouterr().out

    def test_throws_away_what_waits(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.put([piece(1), piece(2)])
        kept.bury([Refusal(piece(3), "is too silly", 422)])
        assert spool.main(["discard", "--waiting"]) == 0
        assert capsys.readouterr().out == "Threw 2 runs away.\n"
        assert kept.counts().outcomes == {"discarded": 2}
        assert len(kept.get_letters()) == 1

    def test_shows_what_was_refused_and_why(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert spool.main(["letters"]) == 0
        assert "refused nothing" in capsys.readouterr().out
        kept.bury([Refusal(piece(7, name="bad \x1b[31m name"), "is too\x07 silly", 422)])
        assert spool.main(["letters"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["id", "refused", "status", "run", "trace", "problem"]
        assert row.isprintable()
        assert "bad ·[31m name" in row
        assert row.endswith("is too· silly")
        assert spool.main(["letters", "--json"]) == 0
        [line] = capsys.readouterr().out.splitlines()
        assert json.loads(line)["run"]["id"] == f"{7:032x}"

    def test_sends_again_what_was_refused(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.bury([Refusal(piece(number), "is too silly", 422) for number in range(1, 4)])
        server.behave(refuse=lambda run: "is still silly" if run.name == "run 3" else None)
        assert spool.main(["resend", "1"]) == 0
        assert capsys.readouterr().out == f"Sent 1 run to {server.url}; 0 refused again.\n"
        assert spool.main(["resend", "--all"]) == 1
        said = capsys.readouterr()
        assert said.out == f"Sent 1 run to {server.url}; 1 refused again.\n"
        assert "3 is refused again" in said.err
        assert [letter.run["name"] for letter in kept.get_letters()] == ["run 3"]
        assert spool.main(["resend", "99"]) == 1
        assert "there is no refused run 99" in capsys.readouterr().err

    def test_throws_away_what_was_refused(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept.bury([Refusal(piece(number), "is too silly", 422) for number in range(1, 4)])
        assert spool.main(["discard", "2"]) == 0
        assert spool.main(["discard", "--all"]) == 0
        assert capsys.readouterr().out == "Threw 1 run away.\nThrew 2 runs away.\n"
        assert kept.get_letters() == []
        with pytest.raises(SystemExit):
            spool.main(["discard"])


class TestDoctor:
    def said(
        self, capsys: pytest.CaptureFixture[str], *arguments: str
    ) -> tuple[int, dict[str, tuple[str, str]]]:
        code = doctor.main(["--json", *arguments])
        found = json.loads(capsys.readouterr().out)
        return code, {each["subject"]: (each["verdict"], each["said"]) for each in found}

    def test_finds_nothing_wrong_where_all_is_well(
        self, server: FaultyServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, found = self.said(capsys)
        assert code == 0
        assert found["server"] == ("ok", f"{server.url}, project default: takes runs")
        assert found["spool"][0] == "ok"
        assert server.times_taken == {}
        assert doctor.main([]) == 0
        assert capsys.readouterr().out.splitlines()[0].startswith("ok  ")

    @pytest.mark.parametrize(
        ("behaviour", "said"),
        [
            ({"status": 401}, "set DRIFTLINE_API_KEY"),
            ({"status": 404}, "is DRIFTLINE_URL the address of a Driftline server?"),
            ({"status": 400}, "answers 400: as it was told"),
            ({"status": 503}, "answers 503"),
        ],
    )
    def test_names_what_keeps_runs_from_arriving(
        self, server: FaultyServer, capsys: pytest.CaptureFixture[str], behaviour: dict[str, Any], said: str
    ) -> None:
        server.behave(**behaviour)
        code, found = self.said(capsys)
        assert code == 1
        assert found["server"][0] == "problem"
        assert said in found["server"][1]

    def test_names_a_server_that_is_away_and_what_waits_for_it(
        self, server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = nobody()
        Spool(tmp_path / "spool", url).put([piece(1)])
        code, found = self.said(capsys, "--url", url)
        assert code == 1
        assert "start it with: driftline serve" in found["server"][1]
        assert found["spool"] == ("note", "waiting on disk: 1 run; send them with driftline spool replay")

    def test_tells_of_refused_runs_and_of_variables_that_nothing_reads(
        self, server: FaultyServer, kept: Spool, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        kept.bury([Refusal(piece(1), "is too silly", 422)])
        monkeypatch.setenv("DRIFTLINE_SPOOL_GB", "1")
        monkeypatch.setenv("DRIFTLINE_SAMPLE_RATE", "0.25")
        monkeypatch.setenv("DRIFTLINE_CONTENT", "none")
        code, found = self.said(capsys)
        assert code == 1
        assert "did you mean DRIFTLINE_SPOOL_MB?" in found["settings"][1]
        assert "driftline spool letters" in found["spool"][1]
        assert found["sampling"] == ("note", "keeps 0.25 of all traces")
        assert found["content"][0] == "note"

    def test_knows_what_is_switched_off(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DRIFTLINE_ENABLED", "0")
        monkeypatch.setenv("DRIFTLINE_SPOOL", "off")
        code, found = self.said(capsys)
        assert code == 1
        assert found["recording"] == ("problem", "is off: DRIFTLINE_ENABLED is '0'")
        assert found["spool"][0] == "note"

    def test_stops_at_a_file(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DRIFTLINE_FILE", "runs.jsonl")
        code, found = self.said(capsys)
        assert (code, found["target"][1]) == (0, "the file runs.jsonl")
        assert "server" not in found
        assert list(tmp_path.iterdir()) == []

    def test_leaves_a_file_of_runs_as_it_is(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:  # fmt: skip
        (tmp_path / "runs.jsonl").write_bytes(piece(1))
        monkeypatch.setenv("DRIFTLINE_FILE", str(tmp_path / "runs.jsonl"))
        assert self.said(capsys)[0] == 0
        assert (tmp_path / "runs.jsonl").read_bytes() == piece(1)

    @pytest.mark.parametrize("path", ["file/y.jsonl", "folder", "file/below/y.jsonl"])
    def test_names_a_file_that_cannot_be_written(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path, path: str,
    ) -> None:  # fmt: skip
        (tmp_path / "file").write_text("")
        (tmp_path / "folder").mkdir()
        monkeypatch.setenv("DRIFTLINE_FILE", str(tmp_path / path))
        code, found = self.said(capsys)
        assert (code, found["target"][0]) == (1, "problem")
        assert f"runs cannot be written to {tmp_path / path}: " in found["target"][1]

    @pytest.mark.parametrize("path", ["file", "file/below"])
    def test_names_a_spool_that_cannot_be_written(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path, path: str,
    ) -> None:  # fmt: skip
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("DRIFTLINE_SPOOL", str(tmp_path / path))
        code, found = self.said(capsys)
        assert (code, found["spool"][0]) == (1, "problem")
        assert f"nothing can be kept in {tmp_path / path}: " in found["spool"][1]
        assert found["server"][0] == "ok"

    def test_names_a_spool_that_others_may_write_to(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        kept.put([piece(1)])
        (tmp_path / "spool").chmod(0o777)
        code, found = self.said(capsys)
        assert (code, found["spool"][0]) == (1, "problem")
        assert "others may write to" in found["spool"][1]

    def test_leaves_no_spool_behind(
        self, server: FaultyServer, kept: Spool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.said(capsys)[0] == 0
        assert not kept.file.exists

    def test_tells_what_waits_for_other_servers(
        self, server: FaultyServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        Spool(tmp_path / "spool", "https://other.example").put([piece(1), piece(2)])
        Spool(tmp_path / "spool", "https://empty.example").bury([Refusal(piece(3), "is too silly", 422)])
        (tmp_path / "spool" / "strange.spool").write_bytes(b"what is this")
        code, found = self.said(capsys)
        assert code == 0
        assert found["spool"][0] == "ok"
        assert found["elsewhere"] == ("note", "2 runs wait for https://other.example: see driftline spool")

    @pytest.mark.parametrize(
        ("value", "verdict", "said"),
        [
            ("1", "note", "every LangChain run of a program is recorded, for DRIFTLINE_AUTO is on"),
            ("maybe", "problem", "DRIFTLINE_AUTO is 'maybe'; nothing is watched. Set it to 1 or 0"),
        ],
    )
    def test_tells_what_the_environment_has_watched(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        value: str, verdict: str, said: str,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("DRIFTLINE_AUTO", value)
        code, found = self.said(capsys)
        assert code == (verdict == "problem")
        assert found["watching"] == (verdict, said)
        monkeypatch.setenv("DRIFTLINE_AUTO", "0")
        assert "watching" not in self.said(capsys)[1]

    def test_tries_no_other_server_than_the_one_it_was_asked_about(
        self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, found = self.said(capsys, "--url", "nonsense")
        assert code == 1
        assert found["settings"][1].startswith("--url is 'nonsense'; nothing is sent.")
        assert found["server"] == ("problem", "was not tried: --url cannot be read")
        assert found.keys().isdisjoint({"recording", "spool"})
        monkeypatch.setenv("DRIFTLINE_URL", "nonsense")
        code, found = self.said(capsys)
        assert (code, found["server"][1]) == (1, "was not tried: DRIFTLINE_URL cannot be read")
        assert server.requests == []


def test_every_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run_command(name, ["--help"]) == 0
        assert f"usage: driftline {name}" in capsys.readouterr().out
        assert run_command(name, ["--nonsense"]) == 2
        assert capsys.readouterr().err == (
            f"driftline: unrecognized arguments: --nonsense\nsee: driftline {name} --help\n"
        )
    assert run_command("spool", ["sell"]) == 2
    assert capsys.readouterr().err.startswith("driftline: argument VERB: invalid choice: 'sell' (choose from")


def test_the_verbs_are_those_that_the_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run_command(name, ["--help"]) == 0
        listed = re.findall(r"^    ([a-z]+)  ", capsys.readouterr().out, re.MULTILINE)
        assert sorted(listed) == list(VERBS.get(name, ()))


def test_a_reader_that_leaves_and_ctrl_c_end_a_command_quietly(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(arguments: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "main", interrupted)
    assert run_command("doctor", []) == 130
    done = subprocess.run(
        f"{sys.executable} -m driftline spool --help | true; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (2_500_000, "2.5 MB"), (7e12, "7e+03 GB")],
)
def test_sizes_are_shown_short(count: int, said: str) -> None:
    assert shown_bytes(count) == said


@pytest.mark.parametrize(("seconds", "said"), [(-1, "0 s"), (59, "59 s"), (3_599, "60 min"), (90_000, "1 d")])
def test_ages_are_shown_in_their_largest_unit(seconds: float, said: str) -> None:
    assert shown_age(seconds) == said


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b]0;title\x07b\nc\u202e") == "a·]0;title·b·c·"
    assert plain("x" * 300) == "x" * 199 + "…"
