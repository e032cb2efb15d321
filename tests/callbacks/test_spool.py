"""The spool keeps batches through crashes, shares them between processes, and accounts for each run."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from driftline.errors import Refusal
from driftline.spool import Parcel, Spool, SpoolCounts, SpoolError, SpoolLimits, default_folder, spool_files
from driftline.spool.files import VERSION
from driftline.spool.ledger import FORGOTTEN_AFTER_S
from driftline.spool.letters import MAX_LETTERS

URL = "http://127.0.0.1:8321"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def a_spool(tmp_path: Path, clock: Clock) -> Callable[..., Spool]:
    """Makes spools of one folder, as so many processes would."""

    def make(**limits: float) -> Spool:
        return Spool(tmp_path / "spool", URL, limits=SpoolLimits(**limits), clock=clock)  # type: ignore[arg-type]

    return make


def pieces(*numbers: int) -> list[bytes]:
    return [b'{"id":"%032x"}' % number for number in numbers]


def refusals(*numbers: int) -> list[Refusal]:
    return [Refusal(piece, "is too silly", 422) for piece in pieces(*numbers)]


def held(spool: Spool) -> Parcel:
    parcel = spool.hold_oldest()
    assert parcel is not None
    return parcel


def fill(spool: Spool) -> int:
    """Put in what does not compress until it is full; gives how many parcels that were."""
    with pytest.raises(SpoolError, match="has reached"):
        list(map(spool.put, ([b'"%s"' % os.urandom(10_000).hex().encode()] for _ in range(1_000))))
    return spool.counts().waiting


def drain(spool: Spool) -> list[bytes]:
    taken: list[bytes] = []
    while (parcel := spool.hold_oldest()) is not None:
        taken += parcel.pieces
        spool.settle(parcel)
    return taken


class TestParcels:
    def test_come_out_in_their_order_and_only_once(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        for start in range(0, 30, 10):
            spool.put(pieces(*range(start, start + 10)))
        assert spool.counts().waiting == 30
        assert drain(a_spool()) == pieces(*range(30))
        assert spool.hold_oldest() is None
        assert spool.counts().outcomes == {"delivered": 30}

    def test_survive_whoever_put_them_there(self, a_spool: Callable[..., Spool]) -> None:
        a_spool().put(pieces(1, 2))
        assert drain(a_spool()) == pieces(1, 2)

    def test_are_held_by_one_process_at_a_time(self, a_spool: Callable[..., Spool]) -> None:
        one, other = a_spool(), a_spool()
        one.put(pieces(1))
        one.put(pieces(2))
        first, second = held(one), held(other)
        assert (first.pieces, second.pieces) == (pieces(1), pieces(2))
        assert other.hold_oldest() is None
        one.release(first)
        assert held(other).pieces == pieces(1)

    def test_are_free_again_when_their_holder_died(self, a_spool: Callable[..., Spool], clock: Clock) -> None:
        one, other = a_spool(hold_s=60), a_spool(hold_s=60)
        one.put(pieces(1))
        assert one.hold_oldest() is not None
        clock.now += 59
        assert other.hold_oldest() is None
        clock.now += 1
        assert other.hold_oldest() is not None

    def test_are_not_held_for_ever_by_a_clock_that_was_set_back(
        self, a_spool: Callable[..., Spool], clock: Clock
    ) -> None:
        spool = a_spool(hold_s=60)
        spool.put(pieces(1))
        assert spool.hold_oldest() is not None
        clock.now -= 86_400
        assert spool.hold_oldest() is not None

    def test_count_once_where_two_processes_delivered_them(
        self, a_spool: Callable[..., Spool], clock: Clock
    ) -> None:
        one, other = a_spool(hold_s=1), a_spool(hold_s=1)
        one.put(pieces(1, 2))
        slow = held(one)
        clock.now += 2
        fast = held(other)
        other.settle(fast)
        one.settle(slow, refusals(1))
        assert one.counts() == SpoolCounts(
            outcomes={"delivered": 2}, bytes=one.counts().bytes, letters=0, waiting=0
        )

    def test_can_be_split(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1, 2, 3, 4, 5), early=3)
        parcel = held(spool)
        assert (parcel.runs, parcel.early, parcel.tries) == (2, 3, 0)
        spool.release(parcel, failed=True)
        parcel = held(spool)
        assert parcel.tries == 1
        spool.split(parcel)
        halves = [held(spool), held(spool)]
        assert [each.pieces for each in halves] == [pieces(1, 2), pieces(3, 4, 5)]
        assert [(each.runs, each.early, each.tries) for each in halves] == [(0, 2, 1), (2, 1, 1)]
        assert spool.counts().waiting == 2

    def test_that_fail_again_and_again_let_the_others_go_first(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool(patience=2)
        spool.put(pieces(1))
        spool.put(pieces(2))
        for _ in range(2):
            parcel = held(spool)
            assert parcel.pieces == pieces(1)
            spool.release(parcel, failed=True)
        assert drain(spool) == pieces(2, 1)

    def test_expire_and_are_counted(self, a_spool: Callable[..., Spool], clock: Clock) -> None:
        spool = a_spool(max_age_s=3_600)
        spool.put(pieces(1, 2, 3))
        clock.now += 3_601
        spool.put(pieces(4))
        assert drain(spool) == pieces(4)
        assert spool.counts().outcomes == {"expired": 3, "delivered": 1}

    def test_stop_where_the_spool_is_full_and_go_on_when_it_is_not(
        self, a_spool: Callable[..., Spool]
    ) -> None:
        spool = a_spool(max_bytes=200_000)
        put = fill(spool)
        assert 5 < put < 20
        assert spool.counts().waiting == put
        assert len(drain(spool)) == put
        spool.put(pieces(1))
        assert os.path.getsize(spool.file.path) < 100_000

    def test_that_cannot_be_read_are_counted_as_broken(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1, 2))
        spool.put(pieces(3))
        with closing(sqlite3.connect(spool.file.path)) as connection, connection:
            connection.execute("update parcels set body = x'00' where id = 1")
        assert drain(spool) == pieces(3)
        assert spool.counts().outcomes == {"broken": 2, "delivered": 1}


class TestAccounts:
    def test_are_kept_for_each_process(self, a_spool: Callable[..., Spool]) -> None:
        one, other = a_spool(), a_spool()
        one.put(pieces(1, 2))
        other.put(pieces(3, 4, 5))
        other.settle(held(other), refusals(1))
        assert one.counts(one.owner).outcomes == {"delivered": 1, "refused": 1}
        assert one.counts(other.owner).outcomes == {}
        assert one.counts(other.owner).waiting == 3

    def test_of_processes_long_gone_are_added_up(self, a_spool: Callable[..., Spool], clock: Clock) -> None:
        spool = a_spool()
        for number in range(3):
            each = a_spool()
            each.put(pieces(number))
            drain(each)
        clock.now += FORGOTTEN_AFTER_S + 1
        late = a_spool(max_age_s=10)
        late.put(pieces(9))
        clock.now += 11
        late.put(pieces(10))
        assert spool.counts().outcomes == {"delivered": 3, "expired": 1}
        with closing(sqlite3.connect(spool.file.path)) as connection, connection:
            owners = connection.execute("select owner, outcome, runs from ledger").fetchall()
        assert ("", "delivered", 3) in owners


class TestDeadLetters:
    def test_say_what_was_refused_and_why(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.bury(refusals(1, 2))
        first, second = spool.get_letters()
        assert (first.status, first.problem, first.run["id"]) == (422, "is too silly", f"{1:032x}")
        assert spool.get_letters(after=first.id) == [second]
        assert spool.get_letters(limit=1) == [first]

    def test_move_to_the_delivered_when_they_are_sent_after_all(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1, 2))
        spool.settle(held(spool), refusals(1, 2))
        assert spool.counts().outcomes == {"refused": 2}
        one, other = spool.get_letters()
        spool.take_letter(one.id, delivered=True)
        spool.take_letter(other.id, delivered=False)
        spool.take_letter(other.id, delivered=True)
        assert spool.counts().outcomes == {"refused": 1, "delivered": 1}
        assert spool.get_letters() == []

    def test_are_bounded(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        for start in range(0, MAX_LETTERS + 1_000, 1_000):
            spool.bury(refusals(*range(start, start + 1_000)))
        assert spool.counts().letters == MAX_LETTERS
        assert spool.get_letters(limit=1)[0].run["id"] == f"{1_000:032x}"


class TestFile:
    def test_is_for_this_user_alone(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1))
        with closing(sqlite3.connect(spool.file.path)) as connection, connection:
            connection.execute("select * from parcels").fetchall()
            modes = {stat.S_IMODE(os.stat(path).st_mode) for path in Path(spool.file.path).parent.iterdir()}
        assert modes == {0o600}
        assert stat.S_IMODE(os.stat(Path(spool.file.path).parent).st_mode) == 0o700

    def test_is_another_one_for_each_server(self, tmp_path: Path) -> None:
        Spool(tmp_path, URL).put(pieces(1))
        other = Spool(tmp_path, "https://traces.example/below")
        assert other.hold_oldest() is None
        other.put(pieces(2))
        assert len(spool_files(str(tmp_path))) == 2
        assert all("traces.example" in each or "127.0.0.1" in each for each in spool_files(str(tmp_path)))

    def test_that_others_may_write_to_is_not_used(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        folder = Path(spool.file.path).parent
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        with pytest.raises(SpoolError, match="others may write"):
            spool.put(pieces(1))
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        "content", [b"not a database at all" * 1_000, b"SQLite format 3\0" + b"\xff" * 9_000]
    )
    def test_that_is_broken_is_set_aside_and_named(
        self, a_spool: Callable[..., Spool], content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        spool = a_spool()
        folder = Path(spool.file.path).parent
        folder.mkdir(mode=0o700)
        Path(spool.file.path).write_bytes(content)
        with pytest.raises(SpoolError):
            spool.put(pieces(1))
        spool.put(pieces(1))
        assert drain(spool) == pieces(1)
        [aside] = [path for path in folder.iterdir() if "broken" in path.name]
        assert aside.read_bytes() == content
        assert [line for line in caplog.messages if str(aside) in line]

    def test_that_breaks_in_the_middle_loses_nothing_silently(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        for _ in range(200):
            spool.put([os.urandom(500).hex().encode()])
        with open(spool.file.path, "r+b") as file:
            file.seek(4_096)
            file.write(b"\xff" * 40_000)
        with pytest.raises(SpoolError):
            drain(spool)
        assert spool.counts().waiting == 0
        assert [path for path in Path(spool.file.path).parent.iterdir() if "broken" in path.name]

    def test_that_another_process_set_aside_before_is_left_alone(self, a_spool: Callable[..., Spool]) -> None:
        one, other = a_spool(), a_spool()
        folder = Path(one.file.path).parent
        folder.mkdir(mode=0o700)
        Path(one.file.path).write_bytes(b"not a database at all" * 1_000)
        broken = os.stat(one.file.path).st_ino
        with pytest.raises(SpoolError):
            one.put(pieces(1))
        one.put(pieces(1))
        other.file._set_aside(ValueError("seen by the other one, too late"), broken)
        assert drain(other) == pieces(1)
        assert len([path for path in folder.iterdir() if "broken" in path.name]) == 1

    def test_that_somebody_else_holds_keeps_a_reader_for_a_moment_only(
        self, a_spool: Callable[..., Spool]
    ) -> None:
        spool = a_spool()
        spool.put(pieces(1))
        refused: list[SpoolError] = []

        def ask() -> None:
            try:
                spool.counts()
            except SpoolError as error:
                refused.append(error)

        with spool.file._lock:
            asking = threading.Thread(target=ask)
            asking.start()
            asking.join(60)
            assert len(refused) == 1
            # The thread that holds it, as in a signal handler, is not kept at all.
            assert spool.counts().waiting == 1

    def test_is_no_link_where_everybody_could_have_put_one(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        (tmp_path / "spool").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SpoolError, match="is a link"):
            Spool(tmp_path / "spool", URL).put(pieces(1))
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_of_a_newer_version_is_left_alone(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1))
        with closing(sqlite3.connect(spool.file.path)) as connection, connection:
            connection.execute(f"pragma user_version = {VERSION + 1}")
        with pytest.raises(SpoolError, match="newer Driftline"):
            spool.put(pieces(2))
        with closing(sqlite3.connect(spool.file.path)) as connection, connection:
            connection.execute(f"pragma user_version = {VERSION}")
        assert drain(spool) == pieces(1)

    def test_survives_a_full_disk(self, tmp_path: Path) -> None:
        program = """
            import os, resource, sys
            from driftline.spool import Spool, SpoolError
            spool = Spool(sys.argv[1], "http://127.0.0.1:8321")
            spool.put([b'"first"'])
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            put = 0
            try:
                while put < 1_000:
                    spool.put([b'"%s"' % os.urandom(10_000).hex().encode()])
                    put += 1
            except SpoolError as error:
                print("full after", put, error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(spool.counts().waiting == put + 1)
            spool.put([b'"last"'])
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "spool")],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        first, second = done.stdout.splitlines()
        assert first.startswith("full after")
        assert second == "True"
        taken = drain(Spool(tmp_path / "spool", URL))
        assert (taken[0], taken[-1]) == (b'"first"', b'"last"')

    def test_cannot_be_made_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(SpoolError):
            Spool(tmp_path / "file" / "spool", URL).put(pieces(1))
        assert Spool(tmp_path / "none", URL).counts() == SpoolCounts()
        assert spool_files(str(tmp_path / "file")) == []
        assert not (tmp_path / "none").exists()


