"""Fills a server: serves a morning's users with the real application, through the real handler."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from driftline.configuration import Configuration
from driftline.delivery import DeliveryReport
from driftline.integrations.langchain import DriftlineCallbackHandler
from driftline.runtime import delivery_of, recorder_of
from driftline_server.demo import PROJECT
from driftline_server.demo.clicks import Outcome, Serving, serve_click, serve_click_on_thread
from driftline_server.demo.models import ModelSource
from driftline_server.demo.traffic import Session, planned_sessions

Ended = TypeVar("Ended")
_CLOSE_WITHIN_S = 5.0
_FLUSH_WITHIN_S = 30.0
_AT_ONCE = 8
_THINKING_S = (0.3, 1.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPlan:
    """How much is asked of the application, and how fast."""

    url: str
    """Of the server that the handler reports to."""
    models: ModelSource
    traces: int | None = None
    """``None``: one whole morning."""
    scale: float = 1.0
    """Factor on every wait."""
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What came of it."""

    traces: int
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    delivery: DeliveryReport

    @property
    def lost(self) -> int:
        """Runs that did not reach the server."""
        return self.delivery.recorded - self.delivery.delivered


async def fill(plan: FillPlan, on_progress: Callable[[int, int], None] = lambda done, of: None) -> Filled:
    """Serve all sessions, eight at a time, and hand over every run.

    ``on_progress`` is called with the traces made and planned, after each.
    """
    # What the environment says of another server must not touch the demonstration.
    configuration = Configuration(url=plan.url, project=PROJECT)
    handler = DriftlineCallbackHandler(recorder=recorder_of(configuration))
    delivery = delivery_of(configuration)
    sessions = planned_sessions(plan.traces)
    planned = sum(turn.traces for session in sessions for turn in session.turns)
    places = asyncio.Semaphore(_AT_ONCE)
    outcomes: Counter[Outcome] = Counter()
    on_progress(0, planned)

    def note(outcome: Outcome) -> None:
        outcomes[outcome] += 1
        on_progress(outcomes.total(), planned)

    # A morning repeated in the same data folder is another morning, with other sessions.
    morning = datetime.now(UTC).strftime("%H%M%S")

    async def serve_session(session: Session) -> None:
        async with places:
            await _serve_session(plan, session, f"{morning}-{session.number:02}", handler, note)

    try:
        await asyncio.gather(*map(serve_session, sessions))
    except BaseException:
        # Threads go on after their sessions were given up; nobody may report to a server that is leaving.
        handler.enabled = False
        await asyncio.to_thread(delivery.close, _CLOSE_WITHIN_S)
        raise
    await asyncio.to_thread(delivery.flush, _FLUSH_WITHIN_S)
    return Filled(traces=outcomes.total(), outcomes=dict(outcomes), delivery=delivery.report())


async def _serve_session(
    plan: FillPlan,
    session: Session,
    session_id: str,
    handler: DriftlineCallbackHandler,
    note: Callable[[Outcome], None],
) -> None:
    """One dialogue: the user reads each answer before asking on."""
    dice = random.Random(f"{plan.seed}/{session.number}")
    serving = Serving(
        session=session,
        session_id=session_id,
        handler=handler,
        models=plan.models,
        scale=plan.scale,
        seed=f"{plan.seed}/{session.number}",
    )
    for turn in session.turns:
        if session.threaded:
            ended = await _on_thread(partial(serve_click_on_thread, serving, turn))
        else:
            ended = await serve_click(serving, turn)
        for outcome in ended:
            note(outcome)
        await asyncio.sleep(dice.uniform(*_THINKING_S) * plan.scale)


async def _on_thread(work: Callable[[], Ended]) -> Ended:
    """Work on a thread that does not hold up the end of the program, as those of ``asyncio.to_thread`` do."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Ended] = loop.create_future()

    def settle(end: Callable[[], None]) -> None:
        if not done.done():
            end()

    def run() -> None:
        try:
            end = partial(done.set_result, work())
        except Exception as error:
            end = partial(done.set_exception, error)
        # A loop that is closed has nobody left who waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, end)

    threading.Thread(target=run, name="demo-web-worker", daemon=True).start()
    return await done
