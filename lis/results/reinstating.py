"""A result came for a cancelled order: a person reinstates the order, or rejects the result (S21).

The value was judged when it came, critical or not, and its call is open if it is; nothing is dropped. Reinstating makes the
request active again and gives the result a work order of its own: the cancelled one stays as it is, because the analyzer may
have been told. The result then waits as any other; what else stands against it still stands.
"""

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.domain.lifecycle import (
    SERVICE_REQUEST,
    WORK_ORDER,
    RequestEvent,
    WorkOrderEvent,
    WorkOrderState,
)
from lis.domain.messages import Reason
from lis.results.desk import Desk, Shown, needed, say
from lis.results.lanes import WAITING
from lis.results.reads import Row
from lis.results.verdicts import passed
from lis.store.rows import Observation, ServiceRequest, WorkOrder
from lis.store.unit import Unit


def reinstate(unit: Unit, catalog: Catalog, shown: Shown, *, reason: str, user: str) -> Row:
    """Make the cancelled order of this result active again, with a reason."""
    text = needed(reason)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    if row.bench_state not in WAITING or Reason.ORDER_CANCELLED.value not in row.holds:
        raise Refused("nothing_to_reinstate", state=row.bench_state.value)
    request = desk.requests.get(row.service_request_id or 0)
    if request is None or row.specimen_id is None:
        raise Refused(Reason.NOT_ORDERED.value)
    _activate(unit, request, text)
    order = _answered(unit, row, request, text)
    row.work_order_id = order.id
    row.holds = [code for code in row.holds if code != Reason.ORDER_CANCELLED.value]
    say(row, passed("reinstated", user=user, reason=text, order=order.public_id))
    desk.moved(row, "reinstate", user, reason=text, order=order.public_id)
    return desk.shows(row)


def _activate(unit: Unit, request: ServiceRequest, reason: str) -> None:
    before = request.state
    if not SERVICE_REQUEST.allows(before, RequestEvent.ACTIVATE):
        raise Refused("cannot_reinstate", state=before.value)
    request.state = SERVICE_REQUEST.apply(before, RequestEvent.ACTIVATE)
    if request.state is before:
        return  # only this test of it had been cancelled, or its tube
    request.version += 1
    unit.audit(
        "order_reinstated",
        "ServiceRequest",
        request.id,
        before=before,
        after={"state": request.state, "reason": reason},
    )
    unit.publish("order", request.requisition_id)


def _answered(unit: Unit, row: Observation, request: ServiceRequest, reason: str) -> WorkOrder:
    """The work order that this result answers; a new one where the old one was cancelled."""
    of = unit.session.get(WorkOrder, row.work_order_id) if row.work_order_id else None
    if of is not None and of.state is not WorkOrderState.CANCELLED:
        return of
    order = WorkOrder(
        public_id=unit.ids.new(),
        service_request_id=request.id,
        specimen_id=row.specimen_id or 0,
        test_code=row.test_code,
        created_at=unit.now,
        device_id=row.device_id,
        rerun=of.rerun if of is not None else 0,
        dilution=of.dilution if of is not None else None,
        reason=reason,
        state=WORK_ORDER.apply(WorkOrderState.PENDING, WorkOrderEvent.RESULT),
    )
    unit.session.add(order)
    unit.session.flush()
    unit.audit("reinstate", "WorkOrder", order.id, after={"instead_of": of.id if of else None})
    return order
