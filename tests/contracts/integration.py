"""What every integration of a framework promises; a new one subclasses the suite, with its own programs."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytest
from contracts.recorded import Recorded

from driftline.context import context
from driftline.guarding import failures
from driftline.records import Kind, Provenance, Status, Usage


class Programs(ABC):
    """Small programs in one framework, watched through one recorder.

    Each returns what the framework gives back to the application, so that the suite sees it unchanged.
    """

    @abstractmethod
    def step(self, work: Callable[[Any], Any], given: Any, *, name: str) -> Any:
        """Run ``work`` on ``given`` as one step; called inside ``work`` again, it is a step within."""

    @abstractmethod
    async def step_async(self, work: Callable[[Any], Any], given: Any, *, name: str) -> Any:
        """The same for an asynchronous ``work``."""

    @abstractmethod
    def model(self, question: str, answer: str, usage: Usage | None) -> str:
        """Ask a model that answers ``answer`` at once and reports ``usage``."""

    @abstractmethod
    def stream(
        self, question: str, chunks: list[str], pause: Callable[[], None], *, leave_after: int | None
    ) -> str:
        """Read a model's stream, whole or so many chunks of it; ``pause`` is called before each."""

    @abstractmethod
    def retrieve(self, query: str, passages: list[tuple[str, float]]) -> list[str]:
        """Find passages with their scores; gives their texts."""

    @abstractmethod
    def tool(self, work: Callable[[int, int], Any], a: int, b: int, *, name: str) -> Any:
        """Call ``work`` as a tool."""


