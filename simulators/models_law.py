"""LAW analyzers: what stands in their results beyond values, as the profiles' sources show it.

`always` holds texts by path: the equipment of OBX-18 (components by `^`, repeats by `~`), MSH-15 where it is not NE, and
ORC-1 where it is not SC.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.measuring import TestPlan
from simulators.model import DeviceIdentity, Model, plan

_CHEMISTRY = (
    plan("20411", "mmol/L", (5.0, 0.4, 2), critical_low=2.5, critical_high=25.0, absurd=90.0),
    plan("20470", "umol/L", (82.0, 9.0, 0)),
    plan("20130", "U/L", (22.0, 6.0, 1), limit_of_detection=2.0),
    plan("20490", "mg/L", (2.0, 0.9, 2), low=0.0, limit_of_detection=0.3),
)
_ALINITY = (plan("61", "mmol/L", (5.0, 0.4, 2)), plan("62", "mmol/L", (5.2, 1.1, 1)))
_BIOSYSTEMS = (plan("GLUCOSE", "mg/dL", (90.0, 7.0, 4)), plan("ALT-GPT", "U/L", (22.0, 6.0, 4)))
_ATELLICA = (plan("FT3.DOSE", "pg/mL", (3.1, 0.4, 2)), plan("TSH.DOSE", "mIU/L", (2.0, 0.6, 2)))
_VIRUS = ("Not Detected", "Detected")
_CT_NG = (
    TestPlan(code="72828-7^CT", answers=("NEGATIVE",), critical_answers=("POSITIVE",)),
    TestPlan(code="72828-7^NG", answers=("NEGATIVE",), critical_answers=("POSITIVE",)),
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "roche-cobas-pro": Model(
            identity=DeviceIdentity(name="cobas pro"),
            always={"OBX-18": "c503^ROCHE~^ROCHE~1^ROCHE", "OBX-16": "Admin~REALTIME"},
            plans=_CHEMISTRY,
        ),
        "roche-cobas-x800": Model(
            identity=DeviceIdentity(name="X800 DM"),
            always={"OBX-18": "c5800^Roche~c5800.1001^Roche", "OBX-16": "X800DMSYSTEM"},
            plans=_CT_NG,
            flags={"N": ""},
        ),
        "roche-cobas-4800": Model(
            identity=DeviceIdentity(name="cobas 4800 software 2.3"),
            always={"OBX-18": "C4800^Roche~1001_1^Roche", "MSH-15": "ER"},
            plans=(TestPlan(code="0BHIV1", answers=_VIRUS[:1], critical_answers=_VIRUS[1:]),),
            flags={"N": ""},
        ),
        "abbott-alinity-ci": Model(
            identity=DeviceIdentity(name="Alinity ci"),
            always={"OBX-18": "Alinity ci^Abbott"},
            plans=_ALINITY,
        ),
        "abbott-alinity-m": Model(
            identity=DeviceIdentity(name="", serial="M10001"),
            always={"OBX-18": "Alinity m^Abbott~M10001^Abbott~1^Abbott", "OBX-16": "Pat~operator"},
            plans=(TestPlan(code="1006", answers=_VIRUS[:1], critical_answers=_VIRUS[1:]),),
            flags={"N": ""},
        ),
        "biosystems-ba400": Model(
            identity=DeviceIdentity(name="BA400", serial="834000001"),
            always={
                "OBX-18": "A400^Biosystems~834000001^Biosystems",
                "MSH-4": "Biosystems",
                "MSH-15": "ER",
                "ORC-1": "OK",
            },
            plans=_BIOSYSTEMS,
            flags={"N": "NONE"},
        ),
        "siemens-atellica-solution": Model(
            identity=DeviceIdentity(name="UIW_LIS", serial="DL10001"),
            always={
                "OBX-18": "NextGenAnalyzer^SiemensHDX~DL10001^SystemSN~IH10001^ModuleSN",
                "OBX-16": "System~LabManager",
                "ORC-1": "OK",
            },
            plans=_ATELLICA,
            flags={"N": ""},
        ),
    }
)
