r"""Beckman Coulter DxH (DxH 520 to 900): haematology, ASTM over TCP, delimiters `\!~`.

    H|\!~|<id>||DxH|||||LIS||P|LIS2-A|<time>
    P|1||<patient>||||<born>!<age>!Y|F
    O|1|<id>|<number>|!!!CD|R|||||||||<received>|Whole blood|||||!SYSTEM||<reported>|||F
    C|1|I|<a notice on names that begin with @>|G
    R|4|!!!HGB!718-7|146!  H |g/L||109 to 143|A||F||SYSTEM||<measured>|<serial>

    Q|1|!<id>||ALL||||||||O                     H.3 of the query is the message id, and comes back in the answer

From R.6 on every field stands one place later than in the standard: range in R.7, flag in R.8, state in R.10,
operator in R.12, time in R.14, serial number in R.15. A flag may also stand behind the value, padded with blanks.
Names that begin with @ are for research only, as each message says: they stay in the raw message.

Orders name a panel, not single tests: CD, count and differential, is what the source shows, so that is asked for.

Not claimed: panels other than CD, flags beyond A, H, L (held), what to say when there is nothing to do, controls.
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
    RowKind,
)

PROFILE = Profile(
    key="beckman-dxh",
    name="Beckman Coulter DxH",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "DxH"),),),
    fields=replace(
        ASTM_FIELDS,
        value="R.4.1",
        interval="R.7",
        flags="R.8 R.4.2",
        status="R.10",
        operator="R.12",
        observed_at="R.14",
        module="R.15",
        specimen_type="",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("A", "H", "L")},
    statuses={"F": ASTM_STATUSES["F"]},
    rows=((RowKind.SETTING, FieldRule("R.3.4", "@.*")),),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        action="N",
        answer_end="N",
        test_form="^^^CD",
        header={
            "H.3": "{asked_id}",
            "H.5": "{asker_name}",
            "H.10": "{receiver}",
            "H.12": "P",
        },
        patient={"P.4": "{patient_id}", "P.8": "{birth_date}", "P.9": "{sex}"},
        order={
            "O.3": "{specimen}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.12": "{action}",
            "O.16": "{specimen_type}",
        },
        spelling={"O.16": {"BLD": "Whole blood", "WB": "Whole blood"}},
    ),
    quirks=Quirks(delimiters="|\\!~"),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="Chistousov/analyzer-client-or-analyzer-test-server-LIS1-A-formerly-ASTM-E1381 README.md: "
            "a dialogue of queries, answers and three results of 28 rows",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls",
            source="LIS02-A2 8.4 and 6.12; the source shows none",
        ),
    ),
)
