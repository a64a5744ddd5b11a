"""One request and its answer as a client: requirement rows M9 and M10, on a pipe."""

import asyncio

import pytest

from lis.emr.exchange import LATE_ANSWERS_MAX, Exchange, Outcome, exchange
from lis.transport import memory_pair
from lis.wire.mllp import BlockReceived, MllpFramer, frame

REQUEST = b"MSH|^~\\&|LIS|Lab|HIS|H|2026||ORU^R01^ORU_R01|M7|P|2.5.1\r"


def ack(control_id, code="AA"):
    text = f"MSH|^~\\&|HIS|H|LIS|Lab|2026||ACK^R01^ACK|x|P|2.5.1\rMSA|{code}|{control_id}\r"
    return frame(text.encode())


async def asked(*answers, wait_s=5.0, hang_up=False):
    """What comes of a request that is answered with these bytes; and what the peer received."""
    ours, theirs = memory_pair()
    task = asyncio.create_task(exchange(ours, REQUEST, control_id="M7", wait_s=wait_s))
    received = await theirs.receive()
    for data in answers:
        await theirs.send(data)
    if hang_up:
        await theirs.close()
    result = await task
    await ours.close()
    await theirs.close()
    return result, received


async def test_M9_an_answer_to_an_earlier_message_is_passed_over():
    result, _ = await asked(ack("M6", "AR"), b"noise", ack("M5"), ack("M7"))
    assert result == Exchange(outcome=Outcome.ACCEPTED)


@pytest.mark.parametrize("late", [ack("M6"), frame(b"no HL7"), frame(REQUEST)])
async def test_M9_what_does_not_answer_us_is_no_answer_however_often_it_comes(late):
    result, _ = await asked(*[late] * LATE_ANSWERS_MAX)
    assert (result.outcome, result.text) == (
        Outcome.NO_ANSWER,
        "only answers to other messages came",
    )


async def test_M9_silence_ends_with_the_deadline_and_not_with_a_guess():
    result, _ = await asked(ack("M6"), wait_s=0.01)
    assert result == Exchange(outcome=Outcome.NO_ANSWER, text="no answer within 0.01 s")


async def test_M9_a_peer_that_hangs_up_has_not_answered():
    result, _ = await asked(hang_up=True)
    assert result.outcome is Outcome.NO_ANSWER


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AA", Outcome.ACCEPTED),
        ("CA", Outcome.ACCEPTED),
        ("AE", Outcome.ERROR),
        ("CE", Outcome.ERROR),
        ("AR", Outcome.REJECTED),
        ("CR", Outcome.REJECTED),
    ],
)
async def test_M10_each_code_says_whether_the_same_bytes_may_go_again(code, outcome):
    result, received = await asked(ack("M7", code))
    [event] = MllpFramer().receive_bytes(received, 0.0)
    assert isinstance(event, BlockReceived)
    assert (result.outcome, event.payload) == (outcome, REQUEST)
