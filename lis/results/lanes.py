"""Which lane of the worklist a waiting result stands in, and what a person may pass.

`OVERRIDABLE` says for every reason whether a named person may verify a result in spite of it. Where it says
no, the reason itself has to go first: confirm the tube, choose the run, record QC, repeat. CLEAR means
"no rule objects, only automatic release is switched off", and only CLEAR rows may be verified in bulk (S07).
"""

from collections.abc import Iterable
from enum import StrEnum

from lis.domain.lifecycle import BenchState
from lis.domain.messages import Reason

WAITING = frozenset({BenchState.RECEIVED, BenchState.HELD, BenchState.TECHNICALLY_VERIFIED})
CLEAR_REASONS = frozenset({Reason.NEVER_AUTOMATIC, Reason.AUTOMATIC_OFF})


class WorklistLane(StrEnum):
    """In the order in which people should look."""

    CRITICAL = "critical"
    UNMATCHED = "unmatched"
    HOLD = "hold"
    CLEAR = "clear"
    NONE = ""  # does not wait


LANES = (
    WorklistLane.CRITICAL,
    WorklistLane.UNMATCHED,
    WorklistLane.HOLD,
    WorklistLane.CLEAR,
)


def lane_of(
    *, bench_state: BenchState, is_matched: bool, is_critical: bool, holds: Iterable[Reason]
) -> WorklistLane:
    """The lane of one result. Critical comes first, also while nobody knows whose it is (S09)."""
    if bench_state not in WAITING:
        return WorklistLane.NONE
    if is_critical:
        return WorklistLane.CRITICAL
    if not is_matched:
        return WorklistLane.UNMATCHED
    return WorklistLane.CLEAR if CLEAR_REASONS.issuperset(holds) else WorklistLane.HOLD


_R = Reason
OVERRIDABLE: dict[Reason, bool] = {
    # reading the message: what could not be read cannot be vouched for
    _R.UNKNOWN_FLAG: True,  # only with an explicit acknowledgement, see NEEDS_ACKNOWLEDGEMENT
    _R.UNKNOWN_STATUS: False,  # nobody knows whether it is a result at all
    _R.UNREADABLE_RECORD: False,
    _R.UNREADABLE_TIME: False,  # the gate cannot be asked without a time (S11)
    _R.NO_TEST_CODE: False,
    _R.NO_VALUE: False,
    _R.INCOMPLETE_MESSAGE: False,
    _R.UNKNOWN_DRIVER: False,
    _R.TEST_TRAFFIC: False,  # S14
    _R.REFUSED_BY_ANALYZER: False,  # there is no value to vouch for
    # whose is it: bind the tube first, with a second identifier (S15)
    _R.NO_SPECIMEN_ID: False,
    _R.UNKNOWN_SPECIMEN: False,
    _R.SPECIMEN_TYPE_MISMATCH: False,
    _R.SPECIMEN_NOT_LIVE: False,
    _R.MEASURED_BEFORE_COLLECTION: False,
    _R.MEASURED_BEFORE_RECEIPT: False,
    _R.COLLECTION_UNKNOWN: True,  # a person judges stability from what the ward says (S26)
    _R.ID_NOT_FROM_BARCODE: False,
    _R.AUTOMATIC_NUMBER: False,  # S16
    _R.NUMBER_SEEN_TWICE: True,  # bound before the second one came: a person looked at both tubes
    _R.UNKNOWN_TEST: False,
    _R.NOT_ORDERED: False,  # order it first: a report needs a request
    _R.ORDER_CANCELLED: False,  # S21: reinstate or reject
    _R.UNKNOWN_CONTROL: False,  # S22
    _R.CONTROL_UNDER_PATIENT_ID: False,
    _R.PATIENT_UNDER_CONTROL_ID: False,
    _R.DEVICE_MISMATCH: False,  # S23: clear the quarantine and repeat
    _R.UNIT_CHANGED: False,  # S23: no silent conversion, and none by a click
    _R.TEST_QUARANTINED: True,  # once the quarantine is cleared: `lis.results.passing` asks
    _R.POSSIBLE_DUPLICATE: False,  # S19, S20: choose the run
    _R.EDITED_ON_ANALYZER: False,
    _R.SECOND_RUN: False,
    _R.NO_CREDIBLE_TIME: False,  # S11
    _R.CLOCK_OFFSET: True,  # the alarm is open, the value itself is not in doubt
    _R.CLOCK_ZONE: True,  # likewise
    # may it leave
    _R.QC_MISSING: False,  # only through a signed exception inside its window (S02)
    _R.QC_OVERDUE: False,  # likewise
    _R.QC_REJECTED: False,  # never, not even by exception (S02)
    _R.INSTRUMENT_FLAG: True,
    _R.NOT_NUMERIC: True,  # the laboratory may report words where it expects a number
    _R.CENSORED: True,
    _R.DILUTION_UNKNOWN: False,  # S25
    _R.OUTSIDE_MEASURING_RANGE: True,
    _R.ABSURD: False,  # not compatible with life: repeat or reject
    _R.CRITICAL: True,  # one by one, never in bulk (S09)
    _R.DELTA: True,
    _R.DELTA_NOT_EVALUABLE: True,
    _R.NO_INTERVAL: True,
    _R.OUTSIDE_VERIFICATION_LIMITS: True,
    _R.NEVER_AUTOMATIC: True,
    _R.PRELIMINARY_VALUE: False,  # S03: the final value is awaited
    _R.SPECIMEN_SUSPECT: False,  # S04: the suspicion is cleared on the specimen
    _R.RULES_MISSING: True,
    _R.AUTOMATIC_OFF: True,
    _R.WAITS_FOR_COMPANION: False,  # S05
    _R.WAITS_FOR_REPEAT: True,  # a rule doubted it; a person may know better than to measure again
    _R.PROCESSING_FAILED: False,
}
NEEDS_ACKNOWLEDGEMENT = frozenset({Reason.UNKNOWN_FLAG})  # the person names what they pass over
EXCEPTION_REASONS = frozenset({Reason.QC_MISSING, Reason.QC_OVERDUE})  # S02
