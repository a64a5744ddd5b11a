r"""Dymind haematology (DH, DF, DP): HL7 2.3.1 over MLLP, in the manner of Mindray BC, results only.

    MSH|^~\&|DH3x|Dymind|||<time>||ORU^R01|<date_time_n>|P|2.3.1|<serial>|||||UNICODE
    OBR|1||<specimen>|01001^Automated Count^99MRC||<drawn>|<measured>
    OBX|1|IS|02001^Take Mode^99MRC||O||||||F                       setting of the run
    OBX|4|NM|30525-0^Age^LN||29|yr|||||F                           setting
    OBX|7|NM|6690-2^WBC^LN||9.31|10*3/uL|3.50-9.50|~N|||F          result; the first flag is empty inside the range
    OBX|28|IS|13105^Lymphocytosis^99MRC||T||||||F                  alarm of the whole count

The serial number stands in MSH-13. Some devices write numbers with a comma (`11,49`).

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
    Quirks,
    RowKind,
)

SETTINGS = "Take Mode|Blood Mode|Test Mode|Ref Group|Age"

PROFILE = Profile(
    key="dymind-dh",
    name="Dymind DH, DF and DP series",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-4.1", "(?i)dymind"), FieldRule("MSH-9.1", "ORU")),),
    fields=replace(
        HL7_FIELDS,
        test="OBX-3.1 OBX-3.2",
        observed_at="OBX-14 OBR-7",
        sender_name="MSH-3.1",
        sender_serial="MSH-13",
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
    quirks=Quirks(decimal_comma=True),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="messages of a DH3x and a DP-H1x in tests of two public hosts (hl7.md, source 39); results of a DH36 in israelsalinas-g/nexos-labs backend/sql-backups/restore_clean.sql",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="serial number in MSH-13",
            source="message of a DP-H1x in a public host's test data (hl7.md section 4, source 39)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="numbers with a comma",
            source="message of a DH3x in a public test sender (WBC 11,49)",
        ),
    ),
)
