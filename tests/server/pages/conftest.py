"""Pages as a browser asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from flask.testing import FlaskClient

Read = Callable[..., str]


def words_of(html: str) -> str:
    """What a page says, without its markup, every space the same."""
    body = re.sub(r"<(script|style|title|datalist)\b.*?</\1>", " ", html.replace("<wbr>", ""), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


@pytest.fixture
def read(client: FlaskClient) -> Read:
    """Fetches a page that must be there, and gives what it says."""

    def fetch(address: str, status: int = 200) -> str:
        response = client.get(address)
        assert response.status_code == status, response.text
        return words_of(response.text)

    return fetch
