"""The prompt that a LangChain prompt template was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from driftline.records import Prompt

_WALKED = (
    "messages",
    "prompt",
    "prompt_template",
    "template",
    "examples",
    "prefix",
    "suffix",
    "example_prompt",
)
MAX_DEPTH = 8


def prompt_of(serialized: Any, metadata: Mapping[str, Any]) -> Prompt | None:
    """Name and version as LangSmith's hub writes them, and a hash of the template where it is visible."""
    name = metadata.get("lc_hub_repo")
    owner = metadata.get("lc_hub_owner")
    if type(name) is str and type(owner) is str and owner not in ("", "-"):
        name = f"{owner}/{name}"
    version = metadata.get("lc_hub_commit_hash")
    prompt = Prompt(
        name=name if type(name) is str else "",
        version=version if type(version) is str else "",
        hash=template_hash(serialized),
    )
    return prompt if prompt.name or prompt.version or prompt.hash else None


def template_hash(serialized: Any) -> str:
    """A short hash of the texts and roles of a template; empty where there are none to see."""
    if type(serialized) is not dict:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    return digest.hexdigest() if _feed(digest, serialized, 0) else ""


def _feed(digest: Any, node: Any, depth: int) -> bool:
    if depth > MAX_DEPTH:
        return False
    if type(node) is list:
        return _feed_all(digest, node, depth)
    if type(node) is not dict:
        return False
    kwargs = node.get("kwargs")
    if type(kwargs) is not dict:
        return _feed_all(digest, [node.get(key) for key in _WALKED], depth)
    names = node.get("id")
    if type(names) is list and names and type(names[-1]) is str:
        digest.update(names[-1].encode() + b"\0")
    found = False
    for key in ("template", "content", "role", "variable_name"):
        value = kwargs.get(key)
        if type(value) is str:
            digest.update(f"{key}={value}\0".encode("utf-8", "surrogatepass"))
            found = True
    return _feed_all(digest, [kwargs.get(key) for key in _WALKED], depth) or found


def _feed_all(digest: Any, nodes: list[Any], depth: int) -> bool:
    """Feed every node, also those after the first that holds a text."""
    found = [_feed(digest, node, depth + 1) for node in nodes if type(node) in (dict, list)]
    return any(found)
