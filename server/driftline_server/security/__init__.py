"""Keeps strangers out: other sites in this browser, other machines, and what hides in stored content."""

from driftline_server.security.guard import current_user, protect
from driftline_server.security.heads import body_check
from driftline_server.security.login import SignIn, csrf_token, sign_in, sign_out

__all__ = ["SignIn", "body_check", "csrf_token", "current_user", "protect", "sign_in", "sign_out"]
