"""One value judged from beginning to end: time, tube, run, meaning, rules. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lis.domain.catalog import Test
from lis.domain.control import GateExcuse, GateVerdict
from lis.domain.messages import ReportedObservation
from lis.domain.result_facts import (
    DeviceFacts,
    OrderFacts,
    PastValue,
    PersonFacts,
    SpecimenFacts,
    StoredRun,
)
from lis.results.autoverification import Autoverification, autoverify
from lis.results.facts import ResultFacts
from lis.results.interpretation import Interpretation, interpret, patient_facts
from lis.results.matching import Match, match
from lis.results.runs import RunDecision, decide_run
from lis.results.timing import MeasuredAt


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The message a value came in."""

    inbox_id: int
    received_at: datetime
    raw_sha256: bytes
    sender_serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known around one value."""

    device: DeviceFacts
    test: Test | None
    expected_unit: str
    method: str
    specimen: SpecimenFacts | None  # the tube with this accession, not yet bound
    person: PersonFacts | None
    orders: Sequence[OrderFacts]
    same_key: Sequence[StoredRun]
    same_test: Sequence[StoredRun]
    past: Sequence[PastValue]
    gate: GateVerdict | None
    excuse: GateExcuse | None
    known_types: frozenset[str]
    other_positions: frozenset[str] = frozenset()  # where else this number stood (S16)
    is_quarantined: bool = False  # this test on this device (S23)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything that was decided about one value."""

    measured: MeasuredAt
    match: Match
    run: RunDecision
    interpretation: Interpretation
    rules: Autoverification

    @property
    def is_critical(self) -> bool:
        return self.interpretation.is_critical


def judge(
    reported: ReportedObservation, measured: MeasuredAt, origin: Origin, around: Surroundings
) -> Judgement:
    """Judge one value."""
    matched = match(
        reported=reported,
        analysed_at=measured.at,
        specimen=around.specimen,
        orders=around.orders,
        device=around.device,
        test=around.test,
        known_types=around.known_types,
        other_positions=around.other_positions,
    )
    run = decide_run(
        reported=reported,
        inbox_id=origin.inbox_id,
        received_at=origin.received_at,
        raw_sha256=origin.raw_sha256,
        same_key=around.same_key,
        same_test=around.same_test if matched.is_bound else (),
    )
    meaning = _meaning(reported, around, matched)
    facts = ResultFacts(
        reported=reported,
        device=around.device,
        sender_serial=origin.sender_serial,
        test=around.test,
        expected_unit=around.expected_unit,
        method=around.method,
        measured=measured,
        match=matched,
        run=run,
        interpretation=meaning,
        gate=around.gate,
        excuse=around.excuse,
        past=tuple(around.past) if matched.is_bound else (),
        specimen=matched.specimen,
        is_quarantined=around.is_quarantined,
    )
    return Judgement(
        measured=measured,
        match=matched,
        run=run,
        interpretation=meaning,
        rules=autoverify(facts),
    )


def _meaning(reported: ReportedObservation, around: Surroundings, matched: Match) -> Interpretation:
    if around.test is None:
        return Interpretation(interval_reason="unknown_test", is_comparable=False)
    is_person_known = matched.is_bound and around.person is not None
    return interpret(
        test=around.test,
        value=reported.value,
        basis=reported.basis,
        is_unit_right=reported.unit == around.expected_unit,
        person=patient_facts(around.person) if is_person_known and around.person else None,
        specimen=matched.specimen,
    )
