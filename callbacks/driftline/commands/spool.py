"""``driftline spool``: what waits on disk for its server, and what the server refused."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence

from driftline.causes import counted
from driftline.commands.addresses import can_be_read, spool_at
from driftline.commands.printing import Parser, plain, print_table, shown_age, shown_bytes, shown_moment
from driftline.configuration import Configuration, read_configuration
from driftline.errors import DeliveryError
from driftline.runtime import http_exporter_of, spool_of
from driftline.spool import DeadLetter, Spool, SpoolError, default_folder, spool_files

PAGE = 500


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code: 0, or 1 where something still waits or is missing."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    url = getattr(asked, "url", None)
    configuration = read_configuration(url=url)
    if configuration.spool == "":
        print("driftline spool: DRIFTLINE_SPOOL is off, so nothing is kept on disk", file=sys.stderr)
        return 1
    if asked.do is not _list and not can_be_read(url):
        # What is wrong with it was said; the address in its place is another server's.
        return 1
    try:
        return int(asked.do(configuration, asked))
    except (SpoolError, DeliveryError, OSError) as error:
        remedy = getattr(error, "remedy", "")
        print(f"driftline spool: {error}{f'; {remedy}' if remedy else ''}", file=sys.stderr)
        return 1


def _parser() -> Parser:
    parser = Parser(
        prog="driftline spool",
        description="Runs that a server could not take wait on disk, in the folder that DRIFTLINE_SPOOL"
        " names. A program delivers them by itself as soon as the server is back; this looks, and hurries.",
    )
    parser.set_defaults(do=_list)
    verbs = parser.add_subparsers(title="what to do", metavar="VERB")
    listing = verbs.add_parser("list", help="show what waits for each server (also without any word)")
    listing.set_defaults(do=_list)
    replay = verbs.add_parser("replay", help="send what waits, now")
    replay.add_argument("--to", metavar="URL", help="send it there, where its server has moved")
    replay.set_defaults(do=_replay)
    letters = verbs.add_parser("letters", help="show the runs that a server refused, and why")
    letters.add_argument(
        "--json", action="store_true", help="print each with the whole run, one JSON object a line"
    )
    letters.set_defaults(do=_letters)
    resend = verbs.add_parser("resend", help="send refused runs again")
    resend.set_defaults(do=_resend)
    discard = verbs.add_parser("discard", help="throw runs away, refused ones or all that wait")
    discard.set_defaults(do=_discard)
    for verb in (resend, discard):
        chosen = verb.add_mutually_exclusive_group(required=True)
        chosen.add_argument(
            "ids", nargs="*", type=int, default=[], metavar="ID", help="as letters shows them"
        )
        chosen.add_argument("--all", action="store_true", help="all that were refused")
        if verb is discard:
            chosen.add_argument("--waiting", action="store_true", help="all that wait for the server")
    for verb in (replay, letters, resend, discard):
        verb.add_argument("--url", help="the server; DRIFTLINE_URL where it is left out")
    return parser


def _list(configuration: Configuration, asked: argparse.Namespace) -> int:
    folder = configuration.spool or default_folder()
    rows = [_row_of(path) for path in spool_files(folder)]
    if not rows:
        print(f"Nothing was ever kept on disk: there is no spool in {folder}.")
        return 0
    print_table(("server", "waiting", "oldest", "refused", "on disk", "delivered later", "lost"), rows)
    print(f"\nIn {folder}. More: driftline spool --help")
    return 0


def _row_of(path: str) -> tuple[str, ...]:
    spool = spool_at(path)
    if spool is None:
        return (plain(os.path.basename(path)), "cannot be read", "", "", "", "", "")
    counts = spool.counts()
    lost = sum(counts.outcomes.get(reason, 0) for reason in ("expired", "broken"))
    age = "" if counts.oldest_at is None else shown_age(time.time() - counts.oldest_at)
    return (
        plain(spool.url),
        f"{counts.waiting:,}",
        age,
        f"{counts.letters:,}",
        shown_bytes(counts.bytes),
        f"{counts.outcomes.get('delivered', 0):,}",
        f"{lost:,}",
    )


def _replay(configuration: Configuration, asked: argparse.Namespace) -> int:
    spool = _spool_of(configuration)
    waiting = spool.counts().waiting
    if not waiting:
        print(f"Nothing waits for {configuration.url}.")
        return 0
    # A new address has a key of its own; both come from the environment, or none is needed.
    target = configuration if asked.to is None else read_configuration(url=asked.to)
    if not can_be_read(asked.to):
        return 1
    exporter = http_exporter_of(target)
    sent = refused = 0
    try:
        while (parcel := spool.hold_oldest()) is not None:
            try:
                refusals = exporter.send(parcel.pieces)
            except BaseException:
                spool.release(parcel)
                raise
            spool.settle(parcel, refusals)
            sent, refused = sent + parcel.runs, refused + len(refusals)
            _show_progress(sent, waiting)
    finally:
        _show_progress(None, waiting)
        exporter.close()
    told = f"; {refused:,} of them refused: see driftline spool letters" if refused else ""
    print(f"Sent {counted(sent)} to {target.url}{told}.")
    left = spool.counts().waiting
    if left:
        print(f"Held by another process, or by one that ended: {counted(left)}; try again in a minute.")
    return 1 if left else 0


def _letters(configuration: Configuration, asked: argparse.Namespace) -> int:
    spool = _spool_of(configuration)
    letters = list(_all_letters(spool))
    if asked.json:
        for letter in letters:
            print(json.dumps({
                "id": letter.id, "refused_at": letter.at.isoformat(), "status": letter.status,
                "problem": letter.problem, "run": letter.run,
            }))  # fmt: skip
    elif not letters:
        print(f"{configuration.url} refused nothing that is kept here.")
    else:
        print_table(
            ("id", "refused", "status", "run", "trace", "problem"), [_letter_row(each) for each in letters]
        )
    return 0


def _letter_row(letter: DeadLetter) -> tuple[str, ...]:
    run = letter.run
    return (
        str(letter.id),
        shown_moment(letter.at),
        str(letter.status),
        plain(str(run.get("name") or run.get("id") or "unreadable"), 40),
        plain(str(run.get("trace_id") or ""), 32),
        plain(letter.problem, 400),
    )


def _resend(configuration: Configuration, asked: argparse.Namespace) -> int:
    spool, exporter = _spool_of(configuration), http_exporter_of(configuration)
    taken = refused = 0
    try:
        for letter in _chosen(spool, asked):
            refusals = exporter.send([letter.body])
            if refusals:
                refused += 1
                print(f"{letter.id} is refused again: {plain(refusals[0].problem)}", file=sys.stderr)
            else:
                spool.take_letter(letter.id, delivered=True)
                taken += 1
    finally:
        exporter.close()
    print(f"Sent {counted(taken)} to {configuration.url}; {refused:,} refused again.")
    return 1 if refused else 0


def _discard(configuration: Configuration, asked: argparse.Namespace) -> int:
    spool = _spool_of(configuration)
    if asked.waiting:
        print(f"Threw {counted(spool.discard_waiting())} away.")
        return 0
    letters = _chosen(spool, asked)
    for letter in letters:
        spool.take_letter(letter.id, delivered=False)
    print(f"Threw {counted(len(letters))} away.")
    return 0


def _chosen(spool: Spool, asked: argparse.Namespace) -> list[DeadLetter]:
    letters = list(_all_letters(spool))
    if asked.all:
        return letters
    by_id = {letter.id: letter for letter in letters}
    unknown = [str(each) for each in asked.ids if each not in by_id]
    if unknown:
        raise SpoolError(f"there is no refused run {', '.join(unknown)}: see driftline spool letters")
    return [by_id[each] for each in asked.ids]


def _all_letters(spool: Spool) -> Iterator[DeadLetter]:
    after = 0
    while page := spool.get_letters(after=after, limit=PAGE):
        yield from page
        after = page[-1].id


def _spool_of(configuration: Configuration) -> Spool:
    spool = spool_of(configuration)
    if spool is None:
        raise SpoolError("this Python cannot keep a spool")
    return spool


def _show_progress(sent: int | None, of: int) -> None:
    """One line that is written over, for a person who watches; ``None`` wipes it."""
    if sys.stderr.isatty():
        text = "" if sent is None else f"sent {sent:,} of {of:,} runs"
        print(f"\r{text.ljust(40)}", end="\r" if sent is None else "", file=sys.stderr, flush=True)
