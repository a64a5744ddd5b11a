"""The laboratory's state machines, as tables.

Bench state says what the bench may do with a result; outward status says what the world was told
(S03). They are two machines: a released result can be corrected outside while its next version is
still held inside. Only `BenchState.RELEASED` leaves the house.
"""

from enum import StrEnum

from lis.domain.messages import ResultStatus
from lis.domain.state import IGNORE, StateTable


class BenchState(StrEnum):
    RECEIVED = "received"
    HELD = "held"
    TECHNICALLY_VERIFIED = "technically_verified"
    RELEASED = "released"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"  # a newer version or another run was chosen


class BenchEvent(StrEnum):
    HOLD = "hold"
    VERIFY_TECHNICALLY = "verify_technically"
    RELEASE = "release"
    UNDO = "undo"  # only while nobody outside can have seen it (S08)
    REJECT = "reject"
    SUPERSEDE = "supersede"


BENCH: StateTable[BenchState, BenchEvent] = StateTable(
    "bench",
    {
        (BenchState.RECEIVED, BenchEvent.HOLD): BenchState.HELD,
        (BenchState.RECEIVED, BenchEvent.VERIFY_TECHNICALLY): BenchState.TECHNICALLY_VERIFIED,
        (BenchState.RECEIVED, BenchEvent.RELEASE): BenchState.RELEASED,
        (BenchState.RECEIVED, BenchEvent.REJECT): BenchState.REJECTED,
        (BenchState.RECEIVED, BenchEvent.SUPERSEDE): BenchState.SUPERSEDED,
        (BenchState.HELD, BenchEvent.HOLD): IGNORE,
        (BenchState.HELD, BenchEvent.VERIFY_TECHNICALLY): BenchState.TECHNICALLY_VERIFIED,
        (BenchState.HELD, BenchEvent.RELEASE): BenchState.RELEASED,
        (BenchState.HELD, BenchEvent.REJECT): BenchState.REJECTED,
        (BenchState.HELD, BenchEvent.SUPERSEDE): BenchState.SUPERSEDED,
        (BenchState.TECHNICALLY_VERIFIED, BenchEvent.HOLD): BenchState.HELD,
        (BenchState.TECHNICALLY_VERIFIED, BenchEvent.RELEASE): BenchState.RELEASED,
        (BenchState.TECHNICALLY_VERIFIED, BenchEvent.UNDO): BenchState.HELD,
        (BenchState.TECHNICALLY_VERIFIED, BenchEvent.REJECT): BenchState.REJECTED,
        (BenchState.TECHNICALLY_VERIFIED, BenchEvent.SUPERSEDE): BenchState.SUPERSEDED,
        (BenchState.RELEASED, BenchEvent.HOLD): IGNORE,  # outside already: look-back, not recall
        (BenchState.RELEASED, BenchEvent.UNDO): BenchState.HELD,
        (BenchState.RELEASED, BenchEvent.SUPERSEDE): BenchState.SUPERSEDED,
        (BenchState.REJECTED, BenchEvent.REJECT): IGNORE,
        (BenchState.REJECTED, BenchEvent.HOLD): IGNORE,
        (BenchState.REJECTED, BenchEvent.UNDO): BenchState.HELD,
        (BenchState.SUPERSEDED, BenchEvent.SUPERSEDE): IGNORE,
        (BenchState.SUPERSEDED, BenchEvent.HOLD): IGNORE,
    },
)


class OutwardEvent(StrEnum):
    REPORT_PRELIMINARY = "report_preliminary"
    REPORT_FINAL = "report_final"
    CORRECT = "correct"
    AMEND = "amend"
    CANCEL = "cancel"
    MARK_WRONG = "mark_wrong"
    UNDO = "undo"  # only while nobody outside can have seen it (S08)


OUTWARD: StateTable[ResultStatus, OutwardEvent] = StateTable(
    "outward",
    {
        (ResultStatus.REGISTERED, OutwardEvent.REPORT_PRELIMINARY): ResultStatus.PRELIMINARY,
        (ResultStatus.REGISTERED, OutwardEvent.REPORT_FINAL): ResultStatus.FINAL,
        (ResultStatus.REGISTERED, OutwardEvent.CANCEL): ResultStatus.CANCELLED,
        (ResultStatus.PRELIMINARY, OutwardEvent.REPORT_PRELIMINARY): IGNORE,
        (ResultStatus.PRELIMINARY, OutwardEvent.REPORT_FINAL): ResultStatus.FINAL,
        (ResultStatus.PRELIMINARY, OutwardEvent.CANCEL): ResultStatus.CANCELLED,
        (ResultStatus.FINAL, OutwardEvent.UNDO): ResultStatus.REGISTERED,
        (ResultStatus.FINAL, OutwardEvent.CORRECT): ResultStatus.CORRECTED,
        (ResultStatus.FINAL, OutwardEvent.AMEND): ResultStatus.AMENDED,
        (ResultStatus.FINAL, OutwardEvent.MARK_WRONG): ResultStatus.ENTERED_IN_ERROR,
        (ResultStatus.CORRECTED, OutwardEvent.CORRECT): IGNORE,
        (ResultStatus.CORRECTED, OutwardEvent.AMEND): IGNORE,
        (ResultStatus.CORRECTED, OutwardEvent.MARK_WRONG): ResultStatus.ENTERED_IN_ERROR,
        (ResultStatus.AMENDED, OutwardEvent.CORRECT): ResultStatus.CORRECTED,
        (ResultStatus.AMENDED, OutwardEvent.AMEND): IGNORE,
        (ResultStatus.AMENDED, OutwardEvent.MARK_WRONG): ResultStatus.ENTERED_IN_ERROR,
    },
)


