r"""Snibe MAGLUMI (800, 1000, 2000, X3, X8): immunoassays, ASTM records.

    H|\^&||PSWD|Maglumi User|||||Lis||P|E1394-97|<day>             a day without a time in H.14
    P|1
    O|1|<id>||^^^TT3 II\^^^TSH II                                 names with blanks
    R|1|^^^TT3 II|1.171|ng/mL|0.75 to 2.1|N||||||<finished>        no status
    L|1|N

    Q|1|^<id>||ALL||||||||O

A result record has no field for a state and carries the time when the measurement was finished: it is final. The
unit may hold a micro sign, in UTF-8 or Latin-1.

Not claimed: the link. The manual describes STX, ETX and EOT sent alone, each acknowledged, without frame numbers
and checksums; instruments that send so are not served. What to say when there is nothing to do (the standard's
L|1|I), flags beyond L, H, N, controls beyond O.12 and H.12.
"""

from dataclasses import replace

from lis.domain.messages import Protocol, ResultStatus
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
    Quirks,
)

PROFILE = Profile(
    key="snibe-maglumi",
    name="Snibe MAGLUMI",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "(?i)maglumi.*"),),),
    fields=replace(ASTM_FIELDS, operator="", specimen_type=""),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H")},
    statuses={"F": ASTM_STATUSES["F"]},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        grouping=OrderGrouping.ORDER_EACH,
        answer_end="N",
        header={
            "H.5": "{sender}",
            "H.10": "{asker_name}",
            "H.12": "P",
            "H.13": "E1394-97",
            "H.14": "{time}",
        },
        patient={},
        order={"O.3": "{specimen}", "O.5": "{tests}", "O.6": "{priority}"},
    ),
    charsets=("utf-8", "latin-1"),
    quirks=Quirks(status_missing=ResultStatus.FINAL),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="Maglumi 800 Operating Instructions 16.5.1 to 16.5.5 (field tables), as restated in "
            "Gv-001251/RK-MVP tools/astm.mjs; PrasoonPratham/astmio tests/test_snibe_maglumi_parser.py",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query and answer",
            source="the same manual, 16.5.3 and 16.5.5: one O a test, |^<id>||ALL|; "
            "dmytrotankode/medlink.lab src/MedLink.LIS.Core/Protocols/Orders/OrderBuilders.cs",
        ),
    ),
)
