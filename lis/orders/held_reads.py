"""What waits for a person, as pages and the API show it: held orders, differences, messages about people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.orders.changing import UNKNOWN_ORDERABLE
from lis.orders.held import ACCEPTABLE, DOUBTFUL_PATIENT
from lis.orders.reads import PatientView, patient_view
from lis.store.order_queries import requisitions_by_ids, service_requests_by_ids
from lis.store.order_rows import Requisition, ServiceRequest
from lis.store.people_queries import patients_by_ids
from lis.store.people_rows import Patient
from lis.store.referral_queries import (
    held_requests,
    merges_in_force,
    open_changes,
    open_issues,
)
from lis.store.referral_rows import OrderChange

PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOrder:
    """One order that waits; `way` says how it ends: map, patient, accept, or sender."""

    id: int
    version: int
    filler_number: str
    placer_number: str
    source: str
    requisition: str  # public id
    code: str
    sent: str  # what the sender wrote
    hold_reason: str
    way: str
    priority: str
    since: datetime
    patient: PatientView


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the sender changed after work began."""

    id: int
    filler_number: str
    requisition: str
    code: str
    field: str
    had: str
    said: str
    is_applied: bool
    noted_at: datetime
    patient: PatientView


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A message about people that no rule may carry out."""

    id: int
    kind: str
    source: str
    opened_at: datetime
    conflicts: tuple[str, ...]
    people: tuple[PatientView, ...]
    inbox_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeLine:
    """A merge that may be undone."""

    id: int
    retired: PatientView
    surviving: PatientView
    merged_at: datetime
    merged_by: str
    reason: str


def held_orders(
    session: Session, *, after: int = 0, limit: int = PAGE_ROWS
) -> tuple[HeldOrder, ...]:
    """Orders that wait, oldest first; page on with the last one's id."""
    rows = held_requests(session, after=after, limit=limit)
    requisitions, people = _around(session, rows)
    made = []
    for row in rows:
        requisition = requisitions[row.requisition_id]
        made.append(
            HeldOrder(
                id=row.id,
                version=row.version,
                filler_number=row.filler_number,
                placer_number=row.placer_number,
                source=requisition.source,
                requisition=requisition.public_id,
                code=row.code,
                sent=row.placer_code or row.code,
                hold_reason=row.hold_reason,
                way=_way(row.hold_reason),
                priority=row.priority,
                since=row.created_at,
                patient=patient_view(session, people[requisition.patient_id]),
            )
        )
    return tuple(made)


def differences(
    session: Session, *, after: int = 0, limit: int = PAGE_ROWS
) -> tuple[Difference, ...]:
    """What senders changed after work began and nobody has acknowledged, oldest first."""
    return differences_of(session, open_changes(session, after=after, limit=limit))


def differences_of(session: Session, changes: list[OrderChange]) -> tuple[Difference, ...]:
    """These differences with their order and patient."""
    requests = service_requests_by_ids(session, {one.service_request_id for one in changes})
    requisitions, people = _around(session, list(requests.values()))
    made = []
    for one in changes:
        request = requests[one.service_request_id]
        requisition = requisitions[request.requisition_id]
        made.append(
            Difference(
                id=one.id,
                filler_number=request.filler_number,
                requisition=requisition.public_id,
                code=request.code,
                field=one.field,
                had=one.had,
                said=one.said,
                is_applied=one.is_applied,
                noted_at=one.noted_at,
                patient=patient_view(session, people[requisition.patient_id]),
            )
        )
    return tuple(made)


def issues(session: Session, *, after: int = 0, limit: int = PAGE_ROWS) -> tuple[Issue, ...]:
    """Messages about people that wait, oldest first."""
    rows = open_issues(session, after=after, limit=limit)
    people = patients_by_ids(session, {one for row in rows for one in _named(row.detail)})
    return tuple(
        Issue(
            id=row.id,
            kind=row.kind,
            source=row.source,
            opened_at=row.opened_at,
            conflicts=tuple(row.detail.get("conflicts", ())),
            people=tuple(patient_view(session, people[one]) for one in _named(row.detail)),
            inbox_id=row.inbox_id,
        )
        for row in rows
    )


def merges(session: Session, *, limit: int = PAGE_ROWS) -> tuple[MergeLine, ...]:
    """Merges in force, newest first."""
    rows = merges_in_force(session, limit=limit)
    keys = {key for row in rows for key in (row.retired_id, row.surviving_id)}
    people = patients_by_ids(session, keys)
    return tuple(
        MergeLine(
            id=row.id,
            retired=patient_view(session, people[row.retired_id]),
            surviving=patient_view(session, people[row.surviving_id]),
            merged_at=row.merged_at,
            merged_by=row.merged_by,
            reason=row.reason,
        )
        for row in rows
    )


def orderables(catalog: Catalog, language: str) -> tuple[tuple[str, str], ...]:
    """Every code a person may map to, with its name."""
    names = {code: one.names for code, one in catalog.tests.items()}
    names |= {code: one.names for code, one in catalog.panels.items()}
    return tuple((code, one.get(language, code)) for code, one in sorted(names.items()))


def _way(reason: str) -> str:
    if reason == UNKNOWN_ORDERABLE:
        return "map"
    if reason in DOUBTFUL_PATIENT:
        return "patient"
    return "accept" if reason in ACCEPTABLE else "sender"


def _named(detail: Mapping[str, Any]) -> tuple[int, ...]:
    pair = [detail[key] for key in ("retired", "surviving") if key in detail]
    return (*pair, *detail.get("patients", ()))


def _around(
    session: Session, rows: list[ServiceRequest]
) -> tuple[dict[int, Requisition], dict[int, Patient]]:
    requisitions = requisitions_by_ids(session, {row.requisition_id for row in rows})
    people = patients_by_ids(session, {one.patient_id for one in requisitions.values()})
    return requisitions, people
