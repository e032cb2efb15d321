"""The tests themselves keep the house's rules."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("host", ["203.0.113.7", "example.com"])
def test_no_test_can_reach_another_machine(host: str) -> None:
    with pytest.raises(PermissionError, match="tests reach only this machine"):
        socket.create_connection((host, 80), timeout=1)


def test_a_test_can_reach_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
