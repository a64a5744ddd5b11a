"""Models of instruments that the corpus shows: point of care, blood groups, haematology.

Sources: the captures named in their profiles. Codes and units of `plans` are those of the captures.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.measuring import TestPlan
from simulators.model import DeviceIdentity, Model, plan

_URINE = (
    plan("Alb", "mg/L", (12.0, 3.0, 1), limit_of_detection=5.0),
    plan("Crt", "mg/dL", (110.0, 25.0, 1)),
    plan("Ratio", "mg/g", (11.0, 3.0, 1)),
)
_GROUPS = (
    TestPlan(code="ABOD Full Interp", answers=("B Pos",)),
    TestPlan(code="Anti-A", answers=("4+",)),
    TestPlan(code="Screen Interp", answers=("Neg",), critical_answers=("Pos",)),
)
_GEL_GROUPS = (
    TestPlan(code="ABO", answers=("A",)),
    TestPlan(code="Rh", answers=("POS",)),
    TestPlan(code="ABScr", answers=("NEG",), critical_answers=("POS",)),
)
_COUNTS = (
    plan("WBC", "10E3/uL", (6.8, 1.3, 2), critical_low=1.0, critical_high=50.0, absurd=420.0),
    plan("RBC", "10E6/uL", (4.7, 0.2, 2), absurd=9.5),
    plan("HGB", "g/dL", (14.2, 0.6, 1), critical_low=7.0, critical_high=20.0, absurd=28.0),
    plan("HCT", "%", (42.0, 2.0, 1), absurd=80.0),
    plan("MCV", "um3", (89.0, 3.5, 1)),
    plan("MCH", "pg", (30.0, 1.2, 1)),
    plan("MCHC", "g/dL", (33.6, 0.6, 1)),
    plan("RDW-CV", "%", (13.0, 0.6, 1)),
    plan("PLT", "10E3/uL", (245.0, 40.0, 0), critical_low=30.0, critical_high=1000.0),
    plan("MPV", "um3", (8.8, 0.6, 1)),
    plan("NEU#", "10E3/uL", (4.1, 0.8, 2)),
    plan("NEU%", "%", (60.0, 5.0, 1)),
    plan("LYM#", "10E3/uL", (2.1, 0.4, 2)),
    plan("LYM%", "%", (31.0, 4.0, 1)),
    plan("MON#", "10E3/uL", (0.45, 0.1, 2)),
    plan("MON%", "%", (6.0, 1.2, 1)),
    plan("EOS#", "10E3/uL", (0.15, 0.05, 2)),
    plan("EOS%", "%", (2.2, 0.7, 1)),
    plan("BAS#", "10E3/uL", (0.04, 0.01, 2)),
    plan("BAS%", "%", (0.6, 0.2, 1)),
)

_ELECTROLYTES = (
    plan("Na", "mmol/L", (140.0, 1.8, 0), critical_low=120.0, critical_high=160.0),
    plan("K", "mmol/L", (4.3, 0.25, 1), critical_low=2.8, critical_high=6.2, absurd=14.0),
    plan("Cl", "mmol/L", (103.0, 1.8, 0), critical_low=80.0, critical_high=125.0),
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "arkray-spotchem-el": Model(
            identity=DeviceIdentity(),
            always={},
            flags={"N": "", "L": "", "H": "", "A": ""},
            slip_head="{at:%y/%m/%d %H:%M} ID# {specimen:<10} [B. Plasma]",
            slip_row="{code:<8} {text:>4}  {unit}",
            plans=_ELECTROLYTES,
        ),
        "siemens-dca-vantage": Model(
            identity=DeviceIdentity(name="DCA VANTAGE", serial="S067001", version="04.04.00.00"),
            always={"O.26": "F", "O.4.2": "0090"},
            omits=frozenset({"interval"}),
            after_row={"C.3": "I", "C.4.1": "1.000", "C.4.2": "0.0", "C.5": "G"},
            flags={"N": "", "A": ">"},
            plans=_URINE,
        ),
        "immucor-galileo-echo": Model(
            identity=DeviceIdentity(name="Echo"),
            always={
                "H.10": "LIS",
                "H.13": "LIS2-A2",
                "O.6": "R",
                "O.16.1": "Blood",
                "O.16.2": "Patient",
                "R.11": "operator",
                "R.14": "M0001",
            },
            omits=frozenset({"processing_id", "interval", "run"}),
            listed_at=4,
            plans=_GROUPS,
        ),
        "ortho-vision": Model(
            identity=DeviceIdentity(name="VISION", serial="J60000001", version="5.10.0.46252"),
            always={
                "H.5.1": "OCD",
                "H.13": "LIS2-A",
                "O.5": "ABO-D",
                "O.6": "N",
                "O.16": "CENTBLOOD",
                "O.26": "F",
                "R.11": "Automatic",
                "R.14": "J60000001",
            },
            omits=frozenset({"interval", "run"}),
            plans=_GEL_GROUPS,
        ),
        "horiba-yumizen-h550": Model(
            identity=DeviceIdentity(name="H550", serial="900YAXH00001", version="1.2.1.4"),
            always={
                "H.13": "LIS2-A2",
                "O.5.4": "DIF",
                "O.6": "R",
                "O.26": "F",
                "R.6.2": "REFERENCE_RANGE",
                "R.11.1": "LABOR",
                "R.11.3": "USER",
            },
            places={"observed_at": "R.12"},
            flags={"A": "HH"},
            omits=frozenset({"run"}),
            plans=_COUNTS,
        ),
    }
)
