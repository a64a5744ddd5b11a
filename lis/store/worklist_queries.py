"""Queries of the validation screens: a page of waiting results, their history, one result in full."""

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import Select, func, literal, select, text, tuple_, update
from sqlalchemy.orm import Session

from lis.domain.lifecycle import BenchState
from lis.store.observation_rows import CriticalCall, Observation, UnreadableRecord
from lis.store.order_rows import Requisition, ServiceRequest, Specimen
from lis.store.people_rows import Patient, PatientIdentifier
from lis.store.system_rows import Audit
from lis.store.traffic_rows import Device, Inbox

HISTORY_POINTS_MAX = 7  # a sparkline
DETAIL_HISTORY_MAX = 50
AUDIT_MAX = 200
_WAITS = text("observation.lane <> ''")  # as written in the partial index, or it is not used


def waiting_page(
    session: Session, *, lane: str, tests: Collection[str] | None, after: int, limit: int
) -> list[dict[str, Any]]:
    """One page of a lane in key order, with tube, patient and analyzer."""
    query = _rows().where(Observation.lane == lane, _WAITS, Observation.id > after)
    if tests is not None:
        query = query.where(Observation.test_code.in_(tests))
    return _dicts(session, query.order_by(Observation.id).limit(limit))


def results_by_id(session: Session, ids: Collection[int]) -> list[dict[str, Any]]:
    """Results by key in the form of `waiting_page`, whatever their state."""
    return _dicts(session, _rows().where(Observation.id.in_(ids)).order_by(Observation.id))


def lane_counts(session: Session, tests: Collection[str] | None) -> dict[str, int]:
    """How many results wait in each lane."""
    query = select(Observation.lane, func.count().label("waiting")).where(_WAITS)
    if tests is not None:
        query = query.where(Observation.test_code.in_(tests))
    return {row.lane: row.waiting for row in session.execute(query.group_by(Observation.lane))}


def histories(
    session: Session, pairs: Collection[tuple[int, str]]
) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """The newest released values of some (patient, test) pairs, oldest first.

    One short index walk per pair: a window function would read every value of every patient.
    """
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    if not pairs:
        return found
    keys = sorted(pairs)
    if session.get_bind().dialect.name == "sqlite":
        query, values = _HISTORIES_SQLITE, _values(pairs=orjson.dumps(keys).decode())
    else:
        query = _HISTORIES_POSTGRESQL
        values = _values(patients=[one for one, _ in keys], tests=[test for _, test in keys])
    for row in session.execute(query, values).mappings():
        found.setdefault((row["patient_id"], row["test_code"]), []).append(dict(row))
    return found


def history_of(session: Session, patient_id: int, test: str) -> list[dict[str, Any]]:
    """The newest released values of one patient and test, oldest first."""
    query = (
        select(*_HISTORY)
        .where(*_released_of(patient_id, test))
        .order_by(Observation.analysed_at.desc())
        .limit(DETAIL_HISTORY_MAX)
    )
    return [dict(row) for row in session.execute(query).mappings()][::-1]


