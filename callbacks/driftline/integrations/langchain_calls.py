"""How LangChain's events become calls of the recorder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables.config import var_child_runnable_config

from driftline.anatomy import plain_text
from driftline.integrations.langchain_endings import ending_of
from driftline.integrations.langchain_messages import messages_of
from driftline.integrations.langchain_metadata import copy_metadata, scope_of, tags_of
from driftline.integrations.langchain_models import copy_settings, model_requested
from driftline.integrations.langchain_names import name_of
from driftline.open_runs import OpenRun
from driftline.recorder import CURRENT_MODEL_RUN, Recorder
from driftline.records import Kind, Prompt
from driftline.snapshot import Copier, Limits
from driftline.threads import carry

NOTHING: Mapping[str, Any] = {}
EVENT_LIMITS = Limits(items=200, nodes=2_000, text=20_000, characters=50_000)
"""A run may have many events, so each may hold less than an input."""
carry(var_child_runnable_config)


class RunCalls:
    """Opens and closes the runs of one handler. ``more`` is what an event brought beside its subject."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.last_trace_id: int | None = None
        """Of the root that was opened last."""

    def open_run(self, run_id: UUID | None) -> OpenRun | None:
        """The open run of an id; ``None`` where there is none."""
        return None if run_id is None else self.recorder.get_open(run_id.int)

    def start_model(
        self,
        at_ns: int,
        serialized: Any,
        copies: list[dict[str, Any]],
        run_id: UUID,
        parent_run_id: UUID | None,
        copier: Copier,
        more: Mapping[str, Any],
    ) -> None:
        """Open the run of a model's call, with the copies of what it is told."""
        metadata = more.get("metadata") or NOTHING
        params = more.get("invocation_params") or NOTHING
        batch_size = more.get("batch_size") or 1
        name = name_of(serialized, more.get("name"), "model")
        CURRENT_MODEL_RUN.set(run_id.int)
        self.start(
            at_ns, run_id, parent_run_id, Kind.LLM, name, copier, more,
            fields={
                "model_requested": model_requested(metadata, params, serialized),
                "provider": plain_text(metadata.get("ls_provider")),
                "invocation_params": copy_settings(metadata, params, copier),
            },
            facts=lambda: {"messages": messages_of(copies)},
            # The calls of one generate() start together and end together, so their durations overlap.
            metadata={"batch_size": batch_size, "duration_is_approximate": True} if batch_size > 1 else None,
        )  # fmt: skip

    def start(
        self,
        at_ns: int,
        run_id: UUID,
        parent_run_id: UUID | None,
        kind: Kind,
        name: str,
        copier: Copier,
        more: Mapping[str, Any],
        *,
        fields: Mapping[str, Any],
        facts: Any = None,
        prompt: Prompt | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a run."""
        said = more.get("metadata") or NOTHING
        kept = copy_metadata(said, copier) if said else {}
        if metadata:
            kept.update(metadata)
        run = self.recorder.start(
            run_id.int,
            at_ns=at_ns,
            kind=kind,
            name=name,
            parent_key=None if parent_run_id is None else parent_run_id.int,
            enclosing_key=_enclosing_key(),
            said=scope_of(said),
            tags=tags_of(more.get("tags")),
            metadata=kept,
            prompt=prompt,
            fields=fields,
            facts=facts,
            size_bytes=copier.size_bytes,
        )
        if run is not None and run.parent_id is None:
            self.last_trace_id = run.trace_id

    def finish(self, at_ns: int, run_id: UUID, copier: Copier, **ending: Any) -> None:
        """Close a run that ended."""
        self.recorder.finish(run_id.int, at_ns=at_ns, size_bytes=copier.size_bytes, **ending)

    def fail(
        self,
        at_ns: int,
        run_id: UUID,
        error: BaseException,
        copier: Copier,
        *,
        fields: Mapping[str, Any] | None = None,
        facts: Any = None,
    ) -> None:
        """Close a run that raised, be it an error, a reader that left, or a wait for a person."""
        status, cause, waiting = ending_of(error, copier)
        if waiting is not None:
            self.recorder.note(run_id.int, "interrupt", {"interrupts": waiting}, at_ns=at_ns)
        self.finish(at_ns, run_id, copier, status=status, error=cause, fields=fields, facts=facts)

    def note(self, at_ns: int, run_id: UUID, name: object, data: Any) -> None:
        """Add an event to an open run."""
        run = self.open_run(run_id)
        name = plain_text(name) or "event"
        if run is not None and not run.is_repeated(name):
            copier = Copier(EVENT_LIMITS)
            run.note(at_ns, name, copier.copy(data), size_bytes=copier.size_bytes)


def _enclosing_key() -> int | None:
    """The run inside which this code runs, by LangChain's own context; it repairs wrong parent ids."""
    config = var_child_runnable_config.get()
    callbacks: Any = None if config is None else config.get("callbacks")
    if not issubclass(type(callbacks), BaseCallbackManager):
        return None
    parent = callbacks.parent_run_id
    return None if parent is None else parent.int
