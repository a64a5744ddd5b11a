"""The workers: intake of kept messages, delivery, sealing; each woken by news or by its own pace.

A worker's step is a plain function that runs in a thread and says whether there may be more to do. After
an empty step the worker waits for a hint, at most `PACE_S`, so that a lost hint costs a moment only.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from lis.app.bus import Bus

PACE_S: Final = 1.0


async def work(
    step: Callable[[], bool],
    *,
    bus: Bus,
    topics: tuple[str, ...],
    executor: Executor,
    pace_s: float = PACE_S,
) -> None:
    """Run `step` again and again until cancelled; it returns True while there may be more."""
    loop = asyncio.get_running_loop()
    with bus.subscribe(*topics) as news:
        while True:
            has_more = await loop.run_in_executor(executor, step)
            if not has_more:
                await news.next(pace_s)
                news.drain()
