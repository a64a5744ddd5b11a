r"""The messages of IHE LAW, written: ours to the analyzer, and the analyzer's own for simulators.

    query            QBP^Q11   MSH QPD RCP                                     the analyzer asks
    query_reply      RSP^K11   MSH MSA QAK QPD                                 we have understood
    work_order       OML^O33   MSH [PID] SPM SAC { ORC [TQ1] OBR [TCD] }       new steps, or taken back
    nothing_to_do    OML^O33   MSH SPM SAC ORC                                 ORC-1 DC, SPM-11 U
    order_reply      ORL^O34   MSH MSA [SPM SAC { ORC }]                       taken or not, step by step
    results          OUL^R22   MSH [PID] SPM SAC { OBR ORC { OBX } }           values and states
    result_reply     ACK^R22   MSH MSA [ERR]

Initiations say in MSH-15 and MSH-16 that only the application answers (NE, AL); replies leave both empty.
Everything is UTF-8 and version 2.5.1. What a value may contain is the writer's affair (`lis.wire.hl7_writer`).
What a maker wants otherwise comes in as values: the name of the profile in MSH-21, how a specimen id is
written, which coding system names the tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lis.wire.hl7 import DELETED, Message
from lis.wire.hl7_ack import AckCode, Hl7Error, acknowledge
from lis.wire.hl7_writer import Value, message, segment, timestamp

__all__ = [
    "Head",
    "Row",
    "Run",
    "Specimen",
    "Step",
    "StepReply",
    "Subject",
    "nothing_to_do",
    "order_reply",
    "query",
    "query_reply",
    "result_reply",
    "results",
    "work_order",
]

VERSION = "2.5.1"
CHARSET = "UNICODE UTF-8"
ROLES = "HL70369"
PRIORITIES = "HL70485"
WORK_ORDER_STEP = ("WOS", "Work Order Step", "IHELAW")
RESULT_MARK = "RSLT"  # OBX-29: a result, and no parameter of the analyzer


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What differs in the MSH of our messages."""

    control_id: str
    at: datetime
    sending: tuple[str, str] = ("LIS", "")
    receiving: tuple[str, str] = ("", "")
    processing_id: str = "P"
    profile: tuple[str, str] = ("LAB-28", "IHE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose specimen it is; what is empty is not written."""

    patient_id: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    sex: str = ""

    @property
    def is_known(self) -> bool:
        return bool(self.patient_id or self.family_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A container: SPM and SAC.

    `entity` is SPM-2 and `container` SAC-3 in the shape their maker wants; `type` is SPM-4. `extras` are further
    fields of SPM (by number), `container_extras` of SAC.
    """

    entity: Value = None
    container: Value = None
    type: Value = DELETED
    role: str = "P"
    collected_at: str = ""
    extras: tuple[tuple[int, Value], ...] = ()
    container_extras: tuple[tuple[int, Value], ...] = ()
    behind: tuple[str, ...] = ()
    """Segments behind SAC, ready: INV of a control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step (AWOS) of a work order."""

    control: str  # NW or CA
    step_id: str
    test: Value
    priority: str = ""
    details: Sequence[Value] | None = None
    """Fields of TCD behind the test; None: no TCD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReply:
    """What the analyzer says of one step."""

    control: str  # OK, UA, CR, UC
    step_id: str
    status: str = ""  # SC, CA, IP


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One OBX of a run."""

    kind: str
    code: Value
    value: Value
    sub_id: str = ""
    unit: Value = None
    interval: str = ""
    flags: Value = None
    status: str = "F"
    operator: Value = "SYSTEM"
    equipment: Value = None
    at: str = ""
    after: tuple[str, ...] = ()
    """Segments behind it, ready: TCD, INV, NTE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One OBR of a result message: a step and what it gave."""

    step_id: str  # "" = nobody ordered it
    test: Value
    status: str = "CM"
    rows: tuple[Row, ...] = field(default_factory=tuple)


# ---- LAB-27


def query(head: Head, *, tag: str, container: str, name: Value = WORK_ORDER_STEP) -> bytes:
    """The analyzer asks for the steps of one container."""
    return message(
        [
            _header(head, ("QBP", "Q11", "QBP_Q11"), is_initiation=True),
            segment("QPD", name, tag, container),
            segment("RCP", "I", None, ("R", "", "HL70394")),
        ]
    )


def query_reply(
    head: Head,
    request: Message,
    *,
    code: AckCode = AckCode.AA,
    status: str = "OK",
    error: Hl7Error | None = None,
) -> bytes:
    """We have understood the question; its answer follows as a message of its own."""
    qpd = request.first("QPD")
    fields: list[Value] = []
    if qpd is not None:
        fields = [
            [repeat.parts() for repeat in qpd.repeats(number)]
            for number in range(1, qpd.field_count + 1)
        ]
    name, tag = (*fields, None, None)[:2]
    return message(
        [
            _header(head, ("RSP", "K11", "RSP_K11"), is_initiation=False),
            segment("MSA", code.value, request.control_id),
            *([_error(error)] if error is not None else []),
            segment("QAK", tag, status, name),
            segment("QPD", *fields),
        ]
    )


# ---- LAB-28


def work_order(
    head: Head, specimen: Specimen, steps: Sequence[Step], subject: Subject | None = None
) -> bytes:
    """New steps, or steps that are taken back, of one container."""
    segments = [_header(head, ("OML", "O33", "OML_O33"), is_initiation=True)]
    if subject is not None and subject.is_known:
        segments.append(_patient(subject))
    segments += _container(specimen, number=1)
    for number, step in enumerate(steps, 1):
        segments.append(segment("ORC", step.control, *[None] * 7, timestamp(head.at)))
        if step.priority:
            segments.append(segment("TQ1", *[None] * 8, (step.priority, "", PRIORITIES)))
        segments.append(segment("OBR", str(number), step.step_id, None, step.test))
        if step.details is not None:
            segments.append(segment("TCD", step.test, *step.details))
    return message(segments)


def nothing_to_do(head: Head, specimen: Specimen) -> bytes:
    """The answer to a query for a container without work: four segments, and nothing of a patient."""
    return message(
        [
            _header(head, ("OML", "O33", "OML_O33"), is_initiation=True),
            *_container(specimen, number=1),
            segment("ORC", "DC", *[None] * 7, timestamp(head.at)),
        ]
    )


def order_reply(
    head: Head,
    request_id: str,
    *,
    code: AckCode = AckCode.AA,
    specimen: Specimen | None = None,
    steps: Sequence[StepReply] = (),
    error: Hl7Error | None = None,
) -> bytes:
    """The analyzer takes or refuses each step; without a specimen MSH and MSA only."""
    segments = [
        _header(head, ("ORL", "O34", "ORL_O42"), is_initiation=False),
        segment("MSA", code.value, request_id),
    ]
    if error is not None:
        segments.append(_error(error))
    if specimen is not None and steps:
        segments += _container(specimen, number=1)
        segments += [
            segment("ORC", step.control, step.step_id, None, None, step.status) for step in steps
        ]
    return message(segments)


# ---- LAB-29


def results(
    head: Head, specimen: Specimen, runs: Sequence[Run], subject: Subject | None = None
) -> bytes:
    """Values and states of steps on one container."""
    segments = [_header(head, ("OUL", "R22", "OUL_R22"), is_initiation=True)]
    if subject is not None and subject.is_known:
        segments.append(_patient(subject))
    segments += _container(specimen, number=1)
    for number, run in enumerate(runs, 1):
        segments.append(segment("OBR", str(number), run.step_id or DELETED, None, run.test))
        segments.append(segment("ORC", "SC", None, None, None, run.status))
        for count, row in enumerate(run.rows, 1):
            segments += [_row(row, count), *row.after]
    return message(segments)


def result_reply(
    head: Head, request: Message, *, code: AckCode = AckCode.AA, error: Hl7Error | None = None
) -> bytes:
    """The acknowledgement of a result message."""
    return acknowledge(
        request,
        code=code,
        control_id=head.control_id,
        at=head.at,
        sending=head.sending,
        error=error,
    )


# ---- segments


def _header(head: Head, kind: tuple[str, str, str], *, is_initiation: bool) -> str:
    asked = ("NE", "AL") if is_initiation else (None, None)
    fields: list[Value] = [
        *(*head.sending, *head.receiving, timestamp(head.at), None),
        *(kind, head.control_id, head.processing_id, VERSION, None, None),
        *(*asked, None, CHARSET, None, None, head.profile),
    ]
    return segment("MSH", *fields)


def _patient(subject: Subject) -> str:
    identifier = [(subject.patient_id, "", "", "", "PI")] if subject.patient_id else None
    name = (subject.family_name, subject.given_name, "", "", "", "", "L")
    has_name = bool(subject.family_name or subject.given_name)
    fields: list[Value] = [None, identifier, None, name if has_name else None]
    return segment("PID", "1", *fields, None, subject.birth_date, subject.sex)


def _container(specimen: Specimen, *, number: int) -> list[str]:
    fields: dict[int, Value] = {
        1: str(number),
        2: specimen.entity,
        4: specimen.type,
        11: (specimen.role, "", ROLES),
        17: specimen.collected_at,
        **dict(specimen.extras),
    }
    container: dict[int, Value] = {3: specimen.container, **dict(specimen.container_extras)}
    written = [_placed("SPM", fields)]
    if specimen.container is not None:
        written.append(_placed("SAC", container))
    return [*written, *specimen.behind]


def _placed(name: str, fields: dict[int, Value]) -> str:
    return segment(name, *(fields.get(number) for number in range(1, max(fields) + 1)))


def _row(row: Row, number: int) -> str:
    fields: dict[int, Value] = {
        1: str(number),
        2: row.kind,
        3: row.code,
        4: row.sub_id,
        5: row.value,
        6: row.unit,
        7: row.interval,
        8: row.flags,
        11: row.status,
        16: row.operator,
        18: row.equipment,
        19: row.at,
        29: RESULT_MARK,
    }
    return _placed("OBX", fields)


def _error(error: Hl7Error) -> str:
    code = (error.code.value, error.code.text, "HL70357")
    place: Value = None
    if error.place is not None:
        numbers = (error.place.sequence, error.place.field, error.place.repeat)
        place = (error.place.segment, *(None if one is None else str(one) for one in numbers))
    return segment("ERR", None, place, code, error.severity.value, *[None] * 3, error.text)
