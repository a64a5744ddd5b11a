r"""What an instrument does, written as data.

A `Profile` holds everything that `lis` knows about one kind of instrument: who it says it is, where its
fields stand, what its flags and states mean, how controls are told from patients, how it wants its
orders. Drivers (`astm_driver`, `hl7_driver`) are the same code for all instruments and ask the profile.

Where a value stands is an *expression* over field paths (`lis.wire.path`):

    "R.13"              one path
    "R.13 O.23 H.14"    paths in order of preference: the first that is not empty
    "R.3.2+R.3.4"       parts of one code, joined by ^ (empty parts at its start are left out)
    "R.3.4/2"           a piece of a text that the instrument cuts with slashes: code/dilution

Rules of this file:

* Every default is what the standard says (LIS02-A2 for ASTM, HL7 2.3.1-2.5.1 for HL7). What an instrument
  does otherwise stands in its own file, with the manual or the capture that shows it as `Evidence`.
* No code asks which vendor it talks to. What data cannot say is a function named in the profile.
* A flag, state or read mode that the tables do not know never stops a message: the observation is kept with
  the reason, and a person looks at it (promise 3).
"""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from lis.domain.messages import (
    AttachmentKind,
    HostQuery,
    IdReadMode,
    Protocol,
    ResultStatus,
    SpecimenOrders,
    ValueBasis,
)
from lis.drivers.field_rule import FieldRule as FieldRule  # noqa: PLC0414  # offered here too
from lis.drivers.hl7_dialect import STANDARD_HL7, Hl7Dialect
from lis.drivers.law_style import LawStyle
from lis.drivers.order_style import Nothing as Nothing  # noqa: PLC0414  # offered here too
from lis.drivers.order_style import OrderGrouping as OrderGrouping  # noqa: PLC0414  # offered here too
from lis.drivers.order_style import OrderStyle as OrderStyle  # noqa: PLC0414  # offered here too
from lis.wire.astm_settings import DEFAULT_TOLERANCES, Tolerance
from lis.wire.printout import PrintoutLayout

CODE_JOINT = "^"  # between the parts of a code that an instrument spreads over components


class Grade(IntEnum):
    """What a claim of support rests on. Synthetic captures raise no grade."""

    SPEC = 1  # a manual or another public description
    CAPTURE = 2  # bytes recorded from a real instrument
    BIDIRECTIONAL = 3  # host query or order download seen to work with a real instrument
    FIELD = 4  # routine use


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a part of a profile rests on."""

    grade: Grade
    source: str
    covers: str = "all"  # the fields or the group this speaks for


class FlagMeaning(StrEnum):
    """What a flag asks of us. Only the interval judges; a flag can but stop a result."""

    NORMAL = "normal"
    OUTSIDE_INTERVAL = "outside_interval"  # plain high or low: we judge that ourselves
    LOOK = "look"  # beyond high and low: a person must see it
    EDITED = "edited"  # changed by hand on the analyzer


class RowKind(StrEnum):
    """What a result row (R, OBX) is."""

    RESULT = "result"
    SUPPLEMENT = "supplement"  # stands behind a result before it: a Ct, a curve's end point
    INTERPRETATION = "interpretation"  # the result before it in words; its text is told beside it
    FLAG = "flag"  # an alarm that stands behind all results of its order
    COMMENT = "comment"
    LEVEL = "level"  # the level of the control behind all results of its order
    SETTING = "setting"  # how the run was set; stays in the raw message only
    ATTACHMENT = "attachment"  # an image or a curve: a reference, never a value


@dataclass(frozen=True, slots=True)
class ValuePart:
    """A component of a value field that stands behind the value: `3+^3+^45` of an Immucor Galileo.

    Where it is not empty it becomes an observation of its own behind the result; `name` ends its code.
    """

    place: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMap:
    """Where the values stand, as expressions. "" = the instrument does not say."""

    specimen: str
    test: str
    value: str
    unit: str
    status: str
    observed_at: str
    flags: str
    """Paths of whole fields; all their repeats count."""
    quantity: str = ""
    """A number beside a call: `POSITIVE^28.5`. Both present = two observations (GeneXpert)."""
    supplement: str = ""
    """What a SUPPLEMENT or INTERPRETATION row adds to the code of its result: Architect writes one result as
    three rows and names the kind in R.3.9 (astm.md, section 3)."""
    comparator: str = ""
    """A sign before the number that has a place of its own; it becomes the first sign of the value."""
    attachment: str = ""
    """The name of an attachment: VISION names its images in M.4.6 and M.4.7 (capture)."""
    detail_test: str = ""
    detail_value: str = ""
    """Code and value of a maker's record that `Profile.details` knows."""
    reagents: str = ""
    """Lots in a maker's record that `Profile.reagents` knows; all repeats count."""
    interval: str = ""
    operator: str = ""
    module: str = ""
    reagent_lot: str = ""
    specimen_type: str = ""
    position: str = ""
    """Rack and place of the tube (S16). c111: O.4.3 (capture). Where an instrument moves tubes by itself,
    so that one tube has several places, it is left out."""
    run: str = ""
    dilution: str = ""
    comment: str = ""
    control_material: str = ""
    control_lot: str = ""
    control_level: str = ""
    sender_name: str = ""
    sender_serial: str = ""
    sender_version: str = ""
    sent_at: str = ""
    processing_id: str = ""


