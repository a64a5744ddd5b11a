"""Queries about controls: what is loaded, what was measured lately, and the gate projections.

Intake asks in sets: one statement for all gates of a batch. "The last n runs of each gate" is a union of
one short index walk per gate, because a window function would read the whole history of each.
On PostgreSQL gate rows are locked in key order, exclusively by whoever records controls and shared by
whoever releases; on SQLite a unit already owns the only write lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.orm import Session

from lis.domain.control import GateKey
from lis.store.base import Base
from lis.store.rows import (
    ControlLevel,
    ControlLot,
    ControlMaterial,
    ControlPoint,
    ControlRun,
    Device,
    GateException,
    GateProjection,
    ReagentLoad,
    Target,
)

KEYS_PER_STATEMENT = 100  # SQLite allows 500 members of a compound select; a gate takes two
IDS_PER_STATEMENT = 500
POINTS_LISTED_MAX = 20_000  # one chart: 3 levels, a year of 4 runs a day is 4,400


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedLevel:
    """One level of a lot in use."""

    level_id: int
    level: str
    specimen_ids: tuple[str, ...]
    lot_id: int
    lot: str
    material_id: int
    material: str


def levels_in_use(session: Session) -> list[LoadedLevel]:
    """Every level of every lot in use."""
    query = (  # columns, not entities: every batch of intake asks, for every level there is
        select(
            ControlLevel.id,
            ControlLevel.level,
            ControlLevel.specimen_ids,
            ControlLot.id,
            ControlLot.lot,
            ControlMaterial.id,
            ControlMaterial.name,
        )
        .join(ControlLot, ControlLot.id == ControlLevel.lot_id)
        .join(ControlMaterial, ControlMaterial.id == ControlLot.material_id)
        .where(ControlLot.is_in_use)
        .order_by(ControlLevel.id)
    )
    return [
        LoadedLevel(
            level_id=level_id,
            level=level,
            specimen_ids=tuple(str(one) for one in specimen_ids),
            lot_id=lot_id,
            lot=lot,
            material_id=material_id,
            material=material,
        )
        for level_id, level, specimen_ids, lot_id, lot, material_id, material in session.execute(
            query
        )
    ]


def targets_of(
    session: Session,
    level_ids: Collection[int],
    tests: Collection[str],
    device_ids: Collection[int],
) -> list[Target]:
    """All targets of some levels and tests, general ones and those of some devices, the later in force last."""
    query = (
        select(Target)
        .where(
            Target.level_id.in_(level_ids),
            Target.test_code.in_(tests),
            or_(Target.device_id.is_(None), Target.device_id.in_(device_ids)),
        )
        .order_by(Target.effective_from, Target.id)
    )
    return list(session.scalars(query))


def all_targets_in_use(session: Session) -> list[Target]:
    """The targets of all lots in use, those in force later last."""
    query = (
        select(Target)
        .join(ControlLevel, ControlLevel.id == Target.level_id)
        .join(ControlLot, ControlLot.id == ControlLevel.lot_id)
        .where(ControlLot.is_in_use)
        .order_by(Target.effective_from, Target.id)
    )
    return list(session.scalars(query))


def reagent_loads(
    session: Session, device_ids: Collection[int], *, since: datetime
) -> list[ReagentLoad]:
    """What was loaded on some devices, unless it was unloaded before `since`."""
    query = select(ReagentLoad).where(
        ReagentLoad.device_id.in_(device_ids),
        or_(ReagentLoad.unloaded_at.is_(None), ReagentLoad.unloaded_at >= since),
    )
    return list(session.scalars(query.order_by(ReagentLoad.id)))


def exceptions_running(
    session: Session, now: datetime, device_ids: Collection[int] | None = None
) -> list[GateException]:
    """Gate exceptions that have not ended, the first to end first."""
    query = select(GateException).where(GateException.ends_at > now)
    if device_ids is not None:
        query = query.where(GateException.device_id.in_(device_ids))
    return list(session.scalars(query.order_by(GateException.ends_at, GateException.id)))


def exception_by_id(session: Session, exception_id: int) -> GateException | None:
    """One gate exception."""
    return session.get(GateException, exception_id)


# --- gates --------------------------------------------------------------------------------------


def gate_rows(
    session: Session, gates: Collection[tuple[int, str]], *, lock: str = ""
) -> list[GateProjection]:
    """The projections of some (device, test) pairs, all modules and lots.

    `lock`: "update" for whoever records controls, "share" for whoever releases, "" for readers.
    """
    if not gates:
        return []
    query = (
        select(GateProjection)
        .where(tuple_(GateProjection.device_id, GateProjection.test_code).in_(sorted(gates)))
        .order_by(GateProjection.id)
        .execution_options(populate_existing=True)
    )
    if lock:  # SQLite's dialect leaves the clause out
        query = query.with_for_update(read=lock == "share")
    return list(session.scalars(query))


def all_gate_rows(session: Session) -> list[GateProjection]:
    """Every gate projection."""
    return list(session.scalars(select(GateProjection).order_by(GateProjection.id)))


def ensure_gate_rows(session: Session, keys: Iterable[GateKey]) -> None:
    """Make sure there is a row to lock. Only PostgreSQL has writers that could meet here."""
    values = [_gate_values(key) for key in sorted(keys)]
    if values and session.get_bind().dialect.name == "postgresql":
        statement = postgresql_insert(GateProjection).values(
            [
                {**one, "events": "[]", "actions": "[]", "window_s": 0, "version": 0}
                for one in values
            ]
        )
        session.execute(statement.on_conflict_do_nothing())


def write_gates(
    session: Session, gates: Iterable[tuple[GateKey, int | None, Mapping[str, Any]]]
) -> None:
    """Store gate projections; a row id of None inserts one."""
    written = list(gates)
    new = [
        {**_gate_values(key), "version": 1, **values}
        for key, row_id, values in written
        if row_id is None
    ]
    if new:
        session.execute(insert(GateProjection), new)
    known = [{"id": row_id, **values} for _, row_id, values in written if row_id is not None]
    _update_versioned(session, _GATE, known)


def _gate_values(key: GateKey) -> dict[str, Any]:
    return {
        "device_id": key.device_id,
        "test_code": key.test,
        "module": key.module,
        "reagent_lot": key.reagent_lot,
        "specimen_type": key.specimen_type,
    }


# --- runs and points ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A control run as it is stored."""

    id: int
    public_id: str
    device_id: int
    test_code: str
    module: str
    reagent_lot: str
    specimen_type: str
    at: datetime
    verdict: Any
    violations: dict[str, Any]
    conventions: dict[str, Any]
    needs_action: bool
    action: str
    action_by: str
    action_at: datetime | None
    version: int

    @property
    def key(self) -> GateKey:
        return GateKey(
            device_id=self.device_id,
            test=self.test_code,
            module=self.module,
            reagent_lot=self.reagent_lot,
            specimen_type=self.specimen_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPoint:
    """A control point as it is stored, with the lot its level belongs to."""

    id: int
    run_id: int
    level_id: int
    at: datetime
    run_key: str
    reported: str
    mean: Decimal
    sd: Decimal
    level: str
    value: Decimal | None
    target_id: int | None
    is_flagged: bool
    voided_at: datetime | None
    void_reason: str
    comment: str
    lot_id: int
    lot: str
    material_id: int


# Tables rather than rows: on the intake path nobody needs the identity map.
_RUN, _POINT, _GATE, _LEVEL, _LOT = (
    Base.metadata.tables[row.__tablename__]
    for row in (ControlRun, ControlPoint, GateProjection, ControlLevel, ControlLot)
)
_RUN_COLUMNS = tuple(_RUN.c[field.name] for field in fields(StoredRun))
_POINT_COLUMNS = (
    *(
        _POINT.c[field.name]
        for field in fields(StoredPoint)
        if field.name not in {"lot_id", "lot", "material_id"}
    ),
    _LEVEL.c.lot_id,
    _LOT.c.lot,
    _LOT.c.material_id,
)


def runs_around(session: Session, since: Mapping[GateKey, datetime], count: int) -> list[StoredRun]:
    """For each gate its last `count` runs before a moment, and all runs from that moment on."""
    keys, found = sorted(since), []
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        members: list[Select[Any]] = []
        for key in keys[start : start + KEYS_PER_STATEMENT]:
            runs = select(_RUN.c.id).where(_is_of(key))
            earlier = runs.where(_RUN.c.at < since[key])
            last = earlier.order_by(_RUN.c.at.desc(), _RUN.c.id.desc()).limit(count)
            members.append(select(last.subquery().c.id))
            members.append(runs.where(_RUN.c.at >= since[key]))
        ids = union_all(*members).subquery()
        query = select(*_RUN_COLUMNS).join(ids, ids.c.id == _RUN.c.id)
        found += [StoredRun(**row) for row in session.execute(query).mappings()]
    return found


def last_runs(session: Session, device_id: int, test_code: str, count: int) -> list[StoredRun]:
    """The newest runs of a test on a device over all its gates, oldest first."""
    query = (
        select(*_RUN_COLUMNS)
        .where(_RUN.c.device_id == device_id, _RUN.c.test_code == test_code)
        .order_by(_RUN.c.at.desc(), _RUN.c.id.desc())
        .limit(count)
    )
    return [StoredRun(**row) for row in session.execute(query).mappings()][::-1]


def points_of_runs(session: Session, run_ids: Collection[int]) -> list[StoredPoint]:
    """The points of some runs."""
    ids, found = sorted(run_ids), []
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        query = (
            select(*_POINT_COLUMNS)
            .join(_LEVEL, _LEVEL.c.id == _POINT.c.level_id)
            .join(_LOT, _LOT.c.id == _LEVEL.c.lot_id)
            .where(_POINT.c.run_id.in_(ids[start : start + IDS_PER_STATEMENT]))
        )
        found += [StoredPoint(**row) for row in session.execute(query).mappings()]
    return found


def run_by_id(session: Session, run_id: int) -> ControlRun | None:
    """One control run, as a row to change."""
    return session.get(ControlRun, run_id, populate_existing=True)


def key_of_run(run: ControlRun) -> GateKey:
    """The gate a run belongs to."""
    return GateKey(
        device_id=run.device_id,
        test=run.test_code,
        module=run.module,
        reagent_lot=run.reagent_lot,
        specimen_type=run.specimen_type,
    )


def point_by_id(session: Session, point_id: int) -> ControlPoint | None:
    """One control point, as a row to change."""
    return session.get(ControlPoint, point_id, populate_existing=True)


def device_names(session: Session) -> dict[int, str]:
    """The name of every device."""
    return {row.id: row.name for row in session.execute(select(Device.id, Device.name))}


def device_drivers(session: Session) -> dict[int, str]:
    """The driver of every device."""
    return {row.id: row.driver for row in session.execute(select(Device.id, Device.driver))}


def reserve_run_ids(session: Session, count: int, *, above: int = 0) -> list[int]:
    """Ids for runs that will be inserted in this transaction, so that verdicts can name them.

    `above`: the last id reserved before in the same transaction and perhaps not inserted yet.
    """
    if session.get_bind().dialect.name == "postgresql":
        sequence = text(
            "SELECT nextval(pg_get_serial_sequence('control_run', 'id')) "
            "FROM generate_series(1, :count)"
        )
        return [int(value) for value in session.execute(sequence, {"count": count}).scalars()]
    last = session.execute(select(func.coalesce(func.max(ControlRun.id), 0))).scalar_one()
    first = max(int(last), above) + 1
    return list(range(first, first + count))  # the unit holds the only write lock


def insert_runs(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert control runs with their reserved ids."""
    if rows:
        session.execute(insert(ControlRun), rows)


def insert_points(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert control points."""
    if rows:
        session.execute(insert(ControlPoint), rows)


def update_runs(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Update what judging may change, by `id`; the version moves on."""
    _update_versioned(session, _RUN, rows)


def _update_versioned(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        changing: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in rows[0] if name != "id"
        }
        statement = (
            update(table)
            .where(table.c.id == bindparam("of_id"))
            .values(version=table.c.version + 1, **changing)
        )
        session.connection().execute(statement, [_bound(row, "id") for row in rows])


def move_points(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Give points to another run: `id` and `run_id`."""
    if rows:
        statement = (
            update(_POINT)
            .where(_POINT.c.id == bindparam("of_id"))
            .values(run_id=bindparam("new_run_id"))
        )
        session.connection().execute(statement, [_bound(row, "id") for row in rows])


def _bound(row: Mapping[str, Any], identity: str) -> dict[str, Any]:
    values = {f"new_{name}": value for name, value in row.items() if name != identity}
    return {f"of_{identity}": row[identity], **values}


def _is_of(key: GateKey) -> Any:
    return and_(
        _RUN.c.device_id == key.device_id,
        _RUN.c.test_code == key.test,
        _RUN.c.module == key.module,
        _RUN.c.reagent_lot == key.reagent_lot,
        _RUN.c.specimen_type == key.specimen_type,
    )
