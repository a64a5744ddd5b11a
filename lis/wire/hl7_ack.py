"""Acknowledgements: the one we owe, the one we got.

Original mode (MSH-15 and MSH-16 empty): one answer, AA, AE or AR, after the message was
committed or refused. Enhanced mode (either is filled): MSH-15 asks for an accept answer (CA,
CE, CR), MSH-16 for an application answer, each AL always, NE never, ER on error, SU on
success; the one that stays empty is not wanted. A word we do not know asks for the answer: a
peer can ignore one too many, but waits for one too few.

AE says "this message has an error", AR "not this kind of message": `refusal_code` follows HL7
table 0357. A sender may repeat after AE, never after AR; so an error inside this system is AE.

How it is written follows the version of the request:

    2.1             ACK               MSA-3 text, ERR-1 place and code
    2.2 .. 2.3.1    ACK^R01           the same, and the code in MSA-6, where Mindray looks
    2.4             ACK^R01^ACK       the same
    2.5 and later   ACK^R01^ACK       ERR-2 place, ERR-3 code, ERR-4 severity, ERR-8 text

The reply goes in the character set of the request, whose MSH-18 it repeats; MSH-21 only where it names
a transaction of IHE (`LAB-29^IHE`), because elsewhere it is a promise about the request alone. A message whose
MSH could not be read is answered at 2.5.1 with MSA-2 empty: there is nothing to repeat.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, Segment
from lis.wire.hl7_writer import SEPARATORS, Value, is_plain, message, segment, timestamp

__all__ = [
    "Ack",
    "AckCode",
    "ErrorCode",
    "ErrorPlace",
    "Hl7Error",
    "PeerError",
    "RequiredAcks",
    "Severity",
    "acknowledge",
    "read_ack",
    "refusal_code",
    "required_acks",
]

DEFAULT_VERSION = "2.5.1"
DEFAULT_PROCESSING_ID = "P"
ERROR_TABLE = "HL70357"
HEADERS_REMEMBERED = 256  # peers and the types of message they send; a header is about 100 bytes

_VERSION = re.compile(r"2\.([0-9])(?:\.[0-9])*")
_EVENTLESS_MINOR = 1  # 2.1 has a message type without components
_STRUCTURE_MINOR = 4  # MSH-9.3 is written from 2.4 on
_ERROR_FIELDS_MINOR = 5  # ERR-2 and following exist from 2.5 on


class AckCode(Enum):
    """HL7 table 0008."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"

    @property
    def is_positive(self) -> bool:
        return self in {AckCode.AA, AckCode.CA}

    @property
    def is_accept(self) -> bool:
        """Whether it speaks of storing the message only, not of its content."""
        return self in {AckCode.CA, AckCode.CE, AckCode.CR}


class ErrorCode(Enum):
    """HL7 table 0357; the value is the code, `text` the words of the table."""

    ACCEPTED = "0"
    SEGMENT_SEQUENCE = "100"
    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE = "102"
    TABLE_VALUE_NOT_FOUND = "103"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT = "201"
    UNSUPPORTED_PROCESSING_ID = "202"
    UNSUPPORTED_VERSION = "203"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    RECORD_LOCKED = "206"
    INTERNAL = "207"

    @property
    def text(self) -> str:
        return _ERROR_TEXTS[self]


_ERROR_TEXTS = {
    ErrorCode.ACCEPTED: "Message accepted",
    ErrorCode.SEGMENT_SEQUENCE: "Segment sequence error",
    ErrorCode.REQUIRED_FIELD_MISSING: "Required field missing",
    ErrorCode.DATA_TYPE: "Data type error",
    ErrorCode.TABLE_VALUE_NOT_FOUND: "Table value not found",
    ErrorCode.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    ErrorCode.UNSUPPORTED_EVENT: "Unsupported event code",
    ErrorCode.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    ErrorCode.UNSUPPORTED_VERSION: "Unsupported version id",
    ErrorCode.UNKNOWN_KEY: "Unknown key identifier",
    ErrorCode.DUPLICATE_KEY: "Duplicate key identifier",
    ErrorCode.RECORD_LOCKED: "Application record locked",
    ErrorCode.INTERNAL: "Application internal error",
}

