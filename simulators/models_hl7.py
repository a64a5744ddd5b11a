"""Instruments that speak HL7 dialects beyond the first one; their messages as the profiles' sources describe them.

A real Mindray BS sends one test a message; here all tests of a tube are rows of one, which its driver reads the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.measuring import TestPlan
from simulators.model import DeviceIdentity, Model, plan

RESULT = {"MSH-9.1": "ORU", "MSH-9.2": "R01", "PID-1": "1", "OBR-1": "1", "OBX-2": "NM"}
COUNT = {"OBR-4.1": "01001", "OBR-4.2": "Automated Count", "OBR-4.3": "99MRC"}
NO_FLAG = {"N": ""}

_COUNTS = (
    plan("6690-2", "10*9/L", (6.8, 1.3, 2)),
    plan("789-8", "10*12/L", (4.7, 0.2, 2)),
    plan("718-7", "g/L", (142.0, 6.0, 0)),
    plan("777-3", "10*9/L", (245.0, 40.0, 0)),
)
_NAMED_COUNTS = (
    plan("WBC", "10^9/L", (6.8, 1.3, 2)),
    plan("RBC", "10^12/L", (4.7, 0.2, 2)),
    plan("HGB", "g/L", (142.0, 6.0, 0)),
    plan("PLT", "10^9/L", (245.0, 40.0, 0)),
)
_CHANNELS = (
    plan("1", "U/L", (22.0, 6.0, 1)),
    plan("12", "mmol/L", (5.0, 0.4, 2)),
    plan("17", "umol/L", (82.0, 9.0, 0)),
)
_CHEMISTRY = (plan("GLU", "mg/dL", (90.0, 7.0, 0)), plan("ALT", "U/L", (22.0, 6.0, 0)))
_XPERT = (
    TestPlan(code="MTB-RIF^MTB", answers=("NOT DETECTED",), critical_answers=("DETECTED LOW",)),
    TestPlan(code="MTB-RIF^RIF", answers=("NOT DETECTED",)),
    TestPlan(code="GBS", answers=("NEGATIVE",)),
)

_EXPERT_SEGMENTS = {
    "PID-1": "1",
    "ORC-1": "RE",
    "ORC-2": "1",
    "OBR-1": "1",
    "OBR-25": "F",
    "TQ1-9": "R",
    "SPM-1": "1",
    "SPM-4": "ORH",
    "SPM-11": "P",
}

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "mindray-bs": Model(
            identity=DeviceIdentity(name="BS-240"),
            always={
                **RESULT,
                "MSH-3": "Mindray",
                "MSH-12": "2.3.1",
                "MSH-16": "0",
                "MSH-18": "ASCII",
                "OBR-4.1": "Mindray",
                "OBR-4.2": "BS-240",
                "QRD-2": "R",
                "QRD-3": "D",
                "QRD-4": "1",
                "QRD-7": "RD",
                "QRD-9": "OTH",
                "QRD-12": "T",
                "QRF-1": "BS-240",
                "QRF-6": "RCT",
                "QRF-7": "COR",
                "QRF-8": "ALL",
            },
            asks={"MSH-9.1": "QRY", "MSH-9.2": "Q02", "QRD-1": "{time}", "QRF-3": "{time}"},
            query_segments=("QRD", "QRF"),
            plans=_CHANNELS,
        ),
        "cepheid-genexpert-hl7": Model(
            identity=DeviceIdentity(name="GeneXpert", serial="GX NORTH", version="Dx4.8"),
            always={
                **_EXPERT_SEGMENTS,
                "MSH-5": "LIS",
                "MSH-9.1": "ORU",
                "MSH-9.2": "R32",
                "MSH-9.3": "ORU_R30",
                "MSH-12": "2.5",
                "MSH-15": "AL",
                "MSH-16": "NE",
                "OBX-2": "ST",
                "OBX-3.1.3": "Xpert",
                "OBX-3.1.4": "4",
                "QPD-1.1": "Z03",
                "QPD-1.2": "HOST QUERY",
                "RCP-1": "I",
            },
            places={"observed_at": "TQ1-8"},
            before_rows=("PID", "ORC", "OBR", "TQ1"),
            after_rows=("SPM",),
            asks={
                "MSH-9.1": "QBP",
                "MSH-9.2": "Z03",
                "MSH-9.3": "QBP_Z03",
                "QPD-2": "{id}",
            },
            query_segments=("QPD", "RCP"),
            plans=_XPERT,
        ),
        "zybio-z": Model(
            identity=DeviceIdentity(name="Z3"),
            always={
                **RESULT,
                **COUNT,
                "MSH-4": "Zybio",
                "MSH-12": "2.3.1",
                "MSH-18": "UNICODE",
            },
            places={"observed_at": "OBR-7"},
            plans=tuple(_NAMED_COUNTS),
        ),
        "dymind-dh": Model(
            identity=DeviceIdentity(name="DH3x", serial="DM0001"),
            always={
                **RESULT,
                **COUNT,
                "MSH-4": "Dymind",
                "MSH-12": "2.3.1",
                "MSH-18": "UNICODE",
                "OBX-3.3": "LN",
            },
            places={"observed_at": "OBR-7"},
            plans=_COUNTS,
        ),
        "genrui-kt": Model(
            identity=DeviceIdentity(name="KT-6610"),
            always={
                **RESULT,
                "MSH-3": "Genrui",
                "MSH-12": "2.3.1",
                "MSH-17": "CHA",
                "MSH-18": "UTF-8",
            },
            places={"observed_at": "OBR-7", "test": "OBX-3.2"},
            flags=NO_FLAG,
            plans=_NAMED_COUNTS,
        ),
        "urit-8030": Model(
            identity=DeviceIdentity(name="8030"),
            always={**RESULT, "MSH-3": "urit", "MSH-12": "2.3.1", "MSH-16": "0", "MSH-18": "ASCII"},
            omits=frozenset({"observed_at"}),
            plans=_CHEMISTRY,
        ),
        "wondfo-finecare": Model(
            identity=DeviceIdentity(serial="00:00:5E:00:53:01"),
            always={
                **RESULT,
                "MSH-3": "FineCarePlus",
                "MSH-4.1": "FineCare II",
                "MSH-4.3": "FS-113",
                "MSH-5": "POCT",
                "MSH-9.3": "ORU_R01",
                "MSH-12": "2.4",
                "MSH-17": "CHN",
                "MSH-18": "UTF8",
                "DSC-1": "1",
                "DSC-2": "F",
            },
            omits=frozenset({"status", "sender_name"}),
            flags=NO_FLAG,
            after_rows=("DSC",),
            plans=(plan("MAU", "mg/L", (9.0, 3.0, 1)), plan("CRP", "mg/L", (3.0, 0.8, 1))),
        ),
        "sd-biosensor-f2400": Model(
            identity=DeviceIdentity(serial="FA24X0000001"),
            always={
                **RESULT,
                "MSH-3.2": "0200000000000001",
                "MSH-3.3": "EUI-64",
                "MSH-9.3": "ORU_R01",
                "MSH-12": "2.6",
                "MSH-15": "AL",
                "MSH-16": "NE",
                "MSH-18": "UNICODE UTF-8",
                "MSH-21.1": "IHE_PCD_ORU_R01",
                "MSH-21.2": "IHE PCD",
                "OBX-4": "1.0.0.7",
            },
            flags=NO_FLAG,
            plans=(plan("4548-4", "%", (5.4, 0.3, 1)),),
        ),
    }
)
