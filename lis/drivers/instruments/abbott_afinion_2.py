r"""Abbott Afinion 2: point-of-care CRP, HbA1c, ACR, lipids; ASTM, results only.

    H|\^&|||Afinion 2 Analyzer^^AF20052397|||||||P|1|<time>       device id in H.5.3
    P|1||3643|||||U                                                what was typed or scanned: P.4
    O|1||5|^^^HbA1c|||||||N||||^O||||||||^10228413||F             number of the run
    R|1|^^^HbA1c|5.9|%||||F||<operator>||<measured>|
    L|1|N

There is one field for an id, and it is the patient's by name; a laboratory prints the specimen's number there.
`--- ` means that nothing could be measured or calculated. The whole message is one frame, which ends with CR only.

Not claimed: the lot in O.24 (the sources do not name it), the specimen source in O.16.2, orders and queries.
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.order_style import OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    FlagMeaning,
    Grade,
    Profile,
    Quirks,
)

PROFILE = Profile(
    key="abbott-afinion-2",
    name="Abbott Afinion 2",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "Afinion 2 Analyzer"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="P.4",
        run="O.4.1",
        specimen_type="",
        sender_serial="H.5.3",
    ),
    flags={
        **{flag: ASTM_FLAGS[flag] for flag in ("<", ">", "L", "H", "LL", "HH")},
        "!": FlagMeaning.LOOK,
    },
    statuses={"F": ASTM_STATUSES["F"]},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    quirks=Quirks(sends_whole_message_in_one_frame=True),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/abbott_afinion2.py (field by field, flags, "
            "`--- `) and tests/data/abbott_afinion2.txt",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="one frame, CR-only end",
            source="astm.md section 3 (letter S)",
        ),
    ),
)
