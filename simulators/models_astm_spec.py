"""Models of the ASTM instruments that are known from public descriptions; each profile names them.

Constants of headers and orders are as in those descriptions, numbers and names are made up. Codes are the
instruments' own where a source shows them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.measuring import TestPlan
from simulators.model import DeviceIdentity, Model, plan

COBAS_CHEMISTRY = (
    plan("717", "mmol/l", (5.0, 0.4, 2), critical_low=2.5, critical_high=25.0, absurd=90.0),
    plan("690", "umol/l", (82.0, 9.0, 0)),
    plan("685", "U/l", (22.0, 6.0, 1), limit_of_detection=2.0),
    plan("687", "U/l", (20.0, 5.0, 1), limit_of_detection=2.0),
    plan("990", "mmol/l", (4.3, 0.25, 2), critical_low=2.8, critical_high=6.2, absurd=14.0),
)
COBAS_IMMUNOLOGY = (
    plan("10", "uIU/ml", (1.9, 0.6, 3), limit_of_detection=0.005),
    plan("30", "pmol/l", (15.5, 1.8, 2)),
    TestPlan(code="900", unit="COI", answers=("-1",), critical_answers=("1",)),
)
XN_COUNTS = (
    plan("WBC", "10*3/uL", (6.8, 1.3, 2), critical_low=1.0, critical_high=50.0, absurd=420.0),
    plan("RBC", "10*6/uL", (4.7, 0.2, 2), absurd=9.5),
    plan("HGB", "g/dL", (14.2, 0.6, 1), critical_low=7.0, critical_high=20.0, absurd=28.0),
    plan("HCT", "%", (42.0, 2.0, 1), absurd=80.0),
    plan("PLT", "10*3/uL", (245.0, 40.0, 0), critical_low=30.0, critical_high=1000.0),
    plan("NEUT%", "%", (60.0, 5.0, 1)),
    plan("LYMPH%", "%", (31.0, 4.0, 1)),
)
DXH_COUNTS = (
    plan("WBC", "10^9/L", (6.8, 1.3, 1), critical_low=1.0, critical_high=50.0, absurd=420.0),
    plan("RBC", "10^12/L", (4.7, 0.2, 2), absurd=9.5),
    plan("HGB", "g/L", (142.0, 6.0, 0), critical_low=70.0, critical_high=200.0, absurd=280.0),
    plan("PLT", "10^9/L", (245.0, 40.0, 0), critical_low=30.0, critical_high=1000.0),
)
IMMUNOASSAYS = (
    plan("TSH", "mIU/L", (1.9, 0.6, 3), limit_of_detection=0.004),
    plan("FT4", "ng/dL", (1.2, 0.12, 2)),
    plan("FER", "ng/mL", (110.0, 35.0, 0), limit_of_detection=0.5),
)
PLAIN_FLAGS = {"A": ""}  # it has no flag of that kind
_XN = Model(
    identity=DeviceIdentity(name="    XN-10", serial="11001", version="00-22"),
    always={
        "H.5.7": "AW000001",
        "H.13": "E1394-97",
        "O.4.1": "2",
        "O.4.2": "5",
        "O.12": "N",
        "O.26": "F",
        "R.3.6": "1",
    },
    omits=frozenset({"sent_at", "processing_id", "interval"}),
    widths={"specimen": 22},
    listed_at=5,
    plans=XN_COUNTS,
    asks={"Q.3.1": "2", "Q.3.2": "5", "Q.3.4": "B", "Q.13": "N"},
)
_XN_L = Model(
    identity=DeviceIdentity(name="    XN-550", serial="22723", version="00-24"),
    always=_XN.always,
    omits=_XN.omits,
    widths=_XN.widths,
    listed_at=_XN.listed_at,
    plans=_XN.plans,
    asks=_XN.asks,
)
_COBAS_ASKS = {
    "H.11.1": "TSREQ",
    "H.11.2": "REAL",
    "Q.3.4": "40",
    "Q.3.5": "50001",
    "Q.3.6": "5",
    "Q.3.8": "S1",
    "Q.3.9": "SC",
}
_COBAS = {
    "H.5.2": "1",
    "H.10": "host",
    "H.11.1": "RSUPL",
    "H.11.2": "REAL",
    "H.13": "1",
    "O.4.1": "40",
    "O.4.2": "50001",
    "O.4.3": "5",
    "O.4.5": "S1",
    "O.4.6": "SC",
    "O.6": "R",
    "O.12": "N",
    "O.16": "1",
    "O.26": "F",
    "R.11": "ADMIN",
}

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "roche-cobas-c311": Model(
            identity=DeviceIdentity(name="c311"),
            always={**_COBAS, "R.14": "P1"},
            places={"specimen": "O.3.1", "observed_at": "O.23", "status": "R.9"},
            omits=frozenset({"sent_at", "interval"}),
            widths={"specimen": 22},
            after_row={"C.3": "I", "C.4": "0", "C.5": "I"},
            listed_at=4,
            plans=COBAS_CHEMISTRY,
            asks=_COBAS_ASKS,
        ),
        "roche-cobas-e411": Model(
            identity=DeviceIdentity(name="cobas-e411"),
            always={**_COBAS, "R.3.4/2": "1", "R.3.4/3": "not", "R.14": "E1"},
            places={"observed_at": "O.23"},
            omits=frozenset({"sent_at", "interval"}),
            listed_at=4,
            plans=COBAS_IMMUNOLOGY,
            asks=_COBAS_ASKS,
        ),
        "sysmex-xn": _XN,
        "sysmex-xn-l": _XN_L,
        "abbott-architect": Model(
            identity=DeviceIdentity(name="ARCHITECT", serial="F3450000001", version="9.45"),
            always={
                "H.5.4": "H1P1O1R1C1Q1L1",
                "H.13": "1",
                "P.9": "U",
                "O.4.2": "A123",
                "O.4.3": "5",
                "O.6": "R",
                "O.26": "F",
                "R.3.5": "Assay",
                "R.3.6": "UNDILUTED",
                "R.3.7": "P",
                "R.3.8": "47331M100",
                "R.3.9": "00788",
                "R.3.11": "F",
                "R.11.1": "ADMIN",
                "R.14": "i1SR00001",
            },
            plans=(
                plan("241", "mIU/L", (1.9, 0.6, 4), limit_of_detection=0.0025),
                plan("21", "mIU/mL", (2.6, 0.5, 2), limit_of_detection=1.2),
                plan("1101", "mmol/L", (140.0, 1.8, 0), critical_low=120.0, critical_high=160.0),
            ),
            flags={"N": "", "L": "LOW", "H": "HIGH", "A": "EXP"},
            asks={"Q.5.1": "", "Q.5.4": "ALL"},
        ),
        "beckman-access-2": Model(
            identity=DeviceIdentity(name="ACCESS", serial="575001"),
            always={
                "H.10": "LIS",
                "H.13": "1",
                "O.4.2": "6",
                "O.4.3": "1",
                "O.16": "Serum",
                "O.26": "F",
                "R.14": "575001",
            },
            listed_at=4,
            plans=(
                plan("TSH3", "uIU/mL", (1.9, 0.6, 2), limit_of_detection=0.01),
                plan("FRT4", "ng/dL", (0.9, 0.1, 2)),
                plan("CEA2", "ng/mL", (1.8, 0.5, 2)),
            ),
        ),
        "beckman-dxh": Model(
            identity=DeviceIdentity(name="DxH"),
            always={
                "H.10": "LIS",
                "H.13": "LIS2-A",
                "O.4": "00026",
                "O.5.4": "CD",
                "O.6": "R",
                "O.16": "Whole blood",
                "O.26": "F",
                "R.12": "SYSTEM",
                "R.15": "AY00001",
            },
            plans=DXH_COUNTS,
            flags={"N": "", "L": "A", "H": "A"},
            panels={"CD": tuple(entry.code for entry in DXH_COUNTS)},
        ),
        "siemens-immulite": Model(
            identity=DeviceIdentity(name="DPC"),
            always={
                "H.4": "PASSWORD",
                "H.10": "SYSTEM",
                "H.13": "1",
                "R.8": "N",
                "R.11": "test",
                "R.14": "DPC",
            },
            listed_at=4,
            plans=IMMUNOASSAYS,
        ),
        "werfen-acl-top": Model(
            identity=DeviceIdentity(name="acltop"),
            always={
                "H.3": "<1366275944_5952><1366275944_5953>",
                "H.10": "LIS",
                "H.13": "1394-97",
                "O.6": "R",
                "O.16": "P",
                "O.26": "F",
                "R.9[2]": "V",
                "R.11.1": "ACLTOP",
                "R.14.1": "ACLTOP",
                "R.14.2": "12",
                "R.14.3": "10",
            },
            omits=frozenset({"interval"}),
            plans=(
                plan("1551^Ratio", "Ratio", (1.05, 0.06, 2), critical_high=5.0),
                plan("1551^s", "s", (11.8, 0.6, 1)),
                plan("1552^s", "s", (29.0, 2.0, 1)),
            ),
            flags=PLAIN_FLAGS,
        ),
        "biorad-d-10": Model(
            identity=DeviceIdentity(name="D-10"),
            always={
                "H.13": "1",
                "O.3.2": "0002",
                "O.3.3": "01",
                "O.4": "0002",
                "O.5.4": "HbA1c",
                "O.6": "R",
            },
            places={"observed_at": "R.12"},
            omits=frozenset({"interval"}),
            plans=(
                plan("ValueHbA1c", "%", (5.4, 0.3, 1), absurd=24.0),
                plan("ValueIFCC", "mmol/mol", (36.0, 3.0, 0)),
            ),
        ),
        "abbott-afinion-2": Model(
            identity=DeviceIdentity(name="Afinion 2 Analyzer", serial="AF00000001"),
            always={"H.13": "1", "P.9": "U", "O.12": "N", "O.16.2": "O", "O.26": "F", "R.11": "1"},
            omits=frozenset({"interval"}),
            plans=(
                plan("CRP", "mg/L", (3.0, 1.0, 0), low=0.0, limit_of_detection=5.0),
                plan("HbA1c", "%", (5.4, 0.3, 1)),
            ),
            flags={"N": "", "A": "!"},
        ),
        "mindray-bs-cl-astm": Model(
            identity=DeviceIdentity(name="Mindry"),
            always={
                "H.12": "PR",
                "H.13": "1394-97",
                "P.9": "U",
                "O.3.1": "8",
                "O.3.2": "1",
                "O.3.3": "11",
                "O.6": "R",
                "O.16": "serum",
                "O.26": "F",
                "R.3.4": "F",
                "R.11": "0",
                "R.14.1": "Mindry",
            },
            places={"observed_at": "R.12", "value": "R.4.1"},
            omits=frozenset({"processing_id", "interval"}),
            listed_at=1,
            plans=(
                plan("GLU", "mg/dL", (90.0, 7.0, 2), critical_low=45.0, critical_high=450.0),
                plan("UREA", "mg/dL", (30.0, 6.0, 2)),
                plan("CREAT", "mg/dL", (0.9, 0.12, 3)),
            ),
            asks={"H.12": "RQ"},
        ),
        "horiba-pentra": Model(
            identity=DeviceIdentity(name="ABX"),
            always={
                "H.13": "E1394-97",
                "O.3.2": "02",
                "O.3.3": "08",
                "O.5.4": "DIF",
                "O.16": "Standard",
                "O.26": "F",
                "R.3.6": "1",
                "R.11": "OP1",
            },
            omits=frozenset({"interval"}),
            plans=(
                plan("WBC", "1", (6.8, 1.3, 1), critical_low=1.0, critical_high=50.0, absurd=420.0),
                plan("RBC", "1", (4.7, 0.2, 2)),
                plan("HGB", "1", (14.2, 0.6, 1), critical_low=7.0, critical_high=20.0),
                plan("PLT", "1", (245.0, 40.0, 0), critical_low=30.0, critical_high=1000.0),
            ),
            flags={"N": "", "A": ">"},
        ),
        "horiba-pentra-400": Model(
            identity=DeviceIdentity(name="ABXP400"),
            always={"H.13": "E1394-97", "O.15": "1", "O.26": "F", "R.3.5": "TEST"},
            places={"observed_at": "R.12"},
            omits=frozenset({"interval"}),
            plans=(
                plan("211", "15", (0.9, 0.12, 2)),
                plan("5", "26", (22.0, 6.0, 0)),
                plan("25", "15", (90.0, 7.0, 1), critical_low=45.0, critical_high=450.0),
            ),
            flags={"N": ""},
        ),
        "sysmex-cs": Model(
            identity=DeviceIdentity(name="CS-2500", serial="21768", version="01-70"),
            always={
                "H.5.6": "LAB",
                "H.13": "E1394-97",
                "O.4.1": "000000",
                "O.4.2": "02",
                "O.6": "R",
                "O.12": "N",
                "R.3.5": "TEST",
                "R.3.6": "100.00",
                "R.3.7": "A",
            },
            omits=frozenset({"sent_at", "processing_id", "interval", "status"}),
            widths={"specimen": 15, "value": 6},
            plans=(
                plan("041", "sec", (11.6, 0.6, 1)),
                plan("042", "%", (98.0, 7.0, 1)),
                plan("051", "sec", (28.0, 2.0, 1)),
            ),
            asks={"Q.3.1": "000001", "Q.3.2": "01", "Q.3.4": "B"},
            panels={"040": ("041", "042"), "050": ("051",)},
        ),
        "snibe-maglumi": Model(
            identity=DeviceIdentity(name="Maglumi User"),
            always={"H.4": "PSWD", "H.10": "Lis", "H.13": "E1394-97"},
            omits=frozenset({"status"}),
            listed_at=4,
            plans=(
                plan("TSH II", "uIU/mL", (1.9, 0.6, 3), limit_of_detection=0.005),
                plan("FT4 II", "ng/dL", (1.2, 0.12, 2)),
                plan("TT3 II", "ng/mL", (1.3, 0.2, 3)),
            ),
            flags=PLAIN_FLAGS,
        ),
    }
)
"""By driver key."""
