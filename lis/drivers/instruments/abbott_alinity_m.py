r"""Abbott Alinity m: molecular system, IHE LAW over MLLP.

    MSH|^~\&|||||<time>||OUL^R22^OUL_R22|...                       says nothing of itself here
    SPM|1|||PLAS^Plasma^HL70487|||||||P^Patient^HL70369            the id is in SAC-3 only
    SAC|||<id>|||||||<rack>|<position>
    OBR||""||1006^HIV-1^99ABT
    OBX|1|ST|1006^HIV-1^99ABT||161,152|^Copies/mL||""|||F|||||Pat~<operator>||Alinity m^Abbott~<serial>^Abbott~...
    INV ...                                                        sixteen: calibrators, controls, reagents
    NTE|1|Z|Routine3
    OBX|2|ST|1006.I^HIV-1^99ABT||Target Not Detected               the result in words
    OBX|3|NM|1006.R^HIV-1^99ABT^S_OTHER^...^IHELAW|HIV-1|18.62|^CN cycles, run id, readings of controls

A number has commas between its thousands, and its unit in the second component of OBX-6. `Not Detected` and
`< 20` are values like others. The controls among the INV are those of the assay, not of this tube: a control is
told by role Q.

Not claimed: orders and questions (no trace shows them; they are answered as the framework says), flags, and which
of several reagent lots is the one that counts.
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
    key="abbott-alinity-m",
    name="Abbott Alinity m",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("OBX-18.1", "Alinity m"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1",
        unit="OBX-6.1 OBX-6.2",
        supplement="OBX-3.1+OBX-4",
        observed_at="OBX-19",
        operator="OBX-16[2].1",
        module="OBX-18[3].1",
        position="SAC-10+SAC-11",
        specimen_type="SPM-4.1",
        control_material="SAC-3.1",
        sender_name="OBX-18.1",
        sender_serial="OBX-18[2].1",
    ),
    flags={},
    statuses={status: HL7_STATUSES[status] for status in ("F", "P", "X")},
    rows=(
        (RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),
        (RowKind.SUPPLEMENT, FieldRule("OBX-3.1", r".*\.I")),
    ),
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(wait_s=30.0),
    orders=OrderStyle(may_query=False),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(coding="99ABT", names_in_spm=False, thousands=","),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public fixtures made from captures of a production laboratory, two software generations: "
            "OUL^R22 of HIV-1 (reference/hl7.md [32], index 60935487694)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls, supplements",
            source="PaLM TF-2b as in reference/hl7.md 3.1 and 3.2",
        ),
    ),
)
