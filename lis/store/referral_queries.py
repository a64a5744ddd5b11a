"""Queries about what senders said of orders and people, and about what waits for a person."""

from collections.abc import Iterable, Sequence

from sqlalchemy import or_, select, tuple_, update
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState, RequestState
from lis.store.observation_rows import Observation
from lis.store.order_rows import Requisition, ServiceRequest, Specimen
from lis.store.people_rows import Patient, PatientAccess, PatientIdentifier
from lis.store.referral_rows import (
    IdentityIssue,
    OrderChange,
    OrderCode,
    PatientMerge,
    PatientSaid,
    PlacerOrder,
)

MERGES_MAX = 50  # links followed from a retired identity; more is a circle, which nobody can make


def placer_order(session: Session, source: str, number: str, authority: str) -> PlacerOrder | None:
    """What this sender said of this order so far."""
    return session.scalars(
        select(PlacerOrder).where(
            PlacerOrder.source == source,
            PlacerOrder.number == number,
            PlacerOrder.authority == authority,
        )
    ).one_or_none()


def placer_order_of(session: Session, service_request_id: int) -> PlacerOrder | None:
    """What was said of an order that was placed."""
    return session.scalars(
        select(PlacerOrder).where(PlacerOrder.service_request_id == service_request_id)
    ).first()


def request_of_sender(
    session: Session, source: str, number: str, authority: str
) -> ServiceRequest | None:
    """The newest order this sender placed under a number."""
    return session.scalars(
        select(ServiceRequest)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id)
        .where(
            Requisition.source == source,
            ServiceRequest.placer_number == number,
            ServiceRequest.placer_authority == authority,
        )
        .order_by(ServiceRequest.id.desc())
        .limit(1)
    ).first()


def code_meant(session: Session, source: str, sent: str) -> str:
    """What a person said a sender's code means; "" when nobody did."""
    query = select(OrderCode.code).where(OrderCode.source == source, OrderCode.sent == sent)
    return session.scalars(query).one_or_none() or ""


def code_row(session: Session, source: str, sent: str) -> OrderCode | None:
    """The row behind `code_meant`."""
    query = select(OrderCode).where(OrderCode.source == source, OrderCode.sent == sent)
    return session.scalars(query).one_or_none()


def order_change(session: Session, change_id: int) -> OrderChange | None:
    """One difference."""
    return session.get(OrderChange, change_id)


def issue_by_id(session: Session, issue_id: int) -> IdentityIssue | None:
    """One message about a person that waits."""
    return session.get(IdentityIssue, issue_id)


def merges_in_force(session: Session, *, limit: int) -> list[PatientMerge]:
    """Merges that were not undone, newest first."""
    query = select(PatientMerge).where(PatientMerge.unmerged_at.is_(None))
    return list(session.scalars(query.order_by(PatientMerge.id.desc()).limit(limit)))


def has_change(session: Session, service_request_id: int, field: str, stamp: str) -> bool:
    """Whether this difference was noted before."""
    query = select(OrderChange.id).where(
        OrderChange.service_request_id == service_request_id,
        OrderChange.field == field,
        OrderChange.stamp == stamp,
    )
    return session.scalars(query).first() is not None


def open_changes(session: Session, *, after: int = 0, limit: int = 100) -> list[OrderChange]:
    """Differences nobody has acknowledged, oldest first."""
    query = select(OrderChange).where(OrderChange.acknowledged_at.is_(None), OrderChange.id > after)
    return list(session.scalars(query.order_by(OrderChange.id).limit(limit)))


def changes_of_requests(session: Session, request_ids: Iterable[int]) -> list[OrderChange]:
    """All differences of some orders, acknowledged or not, oldest first."""
    keys = tuple(set(request_ids))
    if not keys:
        return []
    query = select(OrderChange).where(OrderChange.service_request_id.in_(keys))
    return list(session.scalars(query.order_by(OrderChange.id)))


def held_requests(session: Session, *, after: int = 0, limit: int = 100) -> list[ServiceRequest]:
    """Orders that wait for a person, oldest first."""
    query = select(ServiceRequest).where(
        ServiceRequest.state == RequestState.ON_HOLD, ServiceRequest.id > after
    )
    return list(session.scalars(query.order_by(ServiceRequest.id).limit(limit)))


def identity_holders(
    session: Session, identifiers: Sequence[tuple[str, str, str]]
) -> list[Patient]:
    """All identities, retired ones too, that hold any of these (system, issuer, value)."""
    if not identifiers:
        return []
    holders = select(PatientIdentifier.patient_id).where(
        tuple_(PatientIdentifier.system, PatientIdentifier.issuer, PatientIdentifier.value).in_(
            identifiers
        )
    )
    return list(
        session.scalars(select(Patient).where(Patient.id.in_(holders)).order_by(Patient.id))
    )


