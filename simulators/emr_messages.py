"""What a simulated EMR writes and reads: orders, answers to orders, results.

    OML^O21   MSH PID PV1 { ORC TQ1 OBR SPM }         sent
    ORL^O22   MSH MSA [ERR] { ORC }                   read: what became of each order
    ORU^R01   MSH PID { ORC OBR { OBX } }             read: results by filler number and test

Written from the standard (2.5.1, chapters 4 and 7), not from what our own LIS happens to accept; hl7apy judges it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lis.wire.hl7 import Message
from lis.wire.hl7_ack import Ack, AckCode, read_ack
from lis.wire.hl7_writer import Value, message, segment, timestamp
from simulators.people import ISSUER, Person

__all__ = [
    "EmrResult",
    "OrderLine",
    "OrderReply",
    "Referral",
    "ResultKey",
    "order_message",
    "read_order_reply",
    "read_results",
]

VERSION = "2.5.1"
CHARSET = "UNICODE UTF-8"
OTHER_SPECIMEN = "ORH"  # table 0487: the EMR does not know; the laboratory does
ResultKey = tuple[str, str, str]
"""Filler number, test code, sub-id: what an EMR overwrites by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One orderable, under the EMR's own number."""

    placer_number: str
    code: str
    specimen_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """What one doctor orders for one patient at once."""

    group: str
    person: Person
    orders: tuple[OrderLine, ...]
    collected_at: datetime
    priority: str = "R"
    ward: str = "DEMO-1"
    requester: tuple[str, str, str] = ("D001", "Demodoc", "Eve")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReply:
    """What the laboratory said to one order message."""

    ack: Ack
    fillers: dict[str, str]
    """Filler number by placer number, for orders that were taken."""
    controls: dict[str, tuple[str, str]]
    """ORC-1 and ORC-5 by placer number."""

    @property
    def is_accepted(self) -> bool:
        return self.ack.code in {AckCode.AA, AckCode.CA}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmrResult:
    """One result as the EMR has it now."""

    value: str
    unit: str
    status: str  # OBX-11
    flag: str
    control_id: str
    versions: int = 1


def order_message(
    referral: Referral,
    *,
    emr: str,
    control_id: str,
    at: datetime,
    control: str = "NW",
    only: Sequence[str] = (),
) -> bytes:
    """OML^O21 for a referral; `control` CA takes orders back, `only` names placer numbers."""
    msh = segment(
        "MSH",
        *(emr, "HOSPITAL", "LIS", "LAB", timestamp(at), None),
        *(("OML", "O21", "OML_O21"), control_id, "P", VERSION),
        *(None, None, None, "AL", None, CHARSET),
    )
    segments = [msh, _pid(referral.person), _pv1(referral)]
    lines = [line for line in referral.orders if not only or line.placer_number in only]
    for number, line in enumerate(lines, 1):
        segments += _order(number, line, referral, emr=emr, at=at, control=control)
    return message(segments)


def _pid(person: Person) -> str:
    identifier = (person.identifier, None, None, ISSUER, "MR")
    name = (person.family, person.given, person.middle or None)
    return segment("PID", "1", None, identifier, None, name, None, person.birth_date, person.sex)


def _pv1(referral: Referral) -> str:
    fields: list[Value] = ["1", "I", (referral.ward,)]
    return segment("PV1", *fields)


def _order(
    number: int, line: OrderLine, referral: Referral, *, emr: str, at: datetime, control: str
) -> list[str]:
    placer = (line.placer_number, emr)
    collected = timestamp(referral.collected_at)
    orc: list[Value] = [control, placer, None, (referral.group, emr), *[None] * 4, timestamp(at)]
    orc += [None, None, referral.requester]
    tq1: list[Value] = ["1", *[None] * 7, (referral.priority,)]
    obr: list[Value] = [str(number), placer, None, (line.code, line.code, "L")]
    obr += [None, None, collected, *[None] * 8, referral.requester]
    spm: list[Value] = ["1", None, None, (line.specimen_type or OTHER_SPECIMEN, None, "HL70487")]
    spm += [*[None] * 12, collected]
    return [
        segment("ORC", *orc),
        segment("TQ1", *tq1),
        segment("OBR", *obr),
        segment("SPM", *spm),
    ]


def read_order_reply(reply: Message) -> OrderReply:
    """Read ORL^O22, ORR^O02 or a plain ACK. Raises `RemoteProtocolError` without MSA."""
    orders = [orc for orc in reply.all("ORC") if orc.component(2)]
    return OrderReply(
        ack=read_ack(reply),
        fillers={orc.component(2): orc.component(3) for orc in orders if orc.component(3)},
        controls={orc.component(2): (orc.component(1), orc.component(5)) for orc in orders},
    )


def read_results(report: Message) -> list[tuple[ResultKey, EmrResult]]:
    """Every OBX with the key an EMR files it under."""
    found: list[tuple[ResultKey, EmrResult]] = []
    filler = ""
    for one in report.segments:
        if one.name == "OBR":
            filler = one.component(3)
        elif one.name == "OBX":
            key = (filler, one.component(3, 4) or one.component(3), one.component(4))
            result = EmrResult(
                value=one.field(5),
                unit=one.component(6),
                status=one.component(11),
                flag=one.component(8),
                control_id=report.control_id,
            )
            found.append((key, result))
    return found
