"""A simulated LAW analyzer's side of LAB-28: what it takes, what it refuses, and what it may take back.

NW   taken (OK), unless that step has been measured already (UA): an id is never given a second meaning
CA   taken back (CR) while the tube was not measured, else it cannot be (UC)
DC   "nothing to do": taken if it answers our question, refused with AR and ERR if nobody asked
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import AckCode, ErrorCode, Hl7Error
from lis.wire.hl7_writer import parse_timestamp
from lis.wire.law_messages import Head, Specimen, StepReply, order_reply
from lis.wire.law_replies import container_of, is_negative, steps_of
from simulators.answers import Worklist, own_codes
from simulators.writing import Instrument

__all__ = ["StepBook", "Taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of one OML^O33."""

    reply: bytes
    worklist: Worklist | None


@dataclass(slots=True, kw_only=True)
class StepBook:
    """What an analyzer knows of its steps on one connection."""

    instrument: Instrument
    open: dict[str, str] = field(default_factory=dict)  # step id -> specimen
    measured: set[str] = field(default_factory=set)
    replies: int = 0

    def take(self, payload: bytes, *, asked: str) -> Taken | None:
        """Answer an order; None for anything that is none. `asked` is the tube of our open question."""
        try:
            order = Message.parse(payload)
        except RemoteProtocolError:
            return None
        if order.code != "OML":
            return None
        specimen = container_of(order)
        head = self._head(order)
        if is_negative(order):
            return self._negative(head, order, specimen, asked)
        replies = [self._step(specimen, step_id, control) for step_id, control in steps_of(order)]
        reply = order_reply(
            head, order.control_id, specimen=Specimen(entity=specimen), steps=replies
        )
        return Taken(reply=reply, worklist=self._worklist(order, specimen, asked, replies))

    def reported(self, payload: bytes) -> None:
        """A result message was acknowledged: the steps of its tube are measured."""
        self.report(container_of(Message.parse(payload)))

    def report(self, specimen: str) -> None:
        """The steps of that tube are measured."""
        done = [step_id for step_id, tube in self.open.items() if tube == specimen]
        self.measured.update(done)
        for step_id in done:
            del self.open[step_id]

    def _head(self, order: Message) -> Head:
        """A reply that is stamped as the order was: this analyzer's clock is the host's."""
        self.replies += 1
        read = parse_timestamp(order.header.field(7), UTC)
        return Head(
            control_id=f"R{self.replies}",
            at=read.at if read is not None else datetime.min.replace(tzinfo=UTC),
            sending=(self.instrument.identity.name, ""),
            receiving=("host", ""),
        )

    def _negative(self, head: Head, order: Message, specimen: str, asked: str) -> Taken:
        if specimen != asked:
            error = Hl7Error(code=ErrorCode.UNKNOWN_KEY, text="nobody asked")
            reply = order_reply(head, order.control_id, code=AckCode.AR, error=error)
            return Taken(reply=reply, worklist=None)
        nothing = Worklist(tests={}, is_answer=True)
        return Taken(reply=order_reply(head, order.control_id), worklist=nothing)

    def _step(self, specimen: str, step_id: str, control: str) -> StepReply:
        if control == "CA":
            is_open = self.open.pop(step_id, None) is not None
            answer, status = ("CR", "CA") if is_open else ("UC", "IP")
        elif step_id in self.measured:
            answer, status = "UA", "CA"
        else:
            self.open[step_id] = specimen
            answer, status = "OK", "SC"
        return StepReply(control=answer, step_id=step_id, status=status)

    def _worklist(
        self, order: Message, specimen: str, asked: str, replies: list[StepReply]
    ) -> Worklist:
        """The codes of the steps that were taken, with the ids they are reported under."""
        taken = {one.step_id for one in replies if one.control == "OK"}
        codes = {
            obr.component(4): obr.component(2)
            for obr in order.all("OBR")
            if obr.component(2) in taken
        }
        tests = {specimen: own_codes(self.instrument, list(codes))} if codes else {}
        return Worklist(tests=tests, is_answer=specimen == asked, steps={specimen: codes})
