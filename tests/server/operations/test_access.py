"""Keys and passwords: shown once, kept as digests, closed for ever when revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contracts.records import BEGIN, Clock

from driftline_server.operations import access
from driftline_server.operations.services import Services
from driftline_server.storage.queries import Role

PASSWORD = "correct horse battery"


def test_a_key_has_256_random_bits_and_is_kept_as_a_digest(services: Services) -> None:
    one, other = access.add_api_key(services, "laptop"), access.add_api_key(services, "laptop")
    assert one.secret != other.secret
    assert len(one.secret) == len("dl_") + 43
    assert one.key.prefix == one.secret[:9]
    assert one.secret not in repr(one)
    assert [key.prefix for key in access.get_api_keys(services)]
    assert access.check_api_key(services, one.secret) is not None


def test_the_last_use_of_a_key_is_kept_to_the_minute(services: Services, clock: Clock) -> None:
    secret = access.add_api_key(services, "laptop").secret
    used: list[object] = []
    for _ in range(3):
        access.check_api_key(services, secret)
        used.append(access.get_api_keys(services)[0].last_used_at)
        clock.advance(seconds=40)
    minute = BEGIN.replace(second=0, microsecond=0)
    assert used == [minute, minute, minute + timedelta(minutes=1)]


@pytest.mark.parametrize("secret", ["", "dl_", "dl_" + "A" * 43, "\ud800", "x" * 100_000])
def test_an_unknown_key_is_nobodys(services: Services, secret: str) -> None:
    access.add_api_key(services, "laptop")
    assert access.check_api_key(services, secret) is None


def test_a_revoked_key_stays_closed(services: Services) -> None:
    made = access.add_api_key(services, "laptop")
    assert access.revoke_api_key(services, made.key.id)
    assert not access.revoke_api_key(services, made.key.id)
    assert not access.revoke_api_key(services, "nothing")
    assert access.check_api_key(services, made.secret) is None


def test_a_password_is_kept_as_argon2id(services: Services) -> None:
    user = access.put_user(services, "ann", PASSWORD, role=Role.ADMIN)
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in user.password_hash
    assert user.password_hash not in repr(user)
    assert access.check_password(services, "ann", PASSWORD) == user
    assert access.check_password(services, "ann", PASSWORD + " ") is None
    assert access.check_password(services, "bob", PASSWORD) is None


def test_another_password_replaces_the_first_and_the_date_stays(services: Services, clock: Clock) -> None:
    first = access.put_user(services, "ann", PASSWORD)
    clock.advance(days=1)
    access.put_user(services, "ann", "another password", role=Role.VIEWER)
    [user] = access.get_users(services)
    assert (user.role, user.created_at) == (Role.VIEWER, first.created_at)
    assert access.check_password(services, "ann", PASSWORD) is None


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_a_password_that_is_too_short_or_too_long_is_refused(services: Services, password: str) -> None:
    with pytest.raises(access.AccessError, match="10 to 1000 characters"):
        access.put_user(services, "ann", password)
    assert access.check_password(services, "ann", password) is None


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\0b", "x" * 101])
def test_what_is_no_name_is_refused(services: Services, name: str) -> None:
    with pytest.raises(access.AccessError, match="1 to 100 printable characters"):
        access.put_user(services, name, PASSWORD)
    with pytest.raises(access.AccessError, match="1 to 100 printable characters"):
        access.add_api_key(services, name)
    assert access.check_password(services, name, PASSWORD) is None


def test_what_is_missing_before_strangers_may_come_is_named(services: Services) -> None:
    assert access.get_missing_credentials(services) == (
        "driftline users add NAME --role admin",
        "driftline keys add NAME",
    )
    access.put_user(services, "ann", PASSWORD)
    made = access.add_api_key(services, "laptop")
    assert access.get_missing_credentials(services) == ()
    access.revoke_api_key(services, made.key.id)
    assert access.get_missing_credentials(services) == ("driftline keys add NAME",)
