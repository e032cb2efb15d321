"""What the metadata of a LangChain config says about a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftline.anatomy import plain_text
from driftline.context import NOTHING_SAID, Scope, is_no_text, text_of
from driftline.records import Json
from driftline.snapshot import Copier

_FIELDS = {
    "user_id": "user_id",
    "thread_id": "session_id",
    "conversation_id": "session_id",
    "session_id": "session_id",
    "feature": "feature",
    "endpoint_class": "endpoint_class",
    "release": "release",
    "environment": "environment",
    "prompt_name": "prompt_name",
    "prompt_version": "prompt_version",
    "index_version": "index_version",
}
"""Later entries win where several stand for one field."""
_SAID = frozenset(_FIELDS)
_TOLD_ELSEWHERE = frozenset((*_FIELDS, "ls_provider", "ls_model_name", "ls_model_type", "ls_temperature",
                             "ls_max_tokens", "ls_stop", "lc_versions")) - {"thread_id"}  # fmt: skip
"""Kept in fields of their own. ``thread_id`` stays: it is what links a resumed graph to its first trace."""


def scope_of(metadata: Mapping[str, Any]) -> Scope:
    """The business facts among the metadata."""
    if _SAID.isdisjoint(metadata):
        return NOTHING_SAID
    said: dict[str, Any] = {}
    for key, name in _FIELDS.items():
        text = text_of(metadata.get(key))
        if text is not None:
            said[name] = text
    return Scope(**said) if said else NOTHING_SAID


def copy_metadata(metadata: Mapping[str, Any], copier: Copier) -> dict[str, Json]:
    """Copy the rest, with what no field can hold: LangGraph goes on writing into the dictionary it passes."""
    told_only_here = {
        key: value
        for key, value in metadata.items()
        if key not in _TOLD_ELSEWHERE or (key in _SAID and is_no_text(value))
    }
    copied = copier.copy(told_only_here)
    return copied if isinstance(copied, dict) else {}


def tags_of(tags: Any) -> tuple[str, ...]:
    """The tags that a person chose; LangChain adds its own to say where in a sequence a step stands."""
    if not tags:
        return ()
    texts = [tag if type(tag) is str else plain_text(tag) for tag in tags]
    return tuple([text for text in texts if text and not text.startswith(_OWN_TAGS)])


_OWN_TAGS = ("seq:step:", "graph:step:", "map:key:", "condition:", "branch:", "langsmith:")