class WorkOrderState(StrEnum):
    PENDING = "pending"  # no analyzer chosen yet, or none may have it now
    QUEUED = "queued"  # an analyzer is chosen and was not told yet
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    IN_PROCESS = "in_process"
    RESULTED = "resulted"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WorkOrderEvent(StrEnum):
    ROUTE = "route"  # an analyzer is chosen, or another one
    UNROUTE = "unroute"  # none may have it any more
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"
    START = "start"
    RESULT = "result"
    FAIL = "fail"
    CANCEL = "cancel"
    REPEAT = "repeat"


_W, _E = WorkOrderState, WorkOrderEvent
WORK_ORDER: StateTable[WorkOrderState, WorkOrderEvent] = StateTable(
    "work_order",
    {
        (_W.PENDING, _E.ROUTE): _W.QUEUED,
        (_W.PENDING, _E.UNROUTE): IGNORE,
        (_W.PENDING, _E.SEND): _W.SENT,  # asked before anybody chose
        (_W.PENDING, _E.RESULT): _W.RESULTED,  # measured without asking us
        (_W.PENDING, _E.CANCEL): _W.CANCELLED,
        (_W.QUEUED, _E.ROUTE): IGNORE,  # another analyzer; the choice itself is kept beside it
        (_W.QUEUED, _E.UNROUTE): _W.PENDING,
        (_W.QUEUED, _E.SEND): _W.SENT,
        (_W.QUEUED, _E.RESULT): _W.RESULTED,
        (_W.QUEUED, _E.CANCEL): _W.CANCELLED,
        (_W.SENT, _E.ROUTE): _W.QUEUED,  # away from an analyzer that must not or does not measure
        (_W.SENT, _E.UNROUTE): _W.PENDING,
        (_W.SENT, _E.SEND): IGNORE,  # asked again: the same orders go out again
        (_W.SENT, _E.ACKNOWLEDGE): _W.ACKNOWLEDGED,
        (_W.SENT, _E.START): _W.IN_PROCESS,
        (_W.SENT, _E.RESULT): _W.RESULTED,
        (_W.SENT, _E.FAIL): _W.FAILED,
        (_W.SENT, _E.CANCEL): _W.CANCELLED,
        (_W.ACKNOWLEDGED, _E.ROUTE): _W.QUEUED,
        (_W.ACKNOWLEDGED, _E.UNROUTE): _W.PENDING,
        (_W.ACKNOWLEDGED, _E.SEND): IGNORE,
        (_W.ACKNOWLEDGED, _E.ACKNOWLEDGE): IGNORE,
        (_W.ACKNOWLEDGED, _E.START): _W.IN_PROCESS,
        (_W.ACKNOWLEDGED, _E.RESULT): _W.RESULTED,
        (_W.ACKNOWLEDGED, _E.FAIL): _W.FAILED,
        (_W.ACKNOWLEDGED, _E.CANCEL): _W.CANCELLED,
        (_W.IN_PROCESS, _E.SEND): IGNORE,  # asked again while it runs
        (_W.IN_PROCESS, _E.ACKNOWLEDGE): IGNORE,  # the answer was slower than the analyzer
        (_W.IN_PROCESS, _E.START): IGNORE,
        (_W.IN_PROCESS, _E.RESULT): _W.RESULTED,
        (_W.IN_PROCESS, _E.FAIL): _W.FAILED,
        (_W.RESULTED, _E.RESULT): IGNORE,  # a second run; the observation decides which counts
        (_W.RESULTED, _E.CANCEL): IGNORE,
        (_W.FAILED, _E.REPEAT): _W.PENDING,
        (_W.FAILED, _E.ROUTE): _W.QUEUED,  # refused there, so somewhere else
        (_W.FAILED, _E.CANCEL): _W.CANCELLED,
        (_W.FAILED, _E.RESULT): _W.RESULTED,
        (_W.CANCELLED, _E.RESULT): IGNORE,  # held as "order cancelled" (S21)
        (_W.CANCELLED, _E.CANCEL): IGNORE,
    },
)


