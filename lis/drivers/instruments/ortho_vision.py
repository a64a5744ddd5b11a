r"""Ortho VISION: blood groups on gel cards, ASTM.

    H|\^&|||OCD^VISION^<software>^<serial>|||||||P|LIS2-A|<time>
    P|1|<patient>||...                                                      birth date with a time
    O|1|<specimen>||ABO-D|N|<time>|||||||||CENTBLOOD|||||||<reported>|||F
    R|1|ABO|A|||T||F||Automatic||<time>|<serial>                            plain names, no ^^^ before them
    M|1|Anti-A|<card>^<well>^...^<image>^<image>||40^A                      one well behind that result
    L||

Each well becomes an observation behind its result (`ABO^Anti-A`), with its reading as sent; the names of its two
images are kept with the result. An order may name two specimens (`id\id`, cells and plasma): such an id is
matched with no tube by itself, a person decides.

T in R.7 stands at both results of the capture. What it means no public document says: it is unknown and holds.

Not claimed: all flags, its own mark of a control, host query and orders, the parts of a reading, the fields of a card but its images.
"""

from dataclasses import replace

from lis.domain.messages import AttachmentKind, Protocol
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
)

PROFILE = Profile(
    key="ortho-vision",
    name="Ortho VISION",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "OCD"), FieldRule("H.5.2", "VISION")),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.3",
        test="R.3.1",
        module="R.14",
        attachment="M.4.6+M.4.7",
        detail_test="M.3",
        detail_value="M.6",
        sender_name="H.5.2",
        sender_version="H.5.3",
        sender_serial="H.5.4",
    ),
    flags={},
    statuses=ASTM_STATUSES,
    attachments=((AttachmentKind.IMAGE, FieldRule("M.4.6", ".+")),),
    details=(FieldRule("M.6", ".+"),),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="twgenaux/tgenaux-ASTM-LIS ExampleMessages/ASTM/Vision.txt, 2 results and 5 wells",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="names of the fields of H, O and R; state R; controls",
            source="twgenaux/tgenaux-ASTM-LIS, introduction to ASTM message formats, revision 1; LIS02-A2 9.9, 8.4, 6.12",
        ),
        Evidence(
            grade=Grade.CAPTURE,
            covers="two specimens in O.3",
            source="twgenaux/tgenaux-ASTM-LIS ExampleMessages/ASTM/RepeatFields.txt",
        ),
    ),
)
