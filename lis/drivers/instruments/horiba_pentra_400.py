r"""Horiba ABX Pentra 400: chemistry, ASTM over RS-232, results only.

    H|\^&|||ABXP400|||||||P|E1394-97|<time>
    P|1||7||<family>^<given>|||M
    O|1|<id>||||<ordered>|<drawn>||||||||1||||||||||F
    R|1|^^^211^CREA3|0.38|15||L||F|||<measured>                    time in R.12
    C|1|I|Flag^NORM_RANGEL^CALC_ERROR|I

R.5 is the number of a unit, not a unit; it is kept as it comes, so that a change is seen. A comment of type I
carries the flags of the result before it: it is read as an alarm whatever it says.

Not claimed: orders and queries (manual RAA023JEN has them; their records are not in the sources), what each flag
name means.
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
    key="horiba-pentra-400",
    name="Horiba ABX Pentra 400",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "ABXP400"),),),
    fields=replace(ASTM_FIELDS, observed_at="R.13 R.12", specimen_type="", operator=""),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "P", "C", "X")},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="a public Pentra 400 receiver with a message of the instrument in its test routine; manual: "
            "Horiba RAA023JEN",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags beyond L and H, statuses beyond F, controls",
            source="LIS02-A2 9.7, 9.9, 8.4",
        ),
    ),
)
