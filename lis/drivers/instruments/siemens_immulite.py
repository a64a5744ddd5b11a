r"""Siemens (DPC) IMMULITE 1000 and 2000: immunoassays, ASTM over RS-232, many patients a message.

    H|\^||PASSWORD|DPC|||||SYSTEM||P|1|<time>                     H.2 may name two delimiters only
    P|1|<patient>|||<family>^<given>|||F|||||                     name in P.6
    O|1|<id>||^^^TT4|||<drawn>                                    one O a test
    R|1|^^^TT4|10.3|ug/dL|4.5\.4^12.5\24|N|N|F||test|<started>|<finished>|<sender>
    L|1

    Q|1|^<id>||ALL||||||||O

R.6 repeats the assay's own range behind the normal one; it is kept as text. Numbers may end with a point (`173.`).
The sender's name is set on the instrument: DPC is what the sources carry. With another name the driver is chosen
by hand.

Not claimed: the password in what we send (none), flags beyond those of the standard, how controls are marked
beyond O.12 and H.12, what to say when there is nothing to do (the standard's L|1|I).
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.order_style import OrderGrouping, OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
)

PROFILE = Profile(
    key="siemens-immulite",
    name="Siemens IMMULITE 1000 and 2000",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "DPC"),),),
    fields=replace(ASTM_FIELDS, module="R.14"),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "<", ">", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "P", "C", "X", "R")},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        grouping=OrderGrouping.ORDER_EACH,
        answer_end="N",
        header={"H.5": "{sender}", "H.10": "{asker_name}", "H.12": "P", "H.13": "1"},
        patient={"P.6": "{family_name}^{given_name}"},
        order={"O.3": "{specimen}", "O.5": "{tests}", "O.6": "{priority}", "O.8": "{collected}"},
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="levinalex/lis features/lis.feature (results of six patients, query and answer), "
            "lib/lis/messages/order.rb; manuals: IMMULITE LIS Manual 600892-0001, Interface Specifications "
            "600892-0003",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags and statuses beyond N and F, controls",
            source="LIS02-A2 9.7, 9.9, 8.4",
        ),
    ),
)
