r"""Zybio haematology (Z3, Z52 and kin): HL7 2.3.1 over MLLP, in the manner of Mindray BC, results only.

    MSH|^~\&|Z3|Zybio|||<time>||ORU^R01|<n>|P|2.3.1||||||UNICODE
    PID|1||^^^^MR||^|||0
    OBR|1||<specimen>|01001^Automated Count^99MRC|||<measured>
    OBX|1|IS|03001^Take Mode^99MRC||O||||||F                          setting of the run, told by its name
    OBX|6|NM|6690-2^WBC^LN||7.39|10^3/μL|3.5000-9.5000|A~H|||F        result; one of two flags may be empty

The numbers of the settings differ between models (Take Mode is 02001 or 03001), their names do not; so a row is
known by its name. What is `IS` and no setting is an alarm of the whole count. PID-3 is often empty.

Units are written with a bare `^` (`10^9/L`), so the whole field is the unit.

Not claimed: host query, and how this maker marks a control. A message with MSH-11 Q, the mark of the family, is a
control here too: the other mistake would file it under a patient.
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
    RowKind,
)

SETTINGS = "Take Mode|Blood Mode|Test Mode|Ref Group|Age|Sys Seq|Worklist Seq"

PROFILE = Profile(
    key="zybio-z",
    name="Zybio Z series",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-4.1", "Zybio"), FieldRule("MSH-3.1", "Z[0-9].*")),),
    fields=replace(
        HL7_FIELDS,
        test="OBX-3.1 OBX-3.2",
        unit="OBX-6",
        observed_at="OBX-14 OBR-7",
        sender_name="MSH-3.1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H", "A")},
    statuses=HL7_STATUSES,
    rows=(
        *HL7_ATTACHMENTS,
        (RowKind.COMMENT, FieldRule("OBX-3.2", "Remark")),
        (RowKind.SETTING, FieldRule("OBX-3.2", SETTINGS)),
        (RowKind.FLAG, FieldRule("OBX-2", "IS")),
    ),
    controls=(FieldRule("MSH-11.1", "Q"),),
    orders=OrderStyle(may_query=False),
    charsets=("utf-8",),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="messages of a Z3 in the public note `ZybioHandler Implementation Summary` (app/Services/HL7/Devices/ZybioHandler.php; hl7.md, source 39)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="names of the settings, two flags in OBX-8",
            source="messages of a Zybio Q3 in the parser tests of a public host (`Q3|Zybio`, 03001 Take Mode, A~H)",
        ),
    ),
)