class TestManyProcesses:
    def test_share_one_spool(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        with context.Pool(4) as pool:
            put = pool.starmap(_put_many, [(tmp_path / "spool", start) for start in range(0, 400, 100)])
            taken = pool.map(_drain, [tmp_path / "spool"] * 4)
        assert sum(put) == 400
        assert sorted(piece for each in taken for piece in each) == pieces(*range(400))
        assert Spool(tmp_path / "spool", URL).counts().outcomes == {"delivered": 400}

    def test_a_kill_in_the_middle_leaves_whole_parcels(self, tmp_path: Path) -> None:
        program = """
            import sys
            from driftline.spool import Spool
            spool = Spool(sys.argv[1], "http://127.0.0.1:8321")
            number = 0
            while True:
                spool.put([b'{"id":"%032x"}' % number])
                print(number, flush=True)
                number += 1
        """
        for _ in range(5):
            with subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "spool")],
                stdout=subprocess.PIPE, text=True,
            ) as child:  # fmt: skip
                assert child.stdout is not None
                seen = [int(child.stdout.readline()) for _ in range(20)]
                child.kill()
                seen += [int(line) for line in child.stdout.read().splitlines()]
            taken = drain(Spool(tmp_path / "spool", URL))
            # One may have been committed and not yet said.
            assert taken[: len(seen)] == pieces(*seen)
            assert len(taken) <= len(seen) + 1

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_a_forked_child_has_an_account_of_its_own(self, a_spool: Callable[..., Spool]) -> None:
        spool = a_spool()
        spool.put(pieces(1))
        spool.file.before_fork()
        child = os.fork()
        if child == 0:
            spool.begin_anew()
            spool.put(pieces(2, 3))
            os._exit(0 if spool.counts(spool.owner).waiting == 2 else 1)
        spool.file.after_fork_in_parent()
        assert os.waitpid(child, 0)[1] == 0
        assert (spool.counts(spool.owner).waiting, spool.counts().waiting) == (1, 3)


def test_the_folder_is_where_the_system_keeps_the_state_of_programs(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert default_folder({"XDG_STATE_HOME": home}) == f"{home}/driftline/spool"
    if sys.platform == "linux":
        assert default_folder({"HOME": home}) == f"{home}/.local/state/driftline/spool"
    assert "driftline-" in default_folder({})
    (tmp_path / "file").write_text("in the way")
    assert "driftline-" in default_folder({"HOME": f"{home}/file"})


def _put_many(folder: Path, start: int) -> int:
    spool = Spool(folder, URL)
    for number in range(start, start + 100):
        spool.put(pieces(number))
    return spool.counts(spool.owner).waiting


def _drain(folder: Path) -> list[bytes]:
    return drain(Spool(folder, URL))