def survivor_of(session: Session, patient: Patient) -> Patient:
    """The identity a retired one stands for now."""
    for _ in range(MERGES_MAX):
        if patient.merged_into_id is None:
            return patient
        patient = session.get_one(Patient, patient.merged_into_id)
    raise RuntimeError(f"patient {patient.id} is merged in a circle")


def said_of(session: Session, patient_id: int) -> PatientSaid | None:
    """What the hospital said of a person."""
    return session.scalars(
        select(PatientSaid).where(PatientSaid.patient_id == patient_id)
    ).one_or_none()


def merges_of(session: Session, patient_id: int) -> list[PatientMerge]:
    """Merges in which an identity took part, newest first."""
    query = select(PatientMerge).where(
        or_(PatientMerge.retired_id == patient_id, PatientMerge.surviving_id == patient_id)
    )
    return list(session.scalars(query.order_by(PatientMerge.id.desc())))


def merges_between(session: Session, retired_id: int, surviving_id: int) -> list[PatientMerge]:
    """Every merge of one identity into another, newest first."""
    query = select(PatientMerge).where(
        PatientMerge.retired_id == retired_id, PatientMerge.surviving_id == surviving_id
    )
    return list(session.scalars(query.order_by(PatientMerge.id.desc())))


def merge_in_force(session: Session, retired_id: int) -> PatientMerge | None:
    """The merge that retired an identity, unless it was undone."""
    query = select(PatientMerge).where(
        PatientMerge.retired_id == retired_id, PatientMerge.unmerged_at.is_(None)
    )
    return session.scalars(query.order_by(PatientMerge.id.desc())).first()


def requisition_ids_of(session: Session, patient_id: int) -> list[int]:
    """What was asked for under an identity."""
    query = select(Requisition.id).where(Requisition.patient_id == patient_id)
    return list(session.scalars(query.order_by(Requisition.id)))


def move_to_patient(session: Session, requisition_ids: Sequence[int], patient_id: int) -> None:
    """Give requisitions, with their tubes and results, to another identity."""
    if not requisition_ids:
        return
    session.flush()
    tubes = select(Specimen.id).where(Specimen.requisition_id.in_(requisition_ids))
    for statement in (
        update(Requisition).where(Requisition.id.in_(requisition_ids)),
        update(Specimen).where(Specimen.requisition_id.in_(requisition_ids)),
        update(Observation).where(
            Observation.specimen_id.in_(tubes), Observation.patient_id.is_not(None)
        ),
    ):
        session.execute(
            statement.values(patient_id=patient_id),
            execution_options={"synchronize_session": False},
        )
    session.expire_all()


def live_tokens(session: Session, requisition_ids: Sequence[int]) -> list[PatientAccess]:
    """Access codes of these requisitions that still open something."""
    query = select(PatientAccess).where(
        PatientAccess.requisition_id.in_(requisition_ids), PatientAccess.revoked_at.is_(None)
    )
    return list(session.scalars(query)) if requisition_ids else []


def values_of_tests(
    session: Session, patient_id: int, tests: Sequence[str]
) -> list[tuple[str, str]]:
    """(test, reported text) of every result of these tests that counts or waits."""
    if not tests:
        return []
    gone = (BenchState.SUPERSEDED, BenchState.REJECTED)
    query = select(Observation.test_code, Observation.reported).where(
        Observation.patient_id == patient_id,
        Observation.test_code.in_(tests),
        Observation.bench_state.not_in(gone),
    )
    return [(test, text) for test, text in session.execute(query)]


def standing_observations(session: Session, patient_id: int) -> list[Observation]:
    """Results of a person that count or wait, locked, in the order they were made."""
    gone = (BenchState.SUPERSEDED, BenchState.REJECTED)
    query = (
        select(Observation)
        .where(
            Observation.patient_id == patient_id,
            Observation.bench_state.not_in(gone),
            Observation.test_code != "",
        )
        .order_by(Observation.id)
        .with_for_update()
    )
    return list(session.scalars(query))


def identity_issue(
    session: Session, source: str, stamp: str, kind: str, subject: str
) -> IdentityIssue | None:
    """The issue one group of one message opened before."""
    return session.scalars(
        select(IdentityIssue).where(
            IdentityIssue.source == source,
            IdentityIssue.stamp == stamp,
            IdentityIssue.kind == kind,
            IdentityIssue.subject == subject,
        )
    ).one_or_none()


def open_issues(session: Session, *, after: int = 0, limit: int = 100) -> list[IdentityIssue]:
    """Messages about people that wait for a person, oldest first."""
    query = select(IdentityIssue).where(
        IdentityIssue.resolved_at.is_(None), IdentityIssue.id > after
    )
    return list(session.scalars(query.order_by(IdentityIssue.id).limit(limit)))
