r"""Sysmex XP-100: three-part haematology analyzer, ASTM over RS-232.

    H|\^&|||XP-100^<software>^^^^<serial>^<parts code>||||||||E1394-97      no time, no processing id
    P|1
    O|1||^^            113^A|^^^^WBC\^^^^RBC...|||||||N||...|F              padded id in O.4.3, how it was
                                                                            read in O.4.4
    R|1|^^^^WBC^1|  5.5|10*3/uL||N||||<operator>||<time>                    code in component 5, no R.9

The state of the results stands once, in O.26. The whole message may come in one frame.

R.3.6 is "1" in the capture. Sysmex' ASTM manuals call it the dilution ratio; as no capture shows another,
any other number holds the value (S25).
"""

from dataclasses import replace

from lis.domain.messages import IdReadMode, Protocol
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    Quirks,
    ReadMode,
)

PROFILE = Profile(
    key="sysmex-xp-100",
    name="Sysmex XP-100",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", r"XP-100"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.4.3 O.3.1",
        test="R.3.5",
        status="R.9 O.26",
        dilution="R.3.6",
        sender_version="H.5.2",
        sender_serial="H.5.6",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "H", "L", "A", "<", ">")},
    statuses=ASTM_STATUSES,
    read_mode=ReadMode(
        path="O.4.4",
        modes={
            "A": IdReadMode.AUTOMATIC,
            "B": IdReadMode.BARCODE,
            "M": IdReadMode.TYPED,
        },
    ),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    quirks=Quirks(padding=" ", sends_whole_message_in_one_frame=True),
    evidence=(
        Evidence(grade=Grade.CAPTURE, source="senaite.astm sysmex_xp100.txt, 20 analytes"),
        Evidence(
            grade=Grade.SPEC,
            covers="read modes B and M, flags beyond N L H, controls",
            source="LIS02-A2 9.7 and 8.4; Sysmex attribute letters as in astm.md, section 3",
        ),
    ),
)