def runs_of(session: Session, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Every run and version of the same tube and test, or of the same unmatched run."""
    if row["specimen_id"] is not None and row["test_code"]:
        same = (Observation.specimen_id == row["specimen_id"]) & (
            Observation.test_code == row["test_code"]
        )
    else:
        same = Observation.run_key == row["run_key"]
    return _dicts(session, _rows().where(same).order_by(Observation.id))


def calls_of(session: Session, observation_id: int) -> list[CriticalCall]:
    """The critical calls of one result, oldest first."""
    query = select(CriticalCall).where(CriticalCall.observation_id == observation_id)
    return list(session.scalars(query.order_by(CriticalCall.id)))


def call_by_id(session: Session, call_id: int) -> CriticalCall | None:
    """One critical call."""
    return session.get(CriticalCall, call_id)


def audit_of(session: Session, observation_id: int, inbox_id: int | None) -> list[Audit]:
    """What happened to a result and to the message it came in, oldest first."""
    keys = [("observation", str(observation_id))]
    if inbox_id is not None:
        keys.append(("inbox", str(inbox_id)))
    query = select(Audit).where(tuple_(Audit.entity, Audit.entity_key).in_(keys))
    return list(session.scalars(query.order_by(Audit.id).limit(AUDIT_MAX)))


def inbox_row(session: Session, inbox_id: int) -> Inbox | None:
    """The stored message behind a result."""
    return session.get(Inbox, inbox_id)


def lock_observations(session: Session, ids: Collection[int]) -> dict[int, Observation]:
    """Observations as rows to change, locked in key order."""
    query = select(Observation).where(Observation.id.in_(ids)).order_by(Observation.id)
    locked = query.with_for_update().execution_options(populate_existing=True)
    return {row.id: row for row in session.scalars(locked)}


def runs_of_tubes(
    session: Session, tubes: Collection[tuple[int, str]]
) -> dict[tuple[int, str], list[Observation]]:
    """All runs and versions of some (specimen, test) pairs, oldest first."""
    found: dict[tuple[int, str], list[Observation]] = {}
    if not tubes:
        return found
    query = select(Observation).where(
        tuple_(Observation.specimen_id, Observation.test_code).in_(tubes)
    )
    for row in session.scalars(query.order_by(Observation.id)):
        if row.specimen_id is not None:
            found.setdefault((row.specimen_id, row.test_code), []).append(row)
    return found


def specimens_by_ids(session: Session, ids: Collection[int]) -> dict[int, Specimen]:
    """Tubes by key."""
    query = select(Specimen).where(Specimen.id.in_(ids))
    return {row.id: row for row in session.scalars(query)}


def confirm_calls(session: Session, observation_ids: Collection[int]) -> None:
    """The values were verified: their critical calls are no longer "unconfirmed" (S09)."""
    session.execute(
        update(CriticalCall)
        .where(CriticalCall.observation_id.in_(observation_ids))
        .values(is_confirmed=True)
    )


def identifier_values(session: Session, patient_id: int) -> set[str]:
    """Every identifier a patient is known by."""
    query = select(PatientIdentifier.value).where(PatientIdentifier.patient_id == patient_id)
    return set(session.scalars(query))


def open_unreadable(session: Session, *, after: int, limit: int) -> list[UnreadableRecord]:
    """Records that could not be read and nobody has resolved, in key order."""
    query = select(UnreadableRecord).where(
        UnreadableRecord.resolved_at.is_(None), UnreadableRecord.id > after
    )
    return list(session.scalars(query.order_by(UnreadableRecord.id).limit(limit)))


def _values(**values: Any) -> dict[str, Any]:
    return {**values, "count": HISTORY_POINTS_MAX}


def _released_of(patient_id: int, test: str) -> tuple[Any, ...]:
    return (
        Observation.patient_id == literal(patient_id),
        Observation.test_code == literal(test),
        Observation.bench_state == BenchState.RELEASED,
        Observation.is_chosen,
    )


def _rows() -> Select[Any]:
    return (
        select(*_COLUMNS)
        .join(Specimen, Specimen.id == Observation.specimen_id, isouter=True)
        .join(Patient, Patient.id == Observation.patient_id, isouter=True)
        .join(Device, Device.id == Observation.device_id, isouter=True)
        .join(ServiceRequest, ServiceRequest.id == Observation.service_request_id, isouter=True)
        .join(Requisition, Requisition.id == ServiceRequest.requisition_id, isouter=True)
    )


def _dicts(session: Session, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(query).mappings()]


_HISTORY = (
    Observation.id,
    Observation.patient_id,
    Observation.test_code,
    Observation.value,
    Observation.comparator,
    Observation.reported,
    Observation.unit,
    Observation.flag,
    Observation.method,
    Observation.analysed_at,
)
_HISTORY_NAMES = ", ".join(f"o.{column.key}" for column in _HISTORY)
_HISTORIES_SQLITE = text(
    f"""
    SELECT {_HISTORY_NAMES} FROM json_each(:pairs) AS pair
    JOIN observation AS o ON o.id IN (
        SELECT h.id FROM observation AS h
        WHERE h.patient_id = json_extract(pair.value, '$[0]')
          AND h.test_code = json_extract(pair.value, '$[1]')
          AND h.bench_state = 'released' AND h.is_chosen
        ORDER BY h.analysed_at DESC LIMIT :count
    ) ORDER BY o.analysed_at
    """  # noqa: S608 - column names of our own
).columns(*_HISTORY)
_HISTORIES_POSTGRESQL = text(
    f"""
    SELECT {_HISTORY_NAMES}
    FROM unnest(CAST(:patients AS bigint[]), CAST(:tests AS text[])) AS pair(patient_id, test)
    CROSS JOIN LATERAL (
        SELECT h.* FROM observation AS h
        WHERE h.patient_id = pair.patient_id AND h.test_code = pair.test
          AND h.bench_state = 'released' AND h.is_chosen
        ORDER BY h.analysed_at DESC LIMIT :count
    ) AS o ORDER BY o.analysed_at
    """  # noqa: S608 - column names of our own
).columns(*_HISTORY)
_COLUMNS = (
    Observation.id,
    Observation.public_id,
    Observation.row_version,
    Observation.version,
    Observation.previous_id,
    Observation.run_key,
    Observation.lane,
    Observation.bench_state,
    Observation.status,
    Observation.holds,
    Observation.verdicts,
    Observation.test_code,
    Observation.instrument_code,
    Observation.reported,
    Observation.comparator,
    Observation.value,
    Observation.unit,
    Observation.flag,
    Observation.interval_text,
    Observation.interval_reason,
    Observation.reported_flags,
    Observation.comment,
    Observation.supplements,
    Observation.dilution,
    Observation.basis,
    Observation.is_chosen,
    Observation.analysed_at,
    Observation.created_at,
    Observation.visible_from,
    Observation.validator,
    Observation.inbox_id,
    Observation.record,
    Observation.specimen_text,
    Observation.specimen_id,
    Observation.patient_id,
    Observation.service_request_id,
    Observation.device_id,
    Device.name.label("device"),
    Specimen.accession,
    Specimen.specimen_type,
    Specimen.collected_from,
    Specimen.collected_certainty,
    Specimen.state.label("specimen_state"),
    Patient.public_id.label("patient_public_id"),
    Patient.family_name,
    Patient.given_name,
    Patient.middle_name,
    Patient.sex,
    Patient.birth_date,
    ServiceRequest.priority,
    Requisition.ward,
)
