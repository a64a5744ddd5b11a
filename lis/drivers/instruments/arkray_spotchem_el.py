r"""Arkray Spotchem EL SE-1520: electrolytes at the point of care. No ASTM: the slip it prints, over RS-232.

    STX 24/10/29 13:08 ID# 1DC042FP   [B. Plasma] Na       131  mmol/L K        9.7  mmol/L Cl  96  mmol/L  ETX

The date is year, month, day. No checksum, no sender, no state, no answer expected by the capture: a slip is kept
and nothing is said. What is printed is measured, so a slip is final. Values are plain numbers; dashes, stars and
`<` are taken as written. Anything else on the slip, such as an error mark, holds all of its results.

Not claimed: marks of control measurements (a control is known by its id, S22), flags, other units, orders.
"""

from lis.domain.messages import Protocol, ResultStatus
from lis.drivers.profile import (
    Evidence,
    FieldMap,
    FieldRule,
    Grade,
    OrderStyle,
    Profile,
    Quirks,
)
from lis.wire.printout import PrintoutLayout

PROFILE = Profile(
    key="arkray-spotchem-el",
    name="Arkray Spotchem EL SE-1520",
    protocol=Protocol.PRINTOUT,
    version="1",
    identity=((FieldRule("P.1", r"\d\d/\d\d/\d\d\s+\d\d:\d\d"),),),
    printout=PrintoutLayout(
        head=r"(\d\d/\d\d/\d\d\s+\d\d:\d\d)\s+ID#\s*([^\s\[]*)\s*\[([^\]]*)\]",
        row=r"(Na|K|Cl)\s+([<>]?\s*\d+(?:\.\d+)?|-+|\*+)\s+(mmol/L)",
    ),
    fields=FieldMap(
        specimen="P.2",
        specimen_type="P.3",
        observed_at="P.1",
        test="R.1",
        value="R.2",
        unit="R.3",
        status="",
        flags="",
    ),
    flags={},
    statuses={},
    orders=OrderStyle(may_query=False),
    quirks=Quirks(status_missing=ResultStatus.FINAL, time_format="%y/%m/%d %H:%M"),
    evidence=(
        Evidence(
            grade=Grade.CAPTURE,
            source="senaite.astm spotchem_el.txt, one slip of three electrolytes",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="order of the date's parts, characters of an id",
            source="senaite/senaite.astm src/senaite/astm/instruments/spotchem_el.py",
        ),
    ),
)
