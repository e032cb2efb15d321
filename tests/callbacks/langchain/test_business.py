"""Who and what a run belongs to: users, sessions, features, releases, prompts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda

from driftline.context import context
from driftline.integrations.langchain_prompts import template_hash
from driftline.records import Kind, Prompt, Run

from .conftest import Watched
from .models import ScriptedModel

leaf = RunnableLambda(len, name="leaf")
outer = RunnableLambda(lambda text: leaf.invoke(text), name="outer")
FIELDS = (
    "user_id", "session_id", "feature", "endpoint_class", "release", "environment", "index_version",
)  # fmt: skip


def said(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in FIELDS if getattr(run, name) is not None}


def test_the_metadata_of_a_config_says_whom_every_run_inside_belongs_to(watched: Watched) -> None:
    facts = {name: f"the {name}" for name in FIELDS}
    outer.invoke("abc", watched.config(metadata={**facts, "shelf": 7}))
    for run in watched.runs():
        assert said(run) == facts
        assert run.metadata == {"shelf": 7}


@pytest.mark.parametrize("key", ["session_id", "conversation_id", "thread_id"])
def test_a_session_has_several_names(watched: Watched, key: str) -> None:
    leaf.invoke("abc", watched.config(metadata={key: "s-1"}))
    assert watched.only().session_id == "s-1"


def test_a_session_id_wins_over_a_thread_id(watched: Watched) -> None:
    leaf.invoke("abc", watched.config(metadata={"thread_id": "t-1", "session_id": "s-1"}))
    run = watched.only()
    assert (run.session_id, run.metadata) == ("s-1", {"thread_id": "t-1"})


def test_ids_may_be_numbers_or_uuids(watched: Watched) -> None:
    leaf.invoke("abc", watched.config(metadata={"user_id": 42, "session_id": UUID(int=7), "release": 1.5}))
    run = watched.only()
    assert said(run) == {"user_id": "42", "session_id": str(UUID(int=7)), "release": "1.5"}
    assert run.metadata == {}


def test_what_cannot_be_a_text_stays_in_the_metadata_of_every_run(watched: Watched) -> None:
    facts = {"release": True, "feature": ["x"], "environment": {"name": "eu"}, "endpoint_class": None}
    outer.invoke("abc", watched.config(metadata={**facts, "user_id": 7.0}))
    for run in watched.runs():
        assert said(run) == {"user_id": "7.0"}
        assert run.metadata == {"release": True, "feature": ["x"], "environment": {"name": "eu"}}


def test_a_context_says_it_for_every_call_inside(watched: Watched) -> None:
    with context(user_id="u-1", feature="terms", tags=["night"], metadata={"shelf": 7}):
        outer.invoke("abc", watched.config(tags=["own"]))
    for run in watched.runs():
        assert said(run) == {"user_id": "u-1", "feature": "terms"}
        assert (run.tags, run.metadata) == (("night", "own"), {"shelf": 7})


def test_a_context_reaches_asynchronous_calls(watched: Watched) -> None:
    async def main() -> None:
        async with context(user_id="u-1"):
            await asyncio.gather(outer.ainvoke("abc", watched.config()), leaf.ainvoke("ab", watched.config()))
        await leaf.ainvoke("a", watched.config())

    asyncio.run(main())
    assert {run.inputs: run.user_id for run in watched.runs()} == {"abc": "u-1", "ab": "u-1", "a": None}


def test_the_config_wins_over_the_context(watched: Watched) -> None:
    with context(user_id="u-1", feature="terms"):
        leaf.invoke("abc", watched.config(metadata={"user_id": "u-2"}))
    assert said(watched.only()) == {"user_id": "u-2", "feature": "terms"}


def test_a_block_inside_a_run_speaks_for_the_runs_in_it(watched: Watched) -> None:
    def call(text: str) -> int:
        with context(feature="inner"):
            return leaf.invoke(text)

    with context(user_id="u-1", feature="outer"):
        RunnableLambda(call, name="outer").invoke("abc", watched.config())
    assert said(watched.only(name="outer")) == {"user_id": "u-1", "feature": "outer"}
    assert said(watched.only(name="leaf")) == {"user_id": "u-1", "feature": "inner"}


def test_the_recorder_knows_release_and_environment(watched: Watched) -> None:
    watched = Watched(release="1.4.2", environment="production")
    leaf.invoke("abc", watched.config())
    leaf.invoke("ab", watched.config(metadata={"release": "1.5.0"}))
    assert [said(run) for run in watched.runs()] == [
        {"release": "1.4.2", "environment": "production"},
        {"release": "1.5.0", "environment": "production"},
    ]


def a_chain(template: str = "Explain {term}.", **metadata: Any) -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", template), ("user", "{term}")])
    if metadata:
        prompt = prompt.with_config(metadata=metadata)  # type: ignore[assignment]
    return prompt | ScriptedModel(script=["ok"])


def test_the_prompt_of_a_model_run_is_named_by_config_or_context(watched: Watched) -> None:
    config = watched.config(metadata={"prompt_name": "terms", "prompt_version": 2.1})
    ScriptedModel(script=["ok"]).invoke("hi", config)
    with context(prompt_name="terms", prompt_version="2.1"):
        ScriptedModel(script=["ok"]).invoke("hi", watched.config())
    assert [run.prompt for run in watched.runs()] == [Prompt(name="terms", version="2.1")] * 2


def test_a_model_carries_the_hash_of_the_template_before_it(watched: Watched) -> None:
    a_chain().invoke({"term": "APR"}, watched.config())
    a_chain().invoke({"term": "IBAN"}, watched.config())
    a_chain("Define {term}.").invoke({"term": "APR"}, watched.config())
    first, same, other = (run.prompt for run in watched.runs(kind=Kind.LLM))
    assert first is not None
    assert other is not None
    assert first.hash
    assert first == same
    assert first.hash != other.hash
    assert watched.runs(kind=Kind.PROMPT)[0].prompt == first


def test_a_prompt_of_the_hub_brings_its_name_and_commit(watched: Watched) -> None:
    prompt = ChatPromptTemplate.from_template("Explain {term}.")
    prompt.metadata = {"lc_hub_owner": "bank", "lc_hub_repo": "terms", "lc_hub_commit_hash": "a1b2c3"}
    (prompt | ScriptedModel(script=["ok"])).invoke({"term": "APR"}, watched.config())
    found = watched.only(kind=Kind.LLM).prompt
    assert found is not None
    assert (found.name, found.version) == ("bank/terms", "a1b2c3")


def test_a_model_behind_a_fallback_still_knows_its_prompt(watched: Watched) -> None:
    broken = ScriptedModel(script=[ValueError("down")])
    prompt = ChatPromptTemplate.from_template("Explain {term}.")
    (prompt | broken.with_fallbacks([ScriptedModel(script=["ok"])])).invoke({"term": "x"}, watched.config())
    hashes = {run.prompt.hash for run in watched.runs(kind=Kind.LLM) if run.prompt}
    assert hashes == {template_hash(prompt._serialized)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PromptTemplate.from_template("a {x}"), PromptTemplate.from_template("b {x}")),
        (
            ChatPromptTemplate.from_messages([("system", "a"), ("user", "{x}")]),
            ChatPromptTemplate.from_messages([("user", "a"), ("user", "{x}")]),
        ),
        (
            ChatPromptTemplate.from_messages([("system", "a"), ("placeholder", "{history}")]),
            ChatPromptTemplate.from_messages([("system", "a"), ("placeholder", "{dialogue}")]),
        ),
    ],
    ids=["text", "roles", "placeholders"],
)
def test_a_changed_template_has_another_hash(one: Any, other: Any) -> None:
    assert template_hash(one._serialized) == template_hash(one.model_copy()._serialized)
    assert template_hash(one._serialized) != template_hash(other._serialized)
    assert template_hash(one._serialized)


@pytest.mark.parametrize("serialized", [None, {}, {"type": "not_implemented", "repr": "x"}, "text"])
def test_a_template_that_cannot_be_seen_has_no_hash(serialized: Any) -> None:
    assert template_hash(serialized) == ""
