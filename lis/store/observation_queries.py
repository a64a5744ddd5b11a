"""Queries about results for intake and release: facts of a whole batch, in set queries.

Intake never asks for one row at a time: every function here takes all keys of a batch and answers with
frozen facts by key. Screens have their own queries in `lis.store.worklist_queries`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import func, insert, select, text, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.messages import Lane
from lis.domain.result_facts import (
    DeviceFacts,
    OrderFacts,
    PastValue,
    PersonFacts,
    SpecimenFacts,
    StoredRun,
    WaitingResult,
)
from lis.store.base import Base
from lis.store.observation_rows import Observation, UnreadableRecord
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.people_rows import Patient, Site
from lis.store.system_rows import Audit
from lis.store.traffic_rows import Alarm, Device, Inbox, InboxState

PAST_VALUES_MAX = 7  # per patient and test: what a sparkline shows; the delta needs fewer
WAITING_STATES = (BenchState.RECEIVED, BenchState.HELD, BenchState.TECHNICALLY_VERIFIED)


def new_results(session: Session, limit: int) -> list[Inbox]:
    """The oldest messages of the result lane that nobody has processed."""
    query = select(Inbox).where(Inbox.state == InboxState.NEW, Inbox.lane == Lane.RESULT.value)
    return list(session.scalars(query.order_by(Inbox.id).limit(limit)))


def lock_new(session: Session, inbox_ids: Collection[int]) -> set[int]:
    """Those of the inbox rows that are still NEW, locked for this transaction."""
    query = (
        select(Inbox.id)
        .where(Inbox.id.in_(inbox_ids), Inbox.state == InboxState.NEW)
        .with_for_update(skip_locked=True)
    )
    return set(session.scalars(query))


def devices_by_id(session: Session, device_ids: Collection[int]) -> dict[int, DeviceFacts]:
    """Analyzers by key."""
    query = select(
        Device.id,
        Device.site_id,
        Device.name,
        Device.driver,
        Device.serial,
        Device.quarantine_reason,
        Device.is_simulator,
        Device.has_reliable_barcode,
        Device.seen_name,
        Device.seen_serial,
        Device.clock_offset_s,
    ).where(Device.id.in_(device_ids))
    return {row["id"]: DeviceFacts(**row) for row in session.execute(query).mappings()}


def specimen_facts(session: Session, accessions: Collection[str]) -> dict[str, SpecimenFacts]:
    """Tubes by accession number, exactly as printed."""
    query = select(*_columns(Specimen, SpecimenFacts)).where(Specimen.accession.in_(accessions))
    return {row["accession"]: SpecimenFacts(**row) for row in session.execute(query).mappings()}


def people(session: Session, patient_ids: Collection[int]) -> dict[int, PersonFacts]:
    """Patients by key, with the zone of their site."""
    query = (
        select(Patient.id, Patient.sex, Patient.birth_date, Site.timezone)
        .join(Site, Site.id == Patient.site_id)
        .where(Patient.id.in_(patient_ids))
    )
    return {row["id"]: PersonFacts(**row) for row in session.execute(query).mappings()}


def orders_of(session: Session, specimen_ids: Collection[int]) -> dict[int, list[OrderFacts]]:
    """Work orders with the state of their requests, by specimen, oldest first."""
    query = (
        select(
            WorkOrder.id.label("work_order_id"),
            WorkOrder.service_request_id,
            WorkOrder.specimen_id,
            WorkOrder.test_code.label("test"),
            WorkOrder.state,
            ServiceRequest.state.label("request_state"),
            WorkOrder.rerun,
            WorkOrder.dilution,
        )
        .join(ServiceRequest, ServiceRequest.id == WorkOrder.service_request_id)
        .where(WorkOrder.specimen_id.in_(specimen_ids))
        .order_by(WorkOrder.id)
    )
    found: dict[int, list[OrderFacts]] = {}
    for row in session.execute(query).mappings():
        found.setdefault(row["specimen_id"], []).append(OrderFacts(**row))
    return found


def stored_runs(
    session: Session, *, run_keys: Collection[str], specimen_ids: Collection[int]
) -> list[StoredRun]:
    """Stored observations under these run keys or of these tubes, oldest first."""
    runs: dict[int, StoredRun] = {}
    for condition in (
        Observation.run_key.in_(run_keys),
        Observation.specimen_id.in_(specimen_ids),
    ):
        for row in session.execute(select(*_RUN_COLUMNS).where(condition)).mappings():
            values = dict(row)
            values["flags"] = tuple(values["flags"])
            runs[row["id"]] = StoredRun(**values)
    return [runs[key] for key in sorted(runs)]


def inbox_identities(
    session: Session, inbox_ids: Collection[int]
) -> dict[int, tuple[bytes, bool | None]]:
    """Hash of the raw bytes, and whether the session ended as it should (S19)."""
    query = select(Inbox.id, Inbox.sha256, Inbox.is_session_closed).where(Inbox.id.in_(inbox_ids))
    return {row.id: (row.sha256, row.is_session_closed) for row in session.execute(query)}


def past_values(
    session: Session, patient_ids: Collection[int], tests: Collection[str]
) -> dict[tuple[int, str], list[PastValue]]:
    """The newest released values by patient and test, oldest first, at most `PAST_VALUES_MAX`."""
    recency = (
        func.row_number()
        .over(
            partition_by=(Observation.patient_id, Observation.test_code),
            order_by=(Observation.analysed_at.desc(), Observation.id.desc()),
        )
        .label("recency")
    )
    ranked = (
        select(
            Observation.id.label("observation_id"),
            Observation.patient_id,
            Observation.test_code,
            Observation.value,
            Observation.reported.label("text"),
            Observation.unit,
            Observation.method,
            Observation.comparator,
            Observation.analysed_at,
            Observation.specimen_id,
            recency,
        )
        .where(
            Observation.patient_id.in_(patient_ids),
            Observation.test_code.in_(tests),
            Observation.bench_state == BenchState.RELEASED,
            Observation.is_chosen,
        )
        .subquery()
    )
    query = (
        select(ranked, Specimen.collected_from.label("collected_at"))
        .join(Specimen, Specimen.id == ranked.c.specimen_id, isouter=True)
        .where(ranked.c.recency <= PAST_VALUES_MAX)
        .order_by(ranked.c.recency.desc())
    )
    found: dict[tuple[int, str], list[PastValue]] = {}
    for row in session.execute(query):
        found.setdefault((row.patient_id, row.test_code), []).append(
            PastValue(
                observation_id=row.observation_id,
                value=row.value,
                text=row.text,
                unit=row.unit,
                method=row.method,
                collected_at=row.collected_at,
                analysed_at=row.analysed_at,
                is_censored=bool(row.comparator),
            )
        )
    return found


def waiting_results(
    session: Session,
    *,
    pairs: Collection[tuple[int, str]] = (),
    specimen_ids: Collection[int] = (),
) -> list[WaitingResult]:
    """Unreleased results of some (device, test) pairs or tubes, oldest first.

    The first are what a gate may free or hold, the second what another run of a tube is a rival to.
    """
    found: dict[int, WaitingResult] = {}
    for keys, condition in (
        (pairs, tuple_(Observation.device_id, Observation.test_code).in_(pairs)),
        (specimen_ids, Observation.specimen_id.in_(specimen_ids)),
    ):
        if not keys:
            continue
        query = (
            select(*_WAITING_COLUMNS)
            .join(Specimen, Specimen.id == Observation.specimen_id, isouter=True)
            .where(condition, Observation.bench_state.in_(WAITING_STATES))
        )
        for row in session.execute(query).mappings():
            values = dict(row)
            values["holds"] = tuple(values["holds"])
            found[row["id"]] = WaitingResult(**values)
    return [found[key] for key in sorted(found)]


def work_orders_by_public_id(
    session: Session, public_ids: Collection[str]
) -> dict[str, tuple[int, WorkOrderState]]:
    """Key and state of work orders that an instrument says it took."""
    if not public_ids:
        return {}
    query = select(WorkOrder.public_id, WorkOrder.id, WorkOrder.state).where(
        WorkOrder.public_id.in_(public_ids)
    )
    return {row.public_id: (row.id, row.state) for row in session.execute(query)}


def open_alarms(session: Session, kinds: Collection[str]) -> set[tuple[str, str]]:
    """(kind, subject) of alarms that nobody has closed."""
    query = select(Alarm.kind, Alarm.subject).where(
        Alarm.closed_at.is_(None), Alarm.kind.in_(kinds)
    )
    return {(row.kind, row.subject) for row in session.execute(query)}


def reserve_ids(session: Session, row: type[Base], count: int) -> range | list[int]:
    """Keys for `count` new rows, so that rows that point at each other go in with bulk inserts.

    On SQLite the transaction is the only writer and rows are never deleted: the next keys are ours.
    """
    table = row.__tablename__
    if session.get_bind().dialect.name == "sqlite":
        highest = session.execute(text(f"SELECT max(id) FROM {table}")).scalar() or 0  # noqa: S608
        return range(highest + 1, highest + 1 + count)
    numbers = text(
        "SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)"
    )
    return list(session.scalars(numbers, {"name": table, "count": count}))


def insert_rows(session: Session, row: type[Base], rows: list[dict[str, Any]]) -> None:
    """One bulk insert; every dictionary names the same columns."""
    if rows:
        session.execute(insert(row.__table__), rows)  # type: ignore[arg-type]


def update_rows(session: Session, row: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Bulk update by key; all mappings of one call name the same columns beside `id`."""
    values = [dict(one) for one in rows]
    if values:
        session.execute(update(row), values)


