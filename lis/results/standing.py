"""Where one result stands while a batch is folded: stored before, or new in this batch.

A standing is the only mutable thing of the fold. It moves by the bench's state table and remembers whether
it changed, so that the batch is written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from lis.domain.control import GateKey
from lis.domain.lifecycle import BENCH, OUTWARD, BenchEvent, BenchState, OutwardEvent
from lis.domain.messages import Reason, ResultStatus
from lis.domain.result_facts import PastValue, WaitingResult
from lis.results.interpretation import CRITICAL_FLAGS
from lis.results.judging import Judgement
from lis.results.lanes import lane_of
from lis.results.reporting import ReportedRun
from lis.results.verdicts import RuleVerdict


@dataclass(slots=True, kw_only=True)
class Standing:
    """One result and what may still happen to it."""

    id: int
    gate_key: GateKey | None
    analysed_at: datetime | None
    holds: tuple[Reason, ...]
    verdicts: list[Any]
    bench_state: BenchState
    row_version: int
    is_chosen: bool
    is_critical: bool
    test: str
    inbox_id: int | None
    specimen_id: int | None
    patient_id: int | None
    service_request_id: int | None
    value: Decimal | None
    reported: str
    unit: str
    method: str
    is_censored: bool
    collected_at: datetime | None
    status: ResultStatus = ResultStatus.REGISTERED
    released_at: datetime | None = None
    validator: str = ""
    is_new: bool = False
    is_changed: bool = False

    def hold(self, reasons: tuple[Reason, ...], verdict: RuleVerdict) -> None:
        """Take other hold reasons because a rule spoke again."""
        self.holds = reasons
        self.verdicts = [*self.verdicts, verdict]
        self.bench_state = BENCH.apply(self.bench_state, BenchEvent.HOLD)
        self._changed()

    def keep_waiting(self) -> None:
        """A new result that may not go: it stands held."""
        self.bench_state = BENCH.apply(self.bench_state, BenchEvent.HOLD)

    def release(self, *, at: datetime, validator: str) -> None:
        """Let it go: bench and outward state move together."""
        self.bench_state = BENCH.apply(self.bench_state, BenchEvent.RELEASE)
        self.status = OUTWARD.apply(self.status, OutwardEvent.REPORT_FINAL)
        self.released_at, self.validator = at, validator
        self._changed()

    def _changed(self) -> None:
        if not self.is_new:
            self.row_version += 0 if self.is_changed else 1
            self.is_changed = True

    @property
    def lane(self) -> str:
        is_matched = self.patient_id is not None and self.test != ""
        return lane_of(
            bench_state=self.bench_state,
            is_matched=is_matched,
            is_critical=self.is_critical,
            holds=self.holds,
        ).value

    def values(self) -> dict[str, Any]:
        """The columns that may have changed."""
        return {
            "bench_state": self.bench_state,
            "status": self.status,
            "lane": self.lane,
            "holds": [reason.value for reason in self.holds],
            "verdicts": self.verdicts,
            "row_version": self.row_version,
            "is_chosen": self.is_chosen,
            "released_at": self.released_at,
            "visible_from": self.released_at,
            "validator": self.validator,
        }

    def as_run(self) -> ReportedRun:
        """What its report must know."""
        return ReportedRun(
            id=self.id,
            test=self.test,
            bench_state=self.bench_state,
            status=self.status,
            is_chosen=self.is_chosen,
            visible_from=self.released_at,
        )

    def as_past(self) -> PastValue:
        """What a later delta compares with."""
        return PastValue(
            observation_id=self.id,
            value=self.value,
            text=self.reported,
            unit=self.unit,
            method=self.method,
            collected_at=self.collected_at,
            analysed_at=self.analysed_at,
            is_censored=self.is_censored,
        )


def new_standing(
    row: Mapping[str, Any], judged: Judgement, collected_at: datetime | None
) -> Standing:
    """The standing of a value that was just judged."""
    test, at = row["test_code"], row["analysed_at"]
    key = (
        GateKey(
            device_id=row["device_id"],
            test=test,
            module=row["module"],
            reagent_lot=row["reagent_lot"],
        )
        if test and at is not None and row["specimen_id"] is not None
        else None
    )
    return Standing(
        id=row["id"],
        gate_key=key,
        analysed_at=at,
        holds=judged.rules.holds,
        verdicts=list(judged.rules.verdicts),
        bench_state=BenchState.RECEIVED,
        row_version=1,
        is_chosen=judged.run.is_chosen,
        is_critical=judged.is_critical,
        test=test,
        inbox_id=row["inbox_id"],
        specimen_id=row["specimen_id"],
        patient_id=row["patient_id"],
        service_request_id=row["service_request_id"],
        value=row["value"],
        reported=row["reported"],
        unit=row["unit"],
        method=row["method"],
        is_censored=row["comparator"] != "",
        collected_at=collected_at,
        is_new=True,
    )


def stored_standing(result: WaitingResult) -> Standing:
    """The standing of a result that was stored earlier and still waits."""
    return Standing(
        id=result.id,
        gate_key=GateKey(
            device_id=result.device_id,
            test=result.test,
            module=result.module,
            reagent_lot=result.reagent_lot,
        )
        if result.device_id is not None and result.test and result.specimen_id is not None
        else None,
        analysed_at=result.analysed_at,
        holds=tuple(Reason(reason) for reason in result.holds),
        verdicts=list(result.verdicts),
        bench_state=result.bench_state,
        row_version=result.row_version,
        is_chosen=result.is_chosen,
        is_critical=result.flag in CRITICAL_FLAGS or Reason.CRITICAL.value in result.holds,
        test=result.test,
        inbox_id=result.inbox_id,
        specimen_id=result.specimen_id,
        patient_id=result.patient_id,
        service_request_id=result.service_request_id,
        value=result.value,
        reported=result.reported,
        unit=result.unit,
        method=result.method,
        is_censored=bool(result.comparator),
        collected_at=result.collected_at,
    )