ASTM_FIELDS = FieldMap(
    specimen="O.3.1",
    test="R.3.4",
    value="R.4",
    unit="R.5",
    interval="R.6",
    flags="R.7",
    status="R.9",
    operator="R.11",
    observed_at="R.13",
    specimen_type="O.16.1",
    comment="C.4",
    sender_name="H.5.1",
    sent_at="H.14",
    processing_id="H.12.1",
)
"""LIS02-A2: 6 (header), 8.4 (order), 9 (result), 10 (comment)."""

HL7_FIELDS = FieldMap(
    specimen="OBR-3.1",
    test="OBX-3.1",
    value="OBX-5",
    unit="OBX-6.1",
    interval="OBX-7",
    flags="OBX-8",
    status="OBX-11",
    operator="OBX-16.1",
    observed_at="OBX-14 OBR-7",
    comment="NTE-3",
    sender_name="MSH-3.1",
    sent_at="MSH-7",
    processing_id="MSH-11.1",
)
"""HL7 2.3.1 chapter 7."""

_F = FlagMeaning
ASTM_FLAGS: Mapping[str, FlagMeaning] = {
    "N": _F.NORMAL,
    "L": _F.OUTSIDE_INTERVAL,
    "H": _F.OUTSIDE_INTERVAL,
    "LL": _F.LOOK,
    "HH": _F.LOOK,
    "<": _F.LOOK,  # below what the instrument can measure
    ">": _F.LOOK,
    "A": _F.LOOK,
    "U": _F.LOOK,
    "D": _F.LOOK,
    "B": _F.LOOK,
    "W": _F.LOOK,
}
"""LIS02-A2 9.7."""

HL7_FLAGS: Mapping[str, FlagMeaning] = {**ASTM_FLAGS, "AA": _F.LOOK}
"""HL7 table 0078, as far as it speaks of measured values."""

_S = ResultStatus
ASTM_STATUSES: Mapping[str, ResultStatus] = {
    "F": _S.FINAL,
    "V": _S.FINAL,  # verified on the instrument
    "R": _S.FINAL,  # sent before; a resend is recognised by its run (S19)
    "Q": _S.FINAL,  # sent because we asked
    "P": _S.PRELIMINARY,
    "S": _S.PRELIMINARY,  # partial
    "C": _S.CORRECTED,
    "X": _S.CANCELLED,
    "I": _S.REGISTERED,  # pending in the instrument
}
"""LIS02-A2 9.9. M, N and W have no meaning for a measured value that we could act on: held."""