def audit_head(session: Session) -> int:
    """The newest audit entry: as long as it is the same, nothing clinical has changed."""
    return session.scalar(select(func.max(Audit.id))) or 0


def mark_inbox(session: Session, rows: list[dict[str, Any]]) -> None:
    """Move inbox rows out of NEW; a row is `id`, `state`, `processed_at`, `hold_reason`, `verdict`."""
    update_rows(session, Inbox, rows)


def unreadable_by_id(session: Session, record_id: int) -> UnreadableRecord | None:
    """One record that could not be read."""
    return session.get(UnreadableRecord, record_id)


def _columns(row: type[Base], facts: type[Any]) -> list[InstrumentedAttribute[Any]]:
    """The columns that a facts class names; its field names are the row's."""
    return [getattr(row, name) for name in facts.__dataclass_fields__]


_RUN_COLUMNS = (
    Observation.id,
    Observation.run_key,
    Observation.specimen_id,
    Observation.test_code.label("test"),
    Observation.reported,
    Observation.reported_unit.label("unit"),
    Observation.reported_flags.label("flags"),
    Observation.reported_status.label("status"),
    Observation.record,
    Observation.inbox_id,
    Observation.created_at,
    Observation.bench_state,
    Observation.version,
    Observation.is_chosen,
    Observation.device_id,
    Observation.position,
)
_WAITING_COLUMNS = (
    Observation.id,
    Observation.device_id,
    Observation.test_code.label("test"),
    Observation.module,
    Observation.reagent_lot,
    Observation.analysed_at,
    Observation.holds,
    Observation.verdicts,
    Observation.bench_state,
    Observation.row_version,
    Observation.is_chosen,
    Observation.flag,
    Observation.inbox_id,
    Observation.specimen_id,
    Observation.patient_id,
    Observation.service_request_id,
    Observation.work_order_id,
    Observation.value,
    Observation.reported,
    Observation.unit,
    Observation.method,
    Observation.comparator,
    Specimen.collected_from.label("collected_at"),
)
