r"""URIT 8030 and 8031 chemistry: HL7 2.3.1 over MLLP, results only.

    MSH|^~\&|urit|8030|||<time>||ORU^R01|<n>|P|2.3.1||||0||ASCII
    PID|1||||||0
    OBR|1|<specimen>|<own number>|urit^8030|N||2025-08-09
    OBX|1|NM|1|GLU|111|mg/dL|65-99|N|||F||0.2441|2025-08-09||Admin

The name of the test is in OBX-4; OBX-3 counts rows. OBX-13 is the optical signal, no flag. The day of measurement has
no time, so it is no moment (S11), and each result waits for a person with that reason. MSH-16 is 0 on results; a
message with anything else there is filed whole.

Not claimed: host query, controls, calibrations.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.hl7_dialect import Hl7Dialect
from lis.drivers.profile import (
    HL7_ATTACHMENTS,
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
)

PROFILE = Profile(
    key="urit-8030",
    name="URIT 8030 and 8031",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "(?i)urit"), FieldRule("MSH-4.1", "803[01]")),),
    fields=replace(
        HL7_FIELDS,
        specimen="OBR-2.1",
        test="OBX-4",
        observed_at="OBX-14 OBR-7",
        sender_name="MSH-4.1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H")},
    statuses=HL7_STATUSES,
    rows=HL7_ATTACHMENTS,
    controls=(FieldRule("MSH-11.1", "Q"),),
    orders=OrderStyle(may_query=False),
    charsets=("latin-1",),
    hl7=Hl7Dialect(known=(FieldRule("MSH-16.1", "0?"),)),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="messages and fields in the public note `URIT-8031 Biochemistry Analyzer Integration` (hl7.md, source 39)",
        ),
    ),
)
