"""One tube as its page shows it: who, what, its way through the house, and what reception may decide of each test.

Everything is read from stored facts. A step that did not happen yet is there without a moment, so that a person sees
what is missing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog, Storage
from lis.domain.errors import NotFound
from lis.domain.lifecycle import SPECIMEN, SpecimenEvent, WorkOrderState
from lis.domain.reception import ReceptionVerdict
from lis.orders.listing import TestLine, lines_of
from lis.orders.reads import PatientView, patient_view
from lis.orders.reception import stability_at_reception
from lis.orders.reception_rules import advised
from lis.orders.stability import Holds
from lis.store.lookup_queries import ordered_of_tubes
from lis.store.order_queries import (
    specimen_by_id,
    specimens_by_accession,
    work_orders_of_specimens,
)
from lis.store.order_rows import Requisition, Specimen
from lis.store.people_rows import Patient
from lis.store.specimen_queries import (
    Passed,
    decisions_of,
    measured_of_tube,
    places_of,
    sent_of_tube,
    verified_of_tube,
)
from lis.store.specimen_rows import ReceptionDecision

_BEGUN: Final = frozenset({WorkOrderState.IN_PROCESS, WorkOrderState.RESULTED})
_OVER: Final = frozenset({WorkOrderState.RESULTED, WorkOrderState.CANCELLED})


class Step(StrEnum):
    """A step of a tube's way."""

    ORDERED = "ordered"
    COLLECTED = "collected"
    RECEIVED = "received"
    STORED = "stored"
    RETRIEVED = "retrieved"
    MEASURED = "measured"
    VERIFIED = "verified"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """One step: at a moment or between two; `at` None: it is still to come."""

    step: Step
    at: datetime | None
    until: datetime | None = None
    who: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What reception decided of a test."""

    verdict: ReceptionVerdict
    decided_at: datetime
    decided_by: str
    reason: str
    drawn_again: str  # the number of the new tube, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeTest:
    """One test on the tube. `holds` and `advice` are for the storage that was asked about, now."""

    line: TestLine
    is_open: bool  # reception may still decide
    is_begun: bool  # measured already: cannot be rejected
    holds: Holds
    advice: ReceptionVerdict | None  # None: a person decides
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeView:
    """One tube in full."""

    specimen_id: int
    accession: str
    version: int
    specimen_type: str
    container: str
    container_name: str
    cap: str
    state: str
    patient: PatientView
    requisition: str
    priority: str
    collected_from: datetime | None
    collected_to: datetime | None
    certainty: str
    collector: str
    deviation: str
    reject_reason: str
    suspicion: str
    location: str
    received_again_at: datetime | None
    steps: tuple[StepTaken, ...]
    tests: tuple[TubeTest, ...]
    actions: tuple[str, ...]  # events that the tube's state allows now

    @property
    def undecided(self) -> int:
        """How many tests wait for reception's word."""
        return sum(one.is_open and one.decision is None for one in self.tests)


def show_tube(
    session: Session,
    catalog: Catalog,
    accession: str,
    *,
    at: datetime,
    language: str,
    storage: Storage | None = None,
) -> TubeView:
    """A tube by its number; raises `NotFound`. `storage`: how it was kept since collection, if that is known."""
    tube = specimens_by_accession(session, [accession]).get(accession)
    if tube is None:
        raise NotFound("Specimen", accession)
    requisition = session.get_one(Requisition, tube.requisition_id)
    container = catalog.containers.get(tube.container)
    return TubeView(
        specimen_id=tube.id,
        accession=tube.accession,
        version=tube.version,
        specimen_type=tube.specimen_type,
        container=tube.container,
        container_name=container.names.get(language, tube.container)
        if container
        else tube.container,
        cap=container.cap if container else "",
        state=tube.state.value,
        patient=patient_view(session, session.get_one(Patient, tube.patient_id)),
        requisition=requisition.public_id,
        priority=requisition.priority,
        collected_from=tube.collected_from,
        collected_to=tube.collected_to,
        certainty=tube.collected_certainty,
        collector=tube.collector,
        deviation=tube.deviation,
        reject_reason=tube.reject_reason,
        suspicion=tube.suspicion,
        location=tube.location,
        received_again_at=tube.received_again_at,
        steps=_steps(session, tube, requisition),
        tests=_tests(session, catalog, tube, storage=storage, at=at, language=language),
        actions=tuple(event.value for event in SpecimenEvent if _leads_on(tube, event)),
    )


