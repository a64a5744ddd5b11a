"""Orders: from the referral to the tube and to the analyzer's list."""

from lis.orders.entries import (
    IdentifierEntry,
    OrderEntry,
    Outcome,
    PatientEntry,
    Placed,
    PlacedOrder,
    PlacedSpecimen,
    RequisitionEntry,
)
from lis.orders.hostquery import Answered, answer_and_log, answer_query
from lis.orders.placing import cancel_order, place_requisition, receive_specimen, reject_specimen

__all__ = [
    "Answered",
    "IdentifierEntry",
    "OrderEntry",
    "Outcome",
    "PatientEntry",
    "Placed",
    "PlacedOrder",
    "PlacedSpecimen",
    "RequisitionEntry",
    "answer_and_log",
    "answer_query",
    "cancel_order",
    "place_requisition",
    "receive_specimen",
    "reject_specimen",
]
