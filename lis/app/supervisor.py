"""Keeps the house's tasks alive.

Each task is a coroutine function that runs until cancelled. One that ends or crashes is logged, raises an
alarm that a person sees on the instrument board, and is started again with back-off. This is the only
place that may catch every exception, because nothing above it could.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log = structlog.get_logger()

RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 60.0
HEALTHY_AFTER_S: Final = 120.0  # a task that lived this long starts again with the shortest wait

OnCrash = Callable[[str, str], None]
Sleep = Callable[[float], Awaitable[None]]


async def supervise(
    name: str,
    task: Callable[[], Awaitable[None]],
    *,
    on_crash: OnCrash,
    sleep: Sleep = asyncio.sleep,
    stop: asyncio.Event | None = None,
) -> None:
    """Run `task` for ever; restart it when it ends.

    Ends by cancellation, or when the task returns after `stop` was set: a link hears `stop` itself.
    """
    wait_s = RESTART_MIN_S
    loop = asyncio.get_running_loop()
    while True:
        started_s = loop.time()
        reason = "ended"
        try:
            await task()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.exception("task_crashed", task=name)
        if stop is not None and stop.is_set():
            return
        if loop.time() - started_s > HEALTHY_AFTER_S:
            wait_s = RESTART_MIN_S
        _tell(on_crash, name, reason)
        await sleep(wait_s)
        wait_s = min(wait_s * 2, RESTART_MAX_S)


def _tell(on_crash: OnCrash, name: str, reason: str) -> None:
    try:
        on_crash(name, reason)
    except Exception:
        log.exception("alarm_not_stored", task=name)
