r"""Roche cobas 4800: molecular system, IHE LAW over MLLP; one message carries a whole run.

    SPM|<n>|<id>&ROCHE||""|||||||Q^^HL70369                        role Q on every tube, patients too
    SAC|||<id>
    INV|<control>^^99ROC|OK^^HL70383|CO^^HL70384                   only where the tube is a control
    OBR||""||0BHIV1^0BHIV1^99ROC||<time>
    ORC|SC||||CM
    OBX|1|DR|RunTimeRange^...^99ROC^S_OTHER^...^IHELAW|1.0|...     stands before its result
    OBX|2|ST|0BHIV1^0BHIV1^99ROC|1.1|3.26E+05 cp/mL|1/mL^^UCUM||Full^^99ROC|||F|...
    INV|""|OK^^HL70383|OT^^HL70384|MwpId^^99ROC|<plate>...
    NTE|1||F;NONE

Every specimen has role Q. Trusting it would file patients as controls, so only INV with type CO tells a control
(LAW-R12). The value carries its unit behind the number; text stays as it came, the number is read beside it.
`Target Not Detected`, `< Titer min` and `Invalid` are words.

Not claimed: what OBX-8 (`Full`) and the letters of the notes mean. The first is a flag that nobody knows, and its
result waits for a person. Orders are not claimed either: the question is answered as the framework says, but
nobody has shown that this instrument takes the answer.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.law_orders import write_orders
from lis.drivers.law_style import LawStyle
from lis.drivers.profile import (
    HL7_FIELDS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
    Query,
    RowKind,
)

PROFILE = Profile(
    key="roche-cobas-4800",
    name="Roche cobas 4800",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "cobas 4800.*"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1 SPM-2.1.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        module="OBX-18[2].1",
        run="OBX-4",
        control_material="INV-1.1",
        sender_version="MSH-3.1",
    ),
    flags={},
    statuses={status: HL7_STATUSES[status] for status in ("F", "P", "X")},
    rows=((RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),),
    controls=(FieldRule("INV-3.1", "CO"),),
    query=Query(wait_s=30.0),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(coding="99ROC", spm_mark="ROCHE", has_unit_in_value=True),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public fixtures made from captures of three laboratories (software 2.2 and 2.3): OUL^R22 and "
            "QBP^Q11 (reference/hl7.md [30], index 60991686846 and 69276765565)",
        ),
    ),
)
