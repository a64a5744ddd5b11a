"""What a link has to send: messages, cut into blocks when their turn comes.

Plain bookkeeping without time and without a line: the link asks, its table decides.
"""

from collections import deque
from collections.abc import Sequence

from lis.wire.astm_frame import FRAME_NUMBERS, blocks_of
from lis.wire.astm_settings import LinkSettings
from lis.wire.errors import LocalProtocolError

__all__ = ["QUEUE_LIMIT_MESSAGES", "Outbox"]

QUEUE_LIMIT_MESSAGES = 1_000  # ours: a worklist for a day; beyond, the caller forgot to look


class Outbox:
    """Messages in order; the first one is on its way."""

    __slots__ = (
        "_blocks",
        "_number",
        "_place",
        "_queue",
        "_settings",
        "enquiries",
        "may_be_doubled",
        "sends",
        "sent",
    )

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._queue: deque[tuple[bytes, ...]] = deque()
        self._blocks: list[bytes] = []
        self._place = 0  # of the block on the line
        self._number = 1  # of the next message's first frame
        self.enquiries = 0  # ENQs for the first message
        self.sends = 0  # of the block on the line
        self.may_be_doubled = False  # it was sent again without a clear answer to the first time
        self.sent = 0  # messages in this session

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, records: Sequence[bytes]) -> None:
        """Queue a message. What could never be sent is refused here, not at its turn."""
        if not records:
            raise LocalProtocolError("a message without records")
        if len(self._queue) >= QUEUE_LIMIT_MESSAGES:
            raise LocalProtocolError(f"more than {QUEUE_LIMIT_MESSAGES} messages wait to be sent")
        message = tuple(bytes(record) for record in records)
        self._cut(message)
        self._queue.append(message)

    def begin_session(self) -> None:
        """Frame numbers start at 1 with each session (6.3.2.1), not with each message."""
        self._number = 1
        self.sent = 0
        self._load()

    @property
    def block(self) -> bytes:
        """The block on the line."""
        return self._blocks[self._place]

    @property
    def is_last_block(self) -> bool:
        """Whether the first message ends with the block on the line."""
        return self._place + 1 == len(self._blocks)

    @property
    def has_more(self) -> bool:
        """Whether anything follows the block on the line in this session."""
        may_go_on = self.sent + 1 < self._settings.messages_per_session
        return not self.is_last_block or (may_go_on and len(self._queue) > 1)

    def advance(self) -> tuple[bytes, ...] | None:
        """The block arrived: go to the next one. Returns the message that is now whole there."""
        finished = self.take() if self.is_last_block else None
        if finished is None:
            self._place += 1
        elif self._queue:
            self.sent += 1
            self._load()
        self.sends = 0
        self.may_be_doubled = False
        return finished

    def take(self) -> tuple[bytes, ...]:
        """Remove the first message from the queue."""
        self.enquiries = self.sends = 0
        return self._queue.popleft()

    def _load(self) -> None:
        self._blocks = self._cut(self._queue[0])
        self._place = self.sends = 0
        self.may_be_doubled = False
        self._number = (self._number + len(self._blocks)) % FRAME_NUMBERS

    def _cut(self, message: tuple[bytes, ...]) -> list[bytes]:
        return blocks_of(
            message,
            limit=self._settings.text_limit_bytes,
            start=self._number,
            record_per_frame=self._settings.record_per_frame,
        )
