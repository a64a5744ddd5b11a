r"""Bio-Rad D-10: haemoglobin A1c by chromatography, ASTM over RS-232.

    H|\^&|||D-10|||||||P|1|<time>
    P|1
    O|1|B1487867----------^0002^01|0002|^^^HbA1c|R||||||||||||||00000080^...^3C1102^2024-03^...     id, rack, place
    R|1|^^^ValueHbA1c|6.7|%||||F|||202307200914                    time in R.12, without seconds
    R|2|^^^ValueIFCC|50|mmol/mol||||F                              the same result in IFCC units, no time

The id is padded with dashes. Every record ends its frame with ETB. A row without a time has none, so what depends
on it waits for a person.

Not claimed: the lots in O.20 (several materials, which is which is not in the sources), flags beyond those of the
standard, host query (the technical bulletin has it; its records are not in the sources).
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
    key="biorad-d-10",
    name="Bio-Rad D-10",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "D-10(?: .*)?"),),),
    fields=replace(ASTM_FIELDS, observed_at="R.13 R.12", position="O.3.2+O.3.3"),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "X")},
    controls=ASTM_CONTROLS,
    orders=OrderStyle(may_query=False),
    quirks=Quirks(padding="-", record_per_etb_frame=True),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="public D-10 receiver with frames of a real instrument in it (O, R|1, R|2, checksums, ETB): "
            "astm.md section 3, letter X; manual: Bio-Rad D-10 LIS Interface Requirements L20017702",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="header, flags, statuses beyond F, controls",
            source="LIS02-A2 6, 9.7, 9.9, 8.4; sender name as in a public D-10 driver's tests",
        ),
    ),
)
