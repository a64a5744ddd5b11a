"""One step of a work order on one analyzer (LAW: AWOS), from our side, as a table.

A work order says what is to be measured; a step says what one analyzer was told of it and what it said. The same
work order may stand on several analyzers at once (redundant broadcast, LAW-R07): each has a step of its own
under the same id, the first to finish answers the work order, and the others are taken back.

    created --send--> sent --accept--> accepted --start--> in_progress --complete--> completed
                       |--refuse--> refused
    sent, accepted, in_progress --withdraw--> cancel_sent --confirm--> cancelled
                                                  '--cannot--> running: results may still come

* A lost answer is no state: the same bytes go again under the same id (`send` is ignored).
* UA to a step that was taken is no refusal: the analyzer has it already (LAW-R06). It is ignored.
* A result is a fact. It completes a step in any state, also one that was refused or taken back; what becomes of
  the result is for intake to judge (S21).

`work_order_event` says what a change means to the work order. `withdraw` means nothing to it: a work order was
cancelled, or answered by another analyzer, before its step is taken back.
"""

from enum import StrEnum

from lis.domain.lifecycle import WorkOrderEvent
from lis.domain.state import IGNORE, StateTable


class AwosState(StrEnum):
    """What an analyzer was told of a step, and said of it."""

    CREATED = "created"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCEL_SENT = "cancel_sent"
    RUNNING = "running"  # it cannot be taken back any more; asking again would change nothing
    CANCELLED = "cancelled"


class AwosEvent(StrEnum):
    """What happens to a step."""

    SEND = "send"  # OML NW goes out
    ACCEPT = "accept"  # ORL OK
    REFUSE = "refuse"  # ORL UA
    START = "start"  # OUL IP
    COMPLETE = "complete"  # OUL CM, or simply a value
    STOP = "stop"  # OUL CA: somebody took it back on the analyzer
    WITHDRAW = "withdraw"  # OML CA goes out
    CONFIRM = "confirm"  # ORL CR
    CANNOT = "cannot"  # ORL UC


