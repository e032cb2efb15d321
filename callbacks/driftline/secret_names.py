"""Tell by its name whether a value is a secret, however the name is spelt."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST_NAME = 100
"""Characters that are looked at, counted from the end: what a name means stands last."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
# "token" alone is a piece of text here, and "tokens" are counted; only what lets somebody in is a secret.
_SECRET = re.compile(
    r"(?:"
    r"(?:^|_)(?:(?:access|secret|private|subscription|account|signing|encryption|shared|storage|master)_?keys?"
    r"|(?:api|auth|access|refresh|id|session|bearer|security|bot|sas|csrf|xsrf|github|gitlab|slack|hf)_?token"
    r"|(?:client_?)?secrets?|authorization|bearer|credentials?|cookies?|pwd|passcode|jwt)"
    # These are no end of any other word, so they need no boundary: "dbpassword", "myapikey".
    r"|api_?keys?|passwords?|passwd|pass_?phrases?"
    r")(?:_value)?_?\d*$"
)


# The same few names come in every run, and nearly all of the cost is in taking them apart.
@lru_cache(maxsize=2_048)
def is_secret_name(name: str) -> bool:
    """Whether what stands under a name such as ``api_key``, ``dbPassword`` or ``Set-Cookie`` is a secret."""
    words = _BETWEEN_WORDS.sub("_", _HUMP.sub("_", name[-LONGEST_NAME:])).lower().rstrip("_")
    return _SECRET.search(words) is not None
