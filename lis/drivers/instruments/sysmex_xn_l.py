r"""Sysmex XN-L (XN-330, 350, 430, 450, 530, 550; XN-110, 150): compact haematology, the dialect of the XN.

    H|\^&|||    XN-550^00-24^22723^^^^BD634545||||||||E1394-97
    O|1||^^                    27^M|^^^^WBC\^^^^RBC|||||||N||||||||||||||F
    R|1|^^^^WBC^1|8.13|10*3/uL||N||F||||20240627135407
    R|3|^^^^NEUT#^1^^^^W|...                                      low-WBC mode: W in component 10, same code

Records, flags, states, alarms and the query are those of the XN (`sysmex_xn`). A tube whose barcode could not be
read runs under `ERR<number>`, which is nobody's. Rack and position are empty on all but the XN-550, the only one
with a sampler.

Not claimed: what `sysmex_xn` does not claim.
"""

from dataclasses import replace

from lis.drivers.instruments import sysmex_xn
from lis.drivers.profile import Evidence, FieldRule, Grade

PROFILE = replace(
    sysmex_xn.PROFILE,
    key="sysmex-xn-l",
    name="Sysmex XN-L",
    version="1",
    identity=((FieldRule("H.5.1", "XN-(?:110|150|330|350|430|450|530|550)"),),),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/sysmex_xn.py (Sysmex XN-L ASTM Host "
            "Interface Specifications, rev. 6) and tests/data/sysmex_xn550.txt (XN-550, 41 rows)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="alarms, images, W results, ERR and QC- ids, models",
            source="DIGI-UW/openelis-work, Sysmex XN-L ASTM field mapping 0.1, from the Sysmex guide "
            "1273-MKT rev. 3",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query and answer",
            source="XN-L series ASTM Host Interface Specifications R315005 rev. 6; the same "
            "field mapping, 1.3 and 2.4",
        ),
    ),
)
