"""Writes traces from several threads and says what was acknowledged, until it is killed; run as a program."""

from __future__ import annotations

import sys
import threading
import uuid

from contracts.records import a_child, a_run, the_end_of, the_start_of

from driftline.records import Run
from driftline_server.storage import Stores, open_stores

THREADS = 4


def main(url: str) -> None:
    stores = open_stores(url)
    saying = threading.Lock()
    threads = [
        threading.Thread(target=write_for_ever, args=(stores, saying), daemon=True) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_for_ever(stores: Stores, saying: threading.Lock) -> None:
    while True:
        root = a_run(id=uuid.uuid4().hex, inputs="ask " * 200, outputs="answer " * 200)
        children = [a_child(root, id=uuid.uuid4().hex, inputs="step " * 200) for _ in range(20)]
        acknowledge("started", root, stores, saying, [the_start_of(root), *map(the_start_of, children)])
        acknowledge("ended", root, stores, saying, [*map(the_end_of, children), the_end_of(root)])


def acknowledge(what: str, root: Run, stores: Stores, saying: threading.Lock, runs: list[Run]) -> None:
    stores.runs.add_runs(runs)
    with saying:
        print(what, root.id, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
