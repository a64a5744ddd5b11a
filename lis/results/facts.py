"""Everything the rules of autoverification look at, about one value."""

from dataclasses import dataclass

from lis.domain.catalog import Test
from lis.domain.control import GateExcuse, GateVerdict
from lis.domain.messages import ReportedObservation
from lis.domain.result_facts import DeviceFacts, PastValue, SpecimenFacts
from lis.results.interpretation import Interpretation
from lis.results.matching import Match
from lis.results.runs import RunDecision
from lis.results.timing import MeasuredAt


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFacts:
    """Everything the rules look at."""

    reported: ReportedObservation
    device: DeviceFacts
    sender_serial: str
    test: Test | None
    expected_unit: str
    method: str
    measured: MeasuredAt
    match: Match
    run: RunDecision
    interpretation: Interpretation
    gate: GateVerdict | None  # None: there is no gate to ask (no test, no credible time)
    excuse: GateExcuse | None = None  # S02
    past: tuple[PastValue, ...] = ()  # released values of this patient and test, oldest first
    specimen: SpecimenFacts | None = None  # bound
    is_quarantined: bool = False  # this test on this device, until a person clears it (S23)
