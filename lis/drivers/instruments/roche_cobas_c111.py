r"""Roche cobas c111: small chemistry analyzer, ASTM over RS-232 or a terminal server.

    H|\^&|||<host id>^Roche^c111^<software>^1^<serial>|||||host|RSUPL^REAL|P|1|<time>
    P|1||
    O|1||<specimen>^^<position>||S||||||N|||||||||||<time>|||F          specimen in O.4, O.3 empty
    R|1|^^^413|40.13|g/L||N||F||<operator>||<time>                      test code in component 4
    C|1|I|<number>^<text>|I                                             instrument flag; empty: none
    M|1|RR^BM^c111^1|...                                                raw absorbances

Every record ends its frame with ETB, only L has ETX: records are cut at CR, never at frame ends.

Not claimed: host query and order download. A query is answered as the standard says, but nobody has
shown that this instrument takes the answer.
"""

from dataclasses import replace

from lis.domain.messages import AttachmentKind, Protocol
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
)

PROFILE = Profile(
    key="roche-cobas-c111",
    name="Roche cobas c111",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.2", "Roche"), FieldRule("H.5.3", "c111")),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.4.1 O.3.1",
        position="O.4.3",
        sender_name="H.5.3",
        sender_version="H.5.4",
        sender_serial="H.5.6",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "H", "L", "A", "HH", "LL", "<", ">")},
    statuses=ASTM_STATUSES,
    attachments=((AttachmentKind.ABSORBANCES, FieldRule("M.3.1", "RR")),),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    quirks=Quirks(record_per_etb_frame=True),
    evidence=(
        Evidence(grade=Grade.CAPTURE, source="senaite.astm cobas_c111.txt, 7 checksums valid"),
        Evidence(
            grade=Grade.SPEC,
            covers="flags and controls",
            source="LIS02-A2 9.7 and 8.4; the capture shows N only and no control",
        ),
    ),
)
