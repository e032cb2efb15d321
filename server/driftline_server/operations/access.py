"""Who may come in: API keys for programs, passwords for people."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from driftline.errors import DriftlineError
from driftline_server.operations.services import Services
from driftline_server.storage.queries import ApiKey, Role, User

if TYPE_CHECKING:
    from argon2 import PasswordHasher

KEY_START = "dl_"
MAX_NAME = 100
MIN_PASSWORD = 10
MAX_PASSWORD = 1_000
_SHOWN_CHARACTERS = len(KEY_START) + 6
_TOUCH_EVERY = timedelta(minutes=1)
_NAME = re.compile(rf"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{{0,{MAX_NAME - 2}}}[^\s\x00-\x1f\x7f])?")
_ONE_HASH_AT_A_TIME = threading.Lock()
"""Argon2id takes 64 MB per hash; so many guesses at once must not take all memory."""


class AccessError(DriftlineError):
    """A key or a user that cannot be made so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key at the only moment at which it can be read."""

    secret: str = field(repr=False)
    key: ApiKey


def add_api_key(services: Services, name: str) -> NewApiKey:
    """Make a key of 256 random bits; only its digest is kept.

    Raises:
        AccessError: the name is no name.
    """
    secret = KEY_START + secrets.token_urlsafe(32)
    key = ApiKey(
        id=secrets.token_hex(8),
        name=_checked_name(name, "a key"),
        prefix=secret[:_SHOWN_CHARACTERS],
        digest=_digest(secret),
        created_at=services.now(),
    )
    services.catalog.add_api_key(key)
    return NewApiKey(secret=secret, key=key)


def get_api_keys(services: Services) -> tuple[ApiKey, ...]:
    """All keys, newest first, revoked ones too."""
    return services.catalog.get_api_keys()


def revoke_api_key(services: Services, key_id: str) -> bool:
    """Close a key for ever; returns whether there was such a key, not yet revoked."""
    return services.catalog.revoke_api_key(key_id, now=services.now())


def check_api_key(services: Services, secret: str) -> ApiKey | None:
    """The key, where it is known and not revoked; notes that it was used."""
    key = services.catalog.get_api_key(_digest(secret))
    if key is None or key.revoked_at is not None:
        return None
    now = services.now()
    if key.last_used_at is None or now - key.last_used_at >= _TOUCH_EVERY:
        services.catalog.touch_api_key(key.id, now=now)
    return key


def put_user(services: Services, name: str, password: str, *, role: Role = Role.MEMBER) -> User:
    """Add a person, or give the person of this name another password and role.

    Raises:
        AccessError: the name is no name, or the password is too short.
    """
    name = _checked_name(name, "a user")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccessError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters; choose another")
    with _ONE_HASH_AT_A_TIME:
        password_hash = _hasher().hash(password)
    user = User(name=name, password_hash=password_hash, role=role, created_at=services.now())
    known = services.catalog.get_user(name)
    if known is not None:
        user = replace(user, created_at=known.created_at)
    services.catalog.put_user(user)
    return user


def get_user(services: Services, name: str) -> User | None:
    """The person of this name."""
    return services.catalog.get_user(name)


def get_users(services: Services) -> tuple[User, ...]:
    """Everybody who may look at pages."""
    return services.catalog.get_users()


def remove_user(services: Services, user: User) -> None:
    """Let a person no longer in; a login that they have ends with it.

    Raises:
        AccessError: nobody, or no admin, would be left.
    """
    left = [each for each in get_users(services) if each.name != user.name]
    # Which address a server listens on is told to that server alone, so it holds on loopback as well.
    if not left or (user.role is Role.ADMIN and all(each.role is not Role.ADMIN for each in left)):
        last = "admin" if user.role is Role.ADMIN else "who may log in"
        raise AccessError(
            f"{user.name} is the last {last}: add another first, with driftline users add NAME --role admin"
        )
    services.catalog.remove_user(user.name)


def check_password(services: Services, name: str, password: str) -> User | None:
    """The person, where the password is right; takes as long for a name that nobody has."""
    from argon2.exceptions import InvalidHashError, VerificationError

    user = services.catalog.get_user(name) if _NAME.fullmatch(name) else None
    if len(password) > MAX_PASSWORD:
        return None
    with _ONE_HASH_AT_A_TIME:
        try:
            _hasher().verify(_hash_of_nobody() if user is None else user.password_hash, password)
        except (VerificationError, InvalidHashError):
            return None
    return user


def get_missing_credentials(services: Services) -> tuple[str, ...]:
    """The commands still to be run before strangers may reach the server; empty when all is there."""
    missing = []
    if not services.catalog.get_users():
        missing.append("driftline users add NAME --role admin")
    if all(key.revoked_at is not None for key in services.catalog.get_api_keys()):
        missing.append("driftline keys add NAME")
    return tuple(missing)


def _checked_name(name: str, what: str) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise AccessError(
            f"the name of {what} has 1 to {MAX_NAME} printable characters; got {name[:MAX_NAME]!r}"
        )
    return name


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))
