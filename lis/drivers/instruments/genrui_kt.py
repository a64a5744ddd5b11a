r"""Genrui KT haematology (KT-6300, KT-6610; sold as ARUMA AR580 too): HL7 2.3.1 over MLLP, results only.

    MSH|^~\&|Genrui|KT-6610|||<time>||ORU^R01|<n>|P|2.3.1|||||CHA|UTF-8
    PID|1||<specimen>||<name>||<born>|M
    OBR|1|||||<asked>|<measured>|||<inspector>||||<drawn>||||RD||RD||||HM
    OBX|1|NM|^WBC^||5.01|10^9/L|4.00-10.00|L|||F||e      result; the code is a name in OBX-3.2
    OBX|36|IS|^Take Mode^||1||||||F                      setting of the run
    OBX|40|IS|^WBC Alarm^||Leukopenia||||||F             alarm of the whole count
    OBX|42|ED|^WBCHistogram_BMP^||...                    image

The number of the tube stands in PID-3; OBR has none. OBX-13 marks what was changed: E by hand, e computed again from
an edited one, O measured with an expired reagent. A device sends four bytes of length before each block; the framer
passes over them. It sends again when no acknowledgement comes within 3 s.

Units are written with a bare `^` (`10^9/L`), so the whole field is the unit.

Not claimed: host query (the maker's paper names ORM^O01 and describes nothing of it), and how a control is marked. A
message with MSH-11 Q, the mark of the family, is a control here too: the other mistake would file it under a patient.
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
    FlagMeaning,
    Grade,
    OrderStyle,
    Profile,
    RowKind,
)

SETTINGS = (
    "Take Mode|Blood Mode|Test Mode|Low Mode|Ref Group|Age|Blood Type|Print_BMP"  # not of the blood
)
PAPER = "Genrui LIS communication protocol instruction (2019)"
HOST = "live-itech/midlab protocols/aruma_ar580/constants.py and tests/test_aruma_ar580.py"

PROFILE = Profile(
    key="genrui-kt",
    name="Genrui KT series",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "(?i)genrui"), FieldRule("MSH-4.1", "KT-.*")),),
    fields=replace(
        HL7_FIELDS,
        specimen="PID-3.1",
        test="OBX-3.1 OBX-3.2",
        flags="OBX-8 OBX-13",
        unit="OBX-6",
        observed_at="OBX-14 OBR-7",
        sender_name="MSH-4.1",
    ),
    flags={
        **{flag: HL7_FLAGS[flag] for flag in ("N", "L", "H")},
        "E": FlagMeaning.EDITED,
        "e": FlagMeaning.EDITED,
        "O": FlagMeaning.LOOK,
    },
    statuses=HL7_STATUSES,
    rows=(
        *HL7_ATTACHMENTS,
        (RowKind.COMMENT, FieldRule("OBX-3.2", "Remarks")),
        (RowKind.SETTING, FieldRule("OBX-3.2", SETTINGS)),
        (RowKind.FLAG, FieldRule("OBX-3.2", ".* Alarm|Recheck flag")),
    ),
    controls=(FieldRule("MSH-11.1", "Q"),),
    orders=OrderStyle(may_query=False),
    charsets=("utf-8",),
    evidence=(
        Evidence(grade=Grade.SPEC, source=f"{PAPER}, as described in {HOST}"),
        Evidence(
            grade=Grade.SPEC,
            covers="four bytes of length before a block",
            source="bytes of a KT-6300 in a public test sender (KT-6300, 0x000005C3 before VT)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="settings and alarms beyond the paper",
            source=f"{HOST}, from an AR580 in use (42 OBX)",
        ),
    ),
)
