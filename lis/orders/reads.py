"""What the order pages show: values made from rows, with set queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound
from lis.domain.lifecycle import RequestState, SpecimenState
from lis.store.lookup_queries import find_requisitions
from lis.store.order_queries import (
    recent_requisitions,
    requisition_by_public_id,
    service_requests_of_requisition,
    service_requests_of_requisitions,
    specimens_of_requisition,
    specimens_of_requisitions,
    work_orders_of_specimens,
)
from lis.store.order_rows import ServiceRequest, Specimen
from lis.store.people_queries import find_patients, identifiers_of, patient_by_public_id
from lis.store.people_rows import Patient

PAGE_ROWS: Final = 50
PEOPLE_SEARCHED: Final = 200  # of one beginning of a name; more letters narrow it


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientView:
    """Who a requisition is about."""

    public_id: str
    name: str
    birth_date: str
    sex: str
    identifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequisitionLine:
    """One line of the order list."""

    key: int
    public_id: str
    created_at: datetime
    source: str
    priority: str
    requester: str
    patient: PatientView
    state: str = ""  # of `requisition_state`
    codes: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """One order of a requisition."""

    code: str
    name: str
    filler_number: str
    placer_number: str
    state: str
    hold_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecimenView:
    """One tube with its tests and where they stand."""

    id: int
    accession: str
    specimen_type: str
    state: str
    version: int
    collected_at: datetime | None
    received_at: datetime | None
    reject_reason: str
    tests: tuple[tuple[str, str], ...]  # (test name, work order state)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequisitionView:
    """One requisition in full."""

    line: RequisitionLine
    ward: str
    reason: str
    notes: str
    orders: tuple[OrderView, ...]
    specimens: tuple[SpecimenView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orderable:
    """A test or panel that a form can order."""

    code: str
    name: str
    is_panel: bool
    specimen_types: tuple[str, ...]
    short: tuple[str, ...] = ()  # what people type


def patient_view(session: Session, patient: Patient) -> PatientView:
    """A patient as order pages show him."""
    names = (patient.family_name, patient.given_name, patient.middle_name)
    return PatientView(
        public_id=patient.public_id,
        name=" ".join(name for name in names if name),
        birth_date=patient.birth_date,
        sex=patient.sex,
        identifiers=tuple(one.value for one in identifiers_of(session, patient.id)),
    )


def list_requisitions(
    session: Session, *, before: int | None = None, text: str = "", limit: int = PAGE_ROWS
) -> tuple[RequisitionLine, ...]:
    """The newest requisitions, of all or of a search; page on with the last line's key."""
    wanted = text.strip()
    if wanted:
        rows = find_requisitions(
            session, wanted, before=before, limit=limit, people=PEOPLE_SEARCHED
        )
    else:
        rows = recent_requisitions(session, before_id=before, limit=limit)
    keys = [requisition.id for requisition, _ in rows]
    requests: dict[int, list[ServiceRequest]] = defaultdict(list)
    for request in service_requests_of_requisitions(session, keys):
        requests[request.requisition_id].append(request)
    tubes: dict[int, list[Specimen]] = defaultdict(list)
    for tube in specimens_of_requisitions(session, keys):
        tubes[tube.requisition_id].append(tube)
    return tuple(
        RequisitionLine(
            key=requisition.id,
            public_id=requisition.public_id,
            created_at=requisition.created_at,
            source=requisition.source,
            priority=requisition.priority,
            requester=requisition.requester,
            patient=PatientView(
                public_id=patient.public_id,
                birth_date=patient.birth_date,
                sex=patient.sex,
                name=" ".join(
                    part
                    for part in (patient.family_name, patient.given_name, patient.middle_name)
                    if part
                ),
            ),
            state=requisition_state(
                [request.state for request in requests[requisition.id]],
                [tube.state for tube in tubes[requisition.id]],
            ),
            codes=tuple(request.code for request in requests[requisition.id]),
            accessions=tuple(tube.accession for tube in tubes[requisition.id]),
        )
        for requisition, patient in rows
    )


