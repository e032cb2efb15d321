"""Which runs a chain leaves, and what each of them holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from contracts.recorded import STARTED_AT, tree_of
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough

from driftline.integrations.langchain_names import name_of
from driftline.records import Kind, Status

from .conftest import Watched
from .models import ScriptedModel

QUESTION = "When does the term end?"


class Shelf(BaseRetriever):
    """Finds the same passage for every query."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("The term ends on 03/04/2027.", metadata={"page": 4})]


def a_rag_chain() -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", "Use this: {context}"), ("user", "{question}")])
    model = ScriptedModel(script=["On 3 April 2027."])
    return {"context": Shelf(), "question": RunnablePassthrough()} | prompt | model | StrOutputParser()


def test_a_chain_leaves_one_run_per_step(watched: Watched) -> None:
    assert a_rag_chain().invoke(QUESTION, watched.config()) == "On 3 April 2027."
    [[root, [parallel, *branches], *steps]] = watched.tree
    assert (root, parallel) == ("RunnableSequence", "RunnableParallel<context,question>")
    assert sorted(branches) == ["RunnablePassthrough", "Shelf"]
    assert steps == ["ChatPromptTemplate", "ScriptedModel", "StrOutputParser"]
    assert {run.name: run.kind for run in watched.runs()} == {
        "RunnableSequence": Kind.CHAIN,
        "RunnableParallel<context,question>": Kind.CHAIN,
        "Shelf": Kind.RETRIEVER,
        "RunnablePassthrough": Kind.CHAIN,
        "ChatPromptTemplate": Kind.PROMPT,
        "ScriptedModel": Kind.LLM,
        "StrOutputParser": Kind.PARSER,
    }


def test_the_runs_of_a_trace_share_the_id_of_their_root(watched: Watched) -> None:
    a_rag_chain().invoke(QUESTION, watched.config())
    [root] = [run for run in watched.runs() if run.parent_id is None]
    assert {run.trace_id for run in watched.runs()} == {root.id}
    assert watched.handler.last_trace_id == root.id
    assert {run.project for run in watched.runs()} == {"tests"}


def test_a_run_says_what_it_was_given_and_what_it_gave(watched: Watched) -> None:
    a_rag_chain().invoke(QUESTION, watched.config())
    root = watched.only(name="RunnableSequence")
    assert (root.inputs, root.outputs, root.status) == (QUESTION, "On 3 April 2027.", Status.OK)
    assert watched.only(kind=Kind.RETRIEVER).inputs == QUESTION
    model = watched.only(kind=Kind.LLM)
    assert (model.inputs, model.outputs) == (None, None)
    assert [(each.role, each.parts[0].text) for each in model.messages][1] == ("user", QUESTION)
    assert [(each.role, each.parts[0].text) for each in model.answers] == [("assistant", "On 3 April 2027.")]


def test_times_come_from_one_monotonic_clock(ticking: Watched) -> None:
    chain = RunnableLambda(lambda text: ticking.tick(250)).with_config(run_name="outer")
    chain.invoke("x", ticking.config())
    run = ticking.only()
    assert run.duration_ms == 250
    assert run.started_at == STARTED_AT
    assert run.ended_at is not None
    assert (run.ended_at - run.started_at).total_seconds() == 0.25


def test_a_run_bears_the_name_that_it_was_given(watched: Watched) -> None:
    RunnableLambda(len, name="count").invoke("abc", watched.config(run_name="count letters"))
    RunnableLambda(len).with_config(run_name="length").invoke("abc", watched.config())
    assert [run.name for run in watched.runs()] == ["count letters", "length"]


@pytest.mark.parametrize(
    ("serialized", "name", "expected"),
    [
        ({"name": "b", "id": ["x", "C"]}, "a", "a"),
        ({"name": "b", "id": ["x", "C"]}, None, "b"),
        ({"id": ["x", "C"]}, None, "C"),
        ({"id": []}, None, "chain"),
        (None, None, "chain"),
    ],
)
def test_a_run_without_a_name_bears_that_of_its_class(serialized: Any, name: Any, expected: str) -> None:
    assert name_of(serialized, name, "chain") == expected


def test_tags_and_metadata_reach_every_run_inside(watched: Watched) -> None:
    config = watched.config(tags=["night"], metadata={"shelf": 7})
    a_rag_chain().invoke(QUESTION, config)
    assert {run.tags for run in watched.runs()} == {("night",)}
    assert {run.metadata["shelf"] for run in watched.runs()} == {7}


def test_names_and_tags_may_be_members_of_enumerations(watched: Watched) -> None:
    class Step(StrEnum):
        COUNT = "count"

    RunnableLambda(len).invoke("abc", watched.config(run_name=Step.COUNT, tags=[Step.COUNT]))
    run = watched.only()
    assert (run.name, run.tags) == ("count", ("count",))


def test_the_tags_that_langchain_adds_stay_out(watched: Watched) -> None:
    RunnableParallel(a=RunnableLambda(len), b=RunnableLambda(len)).invoke("abc", watched.config())
    assert {run.tags for run in watched.runs()} == {()}


def test_a_batch_is_one_trace_per_item(watched: Watched) -> None:
    a_rag_chain().batch([QUESTION] * 3, watched.config())
    roots = [run for run in watched.runs() if run.parent_id is None]
    assert len({run.trace_id for run in roots}) == 3
    for root in roots:
        [[name, *steps]] = tree_of(run for run in watched.runs() if run.trace_id == root.id)
        assert (name, len(steps)) == ("RunnableSequence", 4)
