"""What every catalog does, whatever lies beneath."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from contracts.records import BEGIN

from driftline.errors import DriftlineError
from driftline_server.storage.protocols import Catalog
from driftline_server.storage.queries import ApiKey, PriceOverride, Project, Role, User


def a_key(number: int = 1, **values: object) -> ApiKey:
    key = ApiKey(
        id=f"key-{number}",
        name=f"key {number}",
        prefix="dl_abc",
        digest=bytes([number]) * 32,
        created_at=BEGIN + timedelta(seconds=number),
    )
    return replace(key, **values)  # type: ignore[arg-type]


def a_price(**values: object) -> PriceOverride:
    price = PriceOverride(
        project="shop",
        model="opus*",
        input_micro_usd=15_000_000,
        output_micro_usd=75_000_000,
        valid_from=BEGIN,
    )
    return replace(price, **values)  # type: ignore[arg-type]


ANNA = User(name="anna", password_hash="$argon2id$v=19$abc", role=Role.ADMIN, created_at=BEGIN)


class CatalogContract:
    """Subclass it, and let the fixture ``catalog`` hand over an empty catalog."""

    def test_projects_are_made_once(self, catalog: Catalog) -> None:
        catalog.ensure_projects(["shop", "bank", "shop"], now=BEGIN)
        catalog.ensure_projects(["shop", "new"], now=BEGIN + timedelta(days=1))
        assert catalog.get_projects() == (
            Project(name="bank", created_at=BEGIN),
            Project(name="new", created_at=BEGIN + timedelta(days=1)),
            Project(name="shop", created_at=BEGIN),
        )

    def test_no_projects_are_no_work(self, catalog: Catalog) -> None:
        catalog.ensure_projects([], now=BEGIN)
        assert catalog.get_projects() == ()

    def test_a_key_is_found_by_its_digest(self, catalog: Catalog) -> None:
        key = a_key()
        catalog.add_api_key(key)
        assert catalog.get_api_key(key.digest) == key
        assert catalog.get_api_key(b"\0" * 32) is None

    def test_keys_come_newest_first_revoked_ones_too(self, catalog: Catalog) -> None:
        keys = [a_key(1), a_key(2, last_used_at=BEGIN, revoked_at=BEGIN), a_key(3)]
        for key in keys:
            catalog.add_api_key(key)
        assert catalog.get_api_keys() == (keys[2], keys[1], keys[0])

    def test_a_key_cannot_be_added_twice(self, catalog: Catalog) -> None:
        catalog.add_api_key(a_key(1))
        for twin in (a_key(1), a_key(1, id="key-9"), a_key(9, id="key-1")):
            with pytest.raises(DriftlineError, match="API key"):
                catalog.add_api_key(twin)
        assert catalog.get_api_keys() == (a_key(1),)

    def test_use_of_a_key_is_noted_to_the_minute(self, catalog: Catalog) -> None:
        catalog.add_api_key(a_key())
        minute = BEGIN.replace(second=0, microsecond=0)
        for now, noted in (
            (BEGIN, minute),
            (BEGIN + timedelta(seconds=10), minute),
            (BEGIN + timedelta(minutes=2), minute + timedelta(minutes=2)),
            (BEGIN, minute + timedelta(minutes=2)),
        ):
            catalog.touch_api_key("key-1", now=now)
            assert catalog.get_api_keys()[0].last_used_at == noted
        catalog.touch_api_key("unknown", now=BEGIN)

    def test_a_key_is_revoked_once(self, catalog: Catalog) -> None:
        catalog.add_api_key(a_key())
        assert catalog.revoke_api_key("key-1", now=BEGIN)
        assert not catalog.revoke_api_key("key-1", now=BEGIN + timedelta(days=1))
        assert not catalog.revoke_api_key("unknown", now=BEGIN)
        revoked = catalog.get_api_key(a_key().digest)
        assert revoked is not None
        assert revoked.revoked_at == BEGIN

    def test_a_user_is_added_then_changed(self, catalog: Catalog) -> None:
        assert catalog.get_user("anna") is None
        catalog.put_user(ANNA)
        assert catalog.get_user("anna") == ANNA
        demoted = replace(ANNA, role=Role.VIEWER, password_hash="other")
        catalog.put_user(demoted)
        assert catalog.get_users() == (demoted,)

    def test_users_come_by_name(self, catalog: Catalog) -> None:
        for name in ("zoe", "Bo", "anna"):
            catalog.put_user(replace(ANNA, name=name))
        assert [user.name for user in catalog.get_users()] == ["Bo", "anna", "zoe"]

    def test_a_user_is_removed_once(self, catalog: Catalog) -> None:
        catalog.put_user(ANNA)
        catalog.put_user(replace(ANNA, name="zoe"))
        assert catalog.remove_user("anna")
        assert not catalog.remove_user("anna")
        assert [user.name for user in catalog.get_users()] == ["zoe"]

    def test_a_price_is_removed_once_and_its_neighbours_stay(self, catalog: Catalog) -> None:
        prices = [a_price(project=""), a_price(), a_price(valid_from=BEGIN + timedelta(days=1))]
        for price in prices:
            catalog.put_price_override(price)
        assert catalog.remove_price_override(prices[1])
        assert not catalog.remove_price_override(prices[1])
        assert catalog.get_price_overrides() == (prices[0], prices[2])

    def test_prices_hold_for_a_project_a_model_and_a_moment(self, catalog: Catalog) -> None:
        prices = [
            a_price(project=""),
            a_price(),
            a_price(valid_from=BEGIN + timedelta(days=1), cache_read_micro_usd=0, cache_write_micro_usd=7),
        ]
        for price in reversed(prices):
            catalog.put_price_override(price)
        assert catalog.get_price_overrides() == tuple(prices)
        catalog.put_price_override(a_price(input_micro_usd=1))
        assert catalog.get_price_overrides()[1].input_micro_usd == 1
        assert len(catalog.get_price_overrides()) == 3

    def test_the_first_candidate_of_a_secret_is_kept(self, catalog: Catalog) -> None:
        assert catalog.get_or_make_secret("cookies", "first") == "first"
        assert catalog.get_or_make_secret("cookies", "second") == "first"
        assert catalog.get_or_make_secret("other", "third") == "third"

    @pytest.mark.parametrize("awkward", ["a\0b", "né\ud800", "x" * 900, "'; drop table users; --"])
    def test_awkward_names_are_one_and_the_same_each_time(self, catalog: Catalog, awkward: str) -> None:
        catalog.ensure_projects([awkward], now=BEGIN)
        catalog.ensure_projects([awkward], now=BEGIN)
        assert len(catalog.get_projects()) == 1
        catalog.put_user(replace(ANNA, name=awkward))
        assert catalog.get_user(awkward) is not None
        assert catalog.get_user("b") is None
