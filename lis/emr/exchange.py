"""One request and its answer over MLLP, as a client: send, wait for the right acknowledgement.

    caller -> send(payload) -> VT payload FS CR -> peer
    caller <- Exchange(code) <- frame whose MSA-2 is our MSH-10

One request is in flight. An answer to something else is discarded and counted (it is late: the classic
fault is to take it for the answer to the next message). After a time-out the socket is closed before
anything else is sent, so that a late answer can never meet another request.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lis.transport.base import LinkLost, Pipe
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, read_ack
from lis.wire.mllp import BlockReceived, MllpFramer, frame

ANSWER_WAIT_S: Final = 30.0  # IHE and most EMRs answer in seconds; after this the socket is closed
LATE_ANSWERS_MAX: Final = 20  # more answers to nothing: the peer is confused, start afresh


class Outcome(StrEnum):
    ACCEPTED = "accepted"  # AA or CA
    ERROR = "error"  # AE or CE: the peer had trouble with it
    REJECTED = "rejected"  # AR or CR: it will never take it
    NO_ANSWER = "no_answer"  # lost, late or unreadable: send the same again later


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What came of one request."""

    outcome: Outcome
    text: str = ""


_OUTCOMES: Final = {
    AckCode.AA: Outcome.ACCEPTED,
    AckCode.CA: Outcome.ACCEPTED,
    AckCode.AE: Outcome.ERROR,
    AckCode.CE: Outcome.ERROR,
    AckCode.AR: Outcome.REJECTED,
    AckCode.CR: Outcome.REJECTED,
}


async def exchange(
    pipe: Pipe, payload: bytes, *, control_id: str, wait_s: float = ANSWER_WAIT_S
) -> Exchange:
    """Send one message and wait for its answer; on NO_ANSWER the caller closes the pipe."""
    loop = asyncio.get_running_loop()
    framer, deadline_s, late = MllpFramer(), loop.time() + wait_s, 0
    try:
        await pipe.send(frame(payload))
        while late < LATE_ANSWERS_MAX:
            async with asyncio.timeout_at(deadline_s):  # wait_for may swallow a cancellation
                data = await pipe.receive()
            if not data:
                return Exchange(outcome=Outcome.NO_ANSWER, text="connection closed by the peer")
            for event in framer.receive_bytes(data, loop.time()):
                if isinstance(event, BlockReceived):
                    answer = _read(event.payload, control_id)
                    if answer is not None:
                        return answer
                    late += 1
    except TimeoutError:
        return Exchange(outcome=Outcome.NO_ANSWER, text=f"no answer within {wait_s:g} s")
    except LinkLost as lost:
        return Exchange(outcome=Outcome.NO_ANSWER, text=str(lost))
    return Exchange(outcome=Outcome.NO_ANSWER, text="only answers to other messages came")


def _read(payload: bytes, control_id: str) -> Exchange | None:
    """The answer in this block, or None when it answers something else."""
    try:
        ack = read_ack(Message.parse(payload))
    except ProtocolError:
        return None
    if ack.control_id != control_id:
        return None
    text = ack.text or (ack.error.text if ack.error else "")
    return Exchange(outcome=_OUTCOMES[ack.code], text=text)
