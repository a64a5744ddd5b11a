"""The answers a sender asked for: one in the original mode, none, one or two in the enhanced mode (`lis.wire.hl7_ack`).

MSH-15 and MSH-16 empty      AA, AE or AR
MSH-15 wants an answer       CA; CE or CR when the message is refused, and then nothing follows it
MSH-16 wants an answer       the application's own: ORL, ORR or ACK with AA, AE or AR
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lis.wire.hl7 import Message
from lis.wire.hl7_ack import (
    AckCode,
    ErrorCode,
    ErrorPlace,
    Hl7Error,
    acknowledge,
    refusal_code,
    required_acks,
)
from lis.wire.hl7_writer import message

SENDING: Final = ("LIS", "LAB")
PRODUCTION: Final = "P"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer, in this order, and whether a person must look at the message."""

    payloads: tuple[bytes, ...]
    is_accepted: bool
    reason: str = ""  # why it was refused, or what of it is held
    is_held: bool = False  # taken, but a person has to finish it

    @property
    def payload(self) -> bytes:
        """The answer with the most to say; b"" when the sender wants none."""
        return self.payloads[-1] if self.payloads else b""


def accepted(
    request: Message,
    *,
    control_id: str,
    at: datetime,
    message_type: tuple[str, ...] | None = None,
    body: Sequence[str] = (),
    held: str = "",
) -> Reply:
    """AA with what became of the orders, and CA before it, as far as they are wanted."""
    wanted = required_acks(request.header.component(15), request.header.component(16), ok=True)
    payloads = []
    if wanted.accept:
        payloads.append(
            acknowledge(
                request,
                code=AckCode.CA,
                control_id=f"{control_id}-C" if wanted.application else control_id,
                at=at,
                sending=SENDING,
            )
        )
    if wanted.application:
        base = acknowledge(
            request,
            code=AckCode.AA,
            control_id=control_id,
            at=at,
            sending=SENDING,
            message_type=message_type,
        )
        head = base.decode(request.charset).rstrip("\r").split("\r")
        payloads.append(message([*head, *body], request.charset))
    return Reply(payloads=tuple(payloads), is_accepted=True, reason=held, is_held=bool(held))


def refused(request: Message | None, error: Hl7Error, *, control_id: str, at: datetime) -> Reply:
    """AE or AR, in the enhanced mode CE or CR when an accept answer is wanted."""
    is_accept = is_wanted = True
    if request is not None:
        wanted = required_acks(request.header.component(15), request.header.component(16), ok=False)
        is_accept, is_wanted = wanted.accept, wanted.accept or wanted.application
    else:
        is_accept = False
    payload = acknowledge(
        request,
        code=refusal_code(error.code, is_accept=is_accept),
        control_id=control_id,
        at=at,
        sending=SENDING,
        error=error,
    )
    payloads = (payload,) if is_wanted else ()
    return Reply(payloads=payloads, is_accepted=False, reason=error.text)


def foreign_traffic(request: Message) -> Hl7Error:
    """Test traffic never reaches production rows (S14)."""
    return Hl7Error(
        code=ErrorCode.UNSUPPORTED_PROCESSING_ID,
        text=f"expected processing id P, got {request.processing_id!r}",
        place=ErrorPlace(segment="MSH", field=11),
    )
