r"""How an analyzer speaks IHE LAW, as data.

The framework leaves room, and makers take some more. Each default is what PaLM TF-2b says (reference/hl7.md 3);
what an instrument does otherwise stands in its profile, with the source as evidence.

Reading is in `law_driver`, writing in `law_orders`; the order of segments and what they must hold in
`lis.wire.law_tables`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lis.drivers.field_rule import FieldRule

HL7_SPECIMEN_TYPES = frozenset({"SER", "PLAS", "BLD", "WB", "UR", "CSF", "SAL", "STL"})
"""Codes of HL7 table 0487 that a catalog may use as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawStyle:
    """One instrument's LAW."""

    coding: str
    """The coding system of its test codes, OBR-4.3: `99ROC`, `99ABT`."""
    container_queries: frozenset[str] = frozenset({"WOS"})
    """QPD-1.1 of a question for the container in QPD-3. cobas pro asks `INIBAR` when it read a barcode."""
    numberless_queries: frozenset[str] = frozenset({"WOS_BY_RACK", "WOS_BY_TRAY", "WOS_BY_ISOLATE"})
    """Questions that name no id we could know: a place, or a number the analyzer made up. Their answer is
    "nothing to do": a rack position is nobody's specimen (S16). cobas pro asks `INISEQ` so."""
    all_queries: frozenset[str] = frozenset({"WOS_ALL"})
    query_profile: tuple[str, str] = ("LAB-27", "IHE")
    order_profile: tuple[str, str] = ("LAB-28", "IHE")
    """MSH-21 of what we send. cobas pro: `LAB-27R^ROCHE` and `LAB-28R^ROCHE`."""
    names_in_spm: bool = True
    """SPM-2 carries the specimen id. Alinity leaves it empty and has it in SAC-3 only."""
    names_in_sac: bool = True
    """A SAC segment is written. BioSystems has none."""
    spm_mark: str = ""
    """What stands behind the id in SPM-2: `id&BARCODE` (cobas pro), `id&ROCHE` (x800)."""
    sac_mark: str = ""
    """The same in SAC-3, as its second component: `id^BARCODE` (cobas pro)."""
    echoes_place: bool = False
    """Rack, position, sample and container type of the query come back in SAC-10, SAC-11, SPM-4 and SPM-27
    (cobas pro)."""
    sends_details: bool = False
    """Each step has a TCD that names the test again."""
    sends_priority: bool = True
    """Each step has a TQ1 with its priority."""
    sends_patient: bool = True
    bare_reply_takes: bool = False
    """AA without a word on the steps means that all are taken. BioSystems answers so; for x800 it means that the
    order is not available, so nothing is concluded."""
    lots: tuple[FieldRule, ...] = ()
    """Which INV behind a result names the lot of its own reagent (INV-16): cobas has R1, R3 and special
    reagents."""
    comments_are_flags: tuple[FieldRule, ...] = ()
    """Notes behind a result that ask a person to look: Atellica writes its result flags so."""
    has_vendor_unicode: bool = False
    r"""`\Z03BC\` means U+03BC (BioSystems)."""
    thousands: str = ""
    """The sign between thousands in a number: Alinity m writes `161,152`."""
    has_unit_in_value: bool = False
    """The unit stands behind the number, in the value: cobas 4800 writes `3.26E+05 cp/mL`."""
    specimen_types: Mapping[str, tuple[str, str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Our specimen types as the analyzer names them, where it does not know table 0487."""
