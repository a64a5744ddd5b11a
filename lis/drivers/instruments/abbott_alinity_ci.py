r"""Abbott Alinity ci: chemistry and immunoassay, IHE LAW over MLLP, with two connections.

    SPM|1|||""|||||||P^Patient specimen^HL70369                    the id is not here
    SAC|||<id>
    OBR||<step>||<number>^<name>^99ABT
    OBX|1|ST|<number>^<name>^99ABT|1|<value>|<unit>^^UCUM|...||RSLT

The analyzer connects to us for questions and results, we connect to it for orders (`orders_link`). NMD^N02 tests
the connection both ways, TCU^U10 lists the tests on board: both are acknowledged and mean nothing to a result.

Not claimed: flags beyond HL7 table 0078, controls beyond role Q, dilutions.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.law_orders import write_orders
from lis.drivers.law_style import LawStyle
from lis.drivers.profile import (
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
    Query,
    RowKind,
)

PROFILE = Profile(
    key="abbott-alinity-ci",
    name="Abbott Alinity ci",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "Alinity ci"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        run="OBX-4",
        control_material="SAC-3.1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "<", ">", "A")},
    statuses={status: HL7_STATUSES[status] for status in ("F", "C", "P", "X")},
    rows=((RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),),
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(wait_s=30.0),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(coding="99ABT", names_in_spm=False, sends_details=True),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public driver in use with an Alinity ci: NMD^N02, TCU^U10, RSP^K11, OML^O33 with work and "
            "without, ACK^R22, two connections, SAC-3 and OBX of results (reference/hl7.md [29], index 864121848)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags, controls, supplements",
            source="PaLM TF-2b as in reference/hl7.md 3.1 and 3.2; HL7 table 0078",
        ),
    ),
)
