"""The look-up: somebody asks for results by tube, name or telephone, and is answered.

Each test of the order, where it stands, why it is not ready, when it is expected. Who was told what, by whom
and when is kept as a row that nobody changes, and in the audit: a value told by telephone has left the
laboratory like any other.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound, Refused
from lis.orders.listing import TestLine, lines_of, lines_without_tube
from lis.orders.reads import PatientView, patient_view
from lis.orders.turnaround import Turnaround, of_order
from lis.store.list_rows import Telling
from lis.store.lookup_queries import (
    newest_of_patients,
    ordered_of_requisitions,
    requests_of_requisitions,
    requisitions_by_number,
    requisitions_with_patients,
    tellings_of,
)
from lis.store.order_queries import requisition_by_public_id
from lis.store.people_queries import find_patients, patient_by_public_id
from lis.store.unit import Unit

TEXT_MIN: Final = 2
ORDERS_SHOWN: Final = 8  # newest orders of one person
PEOPLE_SHOWN: Final = 20
NAME_MAX: Final = 200
NOTE_MAX: Final = 1_000


class Relation(StrEnum):
    """Who asked."""

    DOCTOR = "doctor"
    WARD = "ward"
    PATIENT = "patient"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call: who was told what."""

    told_at: datetime
    told_by: str
    told_to: str
    relation: str
    telephone: str
    note: str
    ready: tuple[str, ...]  # codes of the tests whose values were told
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One order with everything that is to be said about it."""

    public_id: str
    created_at: datetime
    ward: str
    requester: str
    priority: str
    patient: PatientView
    lines: tuple[TestLine, ...]
    clock: Turnaround
    told: tuple[Told, ...]

    @property
    def ready(self) -> int:
        return sum(line.standing.is_ready for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found: orders, or people of whom one is to be chosen."""

    answers: tuple[Answer, ...] = ()
    people: tuple[PatientView, ...] = ()
    is_cut: bool = False  # more people have such a name

    @property
    def is_empty(self) -> bool:
        return not self.answers and not self.people


def look_up(session: Session, catalog: Catalog, text: str, *, at: datetime, language: str) -> Found:
    """By the number of a tube or an order; else by identifier, telephone or the beginning of a name."""
    wanted = text.strip()
    if len(wanted) < TEXT_MIN:
        return Found()
    keys = requisitions_by_number(session, wanted, limit=ORDERS_SHOWN)
    if keys:
        return Found(answers=_answers(session, catalog, keys, at, language))
    patients = find_patients(session, wanted, limit=PEOPLE_SHOWN + 1)
    if len(patients) == 1:
        return _of_patient(session, catalog, patients[0].id, at, language)
    return Found(
        people=tuple(patient_view(session, one) for one in patients[:PEOPLE_SHOWN]),
        is_cut=len(patients) > PEOPLE_SHOWN,
    )


def look_up_patient(
    session: Session, catalog: Catalog, public_id: str, *, at: datetime, language: str
) -> Found:
    """The newest orders of a person who was chosen."""
    patient = patient_by_public_id(session, public_id)
    if patient is None:
        raise NotFound("Patient", public_id)
    return _of_patient(session, catalog, patient.id, at, language)


def look_up_order(
    session: Session, catalog: Catalog, public_id: str, *, at: datetime, language: str
) -> Answer:
    """One order; raises `NotFound`."""
    requisition = requisition_by_public_id(session, public_id)
    if requisition is None:
        raise NotFound("Requisition", public_id)
    return _answers(session, catalog, [requisition.id], at, language)[0]


def tell(
    unit: Unit,
    catalog: Catalog,
    public_id: str,
    *,
    told_to: str,
    relation: Relation,
    telephone: str = "",
    note: str = "",
) -> Told:
    """Keep that somebody was told how an order stands now: each test, with its value if it is out."""
    name = told_to.strip()
    if not name:
        raise Refused("lookuppage.told_to_nobody")
    answer = look_up_order(unit.session, catalog, public_id, at=unit.now, language="en")
    requisition = requisition_by_public_id(unit.session, public_id)
    assert requisition is not None, "the answer is about it"
    telling = Telling(
        requisition_id=requisition.id,
        told_at=unit.now,
        told_by=unit.actor,
        told_to=name[:NAME_MAX],
        relation=relation.value,
        telephone=telephone.strip()[:NAME_MAX],
        note=note.strip()[:NOTE_MAX],
        told=[_told_line(line, relation) for line in answer.lines],
    )
    unit.session.add(telling)
    unit.session.flush()
    unit.audit(
        "told_by_telephone",
        "Requisition",
        requisition.id,
        after={"telling": telling.id, "to": name, "relation": relation.value, "told": telling.told},
    )
    unit.publish("order", public_id)
    return _as_told(telling)


def may_be_told(line: TestLine, relation: Relation) -> bool:
    """Whether the value itself may be said: it is out, and a patient hears sensitive ones from a doctor."""
    is_for_doctor = line.is_sensitive and relation in (Relation.PATIENT, Relation.ANYONE)
    return line.standing.is_ready and not is_for_doctor


def _told_line(line: TestLine, relation: Relation) -> dict[str, str]:
    is_told = may_be_told(line, relation)
    return {
        "test": line.code,
        "place": line.standing.place.value,
        "value": f"{line.value} {line.unit}".strip() if is_told else "",
    }


def _as_told(row: Telling) -> Told:
    return Told(
        told_at=row.told_at,
        told_by=row.told_by,
        told_to=row.told_to,
        relation=row.relation,
        telephone=row.telephone,
        note=row.note,
        ready=tuple(one["test"] for one in row.told if one["value"]),
        waiting=tuple(one["test"] for one in row.told if not one["value"]),
    )


def _of_patient(
    session: Session, catalog: Catalog, patient_id: int, at: datetime, language: str
) -> Found:
    keys = newest_of_patients(session, [patient_id], limit=ORDERS_SHOWN)
    return Found(answers=_answers(session, catalog, keys, at, language))


def _answers(
    session: Session, catalog: Catalog, keys: Sequence[int], at: datetime, language: str
) -> tuple[Answer, ...]:
    lines = _lines(session, catalog, keys, at, language)
    told: dict[int, list[Told]] = defaultdict(list)
    for row in tellings_of(session, keys):
        told[row.requisition_id].append(_as_told(row))
    return tuple(
        Answer(
            public_id=requisition.public_id,
            created_at=requisition.created_at,
            ward=requisition.ward,
            requester=requisition.requester,
            priority=requisition.priority,
            patient=patient_view(session, patient),
            lines=tuple(lines[requisition.id]),
            clock=of_order(line.clock for line in lines[requisition.id]),
            told=tuple(told[requisition.id]),
        )
        for requisition, patient in requisitions_with_patients(session, keys)
    )


def _lines(
    session: Session, catalog: Catalog, keys: Sequence[int], at: datetime, language: str
) -> dict[int, list[TestLine]]:
    rows = ordered_of_requisitions(session, keys)
    on_tubes = {row.service_request_id for row in rows}
    others = [one for one in requests_of_requisitions(session, keys) if one.id not in on_tubes]
    found: dict[int, list[TestLine]] = defaultdict(list)
    for line in lines_without_tube(catalog, others, at=at, language=language):
        found[line.requisition_id].append(line)
    for line in lines_of(session, catalog, rows, at=at, language=language):
        found[line.requisition_id].append(line)
    return found
