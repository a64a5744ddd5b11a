"""What an analyzer answers to our steps: ORL^O34 read beside the OML^O33 that it answers.

A reply names each step in ORC-2 (or in OBR-2, where one is sent). The cobas pro names none and answers in the
order of the question; then position tells, but only if no reply is named and their number is that of the
steps. A step that the reply does not speak of has no answer: nothing is guessed from MSA-1.

    NW  ->  OK taken            UA not taken
    CA  ->  CR taken back       UC cannot be taken back: results may still come

An answer that does not fit its question (CR to a new step) is no answer.
"""

from dataclasses import dataclass

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import DELETED, Message, Segment
from lis.wire.hl7_ack import Ack, read_ack

__all__ = [
    "OrderReply",
    "StepAnswer",
    "container_of",
    "is_negative",
    "read_order_reply",
    "steps_of",
]

_ANSWERS = {"NW": frozenset({"OK", "UA"}), "CA": frozenset({"CR", "UC"})}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAnswer:
    """One step, what was asked of the analyzer, and what it said; "" = nothing."""

    step_id: str
    asked: str
    answer: str = ""
    status: str = ""  # ORC-5


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReply:
    """One ORL^O34, understood."""

    ack: Ack
    steps: tuple[StepAnswer, ...]

    @property
    def is_bare(self) -> bool:
        """MSH and MSA only: legal, and it says nothing about the steps."""
        return not any(step.answer for step in self.steps)


def steps_of(order: Message) -> tuple[tuple[str, str], ...]:
    """(AWOS id, ORC-1) of each step of an OML^O33, in order."""
    found: list[tuple[str, str]] = []
    control = ""
    for segment in order.segments:
        if segment.name == "ORC":
            control = segment.component(1)
        elif segment.name == "OBR" and control:
            found.append((_given(segment.component(2)), control))
    return tuple(found)


def container_of(order: Message) -> str:
    """The id of the first container of an OML^O33: SAC-3, and where there is no SAC, SPM-2."""
    sac, spm = order.first("SAC"), order.first("SPM")
    named = _given(sac.component(3)) if sac is not None else ""
    return named or (_given(spm.component(2, 1, sub=1)) if spm is not None else "")


def is_negative(order: Message) -> bool:
    """Whether an OML^O33 says "nothing to do"."""
    return any(segment.component(1) == "DC" for segment in order.all("ORC"))


def read_order_reply(order: Message, reply: Message) -> OrderReply:
    """Raises `RemoteProtocolError` when the message acknowledges nothing, or another message."""
    ack = read_ack(reply)
    if ack.control_id != order.control_id:
        raise RemoteProtocolError("expected MSA-2 to be the MSH-10 of the order, got another")
    asked = steps_of(order)
    replied = _replied(reply)
    named = {step_id: (answer, status) for step_id, answer, status in replied if step_id}
    if not named and len(replied) == len(asked):
        pairs = zip(asked, replied, strict=True)
        named = {step_id: (answer, status) for (step_id, _), (_, answer, status) in pairs}
    return OrderReply(
        ack=ack,
        steps=tuple(_answer(step_id, control, named) for step_id, control in asked),
    )


def _answer(step_id: str, control: str, named: dict[str, tuple[str, str]]) -> StepAnswer:
    answer, status = named.get(step_id, ("", ""))
    if answer not in _ANSWERS.get(control, frozenset()):
        answer = status = ""
    return StepAnswer(step_id=step_id, asked=control, answer=answer, status=status)


def _replied(reply: Message) -> list[tuple[str, str, str]]:
    """(AWOS id or "", ORC-1, ORC-5) of each reply."""
    found: list[tuple[str, str, str]] = []
    for segment in reply.segments:
        if segment.name == "ORC":
            found.append((_step_id(segment), segment.component(1), segment.component(5)))
        elif segment.name == "OBR" and found and not found[-1][0]:
            found[-1] = (_step_id(segment), *found[-1][1:])
    return found


def _step_id(segment: Segment) -> str:
    return _given(segment.component(2))


def _given(text: str) -> str:
    return "" if text == DELETED else text.strip()
