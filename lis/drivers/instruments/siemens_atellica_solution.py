r"""Siemens Atellica Solution: chemistry and immunoassay line, IHE LAW over MLLP.

    MSH|...|||NE|AL||UNICODE UTF-8|||LAB-29^IHE~LAW_REFLEX^IHE~LAW_RERUN^IHE~...      what it can besides
    SPM|1|<id>^""|""^""|SER^Serum^HL70487|||||||P^Patient specimen^HL70369
    SAC|||<id>
    OBR|1|""||FT3^FT3^99SiemensHDXTestCode
    ORC|OK||||CM                                                   OK, where the framework has SC
    OBX|1|NM|FT3.COFF^FT3^99SiemensHDXTestCode|1^1|1.00|...        cut-off
    OBX|2|NM|FT3.RLU^FT3^99SiemensHDXTestCode|1^1|149870|...       light units
    OBX|3|NM|FT3.DOSE^FT3^99SiemensHDXTestCode|1^1|3.50|pg/mL^pg/mL^UCUM|...          the result
    NTE|1|Z|Below Check|FLAG^^99SiemensHDXResultFlag               a result flag, in words

A code is `<test>.<kind>`: DOSE a concentration, INDX an index, INTR the result in words. COFF and RLU are settings and
raw signal of the measurement; they stay in the raw message. The order names the test alone. A note of kind FLAG
asks a person to look.

Not claimed: other kinds of rows (they are results that nobody mapped, and wait), controls beyond role Q,
dilutions, reagent lots.
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
    OrderStyle,
    Profile,
    Query,
    RowKind,
)

PROFILE = Profile(
    key="siemens-atellica-solution",
    name="Siemens Atellica Solution",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("OBX-18.2", "SiemensHDX"),),),
    fields=replace(
        HL7_FIELDS,
        specimen="SAC-3.1 SPM-2.1.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        module="OBX-18[3].1",
        run="OBX-4",
        specimen_type="SPM-4.1",
        control_material="SAC-3.1",
        sender_serial="OBX-18[2].1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "<", ">", "A")},
    statuses={status: HL7_STATUSES[status] for status in ("F", "C", "P", "X")},
    rows=(
        (RowKind.SUPPLEMENT, FieldRule("OBX-3.4", "S_OTHER|S_RAW")),
        (RowKind.SETTING, FieldRule("OBX-3.1", r".*\.(COFF|RLU)")),
    ),
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(wait_s=30.0),
    orders=OrderStyle(code_until="."),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(
        coding="99SiemensHDXTestCode",
        sends_details=True,
        comments_are_flags=(FieldRule("NTE-4.1", "FLAG"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public host program in use with an Atellica Solution: two OUL^R22 it received, RSP^K11 and "
            "OML^O33 it sends on the same connection (index 57771504984, 57605791725 and 57646645037)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags, controls, supplements",
            source="OBX-8 names HL7 table 0078; PaLM TF-2b as in reference/hl7.md 3.1 and 3.2",
        ),
    ),
)
