"""Nothing dies silently."""

import asyncio

import pytest

from lis.app.supervisor import RESTART_MAX_S, supervise


class Waits:
    """Counts the waits, and ends the test's patience after some."""

    def __init__(self, limit):
        self.seconds = []
        self.limit = limit

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        if len(self.seconds) >= self.limit:
            raise asyncio.CancelledError


async def test_a_crashed_task_is_told_and_started_again_with_growing_waits():
    told, runs = [], []

    async def task():
        runs.append(1)
        raise ValueError("broken")

    waits = Waits(limit=9)
    with pytest.raises(asyncio.CancelledError):
        await supervise(
            "t", task, on_crash=lambda name, reason: told.append((name, reason)), sleep=waits
        )
    assert len(runs) == len(told) == 9
    assert told[0] == ("t", "ValueError: broken")
    assert waits.seconds == sorted(waits.seconds)
    assert waits.seconds[-1] == RESTART_MAX_S


async def test_an_alarm_that_cannot_be_stored_does_not_stop_the_restart():
    async def task():
        return

    def on_crash(_name, _reason):
        raise OSError("disk full")

    waits = Waits(limit=3)
    with pytest.raises(asyncio.CancelledError):
        await supervise("t", task, on_crash=on_crash, sleep=waits)
    assert len(waits.seconds) == 3


async def test_a_task_that_ends_after_stop_is_not_started_again():
    stop = asyncio.Event()

    async def task():
        stop.set()

    await asyncio.wait_for(supervise("t", task, on_crash=lambda *_: None, stop=stop), 2)
