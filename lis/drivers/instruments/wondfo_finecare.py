r"""Wondfo FineCare (Plus, II Plus): fluorescence readers, HL7 2.4 over MLLP, results only.

    MSH|^~\&|FineCarePlus|<model>^<MAC>^<type>|POCT|POCT_SERVER^^PC|<time>||ORU^R01^ORU_R01|<n>|P|2.4||||0|CHN|UTF8
    PID|<n>||<number>^<admission>^<bed>||<name>|||F
    OBR|<n>|<cassette>|<specimen>||||<drawn>|<measured>
    OBX|<n>|NM||MAU|23.7|mg/L|0.0-20.0||||||23.7 mg/L|<measured>
    DSC|1|F

The name of the test is in OBX-4. OBX-11 is empty: the message does not say whether the value is final, so each
result waits for a person with that reason. A combined test writes several values into one OBX-5, which is then
no number. ESU^U01 tells the state of the device, with free text in Chinese; it is acknowledged and kept.

The clock of a reader that was never set stands in 1970: the offset of its messages shows it (S24).

Not claimed: host query, controls.
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
    key="wondfo-finecare",
    name="Wondfo FineCare",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "FineCare.*"),),),
    fields=replace(
        HL7_FIELDS,
        test="OBX-4",
        observed_at="OBX-14 OBR-8",
        specimen_type="OBR-15.1",
        sender_serial="MSH-4.2",
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
            source="messages of two FineCare readers in test data of two public hosts (hl7.md section 4, sources 39 and 41)",
        ),
    ),
)