HL7_STATUSES: Mapping[str, ResultStatus] = {
    "P": _S.PRELIMINARY,
    "F": _S.FINAL,
    "C": _S.CORRECTED,
    "A": _S.AMENDED,
    "X": _S.CANCELLED,
    "D": _S.ENTERED_IN_ERROR,
    "W": _S.ENTERED_IN_ERROR,
}
"""HL7 table 0085 by the official v2-to-FHIR map; B I N O R S U V are unmatched there: held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMode:
    """How the instrument says where the specimen id came from (S16)."""

    path: str = ""
    modes: Mapping[str, IdReadMode] = field(default_factory=dict)
    default: IdReadMode = IdReadMode.UNSTATED


CANCELLED_QUERY = FieldRule("Q.13", "A")  # LIS02-A2 11.13


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """How the instrument asks for its orders.

    ASTM: the specimens are the repeats of Q.3, `component` of each (LIS02-A2 11: patient^specimen);
    `ALL` or an empty Q.3 asks for everything. HL7: the message matches all `match` rules and names its
    specimen at `specimen`.
    """

    match: tuple[FieldRule, ...] = ()
    specimen: str = ""
    component: int = 2
    cancel: FieldRule = CANCELLED_QUERY
    everything: FieldRule | None = None
    """HL7: asks for all open work (GeneXpert: query Z01; Mindray BS: QRD-8 is empty)."""
    wait_s: float = 15.0
    """How long the instrument waits for the answer; the standard's reply timer where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Where the bytes of an instrument leave the standard. Each default is the standard."""

    delimiters: str = "|\\^&"
    """Field, repeat, component, escape of what we send. GeneXpert wants its own back (capture)."""
    record_per_etb_frame: bool = False
    """Every record ends its frame with ETB, only L has ETX: cobas c111 (capture). Reading joins the
    text anyway; a simulator of the instrument sends so."""
    text_limit_bytes: int = 240
    """Text in one frame we send: E1381-95, which every receiver takes."""
    sends_whole_message_in_one_frame: bool = False
    """GeneXpert, DCA Vantage (captures): for simulators."""
    tolerances: frozenset[Tolerance] = DEFAULT_TOLERANCES
    """Liberties with frames that are taken from it (`lis.wire.astm_settings` says of each who needs it).
    The first use of each in a session stands in the journal."""
    record_per_frame: bool = True
    """What we send starts a frame with each record (LIS01-A2 6.3.1.1); cobas c311 wants one stream."""
    frame_sends_max: int = 6
    """A frame not accepted so often is given up: LIS01-A2 6.5.1.2; its figure A1 counts seven."""
    honours_interrupt: bool = True
    """EOT in answer to a frame of ours asks us to stop (LIS01-A2 6.3.5); else it is an ACK."""
    padding: str = ""
    """Characters around a specimen id that are not part of it. Sysmex XP-100 pads with blanks."""
    decimal_comma: bool = False
    """Numbers with a comma: GeneXpert in some locales."""
    comparators: Mapping[str, str] = field(default_factory=dict)
    """Other ways to write `<`, `<=`, `>`, `>=` before a number. The value keeps the instrument's own."""
    time_format: str = ""
    """How a time is written, for `strptime`, where it is not YYYYMMDDHHMMSS: Spotchem EL (capture)."""
    printout_answer: bytes = b""
    """What a kept print-out is answered with. The one capture shows no answer."""
    status_missing: ResultStatus | None = None
    """State of a row that carries none. None: held, as nothing is guessed."""
    flag_comments: tuple[FieldRule, ...] = (FieldRule("C.5", "I"),)
    """Comments that are instrument flags: LIS02-A2 10, type I. GeneXpert sends operators' notes so."""
    silent_comments: tuple[FieldRule, ...] = ()
    """Comments that say nothing: alarm number 0 behind each result of a cobas c311 (senaite cobas_c311.txt)."""
    undiluted: tuple[str, ...] = ()
    """What the dilution field says of a specimen measured as it is: UNDILUTED (Architect), 1^not (e411)."""
    dilution_is_factor: bool = True
    """Whether a number there is how much was diluted. Sysmex CS writes per cent of the specimen: 50.00."""
    heartbeats: bytes = b""
    """Bytes between MLLP frames that mean "I live": Mindray BC sends 0x02 (hl7.md, section 4)."""


