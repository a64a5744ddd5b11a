r"""Werfen ACL TOP: coagulation, ASTM, delimiters `@^\`.

    H|@^\|<a_b><c_d>||acltop|||||<host>||P|1394-97|<time>         message id in two angle brackets
    P|1||||^|||U|||||^
    O|1|<id>|<1176405880_874>|^^^1551|R|<ordered>|||||||||P||||||||||O@F
    R|2|^^^1551|1.09|Ratio||N||F@V||ACLTOP^ACLTOP||<measured>|ACLTOP^12^10     module, rack, position
    C|1|...

    Q|1|^1001@^1002@^1003||||||||||O@N                            several tubes in one query

One test gives several results that differ in their unit only (seconds, ratio, INR, %), so the code is both:
`1551^Ratio`; an order names what stands before the `^`. R.9 repeats: final and validated. The answer mirrors the
message id of the query (H.3) and the two names (H.5, H.10).

Not claimed: flags beyond N, L, H (held), what to say when there is nothing to do (the standard's L|1|I), orders
without a query.
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
    Grade,
    Profile,
    Quirks,
)

PROFILE = Profile(
    key="werfen-acl-top",
    name="Werfen ACL TOP",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.3", "<[0-9]+_[0-9]+><[0-9]+_[0-9]+>"),),),
    fields=replace(
        ASTM_FIELDS,
        test="R.3.4+R.5",
        status="R.9.1",
        operator="R.11.1",
        module="R.14.1",
        position="R.14.2+R.14.3",
        specimen_type="",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "V", "P", "X")},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        code_until="^",
        header={
            "H.3": "{asked_id}",
            "H.5": "{receiver}",
            "H.10": "{asker_name}",
            "H.12": "P",
            "H.13": "1394-97",
            "H.14": "{time}",
        },
        patient={
            "P.4": "{patient_id}",
            "P.6": "{family_name}^{given_name}",
            "P.8": "{birth_date}",
            "P.9": "{sex}",
        },
        order={
            "O.3": "{specimen}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.7": "{time}",
            "O.12": "{action}",
            "O.16": "{specimen_type}",
            "O.26": "{report_type}",
        },
        spelling={"O.16": {"PLAS": "P"}},
    ),
    quirks=Quirks(delimiters="|@^\\"),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public ACL TOP drivers with their traces in comments: header, batch query, O, R "
            "(astm.md section 3, letter X)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="answer: mirrored H.3, names exchanged, A in O.12, P in O.16, Q in O.26, L|1|F",
            source="dmytrotankode/medlink.lab src/MedLink.LIS.Core/Protocols/Orders/OrderBuilders.cs and a second "
            "public order writer",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags, statuses P and X, controls",
            source="LIS02-A2 9.7, 9.9, 8.4",
        ),
    ),
)
