"""The headers that tell a browser how little it may do with an answer."""

from __future__ import annotations

from flask import Request, Response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # With no-referrer, browsers send "Origin: null" with our own forms, and nobody could tell whose they are.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_ONE_YEAR = 31_536_000


def harden(request: Request, response: Response) -> Response:
    """Add what every answer bears, and say how long it may be kept."""
    for name, value in SECURITY_HEADERS:
        response.headers.setdefault(name, value)
    if request.path.startswith("/static/"):
        if response.status_code == 200 and "v" in request.args:
            response.headers["Cache-Control"] = f"public, max-age={_ONE_YEAR}, immutable"
    elif "Cache-Control" not in response.headers:
        # Pages may come back by the Back button, but only after asking; answers of the API are never kept.
        keep = "no-store" if request.path.startswith("/api/") else "private, no-cache"
        response.headers["Cache-Control"] = keep
    return response
