"""Which model was asked, which one answered, and what gives it away."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from pydantic import Field

from driftline.integrations.langchain_models import copy_response, copy_settings, id_prefix, model_requested
from driftline.records import Fingerprint
from driftline.snapshot import Copier

from .conftest import Watched
from .models import ScriptedModel


class Named(ScriptedModel):
    """A model that says more of itself in the metadata of its start."""

    standard: dict[str, Any] = Field(default_factory=dict)

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_model_type": "chat", **self.standard}


def answered(watched: Watched, **response: Any) -> Any:
    model = Named(
        script=[AIMessage("ok", response_metadata=response)],
        standard={"ls_provider": "openai", "ls_model_name": "gpt-x"},
    )
    model.invoke("hi", watched.config())
    return watched.only()


def test_asked_and_answering_model_are_both_kept(watched: Watched) -> None:
    run = answered(watched, model_name="gpt-x-2099-01-01")
    assert (run.model_requested, run.model_answered) == ("gpt-x", "gpt-x-2099-01-01")


@pytest.mark.parametrize("key", ["model_name", "model"])
def test_the_answering_model_stands_in_the_response(watched: Watched, key: str) -> None:
    assert answered(watched, **{key: "gpt-y"}).model_answered == "gpt-y"


def test_the_response_wins_over_the_whole_result(watched: Watched) -> None:
    model = ScriptedModel(
        script=[AIMessage("ok", response_metadata={"model_name": "a"})], llm_output={"model_name": "b"}
    )
    model.invoke("hi", watched.config())
    assert watched.only().model_answered == "a"


def test_the_whole_result_may_name_the_model(watched: Watched) -> None:
    ScriptedModel(script=["ok"], llm_output={"model": "b", "id": "chatcmpl-1"}).invoke("hi", watched.config())
    assert watched.only().model_answered == "b"


def test_a_model_that_names_nobody_leaves_the_answer_unknown(watched: Watched) -> None:
    run = answered(watched)
    assert run.model_answered is None
    assert run.fingerprint is None


@pytest.mark.parametrize(
    ("metadata", "params", "serialized", "expected"),
    [
        ({"ls_model_name": "a"}, {"model": "b"}, None, "a"),
        ({}, {"model": "b", "model_name": "c"}, None, "b"),
        ({}, {"model_name": "c"}, None, "c"),
        ({}, {"model_id": "d"}, None, "d"),
        ({}, {"deployment_name": "e"}, None, "e"),
        ({}, {}, {"kwargs": {"model_name": "f"}}, "f"),
        ({}, {}, {"kwargs": None}, None),
        ({}, {}, None, None),
    ],
)
def test_the_asked_model_is_looked_for_in_order(
    metadata: Any, params: Any, serialized: Any, expected: str | None
) -> None:
    assert model_requested(metadata, params, serialized) == expected


def test_the_provider_that_answered_wins_over_the_one_that_was_asked(watched: Watched) -> None:
    assert answered(watched, model_provider="azure").provider == "azure"


def test_the_asked_provider_stands_where_the_answer_names_none(watched: Watched) -> None:
    assert answered(watched).provider == "openai"


def test_the_fingerprint_holds_what_gives_the_model_away(watched: Watched) -> None:
    run = answered(watched, model_name="gpt-x-2099", system_fingerprint="fp_44709d6fcb", id="chatcmpl-BxQ7t2")
    assert run.fingerprint == Fingerprint(
        system_fingerprint="fp_44709d6fcb", response_model="gpt-x-2099", response_id_prefix="chatcmpl-"
    )


@pytest.mark.parametrize(
    ("response_id", "prefix"),
    [
        ("chatcmpl-BxQ7t2VdA", "chatcmpl-"),
        ("chatcmpl-a1b2c3d4-1111-2222-3333-444455556666", "chatcmpl-"),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "msg_01"),
        ("msg_bdrk_01Abc", "msg_bdrk_01"),
        ("msg_vrtx_01Abc", "msg_vrtx_01"),
        ("resp_68a1", "resp_"),
        ("gen-1757", "gen-"),
        ("lc_run--01a20f83-63e9", None),
        ("run-01a20f83", None),
        ("8f14e45f-ceea", None),
        (None, None),
    ],
)
def test_the_constant_part_of_a_response_id(response_id: str | None, prefix: str | None) -> None:
    assert id_prefix(response_id) == prefix


def test_the_id_of_the_message_serves_where_the_response_has_none(watched: Watched) -> None:
    model = ScriptedModel(script=[AIMessage("ok", id="resp_68a1")])
    model.invoke("hi", watched.config())
    fingerprint = watched.only().fingerprint
    assert fingerprint is not None
    assert fingerprint.response_id_prefix == "resp_"


def test_settings_are_kept_and_everything_else_stays_at_home(watched: Watched) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = (
        ScriptedModel(script=["ok"])
        .bind_tools([add])
        .bind(temperature=0.2, stop=["END"], headers={"authorization": "Bearer s3cret"}, api_key="s3cret")
    )
    model.invoke("hi", watched.config())
    params = watched.only(name="ScriptedModel").invocation_params
    assert params == {"temperature": 0.2, "stop": ["END"], "tools": [{"name": "add"}]}


def test_of_a_response_only_what_is_known_to_be_harmless_is_copied() -> None:
    response = {"model": "a", "headers": {"set-cookie": "s3cret"}, "id": None}
    assert copy_response(response, Copier()) == {"model": "a"}


def test_settings_of_the_start_metadata_count_as_params() -> None:
    metadata = {"ls_temperature": 0.5, "ls_max_tokens": 64, "ls_stop": ["."]}
    settings = copy_settings(metadata, {"max_tokens": 32}, Copier())
    assert settings == {"temperature": 0.5, "max_tokens": 32, "stop": ["."]}


def test_a_tool_keeps_its_schema_and_not_its_credentials() -> None:
    function = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}
    tools = [
        {"type": "function", "function": function},
        {"type": "mcp", "name": "files", "headers": {"authorization": "s3cret"}, "authorization": "s3cret"},
    ]
    assert copy_settings({}, {"tools": tools}, Copier())["tools"] == [
        {"type": "function", **function},
        {"type": "mcp", "name": "files"},
    ]
