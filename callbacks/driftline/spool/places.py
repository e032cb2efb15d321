"""Where spools lie: one file per server, in a folder that only this user can read."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping
from urllib.parse import urlsplit

SUFFIX = ".spool"


def default_folder(environ: Mapping[str, str] | None = None) -> str:
    """The folder for the state of programs, as the system has it.

    Below the folder for temporary files where there is no home that can be written, as in a Lambda function.
    """
    environ = os.environ if environ is None else environ
    home = _home_of(environ)
    if home is None or not _can_be_made(home):
        user = os.getuid() if hasattr(os, "getuid") else "user"
        # Straight in a folder whose entries only their owners can move: nobody can put another in its place.
        return os.path.join(tempfile.gettempdir(), f"driftline-spool-{user}")
    return os.path.join(home, "driftline", "spool")


def file_name(url: str) -> str:
    """The name of the spool for a server: legible, and another one for every address."""
    digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:12]
    host = re.sub(r"[^A-Za-z0-9.-]", "-", urlsplit(url).netloc)[:60]
    return f"{host or 'server'}-{digest}{SUFFIX}"


def prepare(folder: str) -> None:
    """Make the folder, for this user alone.

    Raises:
        OSError: it cannot be made, or belongs to somebody else, who could read what is put there.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if not hasattr(os, "getuid"):
        return
    found = os.lstat(folder) if _is_for_everybody(os.path.dirname(folder)) else os.stat(folder)
    if stat.S_ISLNK(found.st_mode):
        raise PermissionError(f"{folder} is a link, which anybody could have put there")
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    if found.st_mode & 0o022:
        raise PermissionError(f"others may write to {folder}")


def _is_for_everybody(folder: str) -> bool:
    return bool(os.stat(folder or ".").st_mode & 0o002)


def spool_files(folder: str) -> list[str]:
    """The paths of all spools in a folder, by name; none where there is no folder."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(SUFFIX)]


def _home_of(environ: Mapping[str, str]) -> str | None:
    if sys.platform == "win32":
        return environ.get("LOCALAPPDATA")
    if environ.get("XDG_STATE_HOME"):
        return environ["XDG_STATE_HOME"]
    home = environ.get("HOME")
    if not home:
        return None
    below = ("Library", "Application Support") if sys.platform == "darwin" else (".local", "state")
    return os.path.join(home, *below)


def _can_be_made(folder: str) -> bool:
    nearest = os.path.abspath(folder)
    while not os.path.isdir(nearest):
        above = os.path.dirname(nearest)
        if above == nearest or os.path.exists(nearest):
            return False
        nearest = above
    return os.access(nearest, os.W_OK | os.X_OK)
