"""May a named person verify this result now? Pure.

The reasons on the row were found when the value arrived; what could have changed since then is asked again
at the moment of verifying: the gate, the order, the tube. Every reason that stands in the way is named,
not only the first one (promise 5).
"""

from dataclasses import dataclass

from lis.domain.lifecycle import LIVE_SPECIMEN_STATES, RequestState, SpecimenState
from lis.domain.messages import Reason
from lis.results.lanes import NEEDS_ACKNOWLEDGEMENT, OVERRIDABLE
from lis.results.verdicts import RuleVerdict

_WORKING_REQUESTS = frozenset({RequestState.ACTIVE, RequestState.COMPLETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentFacts:
    """What is true at the moment of verifying."""

    holds: tuple[Reason, ...]  # with the gate asked again
    gate: RuleVerdict
    is_bound: bool
    is_chosen: bool
    request_state: RequestState | None
    specimen_state: SpecimenState | None
    suspicion: str
    acknowledged: frozenset[Reason]
    is_quarantined: bool = False  # this test on this device, still (S23)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What stands in the way, and what the person passes over."""

    obstacles: tuple[str, ...]
    despite: tuple[Reason, ...]


def may_pass(facts: PresentFacts) -> Passing:
    """Decide by `OVERRIDABLE` and the present state of gate, order and tube."""
    blocking = [
        reason
        for reason in facts.holds
        if not OVERRIDABLE[reason]
        or (reason in NEEDS_ACKNOWLEDGEMENT and reason not in facts.acknowledged)
    ]
    if facts.gate.reason is not None:
        blocking.append(facts.gate.reason)
    if facts.is_quarantined and Reason.TEST_QUARANTINED in facts.holds:
        blocking.append(Reason.TEST_QUARANTINED)
    if facts.suspicion:
        blocking.append(Reason.SPECIMEN_SUSPECT)
    if facts.specimen_state is not None and facts.specimen_state not in LIVE_SPECIMEN_STATES:
        blocking.append(Reason.SPECIMEN_NOT_LIVE)
    if facts.request_state is not None and facts.request_state not in _WORKING_REQUESTS:
        blocking.append(Reason.ORDER_CANCELLED)
    codes = [reason.value for reason in dict.fromkeys(blocking)]
    if not facts.is_bound:
        codes.append("not_bound")
    elif facts.request_state is None:
        codes.append(Reason.NOT_ORDERED.value)
    if not facts.is_chosen:
        codes.append("run_not_chosen")
    return Passing(obstacles=tuple(dict.fromkeys(codes)), despite=facts.holds)
