r"""Where an instrument's HL7 leaves the standard, as data.

Everything here has the standard as its default; a profile names what its instrument does otherwise, with the
source as evidence. Reading is in `hl7_driver`, answering in `mllp_session`, writing orders in `hl7_orders`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lis.domain.messages import ResultStatus
from lis.drivers.field_rule import FieldRule


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """OBR itself is the result: Mindray BS writes controls so, without OBX and PID (hl7.md, section 4)."""

    when: tuple[FieldRule, ...]
    """All of these: this OBR is a result."""
    fields: Mapping[str, str]
    """The places of `FieldMap` that differ from those of a row."""
    status: ResultStatus = ResultStatus.FINAL
    """Such a segment has no place for a state; it is written when the measurement is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledging:
    """How the instrument wants its messages acknowledged."""

    conditions_unless_said: tuple[str, str] = ("", "")
    """MSH-15 and MSH-16 to act on where both are empty. GeneXpert acknowledges by commit (CA) always."""
    message_type: tuple[str, ...] | None = None
    """MSH-9 of our acknowledgement; None = as the standard says for the version. GeneXpert: `ACK` alone."""
    echoes_control_id: bool = False
    """Our MSH-10 is that of the message: Mindray wants the integer back."""
    says_success: bool = False
    """MSA-3 and MSA-6 say that all is well ("Message accepted", 0): Mindray, and who speaks like it."""
    waits_between_answers: bool = False
    """One answer at a time, the next after its acknowledgement: Mindray BS takes a day's worklist so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Dialect:
    """One instrument's HL7."""

    known: tuple[FieldRule, ...] = ()
    """Rules that every result message obeys. A message that does not is filed whole: its sender means
    something that nobody told us (Mindray BS: MSH-16 is 0, 1 or 2)."""
    is_specimen_behind: bool = False
    """SPM follows the rows it speaks for (GeneXpert); in the standard's OUL it stands before them."""
    order_row: OrderRow | None = None
    refusal: tuple[FieldRule, ...] = ()
    """An OBR that obeys all of these and has no row under it: the instrument refuses an order."""
    flag_notes: tuple[FieldRule, ...] = ()
    """Notes (NTE) that are instrument flags: a person must look (GeneXpert: `Error^code^text`)."""
    has_vendor_unicode: bool = False
    r"""`\Z03BC\` means the character U+03BC: GeneXpert, for what its character set lacks."""
    acknowledging: Acknowledging = Acknowledging()


STANDARD_HL7 = Hl7Dialect()
