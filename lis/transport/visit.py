"""One peer's visit: a pipe, and the task that serves it until the pipe ends.

A visit ends in one of four ways: the handler returns (the peer said goodbye), the handler lets `LinkLost`
through (the pipe broke), we dismiss it (stop, or a new peer takes the place), or the handler crashes. A crash
is never hidden: `outcome` raises it, so that the supervisor sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lis.transport.base import LinkLost, Pipe

OnPipe = Callable[[Pipe], Awaitable[None]]

# A dismissed handler may be in the middle of a commit; it gets this long to finish before it is cancelled.
HANDLER_END_TIMEOUT_S = 10.0


class Visit:
    """A pipe and the handler that is serving it."""

    def __init__(self, pipe: Pipe, on_pipe: OnPipe) -> None:
        self.pipe = pipe
        self.task = asyncio.create_task(_attend(pipe, on_pipe))

    async def dismiss(self) -> None:
        """Close the pipe and wait for the handler; it is cancelled when it does not come to an end."""
        await self.pipe.close()
        ended, _ = await asyncio.wait({self.task}, timeout=HANDLER_END_TIMEOUT_S)
        if not ended:
            self.task.cancel()
            await asyncio.wait({self.task})

    def outcome(self) -> str:
        """Why an ended visit ended, in words for the log. Raises what the handler crashed with."""
        if self.task.cancelled():
            return f"{self.pipe.peer}: handler was stopped"
        return self.task.result()


async def _attend(pipe: Pipe, on_pipe: OnPipe) -> str:
    try:
        await on_pipe(pipe)
    except LinkLost as lost:
        return str(lost)
    finally:
        await pipe.close()
    return f"{pipe.peer}: closed"
