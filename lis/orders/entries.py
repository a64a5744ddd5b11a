"""What a referral says, before anything is stored: values from an EMR message, a form or a phone call."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lis.orders.order_saying import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierEntry:
    """One identifier of a patient as the referral states it."""

    system: str
    value: str
    issuer: str = ""
    is_check_digit_wrong: bool = False  # by the scheme the sender named: it matches nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientEntry:
    """The person a referral is about. `birth_date` is as precise as known: YYYY, YYYY-MM, YYYY-MM-DD.

    With `patient_public_id` a person chose a stored patient: nothing else here is looked at.
    """

    family_name: str
    identifiers: tuple[IdentifierEntry, ...] = ()
    given_name: str = ""
    middle_name: str = ""
    birth_date: str = ""
    sex: str = "U"
    language: str = ""
    patient_public_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEntry:
    """One ordered test or panel."""

    code: str
    placer_number: str = ""
    placer_authority: str = ""
    placer_code: str = ""  # the code field exactly as sent
    priority: str = "R"
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequisitionEntry:
    """One referral."""

    patient: PatientEntry
    orders: tuple[OrderEntry, ...]
    source: str  # EMR name, or "form"
    placer_group: str = ""
    placer_authority: str = ""
    requester: str = ""
    requester_code: str = ""
    ward: str = ""
    priority: str = "R"
    reason: str = ""
    notes: str = ""
    collected_at: datetime | None = None
    collected_certainty: str = "unknown"  # exact, estimated, unknown
    collector: str = ""
    is_received: bool = False  # the tubes are already here (the form at reception)
    inbox_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOrder:
    """What one message asks of one order."""

    verb: Verb
    entry: OrderEntry
    has_content: bool = True  # False: only a number, as in a cancel without OBR


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMessage:
    """What a sender says of some orders of one patient at one moment; `requisition` is what their new ones belong to."""

    orders: tuple[SaidOrder, ...]
    requisition: RequisitionEntry
    stamp: str  # lis.orders.order_saying.stamp_of


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    HELD = "held"  # readable, but names something unknown: a person decides
    REPEATED = "repeated"  # the same order again: nothing new was made
    CANCELLED = "cancelled"
    UNABLE = "unable"  # cannot be cancelled any more
    UNKNOWN = "unknown"  # no such order
    REFUSED = "refused"  # cancelled before, or refused by a person


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """What became of one order."""

    outcome: Outcome
    placer_number: str
    filler_number: str = ""
    service_request_id: int | None = None
    reason: str = ""  # code for lis.words, area "orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSpecimen:
    """A tube to collect."""

    specimen_id: int
    accession: str
    specimen_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of a referral. The receipt code is known only now: the store keeps its hash."""

    requisition_id: int
    public_id: str
    receipt_code: str
    orders: tuple[PlacedOrder, ...]
    specimens: tuple[PlacedSpecimen, ...]