_S, _E = AwosState, AwosEvent
AWOS: StateTable[AwosState, AwosEvent] = StateTable(
    "analyzer_step",
    {
        (_S.CREATED, _E.SEND): _S.SENT,
        (_S.CREATED, _E.WITHDRAW): _S.CANCELLED,  # nobody has heard of it
        (_S.CREATED, _E.START): _S.IN_PROGRESS,  # our own clock was slow; the analyzer is right
        (_S.CREATED, _E.COMPLETE): _S.COMPLETED,
        (_S.SENT, _E.SEND): IGNORE,  # the same bytes again
        (_S.SENT, _E.ACCEPT): _S.ACCEPTED,
        (_S.SENT, _E.REFUSE): _S.REFUSED,
        (_S.SENT, _E.START): _S.IN_PROGRESS,
        (_S.SENT, _E.COMPLETE): _S.COMPLETED,
        (_S.SENT, _E.STOP): _S.CANCELLED,
        (_S.SENT, _E.WITHDRAW): _S.CANCEL_SENT,
        (_S.ACCEPTED, _E.SEND): IGNORE,
        (_S.ACCEPTED, _E.ACCEPT): IGNORE,
        (_S.ACCEPTED, _E.REFUSE): IGNORE,  # LAW-R06: it has the step already
        (_S.ACCEPTED, _E.START): _S.IN_PROGRESS,
        (_S.ACCEPTED, _E.COMPLETE): _S.COMPLETED,
        (_S.ACCEPTED, _E.STOP): _S.CANCELLED,
        (_S.ACCEPTED, _E.WITHDRAW): _S.CANCEL_SENT,
        (_S.REFUSED, _E.SEND): IGNORE,
        (_S.REFUSED, _E.REFUSE): IGNORE,
        (_S.REFUSED, _E.START): _S.IN_PROGRESS,
        (_S.REFUSED, _E.COMPLETE): _S.COMPLETED,
        (_S.REFUSED, _E.STOP): IGNORE,
        (_S.REFUSED, _E.WITHDRAW): IGNORE,
        (_S.IN_PROGRESS, _E.SEND): IGNORE,
        (_S.IN_PROGRESS, _E.ACCEPT): IGNORE,  # the answer was slower than the analyzer
        (_S.IN_PROGRESS, _E.REFUSE): IGNORE,
        (_S.IN_PROGRESS, _E.START): IGNORE,
        (_S.IN_PROGRESS, _E.COMPLETE): _S.COMPLETED,
        (_S.IN_PROGRESS, _E.STOP): _S.CANCELLED,
        (_S.IN_PROGRESS, _E.WITHDRAW): _S.CANCEL_SENT,
        (_S.IN_PROGRESS, _E.CANNOT): IGNORE,
        (_S.CANCEL_SENT, _E.ACCEPT): IGNORE,  # a late answer to the order
        (_S.CANCEL_SENT, _E.REFUSE): _S.CANCELLED,  # it was never taken
        (_S.CANCEL_SENT, _E.WITHDRAW): IGNORE,
        (_S.CANCEL_SENT, _E.CONFIRM): _S.CANCELLED,
        (_S.CANCEL_SENT, _E.CANNOT): _S.RUNNING,
        (_S.CANCEL_SENT, _E.START): IGNORE,
        (_S.CANCEL_SENT, _E.COMPLETE): _S.COMPLETED,
        (_S.CANCEL_SENT, _E.STOP): _S.CANCELLED,
        (_S.RUNNING, _E.SEND): IGNORE,
        (_S.RUNNING, _E.ACCEPT): IGNORE,
        (_S.RUNNING, _E.REFUSE): IGNORE,
        (_S.RUNNING, _E.WITHDRAW): IGNORE,
        (_S.RUNNING, _E.CANNOT): IGNORE,
        (_S.RUNNING, _E.CONFIRM): _S.CANCELLED,
        (_S.RUNNING, _E.START): IGNORE,
        (_S.RUNNING, _E.COMPLETE): _S.COMPLETED,
        (_S.RUNNING, _E.STOP): _S.CANCELLED,
        (_S.COMPLETED, _E.SEND): IGNORE,
        (_S.COMPLETED, _E.ACCEPT): IGNORE,
        (_S.COMPLETED, _E.REFUSE): IGNORE,
        (_S.COMPLETED, _E.START): IGNORE,  # a rerun of its own; the step is answered
        (_S.COMPLETED, _E.COMPLETE): IGNORE,  # LAW-R09: more of it, or a correction
        (_S.COMPLETED, _E.STOP): IGNORE,
        (_S.COMPLETED, _E.WITHDRAW): IGNORE,
        (_S.COMPLETED, _E.CONFIRM): IGNORE,
        (_S.COMPLETED, _E.CANNOT): IGNORE,
        (_S.CANCELLED, _E.ACCEPT): IGNORE,
        (_S.CANCELLED, _E.REFUSE): IGNORE,
        (_S.CANCELLED, _E.CONFIRM): IGNORE,
        (_S.CANCELLED, _E.STOP): IGNORE,
        (_S.CANCELLED, _E.WITHDRAW): IGNORE,
        (_S.CANCELLED, _E.START): _S.IN_PROGRESS,
        (_S.CANCELLED, _E.COMPLETE): _S.COMPLETED,
    },
)

OPEN_AWOS_STATES = frozenset({_S.CREATED, _S.SENT, _S.ACCEPTED, _S.IN_PROGRESS})
"""An analyzer may still measure these: take them back when nobody needs them any more."""
TOLD_AWOS_STATES = OPEN_AWOS_STATES | {_S.RUNNING}
"""Told again, these mean what they meant: the same id."""

_ON_THE_WORK_ORDER = {
    AwosState.SENT: WorkOrderEvent.SEND,
    AwosState.ACCEPTED: WorkOrderEvent.ACKNOWLEDGE,
    AwosState.IN_PROGRESS: WorkOrderEvent.START,
    AwosState.REFUSED: WorkOrderEvent.FAIL,
    AwosState.CANCELLED: WorkOrderEvent.FAIL,
}


def work_order_event(before: AwosState, after: AwosState) -> WorkOrderEvent | None:
    """What the change of a step means to its work order; None: nothing, or for intake to say."""
    if before is after or before in {AwosState.CANCEL_SENT, AwosState.RUNNING}:
        return None
    if before is AwosState.CREATED and after is AwosState.CANCELLED:
        return None
    return _ON_THE_WORK_ORDER.get(after)
