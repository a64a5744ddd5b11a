r"""Roche cobas pro and cobas pure: chemistry and immunoassay lines, IHE LAW over MLLP.

    SPM|1|<id>&BARCODE||SERPLAS^^99ROC|||||||P^^HL70369            a control: <id>&CONTROL, role Q
    SAC|||<id>^BARCODE|||||||<rack>|<position>||...||^1^:^1        SAC-29: diluted before it was put on
    OBR|1|""||20490^^99ROC                                         nobody ordered it: two quotation marks
    ORC|SC||||CM
    OBX|1|NM|20490^20490^99ROC^^^IHELAW|1|32.2|mg/L^^99ROC||N^^HL70078|||F|...||RSLT     the result
    OBX|2|CE|20490^20490^99ROC^^^IHELAW|1|^^99ROC|...              the same code and OBX-4: a data alarm, or none
    TCD|20490^^99ROC|^1^:^1                                        diluted by the analyzer
    INV|2049001|OK^^HL70383~CURRENT^^99ROC|R1|...||256616          reagent; R1 has the lot of the test
    OBX|3|DTM|PT^Pipetting_Time^99ROC^S_OTHER^...^IHELAW|1|...     times, limits, states behind the result

A data alarm is a number of Roche's own. No table of them is public, so each is a flag that nobody knows: the
result waits for a person. The same goes for an alarm that OBX-8 carries (`10^^99ROC`).

Questions are `INIBAR^^99ROC` for a barcode and `INISEQ^^99ROC` for a sequence number of the analyzer's own, which
is nobody's specimen (S16). The order goes out on the same connection behind the reply, and says rack, position
and sample type of the question back. ORL^O34 names no step: it answers in the order of the question.

Not claimed: lots of controls, serial numbers (each module has its own, and a line has several), what a value
says of its dilution.
"""

from dataclasses import replace

from lis.domain.messages import IdReadMode, Protocol
from lis.drivers.law_orders import write_orders
from lis.drivers.law_style import LawStyle
from lis.drivers.profile import (
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    Query,
    ReadMode,
    RowKind,
)

_FLAGS = ("N", "L", "H", "LL", "HH", "<", ">", "A")

PROFILE = Profile(
    key="roche-cobas-pro",
    name="Roche cobas pro and cobas pure",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", r"cobas\W{0,2} (pro|pure)"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1 SPM-2.1.1",
        value="OBX-5.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        module="OBX-18.1+OBX-18[3].1",
        run="OBX-4",
        position="SAC-10+SAC-11",
        control_material="INV-1.1 SPM-2.1.1",
        control_level="INV-1.2",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in _FLAGS},
    statuses={status: HL7_STATUSES[status] for status in ("F", "C", "P", "X")},
    read_mode=ReadMode(path="SPM-2.1.2", modes={"BARCODE": IdReadMode.BARCODE}),
    rows=(
        (RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),
        (RowKind.FLAG, FieldRule("OBX-2", "CE")),
    ),
    controls=(FieldRule("SPM-11.1", "Q"), FieldRule("SPM-2.1.2", "CONTROL")),
    query=Query(wait_s=30.0),
    orders=OrderStyle(sender="LIS"),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(
        coding="99ROC",
        container_queries=frozenset({"WOS", "INIBAR"}),
        numberless_queries=frozenset({"INISEQ", "WOS_BY_RACK", "WOS_BY_TRAY", "WOS_BY_ISOLATE"}),
        query_profile=("LAB-27R", "ROCHE"),
        order_profile=("LAB-28R", "ROCHE"),
        spm_mark="BARCODE",
        sac_mark="BARCODE",
        echoes_place=True,
        sends_details=True,
        lots=(FieldRule("INV-3.1", "R1"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="medplum/medplum hl7.test.ts: OUL^R22 with one test and QBP^Q11 INISEQ, in the corpus",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="INIBAR, orders on the same connection, their fields, replies without ids",
            source="AlwaysSmarter/wisemed-labreaders hl7_handlers: traces of cobas pro and cobas pure",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls",
            source="public parser of cobas pure control messages (SPM-2 <id>&CONTROL, role Q, INV-3 CO); "
            "see hl7.md section 3.2, LAW-R12",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags",
            source="OBX-8 names HL7 table 0078; the capture shows N only",
        ),
    ),
)
