"""The rows a person acts on, loaded and locked together, and checked against what they saw (S07).

One action may concern one row or a screenful; either way the rows, their fresh rendering, gates, orders and
tubes are read in a few set queries, so that a bulk action holds the write lock as briefly as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from lis.domain.catalog import Catalog
from lis.domain.control import GateKey
from lis.domain.errors import NotFound, Refused, StaleVersion
from lis.domain.messages import (
    IdReadMode,
    Reason,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
    ValueBasis,
)
from lis.domain.quantity import Comparator, ReportedValue
from lis.qc.recording import ControlFold, Reading
from lis.results.autoverification import judge_gate
from lis.results.interpretation import CRITICAL_FLAGS
from lis.results.lanes import lane_of
from lis.results.reads import Row, rows_by_id
from lis.results.reporting import ReportedRun
from lis.results.verdicts import RuleVerdict
from lis.store.order_queries import service_requests_by_ids
from lis.store.quarantine_queries import quarantined_tests
from lis.store.rows import Observation, ServiceRequest, Specimen
from lis.store.unit import Unit
from lis.store.worklist_queries import lock_observations, runs_of_tubes, specimens_by_ids

COMMENT_MAX = 2_000  # characters; a report is not a letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the person saw."""

    observation_id: int
    version: int  # row_version
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Rows by key, locked, with everything that decides about them."""

    unit: Unit
    catalog: Catalog
    rows: dict[int, Observation]
    fresh: dict[int, Row]
    controls: ControlFold
    requests: dict[int, ServiceRequest]
    specimens: dict[int, Specimen]
    tubes: dict[tuple[int, str], list[Observation]]  # all runs of each tube and test
    quarantined: set[tuple[int, str]]  # (device, test) that nobody has cleared yet (S23)

    @classmethod
    def load(
        cls,
        unit: Unit,
        catalog: Catalog,
        ids: Sequence[int],
        *,
        tests: Mapping[int, str] = MappingProxyType({}),
    ) -> "Desk":
        """Lock the rows and read what is around them; `tests`: of rows that have none yet, by row."""
        session = unit.session
        rows = lock_observations(session, ids)
        return cls(
            unit=unit,
            catalog=catalog,
            rows=rows,
            fresh={one["id"]: one for one in rows_by_id(session, catalog, ids)},
            controls=ControlFold.load(
                unit, catalog, [_reading(row, tests) for row in rows.values()]
            ),
            requests=service_requests_by_ids(
                session, {row.service_request_id or 0 for row in rows.values()}
            ),
            specimens=specimens_by_ids(session, {row.specimen_id or 0 for row in rows.values()}),
            tubes=runs_of_tubes(
                session,
                {
                    (row.specimen_id, tests.get(row.id, row.test_code))
                    for row in rows.values()
                    if row.specimen_id
                },
            ),
            quarantined=quarantined_tests(session, {row.device_id or 0 for row in rows.values()}),
        )

    def as_shown(self, shown: Shown) -> Observation:
        """The row if it is still what the person saw; else `StaleVersion` with the fresh row."""
        row = self.row(shown.observation_id)
        fresh = self.fresh[row.id]
        if fresh["row_version"] != shown.version or fresh["shown_hash"] != shown.hash:
            raise StaleVersion("stale_version", fresh=fresh)
        return row

    def row(self, observation_id: int) -> Observation:
        """One row; raise `NotFound`."""
        row = self.rows.get(observation_id)
        if row is None:
            raise NotFound("observation", observation_id)
        return row

    def siblings(self, row: Observation) -> list[Observation]:
        """The other runs and versions of the same tube and test."""
        if row.specimen_id is None:
            return []
        runs = self.tubes.get((row.specimen_id, row.test_code), [])
        return [run for run in runs if run.id != row.id]

    def gate_of(self, row: Observation) -> RuleVerdict:
        """Ask the gate of a stored result again; its row is locked against a control arriving now."""
        test = self.catalog.tests.get(row.test_code)
        if test is None or row.device_id is None:
            raise Refused(Reason.UNKNOWN_TEST.value)
        if row.analysed_at is None:
            return judge_gate(test=test, gate=None, excuse=None)
        key = GateKey(
            device_id=row.device_id,
            test=test.code,
            module=row.module,
            reagent_lot=row.reagent_lot,
        )
        gate = self.controls.verdict(key, row.analysed_at)
        excuse = self.controls.excuse(key, gate, row.analysed_at)
        return judge_gate(test=test, gate=gate, excuse=excuse)

    def moved(self, row: Observation, action: str, user: str, **after: object) -> None:
        """A bench change: version, lane, audit, hint."""
        row.row_version += 1
        row.lane = lane_of(
            bench_state=row.bench_state,
            is_matched=row.patient_id is not None and row.test_code != "",
            is_critical=row.flag in CRITICAL_FLAGS or Reason.CRITICAL.value in row.holds,
            holds=[Reason(reason) for reason in row.holds],
        ).value
        self.unit.audit(
            action,
            "observation",
            row.id,
            after={"user": user, "bench_state": row.bench_state.value, "holds": row.holds} | after,
        )
        self.unit.publish("observation", row.id)

    def shows(self, row: Observation) -> Row:
        """The row as it looks after the change."""
        self.unit.session.flush()
        return rows_by_id(self.unit.session, self.catalog, [row.id])[0]


def say(row: Observation, verdict: RuleVerdict) -> None:
    """Keep what a person or a rule said about a row."""
    row.verdicts = [*row.verdicts, verdict.document()]


def as_run(row: Observation) -> ReportedRun:
    """What a report must know about a stored observation."""
    return ReportedRun(
        id=row.id,
        test=row.test_code,
        bench_state=row.bench_state,
        status=row.status,
        is_chosen=row.is_chosen,
        visible_from=row.visible_from,
    )


def needed(text: str) -> str:
    """A text that may not be empty: rejecting and choosing always ask for a reason."""
    stripped = text.strip()
    if not stripped:
        raise Refused("reason_required")
    if len(stripped) > COMMENT_MAX:
        raise Refused("comment_too_long", limit=COMMENT_MAX)
    return stripped


def reported_of(row: Observation, read_mode: IdReadMode) -> ReportedObservation:
    """A stored value as the instrument sent it, to be judged again for another tube."""
    reading = [
        Reason(verdict["reason"])
        for verdict in row.verdicts
        if verdict["rule"] == "reading" and verdict["reason"]
    ]
    return ReportedObservation(
        record=row.record,
        kind=SubjectKind.PATIENT,
        specimen=row.specimen_text,
        read_mode=read_mode,
        test=row.instrument_code,
        value=ReportedValue(
            text=row.reported,
            comparator=Comparator(row.comparator) if row.comparator else None,
            number=row.value if row.value is None else Decimal(row.value),
        ),
        unit=row.reported_unit,
        flags=tuple(row.reported_flags),
        is_abnormal_flagged=any(
            verdict["reason"] == Reason.INSTRUMENT_FLAG.value for verdict in row.verdicts
        ),
        status=ResultStatus(row.reported_status),
        observed_at=row.analysed_at,
        run=row.run,
        dilution=row.dilution,
        basis=ValueBasis(row.basis),
        operator=row.operator,
        module=row.module,
        reagent_lot=row.reagent_lot,
        holds=tuple(dict.fromkeys(reading)),
        comment=row.comment,
    )


def _reading(row: Observation, tests: Mapping[int, str]) -> Reading:
    return Reading(
        device_id=row.device_id or 0,
        test_code=tests.get(row.id, row.test_code),
        at=row.analysed_at,
        observation=reported_of(row, IdReadMode.UNSTATED),
    )
