"""What happens when a user clicks: the application runs, and the user reads, leaves, or sees an error."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline_server.demo.app import DocumentApp, Wiring, messages_of, require_document
from driftline_server.demo.documents import FinancialDocument, load_documents
from driftline_server.demo.models import ModelSource
from driftline_server.demo.pace import Pace
from driftline_server.demo.steps import Step
from driftline_server.demo.traffic import Action, Session, Turn


class Outcome(StrEnum):
    """What the user saw, and as its value the status that the trace has for it."""

    ANSWERED = "ok"
    FAILED = "error"
    LEFT = "cancelled"
    """The user closed the page while the answer was coming."""
    WAITING = "interrupted"
    """A letter waits for approval."""


@dataclass(slots=True, kw_only=True)
class Serving:
    """A session as it goes on."""

    session: Session
    session_id: str
    handler: DriftlineCallbackHandler
    models: ModelSource
    scale: float
    seed: str
    history: list[tuple[str, str]] = field(default_factory=list)
    """Questions with their answers, oldest first."""


async def serve_click(serving: Serving, turn: Turn) -> list[Outcome]:
    """Serve a click on the event loop; one outcome for each trace."""
    app, config = _app(serving, turn), _config(serving, turn)
    try:
        if turn.action is Action.NOTICE:
            return await _serve_notice(app, serving, turn, config)
        step, inputs = _started(app, serving, turn)
        if turn.action is not Action.ASK:
            await _finish(step, inputs, config)
            return [Outcome.ANSWERED]
        words = await _read(step, inputs, config, turn.leaves_after)
    except serving.models.failures:
        # The page shows an apology; what went wrong is in the trace.
        return [Outcome.FAILED]
    if words is None:
        return [Outcome.LEFT]
    serving.history.append((turn.question, words))
    return [Outcome.ANSWERED]


def serve_click_on_thread(serving: Serving, turn: Turn) -> list[Outcome]:
    """Serve a click with LangChain's synchronous methods."""
    app, config = _app(serving, turn), _config(serving, turn)
    step, inputs = _started(app, serving, turn)
    try:
        if turn.action is Action.ASK:
            serving.history.append((turn.question, "".join(step.stream(inputs, config))))
        else:
            step.invoke(inputs, config)
    except serving.models.failures:
        return [Outcome.FAILED]
    return [Outcome.ANSWERED]


async def _finish(step: Step, inputs: Any, config: RunnableConfig) -> None:
    """Run to the end; agents stream their messages, as their pages do."""
    async for _ in step.astream(inputs, config):
        pass


async def _read(step: Step, inputs: Any, config: RunnableConfig, leaves_after: int | None) -> str | None:
    """Read an answer word by word; ``None`` where the user left before its end."""
    words: list[str] = []
    enough = asyncio.Event()

    async def read() -> None:
        async for piece in step.astream(inputs, config):
            words.append(piece)
            if len(words) == leaves_after:
                enough.set()
        enough.set()

    reading = asyncio.create_task(read())
    if leaves_after is None:
        await reading
        return "".join(words)
    leaving = asyncio.create_task(enough.wait())
    await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    reading.cancel()
    try:
        await reading
    except asyncio.CancelledError:
        return None
    return "".join(words)


async def _serve_notice(
    app: DocumentApp, serving: Serving, turn: Turn, config: RunnableConfig
) -> list[Outcome]:
    """The letter is drafted, a person reads it, and then it goes on."""
    session = serving.session
    graph = app.draft_notice((session.about,), _customer_of(session.about))
    config["configurable"] = {"thread_id": serving.session_id}
    drafted = await graph.ainvoke({"question": turn.question}, config)
    if "__interrupt__" not in drafted:
        return [Outcome.ANSWERED]
    await asyncio.sleep(2.0 * serving.scale)
    await graph.ainvoke(Command(resume=f"Approved by {session.user}"), config)
    return [Outcome.WAITING, Outcome.ANSWERED]


def _app(serving: Serving, turn: Turn) -> DocumentApp:
    pace = Pace(
        seed=f"{serving.seed}/{len(serving.history)}/{turn.question}",
        scale=serving.scale,
        stall_s=turn.stall_s,
    )
    return DocumentApp(
        Wiring(
            models=serving.models.make(pace, turn.faults, turn.max_tokens),
            pace=pace,
            answer_version=serving.session.answer_version,
            extract_version=serving.session.extract_version,
            fx_timeouts=turn.fx_timeouts,
        )
    )


def _started(app: DocumentApp, serving: Serving, turn: Turn) -> tuple[Step, Any]:
    """The runnable of an action, and what it is given."""
    about = serving.session.about
    question = turn.question.format(about=about)
    if turn.action is Action.ASK:
        history = messages_of(serving.history)
        step = app.ask_document((about,), follow_up=bool(history))
        return step, {"question": question, "history": history}
    if turn.action is Action.EXTRACT:
        return app.extract_terms(require_document(about)), {"question": question}
    if turn.action is Action.COVENANTS:
        return app.check_covenants(_group(about)), {"question": question, "group": about}
    if turn.action is Action.PORTFOLIO:
        loans = [document for document in load_documents() if document.type == "loan"]
        return app.portfolio_terms(loans), {"question": question}
    return app.calculate((about,)), {"messages": [HumanMessage(question)]}


def _config(serving: Serving, turn: Turn) -> RunnableConfig:
    session = serving.session
    metadata: dict[str, Any] = {
        "user_id": session.user,
        "session_id": serving.session_id,
        "feature": turn.action.feature,
        "endpoint_class": turn.action.endpoint_class,
        "release": session.release,
        "environment": session.environment,
        "prompt_version": _prompt_version(session, turn),
    }
    tags = [turn.action.feature]
    document = _find(session.about)
    if document:
        metadata |= {"document": document.file, "country": document.country}
        tags += [document.type, document.country]
    return RunnableConfig(callbacks=[serving.handler], metadata=metadata, tags=tags)


def _prompt_version(session: Session, turn: Turn) -> str:
    if turn.action in (Action.EXTRACT, Action.PORTFOLIO):
        return session.extract_version
    if turn.action in (Action.ASK, Action.COVENANTS):
        return session.answer_version
    return "v5" if turn.action is Action.CALCULATE else "v1"


def _find(file: str) -> FinancialDocument | None:
    return next((document for document in load_documents() if document.file == file), None)


def _group(name: str) -> list[FinancialDocument]:
    return [document for document in load_documents() if document.group == name]


def _customer_of(file: str) -> str:
    """The company on whose behalf a letter is written."""
    return _CUSTOMERS.get(require_document(file).group, "our customer")


_CUSTOMERS = {"zeeman": "De Vries Optiek B.V.", "vermeil": "Ateliers Vermeil SAS"}