def requisition_state(requests: Sequence[RequestState], tubes: Sequence[SpecimenState]) -> str:
    """Where a whole requisition stands; what needs a person comes first."""
    if RequestState.ON_HOLD in requests:
        return "on_hold"
    live = [one for one in requests if one in (RequestState.DRAFT, RequestState.ACTIVE)]
    if not live:
        return "completed" if RequestState.COMPLETED in requests else "revoked"
    if SpecimenState.REJECTED in tubes:
        return "rejected"
    if any(one in (SpecimenState.EXPECTED, SpecimenState.COLLECTED) for one in tubes):
        return "expected"
    return "in_work"


def show_requisition(
    session: Session, catalog: Catalog, public_id: str, *, language: str
) -> RequisitionView:
    """One requisition with its orders and tubes; raises `NotFound`."""
    requisition = requisition_by_public_id(session, public_id)
    if requisition is None:
        raise NotFound("Requisition", public_id)
    patient = session.get_one(Patient, requisition.patient_id)
    specimens = specimens_of_requisition(session, requisition.id)
    work_orders = work_orders_of_specimens(session, (tube.id for tube in specimens))
    return RequisitionView(
        line=RequisitionLine(
            key=requisition.id,
            public_id=requisition.public_id,
            created_at=requisition.created_at,
            source=requisition.source,
            priority=requisition.priority,
            requester=requisition.requester,
            patient=patient_view(session, patient),
        ),
        ward=requisition.ward,
        reason=requisition.reason,
        notes=requisition.notes,
        orders=tuple(
            OrderView(
                code=request.code,
                name=name_of(catalog, request.code, language),
                filler_number=request.filler_number,
                placer_number=request.placer_number,
                state=request.state.value,
                hold_reason=request.hold_reason,
            )
            for request in service_requests_of_requisition(session, requisition.id)
        ),
        specimens=tuple(
            SpecimenView(
                id=tube.id,
                accession=tube.accession,
                specimen_type=tube.specimen_type,
                state=tube.state.value,
                version=tube.version,
                collected_at=tube.collected_from,
                received_at=tube.received_at,
                reject_reason=tube.reject_reason,
                tests=tuple(
                    (name_of(catalog, row.test_code, language), row.state.value)
                    for row in work_orders
                    if row.specimen_id == tube.id
                ),
            )
            for tube in specimens
        ),
    )


def name_of(catalog: Catalog, code: str, language: str) -> str:
    """The name of a test or panel in a language; the code itself while it is unknown."""
    known = catalog.tests.get(code) or catalog.panels.get(code)
    return known.names.get(language) or known.names.get("en") or code if known else code


def orderables(catalog: Catalog, *, language: str) -> tuple[Orderable, ...]:
    """Everything that can be ordered: panels first, then tests, by name."""
    panels = [
        Orderable(
            code=panel.code,
            name=name_of(catalog, panel.code, language),
            is_panel=True,
            specimen_types=tuple(
                dict.fromkeys(test.specimen_type for test in catalog.tests_of(panel.code))
            ),
            short=panel.short,
        )
        for panel in catalog.panels.values()
    ]
    tests = [
        Orderable(
            code=test.code,
            name=name_of(catalog, test.code, language),
            is_panel=False,
            specimen_types=(test.specimen_type,),
            short=test.short,
        )
        for test in catalog.tests.values()
    ]
    return tuple(sorted(panels, key=lambda one: one.name) + sorted(tests, key=lambda one: one.name))


def chosen_patient(session: Session, public_id: str) -> PatientView | None:
    """The patient that a form names, if there is one."""
    patient = patient_by_public_id(session, public_id) if public_id else None
    return patient_view(session, patient) if patient else None


def search_patients(session: Session, text: str, *, limit: int = 20) -> tuple[PatientView, ...]:
    """Patients by the start of the name or an exact identifier; nothing for fewer than two letters."""
    if len(text.strip()) < 2:
        return ()
    return tuple(
        patient_view(session, patient) for patient in find_patients(session, text, limit=limit)
    )
