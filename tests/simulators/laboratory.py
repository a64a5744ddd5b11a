"""A laboratory as an EMR sees it, made of `lis.wire` only: it answers orders and sends results."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lis.transport import LinkLost, Pipe
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import Ack, AckCode, acknowledge, read_ack
from lis.wire.hl7_writer import message, segment
from lis.wire.mllp import BlockReceived, MllpFramer, frame

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@dataclass
class Laboratory:
    """Answers each order by a table of (ORC-1, ORC-5); `script` fails the next requests."""

    said: dict[str, tuple[str, str]] = field(default_factory=dict)
    script: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    async def take_orders(self, pipe: Pipe) -> None:
        framer = MllpFramer()
        while data := await pipe.receive():
            for event in framer.receive_bytes(data, 0.0):
                if isinstance(event, BlockReceived):
                    await self._answer(pipe, event.payload)

    async def _answer(self, pipe: Pipe, payload: bytes) -> None:
        self.received.append(payload)
        what = self.script.pop(0) if self.script else "answer"
        if what == "close":
            await pipe.close()
            return
        if what == "silence":
            return
        request = Message.parse(payload)
        code = AckCode.AE if what == "error" else AckCode.AA
        base = acknowledge(
            request,
            code=code,
            control_id=f"A{len(self.received)}",
            at=AT,
            sending=("LIS", "LAB"),
            message_type=("ORL", "O22", "ORL_O22"),
        )
        segments = base.decode().rstrip("\r").split("\r")
        if code.is_positive:
            segments += [
                self._order(orc.component(2), orc.component(1)) for orc in request.all("ORC")
            ]
        if what == "stale":
            late = base.replace(request.control_id.encode(), b"OLD")
            await pipe.send(frame(late))
        await pipe.send(frame(message(segments)))

    def _order(self, placer: str, control: str) -> str:
        usual = ("CR", "CA") if control == "CA" else ("OK", "SC")
        said, status = self.said.get(placer, usual)
        return segment("ORC", said, (placer, "his"), (f"F{placer}", "LIS"), None, status)


def report(control_id: str, *results: tuple[str, str, str], filler: str = "F1") -> bytes:
    """ORU^R01 with (test, value, OBX-11) rows."""
    msh = segment(
        "MSH",
        *("LIS", "LAB", "his", None, "20261102080000+0000", None),
        *(("ORU", "R01", "ORU_R01"), control_id, "P", "2.5.1"),
    )
    rows = [
        segment(
            "OBX",
            str(n),
            "NM",
            ("777-3", test, "LN", test),
            None,
            value,
            "g/L",
            *[None] * 4,
            status,
        )
        for n, (test, value, status) in enumerate(results, 1)
    ]
    return message([msh, segment("OBR", "1", "P1", (filler, "LIS"), ("CBC", "CBC", "L")), *rows])


async def deliver(pipe: Pipe, payload: bytes, *, wait_s: float = 1.0) -> Ack | None:
    """Send one report and wait for whatever acknowledges something; None when nothing does."""
    framer = MllpFramer()
    await pipe.send(frame(payload))
    try:
        async with asyncio.timeout(wait_s):
            while data := await pipe.receive():
                for event in framer.receive_bytes(data, 0.0):
                    if isinstance(event, BlockReceived) and event.payload.startswith(b"MSH"):
                        return read_ack(Message.parse(event.payload))
                    if isinstance(event, BlockReceived):
                        return None
    except (TimeoutError, LinkLost):
        return None
    return None