class WriteOrders(typing.Protocol):
    """How orders become records or payloads; see `lis.drivers.driver.order_records`."""

    def __call__(
        self,
        profile: "Profile",
        orders: Sequence[SpecimenOrders],
        /,
        *,
        at: datetime,
        control_id: str,
        query: HostQuery | None = None,
    ) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """One kind of instrument. Compared by identity: there is one object for each key."""

    key: str
    name: str
    protocol: Protocol
    version: str
    """Moves with every change of meaning; stored with each observation (S13, S31)."""
    identity: tuple[tuple[FieldRule, ...], ...]
    """Any of these groups of rules, all rules of it, on the header: it is this instrument."""
    fields: FieldMap
    evidence: tuple[Evidence, ...]
    flags: Mapping[str, FlagMeaning]
    statuses: Mapping[str, ResultStatus]
    read_mode: ReadMode = ReadMode()
    rows: tuple[tuple[RowKind, FieldRule], ...] = ()
    """The first rule that matches says what a row is; without a match it is a RESULT."""
    printout: PrintoutLayout | None = None
    """How its slips are written; only for instruments that print."""
    parts: tuple[ValuePart, ...] = ()
    """What else stands in the field of a value."""
    words: tuple[FieldRule, ...] = ()
    """Any of these: the value is a word, though it may look like a number: reaction `0` (Galileo, capture),
    call `-1` before a cut-off index (cobas e411, astm.md section 3)."""
    attachments: tuple[tuple[AttachmentKind, FieldRule], ...] = ()
    """The kind of an attachment; without a match it is only a reference."""
    details: tuple[FieldRule, ...] = ()
    """Any of these: a maker's record carries a reading behind its result: wells of VISION (capture)."""
    reagents: tuple[FieldRule, ...] = ()
    """Any of these: a maker's record names the reagent lots of its order: Yumizen H550 (capture)."""
    controls: tuple[FieldRule, ...] = ()
    """Any of these: the row belongs to a control, never to a patient."""
    basis_when_diluted: ValueBasis = ValueBasis.UNKNOWN
    """Whether a value with a dilution factor is already multiplied (S25)."""
    query: Query = Query()
    orders: OrderStyle = field(default_factory=OrderStyle)
    write_orders: WriteOrders | None = None
    """Where data cannot say it."""
    charsets: tuple[str, ...] = ("latin-1",)
    """Tried strictly in order; Latin-1 is the last resort and never fails."""
    quirks: Quirks = Quirks()
    hl7: Hl7Dialect = STANDARD_HL7
    """Where its HL7 leaves the standard."""
    law: LawStyle | None = None
    """How it speaks IHE LAW; None: it does not."""

    @property
    def grade(self) -> Grade:
        """The best grade that the profile as a whole has."""
        whole = [entry.grade for entry in self.evidence if entry.covers == "all"]
        return max(whole, default=Grade.SPEC)


ASTM_CONTROLS = (FieldRule("O.12", "Q"), FieldRule("H.12.1", "Q"))
"""LIS02-A2 8.4 (action code Q: quality control specimen) and 6.12 (processing id Q)."""

HL7_ATTACHMENTS = ((RowKind.ATTACHMENT, FieldRule("OBX-2", "ED|RP")),)
