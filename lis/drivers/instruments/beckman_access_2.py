r"""Beckman Coulter Access 2 and UniCel DxI: immunoassays, ASTM.

    H|\^&|||ACCESS^575707|||||LIS||P|1|<time>                     serial number in H.5.2
    P|1|
    O|1|<id>|^<rack>^<pos>|^^^TSH3^1|||||||||||Serum||||||||||F
    R|1|^^^TSH3^1|17.51|uIU/mL|<range>^normal|N||F||||<measured>|<serial>      replicate in R.3.5
    L|1|F

    Q|1|^<id>||ALL||||||||O

The replicate number is part of what makes a run: the second replicate of one tube is not a repeat of the first.

Not claimed: what the instrument wants to hear when there is nothing to do (the standard's L|1|I is sent), controls
other than by O.12 and H.12 (the sources show a control under a plain id), dilution, escapes of the form `&|&` in
what we send.
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
)

PROFILE = Profile(
    key="beckman-access-2",
    name="Beckman Coulter Access 2 and DxI",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "ACCESS"),),),
    fields=replace(
        ASTM_FIELDS,
        run="R.3.5",
        specimen_type="",
        module="R.14",
        position="O.4.2+O.4.3",
        sender_serial="H.5.2",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "<", ">", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "P", "X")},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        header={
            "H.5": "{sender}",
            "H.10": "{asker_name}^{asker}",
            "H.12": "P",
            "H.13": "1",
            "H.14": "{time}",
        },
        patient={
            "P.3": "{patient_id}",
            "P.6": "{family_name}^{given_name}",
            "P.8": "{birth_date}",
            "P.9": "{sex}",
        },
        order={
            "O.3": "{specimen}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.12": "{action}",
            "O.16": "{specimen_type}",
        },
        spelling={"O.16": {"SER": "Serum"}},
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="PrasoonPratham/astmio tests/test_access2_parser.py (an Access 2 production log); "
            "garett1973/analyzers app/Console/Commands/StartDxI800_ServerCommand.php (DxI); "
            "manual: UniCel DxI and Access 2 LIS Vendor Information 387264",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query and answer: A, Serum in O.16, L|1|F",
            source="dmytrotankode/medlink.lab src/MedLink.LIS.Core/Protocols/Orders/OrderBuilders.cs; "
            "garett1973/analyzers StartDxI800_ServerCommand.php: query |^<id>||ALL|",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags and statuses beyond N, L, H and F",
            source="LIS02-A2 9.7 and 9.9",
        ),
    ),
)
