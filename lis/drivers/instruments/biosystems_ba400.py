r"""BioSystems BA200 and BA400: chemistry analyzers, LAW without containers, MLLP.

    MSH|^~\&|BA200|Biosystems|Host|Host provider|...|||ER|AL||UNICODE UTF-8|||LAB-29^IHE
    SPM|1|<id>||SER|||||||P                                        an id may have a blank in it; there is no SAC
    OBR||""||ACE^ACE^A400
    ORC|OK||||CM                                                   OK, where the framework has SC
    OBX|1|NM|ACE^ACE^A400||21.9271355|U/L^U/L^A400||NONE|||F|||||ADMIN||A400^Biosystems~<serial>^Biosystems|<time>

Units have `\Z03BC\` for the letter mu, an escape of their own. NONE in OBX-8 says that there is no remark; other
remarks are flags that nobody knows. Values have all the digits of a floating point number: the catalog rounds.

Orders go to the analyzer on a connection that we open (`orders_link`); its ORL^O34 is bare and takes them all.

Not claimed: controls beyond role Q, dilutions.
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
    FlagMeaning,
    Grade,
    Profile,
    Query,
)

PROFILE = Profile(
    key="biosystems-ba400",
    name="BioSystems BA200 and BA400",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "BA[24]00"), FieldRule("MSH-4.1", "Biosystems")),),
    fields=replace(
        HL7_FIELDS,
        specimen="SPM-2.1.1",
        supplement="OBX-3.1",
        observed_at="OBX-19",
        specimen_type="SPM-4.1",
        control_material="SPM-2.1.1",
        sender_serial="OBX-18[2].1",
    ),
    flags={"NONE": FlagMeaning.NORMAL},
    statuses={status: HL7_STATUSES[status] for status in ("F",)},
    controls=(FieldRule("SPM-11.1", "Q"),),
    query=Query(wait_s=30.0),
    write_orders=write_orders,
    charsets=("utf-8",),
    law=LawStyle(
        coding="A400",
        names_in_sac=False,
        bare_reply_takes=True,
        has_vendor_unicode=True,
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="oibacidem/lims-hl-seven, tests of its handler: OUL^R22 with 24 tests and QBP^Q11 of a BA200 "
            "(reference/hl7.md [33], index 34341501983)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="orders on our connection, bare replies",
            source="the same project's sender for BA400, with an ORL^O34 it received (index 34091477231)",
        ),
        Evidence(
            grade=Grade.SPEC, covers="controls", source="PaLM TF-2b as in reference/hl7.md, LAW-R12"
        ),
    ),
)
