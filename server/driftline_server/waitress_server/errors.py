"""What is said to a request that never reaches the application, in the words of the house."""

from __future__ import annotations

import json
from typing import Any

from waitress.task import ErrorTask
from waitress.utilities import Error

from driftline_server.security.headers import SECURITY_HEADERS

_RETRY_AFTER_S = 5
_REMEDIES = {
    413: "send smaller batches, or raise the setting max_body_bytes",
    429: "send the request again later; nothing of it was kept",
    431: "send fewer or shorter headers",
    500: "send the request again; the server's log says what went wrong",
}


class TooManyBodies(Error):
    """More is being sent at the moment than the server keeps at once."""

    code = 429
    reason = "Too many bodies are being received at the moment"


class PlainErrorTask(ErrorTask):
    """A request that never reached the application: malformed, or larger than anything it would read."""

    def execute(self) -> None:
        request: Any = self.request
        error = request.error
        problem = error.reason.lower()
        remedy = _REMEDIES.get(error.code, "correct the request")
        document = {"error": {"status": error.code, "problem": problem, "remedy": remedy}}
        body = json.dumps(document).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [*SECURITY_HEADERS, ("Content-Type", "application/json")]
        if error.code == TooManyBodies.code:
            self.response_headers.append(("Retry-After", str(_RETRY_AFTER_S)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
