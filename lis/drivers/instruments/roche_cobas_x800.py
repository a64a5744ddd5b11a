r"""Roche x800 Data Manager (cobas 5800, 6800, 8800): molecular systems, IHE LAW over MLLP.

    SPM|1|<id>&ROCHE||PLAS^plasma^HL70487|||||||P^^HL70369
    SAC|||<id>|||||||<rack>|<position>
    OBR||||70241-5^HIV^LN                                          the test as it is ordered
    ORC|SC||||CM
    OBX|1|NM|HIV^HIV^99ROC|1|130|10*2.{copies}/mL^^UCUM||VAL^^99ROC|||F|...||RSLT        one row for each target
    TCD|70241-5^HIV^LN||||||||500^uL&&UCUM
    INV|<reagent>^^99ROC|OK^^HL70383|MR^^HL70384|||||||||<expiry>||||<lot>

A result is `<ordered code>^<target>`: `70241-5^HIV`, `72828-7^CT`. The order names the first half, once for all
its targets. A bare ORL^O34 means that the order was not available on the system, so nothing follows from it.

Not claimed: what the interpretations in OBX-8 mean (`VAL`, `RR`, `NR`). Each is a flag that nobody knows, and its
result waits for a person.
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
    OrderStyle,
    Profile,
    Query,
    RowKind,
)

PROFILE = Profile(
    key="roche-cobas-x800",
    name="Roche x800 Data Manager (cobas 5800, 6800, 8800)",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "X800 ?DM"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1 SPM-2.1.1",
        test="OBR-4.1+OBX-3.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        module="OBX-18[2].1",
        run="OBX-21.1 OBX-4",
        position="SAC-10+SAC-11",
        specimen_type="SPM-4.1",
        control_material="INV-1.1 SPM-2.1.1",
    ),
    flags={},
    statuses={status: HL7_STATUSES[status] for status in ("F", "C", "P", "X")},
    rows=((RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),),
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(wait_s=30.0),
    orders=OrderStyle(code_until="^"),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(
        coding="LN",
        query_profile=("LAB-27R", "ROCHE"),
        spm_mark="ROCHE",
        sends_details=True,
        sends_priority=False,
        sends_patient=False,
        lots=(FieldRule("INV-3.1", "MR"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public tests against the traces of the x800 Data Manager host interface manual: "
            "OUL^R22 of HIV and WNV, OML^O33 new, taken back and nothing to do, ORL^O34 taken, refused, bare "
            "(reference/hl7.md [27], index 57005219371 and 59104216610)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls",
            source="the same project's generator of control results: role Q; see LAW-R12",
        ),
    ),
)
