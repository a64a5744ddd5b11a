"""What drivers hand to the laboratory: values that know no protocol and no table.

A driver turns the raw bytes of one stored message into a `Translation`. It is a pure function of the
bytes and the profile, so a message can be translated again after a driver was mended (S13). A record
that cannot be read becomes an `Unreadable` with its reason; the rest of the message goes on.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from lis.domain.quantity import ReportedValue

BY_HAND: Final = "by-hand"  # the driver of what a person measured and typed


class Protocol(StrEnum):
    """How a link speaks."""

    ASTM = "astm"
    HL7 = "hl7"
    PRINTOUT = "printout"  # a slip between STX and ETX, without frames, checksum or answer


class Lane(StrEnum):
    """Result: commit, acknowledge, process after. Request: commit, process at once, answer."""

    RESULT = "result"
    REQUEST = "request"


class SubjectKind(StrEnum):
    """Whose material was measured."""

    PATIENT = "patient"
    CONTROL = "control"


class IdReadMode(StrEnum):
    """How the instrument came to know the specimen id (S16)."""

    BARCODE = "barcode"
    TYPED = "typed"
    AUTOMATIC = "automatic"  # a number the instrument made up
    POSITION = "position"  # rack and place only
    UNSTATED = "unstated"  # the protocol does not say; the device's policy decides


class ValueBasis(StrEnum):
    """Whether a diluted value is already multiplied (S25)."""

    UNDILUTED = "undiluted"
    CORRECTED = "corrected"
    RAW = "raw"
    MULTIPLIED = "multiplied"  # raw as sent; the laboratory multiplied the number beside the text
    UNKNOWN = "unknown"


class ResultStatus(StrEnum):
    """FHIR observation-status of one reported value."""

    REGISTERED = "registered"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"


class Reason(StrEnum):
    """Why a record or a result waits for a person. `lis.words` has a sentence for each."""

    # reading the message
    UNKNOWN_FLAG = "unknown_flag"
    UNKNOWN_STATUS = "unknown_status"
    UNREADABLE_RECORD = "unreadable_record"
    UNREADABLE_TIME = "unreadable_time"
    NO_TEST_CODE = "no_test_code"
    NO_VALUE = "no_value"
    INCOMPLETE_MESSAGE = "incomplete_message"
    UNKNOWN_DRIVER = "unknown_driver"
    TEST_TRAFFIC = "test_traffic"
    REFUSED_BY_ANALYZER = "refused_by_analyzer"  # it does not take an order of ours
    # whose is it
    NO_SPECIMEN_ID = "no_specimen_id"
    UNKNOWN_SPECIMEN = "unknown_specimen"
    SPECIMEN_TYPE_MISMATCH = "specimen_type_mismatch"
    SPECIMEN_NOT_LIVE = "specimen_not_live"
    MEASURED_BEFORE_COLLECTION = "measured_before_collection"
    MEASURED_BEFORE_RECEIPT = "measured_before_receipt"  # S18: an upload from the archive
    COLLECTION_UNKNOWN = "collection_unknown"  # S26
    ID_NOT_FROM_BARCODE = "id_not_from_barcode"
    AUTOMATIC_NUMBER = "automatic_number"  # S16: the instrument made it up; it is no tube's number
    NUMBER_SEEN_TWICE = "number_seen_twice"  # S16: one number on two positions or receptions
    UNKNOWN_TEST = "unknown_test"
    NOT_ORDERED = "not_ordered"
    ORDER_CANCELLED = "order_cancelled"
    UNKNOWN_CONTROL = "unknown_control"
    CONTROL_UNDER_PATIENT_ID = "control_under_patient_id"
    PATIENT_UNDER_CONTROL_ID = "patient_under_control_id"
    DEVICE_MISMATCH = "device_mismatch"
    UNIT_CHANGED = "unit_changed"
    TEST_QUARANTINED = "test_quarantined"  # S23: its unit changed before, and nobody cleared it yet
    POSSIBLE_DUPLICATE = "possible_duplicate"
    EDITED_ON_ANALYZER = "edited_on_analyzer"
    SECOND_RUN = "second_run"
    NO_CREDIBLE_TIME = "no_credible_time"
    CLOCK_OFFSET = "clock_offset"
    CLOCK_ZONE = "clock_zone"  # S24: off by whole half hours, so zone or summer time is wrong
    # may it leave
    QC_MISSING = "qc_missing"
    QC_OVERDUE = "qc_overdue"
    QC_REJECTED = "qc_rejected"
    INSTRUMENT_FLAG = "instrument_flag"
    NOT_NUMERIC = "not_numeric"
    CENSORED = "censored"
    DILUTION_UNKNOWN = "dilution_unknown"
    OUTSIDE_MEASURING_RANGE = "outside_measuring_range"
    ABSURD = "absurd"
    CRITICAL = "critical"
    DELTA = "delta"
    DELTA_NOT_EVALUABLE = "delta_not_evaluable"
    NO_INTERVAL = "no_interval"
    OUTSIDE_VERIFICATION_LIMITS = "outside_verification_limits"
    NEVER_AUTOMATIC = "never_automatic"
    PRELIMINARY_VALUE = "preliminary_value"
    SPECIMEN_SUSPECT = "specimen_suspect"
    RULES_MISSING = "rules_missing"
    AUTOMATIC_OFF = "automatic_off"  # the stop button of this test is pressed
    WAITS_FOR_COMPANION = "waits_for_companion"
    WAITS_FOR_REPEAT = "waits_for_repeat"  # a rule asked to measure once more
    PROCESSING_FAILED = "processing_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who the message says it comes from (S23)."""

    name: str = ""
    serial: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedControl:
    """What the message says about the control that was measured."""

    material: str = ""
    lot: str = ""
    level: str = ""


