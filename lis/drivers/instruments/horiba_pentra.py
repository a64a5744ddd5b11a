r"""Horiba ABX Pentra 80, XL80, XLR: haematology, ASTM over RS-232, results only.

    H|\^&|||ABX|||||||P|E1394-97|<time>
    P|1||||^|||U
    O|1|<id>^<rack>^<pos>||^^^DIF|||||||||||Standard||||||||||F
    R|1|^^^WBC^804-5^1|8.5|1||||W||<operator>||<measured>          LOINC in component 5, dilution in 6
    C|1|I|Alarm_WBC^LMNE-^BASO+^LL|I                               alarms of the result before it
    R|10|^^^BAS#^704-7^1|-----|1||HH||X||<operator>||<measured>

R.5 is the number of a set of units (1 to 4), not a unit. It is kept as it comes: a change of the set is then a
change of the unit. R.9 says how the value came about: F final, W suspicious, N rejected, X beyond what can be
measured, M entered by hand, D measured diluted. W, X, D and N ask for a person; M was edited. The dilution (1, 2, 3
or 5) is in R.3.6; whether the value is multiplied is not in the sources (held, S25). Numbers made by the
instrument begin with AUTO_SID and are nobody's.

Not claimed: orders and queries (the sources show results only).
"""

from dataclasses import replace

from lis.domain.messages import Protocol, ResultStatus
from lis.drivers.order_style import OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    Evidence,
    FieldRule,
    FlagMeaning,
    Grade,
    Profile,
)

PROFILE = Profile(
    key="horiba-pentra",
    name="Horiba ABX Pentra 80, XL80 and XLR",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5", "ABX"), FieldRule("H.13", "E1394-97")),),
    fields=replace(
        ASTM_FIELDS,
        dilution="R.3.6",
        flags="R.7 R.9",
        position="O.3.2+O.3.3",
        specimen_type="",
    ),
    flags={
        **{flag: ASTM_FLAGS[flag] for flag in ("L", "H", "LL", "HH", ">")},
        "F": FlagMeaning.NORMAL,
        "M": FlagMeaning.EDITED,
        **dict.fromkeys("WNXD", FlagMeaning.LOOK),
    },
    statuses={
        **dict.fromkeys("FWXMD", ResultStatus.FINAL),
        "N": ResultStatus.CANCELLED,
    },
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/horiba_pentra_xlr.py (names tables of the "
            "maker's format: statuses, dilution, alarms, ids) and tests/data/pentra_xlr.txt",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls: H.12 = Q",
            source="the same schema: P patient, Q quality control, D technician",
        ),
    ),
)
