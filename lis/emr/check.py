"""An advisory check of HL7 messages against the standard's own tables, by hl7apy.

It takes tens of milliseconds a message and refuses most of what real systems send, so it advises and never
gates; nothing it returns is stored or sent. hl7apy is imported here only.
"""

from dataclasses import dataclass

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_batch import split_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection, with the message it is about (counted from 1)."""

    message: int
    text: str


def check_message(raw: bytes) -> tuple[Finding, ...]:
    """What hl7apy objects to in each message of a file; () when nothing."""
    findings = []
    for number, one in enumerate(split_messages(raw), 1):
        objection = _objection(one)
        if objection:
            findings.append(Finding(message=number, text=objection))
    if not findings and not raw.strip():
        findings.append(Finding(message=0, text="expected an HL7 message, got an empty file"))
    return tuple(findings)


def _objection(raw: bytes) -> str:
    try:
        message = Message.parse(raw)
    except ProtocolError as error:
        return str(error)
    text = "\r".join(segment.raw for segment in message.segments) + "\r"
    try:
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        return f"{type(error).__name__}: {error}"
    return ""
