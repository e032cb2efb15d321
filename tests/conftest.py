"""What holds for every test: chance repeats itself, and no test leaves this machine."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("contracts")
pytest_plugins = ["fixtures.closing", "fixtures.postgres", "fixtures.stores"]

# A slow or busy machine is no fault of the code, and a failure must come back when the test is run again.
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop running in the thread that other tests need."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0] or "localhost"
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if not _is_here(name):
        raise PermissionError(f"tests reach only this machine, not {name}")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_stay_on_this_machine)
# No test leaves anything in the folders of whoever runs it; those of the spool name one of their own.
os.environ["DRIFTLINE_SPOOL"] = "off"