class RequestState(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    REVOKED = "revoked"
    ENTERED_IN_ERROR = "entered_in_error"


class RequestEvent(StrEnum):
    ACTIVATE = "activate"
    HOLD = "hold"
    COMPLETE = "complete"
    REOPEN = "reopen"
    REVOKE = "revoke"
    MARK_WRONG = "mark_wrong"


_R, _Q = RequestState, RequestEvent
SERVICE_REQUEST: StateTable[RequestState, RequestEvent] = StateTable(
    "service_request",
    {
        (_R.DRAFT, _Q.ACTIVATE): _R.ACTIVE,
        (_R.DRAFT, _Q.REVOKE): _R.REVOKED,
        (_R.ACTIVE, _Q.ACTIVATE): IGNORE,
        (_R.ACTIVE, _Q.HOLD): _R.ON_HOLD,
        (_R.ACTIVE, _Q.COMPLETE): _R.COMPLETED,
        (_R.ACTIVE, _Q.REVOKE): _R.REVOKED,
        (_R.ACTIVE, _Q.MARK_WRONG): _R.ENTERED_IN_ERROR,
        (_R.ON_HOLD, _Q.ACTIVATE): _R.ACTIVE,
        (_R.ON_HOLD, _Q.HOLD): IGNORE,
        (_R.ON_HOLD, _Q.REVOKE): _R.REVOKED,
        (_R.COMPLETED, _Q.COMPLETE): IGNORE,
        (_R.COMPLETED, _Q.REOPEN): _R.ACTIVE,
        (_R.COMPLETED, _Q.MARK_WRONG): _R.ENTERED_IN_ERROR,
        (_R.REVOKED, _Q.REVOKE): IGNORE,
        (_R.REVOKED, _Q.HOLD): _R.ON_HOLD,  # ordered again after its cancel: a person decides
        (_R.REVOKED, _Q.ACTIVATE): _R.ACTIVE,  # reinstated by a person (S21)
    },
)


class SpecimenState(StrEnum):
    EXPECTED = "expected"
    COLLECTED = "collected"
    IN_TRANSIT = "in_transit"  # in a box on its way to the laboratory, or to another one
    RECEIVED = "received"
    REJECTED = "rejected"
    STORED = "stored"
    EXHAUSTED = "exhausted"
    DISPOSED = "disposed"


class SpecimenEvent(StrEnum):
    COLLECT = "collect"
    SHIP = "ship"
    RECEIVE = "receive"
    REJECT = "reject"
    STORE = "store"
    RETRIEVE = "retrieve"
    EXHAUST = "exhaust"
    DISPOSE = "dispose"


_S, _V = SpecimenState, SpecimenEvent
SPECIMEN: StateTable[SpecimenState, SpecimenEvent] = StateTable(
    "specimen",
    {
        (_S.EXPECTED, _V.COLLECT): _S.COLLECTED,
        (_S.EXPECTED, _V.RECEIVE): _S.RECEIVED,
        (_S.EXPECTED, _V.REJECT): _S.REJECTED,
        (_S.COLLECTED, _V.COLLECT): IGNORE,
        (_S.COLLECTED, _V.SHIP): _S.IN_TRANSIT,
        (_S.COLLECTED, _V.RECEIVE): _S.RECEIVED,
        (_S.COLLECTED, _V.REJECT): _S.REJECTED,
        (_S.IN_TRANSIT, _V.SHIP): IGNORE,
        (_S.IN_TRANSIT, _V.RECEIVE): _S.RECEIVED,
        (_S.IN_TRANSIT, _V.REJECT): _S.REJECTED,  # broken or lost on its way
        (_S.RECEIVED, _V.RECEIVE): IGNORE,
        (_S.RECEIVED, _V.SHIP): _S.IN_TRANSIT,
        (_S.RECEIVED, _V.REJECT): _S.REJECTED,
        (_S.RECEIVED, _V.STORE): _S.STORED,
        (_S.RECEIVED, _V.EXHAUST): _S.EXHAUSTED,
        (_S.RECEIVED, _V.DISPOSE): _S.DISPOSED,
        (_S.STORED, _V.RETRIEVE): _S.RECEIVED,
        (_S.STORED, _V.SHIP): _S.IN_TRANSIT,
        (_S.STORED, _V.DISPOSE): _S.DISPOSED,
        (_S.STORED, _V.REJECT): _S.REJECTED,
        (_S.EXHAUSTED, _V.DISPOSE): _S.DISPOSED,
        (_S.REJECTED, _V.REJECT): IGNORE,
        (_S.REJECTED, _V.DISPOSE): _S.DISPOSED,
    },
)

LIVE_SPECIMEN_STATES = frozenset(
    {_S.EXPECTED, _S.COLLECTED, _S.IN_TRANSIT, _S.RECEIVED, _S.STORED, _S.EXHAUSTED}
)

TABLES: tuple[
    StateTable[BenchState, BenchEvent]
    | StateTable[ResultStatus, OutwardEvent]
    | StateTable[WorkOrderState, WorkOrderEvent]
    | StateTable[RequestState, RequestEvent]
    | StateTable[SpecimenState, SpecimenEvent],
    ...,
] = (
    BENCH,
    OUTWARD,
    WORK_ORDER,
    SERVICE_REQUEST,
    SPECIMEN,
)