_REJECTED = frozenset(
    {
        ErrorCode.UNSUPPORTED_MESSAGE_TYPE,
        ErrorCode.UNSUPPORTED_EVENT,
        ErrorCode.UNSUPPORTED_PROCESSING_ID,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)


class Severity(Enum):
    """HL7 table 0516."""

    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPlace:
    """Where in the request; all positions count from 1."""

    segment: str
    sequence: int = 1
    field: int | None = None
    repeat: int | None = None
    component: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Error:
    """What we say was wrong. `text` is for the person at the other end; no patient data in it."""

    code: ErrorCode
    text: str = ""
    place: ErrorPlace | None = None
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerError:
    """What a peer said was wrong, verbatim; the place is joined by `^`."""

    code: str
    text: str
    place: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """An acknowledgement we received."""

    code: AckCode
    control_id: str
    text: str
    error: PeerError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredAcks:
    """Which answers the sender waits for."""

    accept: bool
    application: bool


def required_acks(msh15: str, msh16: str, *, ok: bool) -> RequiredAcks:
    """What to send for these values of MSH-15 and MSH-16, when all went well or did not."""
    if not msh15 and not msh16:
        return RequiredAcks(accept=False, application=True)
    return RequiredAcks(accept=_is_wanted(msh15, ok=ok), application=_is_wanted(msh16, ok=ok))


def refusal_code(error: ErrorCode, *, is_accept: bool = False) -> AckCode:
    """AE or AR (CE or CR) for an error of table 0357."""
    if error in _REJECTED:
        return AckCode.CR if is_accept else AckCode.AR
    return AckCode.CE if is_accept else AckCode.AE


def acknowledge(
    request: Message | None,
    *,
    code: AckCode,
    control_id: str,
    at: datetime,
    sending: tuple[str, str],
    error: Hl7Error | None = None,
    message_type: tuple[str, ...] | None = None,
) -> bytes:
    """The payload of an answer; call it after the commit that the answer promises.

    `sending` are our application and facility, `control_id` is the answer's own MSH-10.
    `message_type` replaces MSH-9 for a vendor that wants another one.
    """
    version = (request.version if request else "") or DEFAULT_VERSION
    header = _header(
        request,
        version,
        control_id=control_id,
        at=at,
        sending=sending,
        message_type=message_type,
    )
    segments = [header, _msa(request, version, code, error)]
    if error is not None and error.code is not ErrorCode.ACCEPTED:
        segments.append(_err(version, error))
    return message(segments, request.charset if request else "ascii")


def read_ack(reply: Message) -> Ack:
    """Raises `RemoteProtocolError` when the message acknowledges nothing."""
    msa = reply.first("MSA")
    if msa is None:
        raise RemoteProtocolError(f"expected an MSA segment, got {reply.code!r} without one")
    said = msa.component(1).strip()
    if said not in AckCode.__members__:
        raise RemoteProtocolError(f"expected an acknowledgement code in MSA-1, got {said[:8]!r}")
    error = _read_error(reply, msa)
    text = msa.field(3) or (error.text if error else "")
    return Ack(code=AckCode[said], control_id=msa.field(2), text=text, error=error)


def _is_wanted(condition: str, *, ok: bool) -> bool:
    if condition in {"", "NE"}:
        return False
    if condition == "ER":
        return not ok
    if condition == "SU":
        return ok
    return True


def _minor(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match[1]) if match else _minor(DEFAULT_VERSION)


def _header(
    request: Message | None,
    version: str,
    *,
    control_id: str,
    at: datetime,
    sending: tuple[str, str],
    message_type: tuple[str, ...] | None,
) -> str:
    echoed = [*(_repeated(request, n) for n in (3, 4, 18)), _law_profile(request)]
    kind = message_type or _type(request.event if request else "", version)
    processing_id = (request.processing_id if request else "") or DEFAULT_PROCESSING_ID
    if not is_plain(control_id) or any(isinstance(value, list) for value in echoed):
        told = timestamp(at)
        return _header_text(
            sending, echoed, kind, processing_id, version, at=told, control_id=control_id
        )
    before, between, after = _header_mould(sending, tuple(echoed), kind, processing_id, version)
    return f"{before}{timestamp(at)}{between}{control_id}{after}"


@lru_cache(maxsize=HEADERS_REMEMBERED)
def _header_mould(
    sending: tuple[str, str],
    echoed: tuple[Value, ...],
    kind: tuple[str, ...],
    processing_id: str,
    version: str,
) -> tuple[str, str, str]:
    """What stands before, between and after the two fields that differ in each answer to a peer."""
    text = _header_text(sending, echoed, kind, processing_id, version, at="", control_id="")
    fields = text.split("|")  # the name and MSH-2 are the first two, so MSH-7 is at 6
    before, between, after = fields[:6], fields[7:9], fields[10:]
    return "|".join([*before, ""]), "|".join(["", *between, ""]), "|".join(["", *after])


def _header_text(
    sending: tuple[str, str],
    echoed: Sequence[Value],
    kind: tuple[str, ...],
    processing_id: str,
    version: str,
    *,
    at: str,
    control_id: str,
) -> str:
    application, facility, charset, profile = echoed
    fields: list[Value] = [*sending, application, facility, at, None, kind, control_id]
    fields += [processing_id, version, *[None] * 5, charset, None, None, profile]
    return segment("MSH", *fields)


def _type(event: str, version: str) -> tuple[str, ...]:
    minor = _minor(version)
    if not event or minor <= _EVENTLESS_MINOR:
        return ("ACK",)
    return ("ACK", event, "ACK") if minor >= _STRUCTURE_MINOR else ("ACK", event)


def _law_profile(request: Message | None) -> Value:
    """MSH-21 of a LAW message: its acknowledgement names the same transaction (LAB-29^IHE)."""
    if request is None or not request.header.component(21).startswith("LAB-"):
        return None
    return _repeated(request, 21)


def _repeated(request: Message | None, n: int) -> Value:
    """A field of the request's MSH, to be sent back."""
    if request is None:
        return None
    raw = request.header.raw_field(n)
    if request.separators == SEPARATORS and is_plain(raw):
        return raw
    return [repeat.parts() for repeat in request.header.repeats(n)]


def _msa(request: Message | None, version: str, code: AckCode, error: Hl7Error | None) -> str:
    echo = _repeated(request, 10)
    minor = _minor(version)
    if error is None or minor >= _ERROR_FIELDS_MINOR:
        return segment("MSA", code.value, echo)
    text = error.text or error.code.text
    condition = None if minor <= _EVENTLESS_MINOR else error.code.value
    return segment("MSA", code.value, echo, text, None, None, condition)


def _err(version: str, error: Hl7Error) -> str:
    code = (error.code.value, error.code.text, ERROR_TABLE)
    place = _place(error.place)
    if _minor(version) < _ERROR_FIELDS_MINOR:
        return segment("ERR", (*(place[:3] or (None,) * 3), code))
    return segment("ERR", None, place, code, error.severity.value, *[None] * 3, error.text)


def _place(place: ErrorPlace | None) -> tuple[str | None, ...]:
    if place is None:
        return ()
    numbers = (place.sequence, place.field, place.repeat, place.component)
    return (place.segment, *(None if number is None else str(number) for number in numbers))


def _read_error(reply: Message, msa: Segment) -> PeerError | None:
    err = reply.first("ERR")
    if err is not None and err.component(3):
        return PeerError(
            code=err.component(3),
            text=err.field(8) or err.component(3, 2),
            place=err.field(2),
            severity=err.component(4),
        )
    if err is not None and err.component(1, 4):
        place = [err.component(1, c) for c in (1, 2, 3)]
        return PeerError(
            code=err.component(1, 4, sub=1),
            text=err.component(1, 4, sub=2),
            place="^".join(place).rstrip("^"),
            severity="",
        )
    condition = msa.component(6)
    if condition in {"", ErrorCode.ACCEPTED.value}:
        return None
    return PeerError(code=condition, text=msa.component(6, 2), place="", severity="")
