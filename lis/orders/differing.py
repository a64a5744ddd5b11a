"""A difference between what is measured and what its sender says now: kept once, for a person to acknowledge."""

from lis.store.order_rows import ServiceRequest
from lis.store.referral_queries import has_change
from lis.store.referral_rows import OrderChange
from lis.store.unit import Unit


def note_change(
    unit: Unit,
    request: ServiceRequest,
    field: str,
    *,
    stamp: str,
    had: str = "",
    said: str = "",
    inbox_id: int | None = None,
) -> None:
    """Keep a difference once, for a person to acknowledge."""
    if has_change(unit.session, request.id, field, stamp):
        return
    change = OrderChange(
        service_request_id=request.id,
        field=field,
        stamp=stamp,
        noted_at=unit.now,
        had=had,
        said=said,
        is_applied=field in {"priority", "notes"},
        inbox_id=inbox_id,
    )
    unit.session.add(change)
    unit.session.flush()
    unit.audit("order_differs", "ServiceRequest", request.id, before=had, after={field: said})
    unit.publish("order", request.requisition_id)
