"""LangChain's callback events, translated into calls of the recorder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from driftline.anatomy import plain_text, type_name
from driftline.guarding import is_of_signal, never_raises, never_raises_but
from driftline.integrations.langchain_calls import NOTHING, RunCalls
from driftline.integrations.langchain_documents import copy_documents, documents_of
from driftline.integrations.langchain_graph import copy_interrupts, join_langgraph
from driftline.integrations.langchain_messages import copy_messages
from driftline.integrations.langchain_models import model_requested
from driftline.integrations.langchain_names import chain_kind, name_of
from driftline.integrations.langchain_prompts import prompt_of
from driftline.integrations.langchain_results import (
    copy_decision,
    copy_result,
    facts_of_decision,
    facts_of_result,
)
from driftline.integrations.langchain_state import copy_payload
from driftline.integrations.langchain_streams import Content, content_of_chunk, content_of_event
from driftline.integrations.langchain_tools import tool_failure
from driftline.open_runs import OpenRun
from driftline.recorder import Recorder
from driftline.records import Kind, RunError, Status
from driftline.snapshot import Copier


def _start_without_content(kind: Kind) -> Callable[..., None]:
    """Open a run all the same where what it was given could not be copied: others may stand below it."""

    def start(
        self: EventTranslator,
        serialized: Any,
        subject: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **more: Any,
    ) -> None:
        # What a signal handler raised ends the call that would have told of the end of this run.
        if self._calls.open_run(run_id) is None and not is_of_signal(sys.exc_info()[1]):
            name = name_of(serialized, more.get("name"), kind.value)
            self._calls.start(
                self._now(), run_id, parent_run_id, kind, name, Copier(), NOTHING, fields=NOTHING
            )

    return start


def _end_without_content(self: EventTranslator, subject: Any, *, run_id: UUID, **_: Any) -> None:
    """Close a run all the same where what it gave, or what it raised, could not be copied."""
    failed = issubclass(type(subject), BaseException)
    self._calls.finish(
        self._now(),
        run_id,
        Copier(),
        status=Status.ERROR if failed else Status.OK,
        error=RunError(type=type_name(type(subject))) if failed else None,
    )


class EventTranslator(BaseCallbackHandler):
    """Hears everything that LangChain and LangGraph tell, on the thread and at the moment where it happens.

    Plain methods, called inline: an async handler would cost a new event loop per event under a sync caller,
    and one that is not inline would wait for the application's thread pool. Nothing of the application is
    kept; what it passes is copied on the spot, and read on the delivery thread.
    """

    run_inline = True

    def __init__(self, recorder: Recorder) -> None:
        self._calls = RunCalls(recorder)
        self._now = recorder.clock_ns
        self._joined_langgraph = False

    # Chains, prompts, parsers, agents, graphs and their nodes

    @never_raises_but(_start_without_content(Kind.CHAIN))
    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        at_ns = self._now()
        if not self._joined_langgraph:
            self._joined_langgraph = join_langgraph(EventTranslator)
        metadata = more.get("metadata") or NOTHING
        name = name_of(serialized, more.get("name"), "chain")
        kind = chain_kind(name, more.get("run_type"), metadata, more.get("tags") or ())
        copier = Copier()
        self._calls.start(
            at_ns, run_id, parent_run_id, kind, name, copier, more,
            fields={**_early_inputs(inputs, copier, metadata), **_model_said(kind, metadata)},
            prompt=prompt_of(serialized, metadata) if kind is Kind.PROMPT else None,
        )  # fmt: skip

    @never_raises_but(_end_without_content)
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        at_ns = self._now()
        run = self._calls.open_run(run_id)
        copier = Copier()
        metadata = NOTHING if run is None else run.metadata
        fields = _late_inputs(more, copier, metadata)
        fields["outputs"] = copy_payload(outputs, copier, metadata)
        facts = None
        if run is not None and run.kind is Kind.LLM:
            facts = partial(facts_of_decision, copy_decision(outputs, copier))
        self._calls.finish(at_ns, run_id, copier, fields=fields, facts=facts)

    @never_raises_but(_end_without_content)
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        at_ns = self._now()
        run = self._calls.open_run(run_id)
        copier = Copier()
        fields = _late_inputs(more, copier, NOTHING if run is None else run.metadata)
        self._calls.fail(at_ns, run_id, error, copier, fields=fields)

    # Models

    @never_raises_but(_start_without_content(Kind.LLM))
    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        at_ns = self._now()
        copier = Copier()
        copies = copy_messages(messages[0] if messages else (), copier)
        self._calls.start_model(at_ns, serialized, copies, run_id, parent_run_id, copier, more)

    @never_raises_but(_start_without_content(Kind.LLM))
    def on_llm_start(
        self, serialized: Any, prompts: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        at_ns = self._now()
        copier = Copier()
        copies = [{"type": "human", "content": copier.copy(prompt)} for prompt in prompts]
        self._calls.start_model(at_ns, serialized, copies, run_id, parent_run_id, copier, more)

    @never_raises
    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **_: Any) -> None:
        at_ns = self._now()
        run = self._calls.open_run(run_id)
        if run is None or run.is_repeated("token"):
            return
        content = content_of_chunk(token, chunk)
        if content is not None:
            _mark(run, "token", at_ns, content)

    @never_raises
    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        at_ns = self._now()
        run = self._calls.open_run(run_id)
        if run is None or run.is_repeated("event"):
            return
        content = content_of_event(event)
        if content is not None:
            _mark(run, "event", at_ns, content)
        elif type(event) is dict and event.get("event") == "message-start":
            metadata = event.get("metadata")
            if type(metadata) is dict and type(metadata.get("model")) is str:
                run.fields.setdefault("model_answered", metadata["model"])

    @never_raises_but(_end_without_content)
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        at_ns = self._now()
        copier = Copier()
        facts = partial(facts_of_result, copy_result(response, copier))
        self._calls.finish(at_ns, run_id, copier, facts=facts)

    @never_raises_but(_end_without_content)
    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        at_ns = self._now()
        copier = Copier()
        # Of a failed response only the answer so far is read: the rest holds the provider's headers.
        facts = None if response is None else partial(facts_of_result, copy_result(response, copier))
        self._calls.fail(at_ns, run_id, error, copier, facts=facts)

    # Tools

    @never_raises_but(_start_without_content(Kind.TOOL))
    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        at_ns = self._now()
        copier = Copier()
        inputs = more.get("inputs")
        call_id = more.get("tool_call_id")
        name = name_of(serialized, more.get("name"), "tool")
        self._calls.start(
            at_ns, run_id, parent_run_id, Kind.TOOL, name, copier, more,
            fields={"inputs": copier.copy(input_str if inputs is None else inputs)},
            metadata={"tool_call_id": call_id} if type(call_id) is str else None,
        )  # fmt: skip

    @never_raises_but(_end_without_content)
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        at_ns = self._now()
        copier = Copier()
        failure = tool_failure(output, copier)
        status = Status.OK if failure is None else Status.ERROR
        self._calls.finish(
            at_ns, run_id, copier, status=status, error=failure, fields={"outputs": copier.copy(output)}
        )

    @never_raises_but(_end_without_content)
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._calls.fail(self._now(), run_id, error, Copier())

    # Retrievers

    @never_raises_but(_start_without_content(Kind.RETRIEVER))
    def on_retriever_start(
        self, serialized: Any, query: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        at_ns = self._now()
        copier = Copier()
        name = name_of(serialized, more.get("name"), "retriever")
        self._calls.start(
            at_ns, run_id, parent_run_id, Kind.RETRIEVER, name, copier, more,
            fields={"inputs": copier.copy(query)},
        )  # fmt: skip

    @never_raises_but(_end_without_content)
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        at_ns = self._now()
        copier = Copier()
        copies = copy_documents(documents, copier)
        self._calls.finish(at_ns, run_id, copier, facts=lambda: {"documents": documents_of(copies)})

    @never_raises_but(_end_without_content)
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._calls.fail(self._now(), run_id, error, Copier())

    # What happens inside a run

    @never_raises
    def on_agent_action(self, action: Any, *, run_id: UUID, **_: Any) -> None:
        self._calls.note(self._now(), run_id, "agent_action", action)

    @never_raises
    def on_agent_finish(self, finish: Any, *, run_id: UUID, **_: Any) -> None:
        self._calls.note(self._now(), run_id, "agent_finish", finish)

    @never_raises
    def on_text(self, text: str, *, run_id: UUID, **_: Any) -> None:
        self._calls.note(self._now(), run_id, "text", text)

    @never_raises
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **_: Any) -> None:
        self._calls.note(self._now(), run_id, name, data)

    @never_raises
    def on_retry(self, retry_state: Any, *, run_id: UUID, **_: Any) -> None:
        outcome = retry_state.outcome
        error = outcome.exception() if outcome is not None and outcome.failed else None
        self._calls.note(
            self._now(),
            run_id,
            "retry",
            {
                "attempt": retry_state.attempt_number,
                "error": None if error is None else type(error).__qualname__,
                "sleep_s": getattr(retry_state.next_action, "sleep", None),
            },
        )

    @never_raises
    def on_interrupt(self, event: Any) -> None:
        at_ns = self._now()
        run = self._calls.open_run(event.run_id)
        if run is None or run.is_repeated("interrupt"):
            return
        run.waits = True
        copier = Copier()
        data = {
            "status": event.status,
            "checkpoint_id": event.checkpoint_id,
            "interrupts": copy_interrupts(event.interrupts, copier),
        }
        run.note(at_ns, "interrupt", data)

    @never_raises
    def on_resume(self, event: Any) -> None:
        if event.run_id is not None:
            self._calls.note(
                self._now(),
                event.run_id,
                "resume",
                {"status": event.status, "checkpoint_id": event.checkpoint_id},
            )


def _model_said(kind: Kind, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The model behind a chain that calls itself one: LangChain's decision models."""
    if kind is not Kind.LLM:
        return {}
    return {
        "model_requested": model_requested(metadata, NOTHING, None),
        "provider": plain_text(metadata.get("ls_provider")),
    }


def _mark(run: OpenRun, source: str, at_ns: int, content: Content) -> None:
    # Some models report each chunk by a token and by an event; whichever speaks first is listened to.
    if run.stream != source:
        if run.stream:
            return
        run.stream = source
    run.mark(at_ns, content.channel, content.text)


def _early_inputs(inputs: Any, copier: Copier, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing where LangChain passes ``{"input": ""}`` in place of an input that is still to come."""
    if type(inputs) is dict and len(inputs) == 1:
        given = inputs.get("input")
        if type(given) is str and not given:
            return {}
    return {"inputs": copy_payload(inputs, copier, metadata)}


def _late_inputs(more: Mapping[str, Any], copier: Copier, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A chain in a stream starts before its input is there; its end brings what it was really given."""
    inputs = more.get("inputs")
    return {} if inputs is None else {"inputs": copy_payload(inputs, copier, metadata)}
