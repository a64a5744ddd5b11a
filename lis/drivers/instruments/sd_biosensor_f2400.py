r"""SD Biosensor STANDARD F2400: fluorescence reader, HL7 2.6 over MLLP by IHE PCD-01, results only.

    MSH|^~\&|<serial>^<EUI-64>^EUI-64| |||<time>-0500||ORU^R01^ORU_R01|{<GUID>}|P|2.6|||AL|NE||UNICODE UTF-8|...
    PID|||<specimen>||^^^^^^U
    OBR|1|<GUID>^...|<GUID>^...|4548-4^Hemoglobin A1c^LN|||<measured>|<measured>
    NTE|1||Device Information,Date of manufacture=...,LotNo=014,SerialNo=...,Kind=FLine1
    OBX|1|NM|4548-4^Hemoglobin A1c^LN|1.0.0.7|6.3|%^Percent^NGSP|[4.00;15.00]||||F|||<measured>||admin
    NTE|1||eAG = 134.11 mg/dL, IFCC = 45.36 %

The number of the tube stands in PID-3: OBR-2 and OBR-3 are GUIDs of the reader. MSH-10 is a GUID in braces, 38
characters. OBX-4 is a place in the tree of the device, no replicate. Times carry their offset. Derived values are
only words in a note: they stay in the comment, as their units are not always what they say (IFCC in %).

Messages want a commit acknowledgement (MSH-15 AL, MSH-16 NE).

Not claimed: host query (the profile has no such thing), controls. Other readers of the maker and of its kin speak
alike; only this one is claimed.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
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
    key="sd-biosensor-f2400",
    name="SD Biosensor STANDARD F2400",
    protocol=Protocol.HL7,
    version="1",
    identity=(
        (
            FieldRule("MSH-3.1", "FA24.*"),
            FieldRule("MSH-3.3", "EUI-64"),
            FieldRule("MSH-21.1", "IHE_PCD_ORU_R01"),
        ),
    ),
    fields=replace(
        HL7_FIELDS,
        specimen="PID-3.1",
        sender_name="",
        sender_serial="MSH-3.1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H")},
    statuses=HL7_STATUSES,
    rows=HL7_ATTACHMENTS,
    controls=(FieldRule("MSH-11.1", "Q"),),
    orders=OrderStyle(may_query=False),
    charsets=("utf-8",),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="live-itech/midlab protocols/sd_biosensor_f2400 and its tests, written from the log of an F2400",
        ),
    ),
)
