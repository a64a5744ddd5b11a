"""What one MLLP block is: its message, what is wrong with it, and which lane it takes.

A payload of several messages is read by its first (B2). AA never follows from here: a block without a readable MSH, of
a type that no instrument should send, or of a batch that counts otherwise, carries its error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lis.domain.messages import Lane
from lis.drivers.hl7_driver import REPLY_CODES, RESULT_CODES, lane_of
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, read_batch, split_messages
from lis.wire.hl7_ack import ErrorCode
from lis.wire.hl7_batch import stray_segments

__all__ = ["Block", "read_block"]


@dataclass(frozen=True, slots=True)
class Block:
    """One payload and what its header says; `message` is None where there is no readable MSH."""

    payload: bytes
    message: Message | None
    error: ErrorCode | None
    lane: Lane

    @property
    def is_reply(self) -> bool:
        return self.message is not None and self.message.code in REPLY_CODES


def read_block(payload: bytes, fallback: tuple[str, ...]) -> Block:
    """Header and verdict; a payload of several messages is read by its first (B2)."""
    parts = split_messages(payload)
    try:
        messages = [Message.parse(part, fallback=fallback) for part in parts]
    except RemoteProtocolError:
        first = _first_readable(parts)
        return Block(payload, first, ErrorCode.SEGMENT_SEQUENCE if first else _UNREADABLE, _RESULT)
    message = messages[0]
    if parts != (payload,) and read_batch(payload).count_faults:
        return Block(payload, message, ErrorCode.SEGMENT_SEQUENCE, _RESULT)
    lane = lane_of(message)
    is_known = lane is Lane.REQUEST or message.code in RESULT_CODES | REPLY_CODES
    error = None if is_known else ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    if stray_segments(payload):  # a message before this one, whose own header was damaged
        return Block(payload, message, ErrorCode.SEGMENT_SEQUENCE, _RESULT)
    return Block(payload, message, error, lane if is_known else _RESULT)


_RESULT = Lane.RESULT
_UNREADABLE = ErrorCode.UNSUPPORTED_MESSAGE_TYPE


def _first_readable(parts: Sequence[bytes]) -> Message | None:
    try:
        return Message.parse(parts[0])
    except RemoteProtocolError:
        return None