class AttachmentKind(StrEnum):
    """What a reference points to. The bytes stay in the raw message."""

    UNSTATED = "unstated"  # a maker's record that the profile knows nothing more of
    HISTOGRAM = "histogram"
    MATRIX = "matrix"  # a scattergram as a grid of counts
    IMAGE = "image"
    ABSORBANCES = "absorbances"
    CURVE = "curve"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A record that stands behind a result and holds no value of it."""

    record: str  # where in the message, e.g. "M|2"
    kind: AttachmentKind = AttachmentKind.UNSTATED
    name: str = ""  # what the instrument calls it: a parameter, the names of image files


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedObservation:
    """One measured value as the instrument sent it; codes are still the instrument's."""

    record: str  # where in the message, e.g. "R|3" or "OBX|3": the raw reference with the inbox id
    kind: SubjectKind
    specimen: str  # id as sent, padding removed only as the profile says
    read_mode: IdReadMode
    test: str  # the instrument's code
    value: ReportedValue
    unit: str
    flags: tuple[str, ...] = ()
    is_abnormal_flagged: bool = False  # a flag that means "look", beyond high and low
    status: ResultStatus = ResultStatus.FINAL
    observed_at: datetime | None = None
    run: str = ""  # replicate, rerun or run number; part of the identity of a run (S19)
    dilution: Decimal | None = None
    basis: ValueBasis = ValueBasis.UNDILUTED
    operator: str = ""
    module: str = ""
    reagent_lot: str = ""
    specimen_type: str = ""
    interval_text: str = ""  # the interval the instrument printed; kept, never used to judge
    control: ReportedControl | None = None
    holds: tuple[Reason, ...] = ()  # what the driver could read but not understand
    comment: str = ""
    attached: tuple[Attachment, ...] = ()
    part_of: str = ""  # record of the result that this row stands behind; "" = a result of its own
    position: str = ""  # rack and place in which the tube stood; "" = not told (S16)

    @property
    def attachments(self) -> tuple[str, ...]:
        """The records of what is attached."""
        return tuple(attachment.record for attachment in self.attached)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record or field that could not be read; filed with its reason, never dropped."""

    record: str
    field: str
    raw: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HostQuery:
    """An instrument asks what to do with these specimens; `wants_all` = everything open."""

    specimens: tuple[str, ...]
    wants_all: bool = False
    is_cancel: bool = False
    echo: tuple[str, ...] = ()  # fields to mirror in the reply (rack, position, container)
    record: str = ""
    range_end: str = ""  # last number of a range that begins with the only one of `specimens`


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedTest:
    """One work order as a driver writes it to an instrument."""

    work_order: str  # never-reused public id
    test: str  # the instrument's code
    dilution: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecimenOrders:
    """All open work orders of one specimen for one instrument. No tests = nothing to do."""

    specimen: str
    tests: tuple[OrderedTest, ...]
    specimen_type: str = ""
    priority: str = "R"
    patient_id: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""  # YYYYMMDD or shorter, as precise as known
    sex: str = ""  # M, F or U
    collected_at: datetime | None = None


class ProgressKind(StrEnum):
    """What an analyzer reports of a step beside its values."""

    STARTED = "started"
    COMPLETED = "completed"
    STOPPED = "stopped"  # somebody took it back on the analyzer


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderProgress:
    """News of one step (LAW: AWOS), by the id that we gave it."""

    step_id: str
    kind: ProgressKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Everything one stored message said."""

    driver: str
    driver_version: str
    protocol: Protocol
    sender: Sender = field(default_factory=Sender)
    control_id: str = ""  # HL7 MSH-10; "" on ASTM
    processing_id: str = "P"  # P production, T test, D debugging, Q control (by profile)
    sent_at: datetime | None = None
    observations: tuple[ReportedObservation, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    queries: tuple[HostQuery, ...] = ()
    acknowledged_orders: tuple[str, ...] = ()  # work orders the instrument says it took
    progress: tuple[OrderProgress, ...] = ()  # what it says of steps that we gave it
    foreign_driver: str = ""  # another known driver whose header this plainly is (S23)