def show_tube_by_key(
    session: Session, catalog: Catalog, specimen_id: int, *, at: datetime, language: str
) -> TubeView:
    """A tube by its key; raises `NotFound`."""
    tube = specimen_by_id(session, specimen_id)
    if tube is None:
        raise NotFound("Specimen", specimen_id)
    return show_tube(session, catalog, tube.accession, at=at, language=language)


def _leads_on(tube: Specimen, event: SpecimenEvent) -> bool:
    """Whether an event moves the tube: one that would change nothing is not offered."""
    is_allowed = SPECIMEN.allows(tube.state, event)
    return is_allowed and SPECIMEN.apply(tube.state, event) is not tube.state


def _steps(session: Session, tube: Specimen, requisition: Requisition) -> tuple[StepTaken, ...]:
    came = [
        StepTaken(step=Step.ORDERED, at=requisition.created_at, who=requisition.requester),
        StepTaken(
            step=Step.COLLECTED,
            at=tube.collected_from,
            until=tube.collected_to,
            who=tube.collector,
            detail=tube.collected_certainty,
        ),
        StepTaken(step=Step.RECEIVED, at=tube.received_at, who=tube.received_by),
    ]
    stood = []
    for place in places_of(session, tube.id):
        where = f"{place.rack}/{place.position}"
        stood.append(StepTaken(step=Step.STORED, at=place.since, who=place.actor, detail=where))
        if place.until is not None:
            stood.append(StepTaken(step=Step.RETRIEVED, at=place.until, detail=where))
    worked = [
        _passed(Step.MEASURED, measured_of_tube(session, tube.id)),
        _passed(Step.VERIFIED, verified_of_tube(session, tube.id)),
        _passed(Step.SENT, sent_of_tube(session, tube.id)),
    ]
    done = sorted(
        (one for one in (*stood, *worked) if one.at is not None),
        key=lambda one: one.at.timestamp() if one.at else 0.0,
    )
    return (*came, *done, *(one for one in worked if one.at is None))


def _passed(step: Step, passed: Passed) -> StepTaken:
    return StepTaken(
        step=step,
        at=passed.first,
        until=passed.last,
        who=", ".join(passed.people),
        detail=str(passed.tests) if passed.tests else "",
    )


def _tests(
    session: Session,
    catalog: Catalog,
    tube: Specimen,
    *,
    storage: Storage | None,
    at: datetime,
    language: str,
) -> tuple[TubeTest, ...]:
    states = {one.id: one.state for one in work_orders_of_specimens(session, [tube.id])}
    decided = {one.work_order_id: one for one in decisions_of(session, tube.id)}
    rows = ordered_of_tubes(session, [tube.id])
    shown = []
    for line in lines_of(session, catalog, rows, at=at, language=language):
        test = catalog.tests.get(line.code)
        holds = stability_at_reception(test, tube, storage=storage, at=at)
        state = states[line.work_order_id]
        shown.append(
            TubeTest(
                line=line,
                is_open=state not in _OVER and SPECIMEN.allows(tube.state, SpecimenEvent.RECEIVE),
                is_begun=state in _BEGUN,
                holds=holds,
                advice=advised(holds),
                decision=_decision(session, decided.get(line.work_order_id)),
            )
        )
    return tuple(shown)


def _decision(session: Session, row: ReceptionDecision | None) -> Decision | None:
    if row is None:
        return None
    again = specimen_by_id(session, row.recollected_on_id) if row.recollected_on_id else None
    return Decision(
        verdict=row.verdict,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
        drawn_again=again.accession if again else "",
    )