class IntegrationContract(ABC):
    """The promises. ``make_programs`` gives the programs of the framework."""

    @abstractmethod
    def make_programs(self, recorded: Recorded) -> Programs:
        """Programs that are watched by ``recorded``."""

    @pytest.fixture
    def recorded(self) -> Recorded:
        return Recorded(ticking=True)

    @pytest.fixture
    def programs(self, recorded: Recorded) -> Programs:
        return self.make_programs(recorded)

    def test_steps_within_steps_form_one_trace(self, recorded: Recorded, programs: Programs) -> None:
        def outer(text: str) -> Any:
            return programs.step(str.upper, text, name="inner")

        assert programs.step(outer, "abc", name="outer") == "ABC"
        assert recorded.tree == [["outer", "inner"]]
        root, inner = recorded.only(name="outer"), recorded.only(name="inner")
        assert root.trace_id == inner.trace_id == root.id
        assert (inner.outputs, root.status) == ("ABC", Status.OK)

    def test_steps_after_one_another_are_traces_of_their_own(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        programs.step(str.upper, "a", name="one")
        programs.step(str.upper, "b", name="two")
        assert sorted(recorded.tree) == ["one", "two"]

    def test_threads_at_once_do_not_mix(self, recorded: Recorded, programs: Programs) -> None:
        meet = threading.Barrier(4)

        def outer(text: str) -> Any:
            meet.wait(10)
            return programs.step(str.upper, text, name="inner")

        threads = [
            threading.Thread(target=programs.step, args=(outer, f"t{n}"), kwargs={"name": f"t{n}"})
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(recorded.tree) == [[f"t{n}", "inner"] for n in range(4)]
        for run in recorded.runs(name="inner"):
            [root] = [each for each in recorded.runs() if each.id == run.trace_id]
            assert run.outputs == root.name.upper()

    def test_tasks_at_once_do_not_mix(self, recorded: Recorded, programs: Programs) -> None:
        async def inner(text: str) -> str:
            await asyncio.sleep(0)
            return text.upper()

        async def outer(text: str) -> Any:
            await asyncio.sleep(0)
            return await programs.step_async(inner, text, name="inner")

        async def main() -> None:
            steps = (programs.step_async(outer, f"t{n}", name=f"t{n}") for n in range(4))
            assert await asyncio.gather(*steps) == ["T0", "T1", "T2", "T3"]

        asyncio.run(main())
        assert sorted(recorded.tree) == [[f"t{n}", "inner"] for n in range(4)]

    def test_durations_come_from_the_monotonic_clock(self, recorded: Recorded, programs: Programs) -> None:
        programs.step(lambda text: recorded.tick(250), "abc", name="slow")
        assert recorded.only().duration_ms == 250

    def test_an_error_reaches_the_application_and_the_record(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        def fail(text: str) -> None:
            raise ValueError("no such account")

        with pytest.raises(ValueError, match="no such account"):
            programs.step(fail, "abc", name="broken")
        run = recorded.only()
        assert (run.status, run.name) == (Status.ERROR, "broken")
        assert run.error is not None
        assert (run.error.type, run.error.message) == ("ValueError", "no such account")
        assert 'raise ValueError("no such account")' in run.error.stack

    def test_a_cancelled_task_is_no_error(self, recorded: Recorded, programs: Programs) -> None:
        async def main() -> None:
            begun = asyncio.Event()

            async def wait(text: str) -> None:
                begun.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(programs.step_async(wait, "abc", name="waiting"))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert recorded.only().status is Status.CANCELLED

    def test_a_model_run_says_what_was_asked_answered_and_used(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        usage = Usage(input_tokens=12, output_tokens=5)
        assert programs.model("When?", "In May.", usage) == "In May."
        run = recorded.only(kind=Kind.LLM)
        assert [(each.role, each.parts[0].text) for each in run.messages] == [("user", "When?")]
        assert [(each.role, each.parts[0].text) for each in run.answers] == [("assistant", "In May.")]
        assert run.usage == usage
        assert run.timeline is None

    def test_usage_that_nobody_reports_is_missing_and_not_zero(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        programs.model("When?", "In May.", None)
        assert recorded.only(kind=Kind.LLM).usage == Usage(provenance=Provenance.MISSING)

    def test_a_stream_keeps_the_time_of_every_chunk(self, recorded: Recorded, programs: Programs) -> None:
        text = programs.stream("When?", ["In ", "May", "."], lambda: recorded.tick(40), leave_after=None)
        assert text == "In May."
        run = recorded.only(kind=Kind.LLM)
        assert run.answers[0].parts[0].text == "In May."
        assert run.timeline is not None
        assert (run.timeline.ttft_ms, run.timeline.chunks, run.timeline.mean_gap_ms) == (40, 3, 40)

    def test_a_stream_whose_reader_leaves_is_cancelled_with_the_text_so_far(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        programs.stream("When?", ["In ", "May", "."], lambda: recorded.tick(40), leave_after=2)
        run = recorded.only(kind=Kind.LLM)
        assert (run.status, run.answers[0].parts[0].text) == (Status.CANCELLED, "In May")

    def test_a_retriever_run_has_its_documents_in_order(self, recorded: Recorded, programs: Programs) -> None:
        assert programs.retrieve("term", [("first", 0.9), ("second", 0.5)]) == ["first", "second"]
        run = recorded.only(kind=Kind.RETRIEVER)
        assert [(each.rank, each.text, each.score) for each in run.documents] == [
            (1, "first", 0.9),
            (2, "second", 0.5),
        ]

    def test_a_tool_run_says_what_it_was_given_and_what_it_gave(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        assert programs.tool(lambda a, b: a + b, 1, 2, name="add") == 3
        run = recorded.only(kind=Kind.TOOL)
        assert (run.name, run.inputs, run.outputs) == ("add", {"a": 1, "b": 2}, 3)

    def test_what_changes_after_the_event_is_recorded_as_it_was(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        given = {"list": [1]}
        programs.step(lambda inputs: inputs["list"].append(2), given, name="changing")
        assert "[1]" in str(recorded.only().inputs)
        assert given == {"list": [1, 2]}

    def test_a_context_says_whom_the_runs_inside_belong_to(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        with context(user_id="u-1", session_id="s-1", feature="terms", tags=["night"], metadata={"shelf": 7}):
            programs.step(lambda text: programs.step(str.upper, text, name="inner"), "abc", name="outer")
        for run in recorded.runs():
            assert (run.user_id, run.session_id, run.feature) == ("u-1", "s-1", "terms")
            assert "night" in run.tags
            assert run.metadata["shelf"] == 7

    def test_values_that_nobody_can_write_down_do_no_harm(
        self, recorded: Recorded, programs: Programs
    ) -> None:
        cycle: dict[str, Any] = {"lock": threading.Lock(), "infinite": float("inf"), "bytes": b"\x00"}
        cycle["self"] = cycle
        assert programs.step(lambda value: value is cycle, cycle, name="odd") is True
        assert recorded.only().status is Status.OK

    def test_our_own_mistakes_stay_with_us(
        self,
        recorded: Recorded,
        programs: Programs,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def broken(*args: Any, **kwargs: Any) -> Any:
            raise LookupError("our mistake")

        monkeypatch.setattr(failures, "strict", False)
        monkeypatch.setattr(recorded.recorder, "start", broken)
        monkeypatch.setattr(recorded.recorder, "finish", broken)
        assert programs.step(str.upper, "abc", name="spared") == "ABC"
        assert sum(failures.counts.values()) >= 1
        failures.clear()
        caplog.clear()

    def test_nothing_stays_open(self, recorded: Recorded, programs: Programs) -> None:
        programs.step(lambda text: programs.step(str.upper, text, name="inner"), "abc", name="outer")
        programs.model("When?", "In May.", None)
        programs.stream("When?", ["a", "b"], lambda: None, leave_after=1)
        assert recorded.recorder.open_count == 0
