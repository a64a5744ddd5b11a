"""Models of the instruments of the first release.

Sources: the captures of the corpus for the three ASTM instruments, the public descriptions named in the profile for
Mindray. `plans` are used when nobody brings a catalog: by `lis simulate` and by the load generator. Their codes are
the instruments' own, where a capture shows them, and the demo laboratory's channel numbers elsewhere.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.measuring import TestPlan
from simulators.model import DeviceIdentity, Model, plan

_COUNTS = (
    plan("WBC", "10*3/uL", (6.8, 1.3, 1), critical_low=1.0, critical_high=50.0, absurd=420.0),
    plan("RBC", "10*6/uL", (4.7, 0.2, 2), absurd=9.5),
    plan("HGB", "g/dL", (14.2, 0.6, 1), critical_low=7.0, critical_high=20.0, absurd=28.0),
    plan("HCT", "%", (42.0, 2.0, 1), absurd=80.0),
    plan("MCV", "fL", (89.0, 3.5, 1)),
    plan("MCH", "pg", (30.0, 1.2, 1)),
    plan("MCHC", "g/dL", (33.6, 0.6, 1)),
    plan("PLT", "10*3/uL", (245.0, 40.0, 0), critical_low=30.0, critical_high=1000.0),
)
_DIFFERENTIAL = (
    plan("LYM%", "%", (31.0, 4.0, 1)),
    plan("MXD%", "%", (8.0, 1.5, 1)),
    plan("NEUT%", "%", (60.0, 5.0, 1)),
    plan("LYM#", "10*3/uL", (2.1, 0.4, 1)),
    plan("MXD#", "10*3/uL", (0.5, 0.1, 1)),
    plan("NEUT#", "10*3/uL", (4.1, 0.8, 1)),
    plan("RDW-SD", "fL", (43.0, 2.0, 1)),
    plan("RDW-CV", "%", (13.0, 0.6, 1)),
    plan("PDW", "fL", (12.5, 1.2, 1)),
    plan("MPV", "fL", (10.1, 0.6, 1)),
    plan("P-LCR", "%", (26.0, 4.0, 1)),
    plan("PCT", "%", (0.24, 0.03, 2)),
)
_CHEMISTRY = (
    plan("413", "g/L", (43.0, 2.0, 1)),
    plan("901", "mmol/L", (5.0, 0.4, 2), critical_low=2.5, critical_high=25.0, absurd=90.0),
    plan("902", "umol/L", (82.0, 9.0, 0)),
    plan("904", "U/L", (22.0, 6.0, 1), limit_of_detection=2.0),
    plan("909", "mmol/L", (4.3, 0.25, 2), critical_low=2.8, critical_high=6.2, absurd=14.0),
    plan("910", "mmol/L", (140.0, 1.8, 0), critical_low=120.0, critical_high=160.0),
    plan("913", "mg/L", (2.0, 0.9, 2), low=0.0, limit_of_detection=0.3),
)
_XPERT = (
    TestPlan(
        code="MTB-RIF^Xpert",
        answers=("NOT DETECTED",),
        critical_answers=("DETECTED LOW", "DETECTED MEDIUM"),
    ),
    TestPlan(code="MTB-RIF^Trace", answers=("NOT DETECTED",)),
    TestPlan(code="MTB-RIF^RIF", answers=("NOT DETECTED",)),
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "roche-cobas-c111": Model(
            identity=DeviceIdentity(name="c111", serial="13147", version="4.2.2.1730"),
            always={
                "H.5.1": "LAB",
                "H.5.2": "Roche",
                "H.5.5": "1",
                "H.10": "host",
                "H.11.1": "RSUPL",
                "H.11.2": "REAL",
                "H.13": "1",
                "O.4.3": "1",
                "O.6": "S",
                "O.26": "F",
                "R.11": "$SYS$",
            },
            omits=frozenset({"interval"}),
            after_row={"C.3": "I", "C.5": "I"},
            plans=_CHEMISTRY,
        ),
        "sysmex-xp-100": Model(
            identity=DeviceIdentity(name="XP-100", serial="A7869", version="00-13"),
            always={"H.5.7": "BS649542", "H.13": "E1394-97", "O.12": "N", "R.3.6": "1"},
            places={"status": "O.26"},
            omits=frozenset({"sent_at", "processing_id", "interval"}),
            widths={"value": 5, "specimen": 15},
            listed_at=5,
            plans=(*_COUNTS, *_DIFFERENTIAL),
        ),
        "cepheid-genexpert": Model(
            identity=DeviceIdentity(name="GeneXpert", serial="806149 Demo", version="4.8"),
            always={
                "H.10": "LIS",
                "H.13": "1394-97",
                "O.6": "R",
                "O.16": "ORH",
                "O.26": "F",
                "R.3.5": "Xpert MTB-RIF Ultra",
                "R.3.6": "4",
                "R.11": "Demo",
                "R.14.1": "Cepheid-44413S0",
                "R.14.2": "806149",
                "R.14.3": "653624",
                "R.14.5": "56401",
            },
            omits=frozenset({"interval"}),
            listed_at=4,
            plans=_XPERT,
        ),
        "mindray-bc": Model(
            identity=DeviceIdentity(name="BC-5380"),
            always={
                "MSH-3": "Mindray",
                "MSH-9.1": "ORU",
                "MSH-9.2": "R01",
                "MSH-12": "2.3.1",
                "MSH-18": "UNICODE",
                "PID-1": "1",
                "OBR-1": "1",
                "OBR-4.1": "00001",
                "OBR-4.2": "Automated Count",
                "OBR-4.3": "99MRC",
                "OBX-2": "NM",
                "OBX-3.3": "99MRC",
            },
            places={"observed_at": "OBR-7"},
            plans=_COUNTS,
        ),
    }
)
