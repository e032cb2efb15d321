"""A batch that is given up leaves coroutines behind; nobody complains of those, but of others."""

from __future__ import annotations

import asyncio
import gc
import warnings

from langchain_core.runnables import RunnableLambda

from driftline_server.cli.demonstrating import accept_steps_that_never_began


async def give_up_a_batch() -> None:
    """Cancel a batch of which the first step has begun, and the second has to wait for it."""
    begun = asyncio.Event()

    async def step(_: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    batch = asyncio.ensure_future(RunnableLambda(step).abatch([1, 2, 3], {"max_concurrency": 1}))
    await begun.wait()
    batch.cancel()
    await asyncio.gather(batch, return_exceptions=True)


async def forget_to_await() -> None:
    asyncio.sleep(0)  # type: ignore[unused-coroutine]


def complaints(*, accepting: bool) -> list[str]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        if accepting:
            accept_steps_that_never_began()
        asyncio.run(give_up_a_batch())
        asyncio.run(forget_to_await())
        gc.collect()
    return sorted({str(each.message) for each in heard if each.category is RuntimeWarning})


def test_steps_that_never_began_are_accepted_and_nothing_else() -> None:
    ours = "coroutine 'Runnable.abatch.<locals>.ainvoke' was never awaited"
    others = "coroutine 'sleep' was never awaited"
    assert complaints(accepting=False) == [ours, others]
    assert complaints(accepting=True) == [others]
