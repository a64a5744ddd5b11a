"""Facts about stored things that judging a result needs, frozen so that a decision never sees a row.

`lis.store.observation_queries` fills them in set queries for a whole batch; `lis.results` folds over them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One analyzer, and what the laboratory has decided about it."""

    id: int
    site_id: int
    name: str
    driver: str
    serial: str = ""  # "": never entered, so nothing can disagree with it (S23)
    quarantine_reason: str = ""
    is_simulator: bool = False
    has_reliable_barcode: bool = False  # S16: a person vouches for ids whose read mode is not told
    seen_name: str = ""  # what its headers said first, or since a person accepted another (S23)
    seen_serial: str = ""
    clock_offset_s: int | None = None  # as measured on its last message (S24)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecimenFacts:
    """One tube."""

    id: int
    accession: str
    specimen_type: str
    state: SpecimenState
    patient_id: int
    requisition_id: int
    site_id: int
    collected_from: datetime | None = None
    collected_to: datetime | None = None
    collected_certainty: str = "unknown"
    received_at: datetime | None = None
    suspicion: str = ""  # S04
    received_again_at: datetime | None = None  # S16: its number came to reception a second time


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFacts:
    """What the patient row says; `birth_date` is as precise as it is known."""

    id: int
    sex: str = "U"
    birth_date: str = ""
    timezone: str = "UTC"  # of the patient's site: a birth date is a date there


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """One work order with the service request behind it."""

    work_order_id: int
    service_request_id: int
    specimen_id: int
    test: str
    state: WorkOrderState
    request_state: RequestState
    rerun: int = 0
    dilution: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """An observation that is already there, as far as another run must know it (S19, S20)."""

    id: int
    run_key: str
    specimen_id: int | None
    test: str
    reported: str
    unit: str
    flags: tuple[str, ...]
    status: str  # as the instrument said
    record: str
    inbox_id: int | None
    created_at: datetime
    bench_state: BenchState
    version: int = 1
    is_chosen: bool = True
    raw_sha256: bytes = b""  # of the message it came in
    is_session_closed: bool | None = None  # EOT followed our last ACK; None: not known
    device_id: int | None = None
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastValue:
    """A released value of the same patient and test."""

    observation_id: int
    value: Decimal | None
    text: str
    unit: str
    method: str
    collected_at: datetime | None
    analysed_at: datetime | None
    is_censored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingResult:
    """An unreleased result whose gate may be asked again (S01, S11)."""

    id: int
    device_id: int | None
    test: str
    module: str
    reagent_lot: str
    analysed_at: datetime | None
    holds: tuple[str, ...]
    verdicts: Sequence[Mapping[str, Any]]
    bench_state: BenchState
    row_version: int
    is_chosen: bool
    flag: str
    inbox_id: int | None
    specimen_id: int | None
    patient_id: int | None
    service_request_id: int | None
    work_order_id: int | None
    value: Decimal | None = None
    reported: str = ""
    unit: str = ""
    method: str = ""
    comparator: str = ""
    collected_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """One service request, as far as its report needs it."""

    id: int
    filler_number: str
    state: RequestState
    source: str  # EMR name; "" or "form" when nobody outside waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """The report of one service request as it stands."""

    id: int
    public_id: str
    service_request_id: int
    status: str
    version: int
