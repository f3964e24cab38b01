"""Virtual time: hours pass at once, a world that waits for nothing is stuck, the dead stay silent."""

import asyncio
import gc
import time

import pytest

from koppel.testing.loop import StuckError, run_virtual


def test_a_night_passes_at_once():
    async def night():
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(8 * 3600)
        return asyncio.get_running_loop().time() - before

    began = time.monotonic()
    assert run_virtual(night()) == pytest.approx(8 * 3600)
    assert time.monotonic() - began < 1


def test_timers_come_in_the_order_of_their_times():
    async def main():
        seen = []

        async def after(seconds):
            await asyncio.sleep(seconds)
            seen.append(seconds)

        await asyncio.gather(*(after(s) for s in (30, 10, 20)))
        return seen

    assert run_virtual(main()) == [10, 20, 30]


def test_waiting_for_what_never_comes_is_an_error():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        run_virtual(main())


def test_an_abandoned_task_never_runs_on():
    ran = []

    async def main():
        async def forever():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ran.append("finally")
                await asyncio.sleep(1)
                ran.append("more")

        task = asyncio.ensure_future(forever())
        await asyncio.sleep(1)
        assert not task.done()
        return ran.copy()

    assert run_virtual(main()) == []
    gc.collect()
    assert "more" not in ran
