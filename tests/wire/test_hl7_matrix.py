"""The 19 cases of the MLLP behaviour matrix (hl7.md 2.3), on framer, reader and writer together.

`answers` is the smallest receiver there can be: it commits nothing, so what it proves is the
wire only. The best Python servers pass 12 of these cases.
"""

from datetime import UTC, datetime

import pytest

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, ErrorCode, Hl7Error, acknowledge, read_ack
from lis.wire.mllp import CR, FS, VT, BlockReceived, MllpFramer, frame

TEXT = (
    "MSH|^~\\&|BC-6800|Mindray|LIS|Lab|20261122101010+0300||ORU^R01^ORU_R01|MSG1|P|2.5.1|||||"
    "|UNICODE UTF-8\rPID|1||P77||{name}^Maria\rOBX|1|NM|6690-2^WBC^LN||4.00|10*9/L||N|||F\r"
)
ASCII = TEXT.format(name="Ivanova").encode()
SECOND = ASCII.replace(b"MSG1", b"MSG2")
CYRILLIC = TEXT.format(name="Иванова")
BIG = ASCII + b"OBX|2|ED|15000^Histogram||^Application^^Base64^" + b"QUJD" * 50_000 + b"\r"


def answers(*reads: bytes) -> list[tuple[AckCode, str, str]]:
    framer = MllpFramer()
    events = [event for data in reads for event in framer.receive_bytes(data, 0.0)]
    return [answer(event.payload) for event in events if isinstance(event, BlockReceived)]


def answer(payload: bytes) -> tuple[AckCode, str, str]:
    error = None
    try:
        message = Message.parse(payload)
    except RemoteProtocolError as problem:
        message = None
        error = Hl7Error(code=ErrorCode.UNSUPPORTED_MESSAGE_TYPE, text=str(problem))
    reply = acknowledge(
        message,
        code=AckCode.AA if message else AckCode.AR,
        control_id="A1",
        at=datetime(2026, 11, 22, tzinfo=UTC),
        sending=("LIS", "Lab"),
        error=error,
    )
    assert frame(reply)
    pid = message.first("PID") if message else None
    ack = read_ack(Message.parse(reply))
    return ack.code, ack.control_id, pid.component(5) if pid else ""


ONE = (AckCode.AA, "MSG1", "Ivanova")
TWO = (AckCode.AA, "MSG2", "Ivanova")
CYR = (AckCode.AA, "MSG1", "Иванова")
REFUSED = (AckCode.AR, "", "")

CASES = {
    "one frame, ASCII": ([frame(ASCII)], [ONE]),
    "UTF-8 Cyrillic": ([frame(CYRILLIC.encode())], [CYR]),
    "8859/5 declared": (
        [frame(CYRILLIC.replace("UNICODE UTF-8", "8859/5").encode("iso8859-5"))],
        [CYR],
    ),
    "windows-1251 under UNICODE": (
        [frame(CYRILLIC.replace("UNICODE UTF-8", "UNICODE").encode("cp1251"))],
        [CYR],
    ),
    "byte by byte": ([bytes([byte]) for byte in frame(ASCII)], [ONE]),
    "FS and CR in two segments": ([frame(ASCII)[:-1], CR], [ONE]),
    "two frames in one write": ([frame(ASCII) + frame(SECOND)], [ONE, TWO]),
    "two messages, one connection": ([frame(ASCII), frame(SECOND)], [ONE, TWO]),
    "0x02 three times before VT": ([b"\x02\x02\x02" + frame(ASCII)], [ONE]),
    "CR LF between frames": ([frame(ASCII) + b"\r\n" + frame(SECOND)], [ONE, TWO]),
    "FS without CR, then a frame": ([VT + ASCII + FS + frame(SECOND)], [ONE, TWO]),
    "lone FS, the peer waits": ([VT + ASCII + FS], [ONE]),
    "LF segment ends": ([frame(ASCII.replace(b"\r", b"\n"))], [ONE]),
    "CRLF segment ends": ([frame(ASCII.replace(b"\r", b"\r\n"))], [ONE]),
    "empty line before FS": ([frame(ASCII + b"\r")], [ONE]),
    "200 kB histogram": ([frame(BIG)], [ONE]),
    "not HL7": ([frame(b"hello")], [REFUSED]),
    "a good frame after a bad one": ([frame(b"hello"), frame(ASCII)], [REFUSED, ONE]),
    "unknown message type": ([frame(ASCII.replace(b"ORU^R01^ORU_R01", b"ZZZ^Z99"))], [ONE]),
}


@pytest.mark.parametrize("case", CASES)
def test_M4_the_matrix_of_19_cases_is_passed_whole(case):
    reads, expected = CASES[case]
    assert answers(*reads) == expected
