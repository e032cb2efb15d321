"""A server that takes whatever tracers send and forgets it; run as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_LANGSMITH_INFO = {
    "version": "0.13.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_nthreads_limit": 16,
        "scale_up_qsize_trigger": 1000,
        "scale_down_nempty_trigger": 4,
    },
    "instance_flags": {"gzip_body_enabled": True, "zstd_compression_enabled": True},
}
_DRIFTLINE_TOOK = {"accepted": 1_000_000, "problems": []}
"""More than any batch holds: a client rightly doubts an answer that does not account for every run."""


class _Forgetful(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per answer

    def do_GET(self) -> None:
        self._answer(200, _LANGSMITH_INFO)

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        own = self.path == "/api/v1/runs"
        self._answer(200 if own else 202, _DRIFTLINE_TOOK if own else {})

    do_PATCH = do_POST

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def dummy_server() -> Iterator[str]:
    """The URL of such a server, for the length of a ``with`` block."""
    process = subprocess.Popen((sys.executable, "-m", "bench.dummy"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def main() -> None:
    """Serve until terminated; the first line of output is the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
