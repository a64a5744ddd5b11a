"""Where one ordered test stands, why it is not ready, and when it is expected: pure.

This is what a person says into the telephone. One code for the place, parameters for the sentence, and a time
only where the laboratory promised one that can still be kept. A value is told only if it has left the bench
and the moment of undo has passed (S03, S08).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState
from lis.orders.turnaround import TatState, Turnaround


class Place(StrEnum):
    """The place of a test on its way, in the order of the way."""

    ORDER_HELD = "order_held"  # a person must decide about the order itself
    NOT_COLLECTED = "not_collected"
    ON_ITS_WAY = "on_its_way"
    TUBE_REJECTED = "tube_rejected"
    TUBE_GONE = "tube_gone"
    WAITS_FOR_ANALYZER = "waits_for_analyzer"
    TOLD_TO_ANALYZER = "told_to_analyzer"
    BEING_MEASURED = "being_measured"
    FAILED = "failed"
    RESULT_REJECTED = "result_rejected"  # measured, and a person refused the value
    HELD = "held"
    WAITS_FOR_PERSON = "waits_for_person"  # no rule objects; nobody has looked yet
    LEAVING = "leaving"  # released this moment, may still be taken back
    READY = "ready"
    CANCELLED = "cancelled"


NO_RESULT: Final = frozenset(
    {
        Place.WAITS_FOR_ANALYZER,
        Place.TOLD_TO_ANALYZER,
        Place.BEING_MEASURED,
        Place.FAILED,
        Place.RESULT_REJECTED,
    }
)
NOT_RELEASED: Final = frozenset({Place.HELD, Place.WAITS_FOR_PERSON})
_CANCELLED_REQUESTS: Final = frozenset({RequestState.REVOKED, RequestState.ENTERED_IN_ERROR})
_PROMISED: Final = frozenset({TatState.RUNNING, TatState.SOON})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The version of a value that counts."""

    bench_state: BenchState
    holds: tuple[str, ...] = ()
    lane: str = ""
    visible_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFacts:
    """One test on one tube."""

    request_state: RequestState
    work_state: WorkOrderState
    specimen_state: SpecimenState
    hold_reason: str = ""
    reject_reason: str = ""
    device: str = ""
    run: RunFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a test is. `detail` is a reason code or text, as `place` says."""

    place: Place
    detail: tuple[str, ...] = ()
    expected_at: datetime | None = None

    @property
    def is_ready(self) -> bool:
        return self.place is Place.READY


def standing(facts: StandingFacts, clock: Turnaround, at: datetime) -> Standing:
    """Where a test is at `at`, and when it is expected."""
    place, detail = _place(facts, at)
    is_due = place in NO_RESULT | NOT_RELEASED and clock.state in _PROMISED
    return Standing(place=place, detail=detail, expected_at=clock.due_at if is_due else None)


def _place(facts: StandingFacts, at: datetime) -> tuple[Place, tuple[str, ...]]:
    if facts.run is not None and facts.run.bench_state is BenchState.RELEASED:
        is_out = facts.run.visible_from is not None and facts.run.visible_from <= at
        return (Place.READY if is_out else Place.LEAVING), ()
    if facts.request_state in _CANCELLED_REQUESTS:
        return Place.CANCELLED, ()
    if facts.request_state is RequestState.ON_HOLD:
        return Place.ORDER_HELD, (facts.hold_reason,) if facts.hold_reason else ()
    if facts.specimen_state is SpecimenState.REJECTED:
        return Place.TUBE_REJECTED, (facts.reject_reason,) if facts.reject_reason else ()
    if facts.work_state is WorkOrderState.CANCELLED:
        return Place.CANCELLED, ()
    if facts.run is not None and facts.work_state is not WorkOrderState.FAILED:
        return _of_run(facts.run)
    return _before_result(facts)


def _of_run(run: RunFacts) -> tuple[Place, tuple[str, ...]]:
    if run.bench_state is BenchState.REJECTED:
        return Place.RESULT_REJECTED, ()
    if run.lane == "clear" or not run.holds:
        return Place.WAITS_FOR_PERSON, ()
    return Place.HELD, run.holds


_OF_TUBE: Final = {
    SpecimenState.EXPECTED: Place.NOT_COLLECTED,
    SpecimenState.RECEIVED: None,
    SpecimenState.STORED: None,
    SpecimenState.EXHAUSTED: None,
    SpecimenState.DISPOSED: Place.TUBE_GONE,
}
_OF_WORK: Final = {
    WorkOrderState.SENT: Place.TOLD_TO_ANALYZER,
    WorkOrderState.ACKNOWLEDGED: Place.TOLD_TO_ANALYZER,
    WorkOrderState.IN_PROCESS: Place.BEING_MEASURED,
    WorkOrderState.RESULTED: Place.WAITS_FOR_PERSON,
    WorkOrderState.FAILED: Place.FAILED,
}


def _before_result(facts: StandingFacts) -> tuple[Place, tuple[str, ...]]:
    """Collected and in transit are both on their way; pending and routed both wait for an analyzer."""
    of_tube = _OF_TUBE.get(facts.specimen_state, Place.ON_ITS_WAY)
    if of_tube is not None and facts.work_state not in (
        WorkOrderState.IN_PROCESS,
        WorkOrderState.RESULTED,
    ):
        return of_tube, ()
    place = _OF_WORK.get(facts.work_state, Place.WAITS_FOR_ANALYZER)
    return place, (facts.device,) if facts.device else ()
