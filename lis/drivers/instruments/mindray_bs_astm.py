r"""Mindray BS (BS-240, BS-430 ...) and CL-900i in ASTM mode: chemistry and immunoassays.

    H|\^&|||Mindry^^|||||||PR|1394-97|<time>                       H.12 is the kind of message: PR results
    P|476||||^^||^^|U
    O|476|<no>^<rack>^<pos>|<id>|CREAS^<name>^^\UREA^Urea^^|R|<a>|<b>|||||||<c>|serum||||||||||F
    R|162|CREAS^<name>^^F|3.216365^^^^|mg/dL|^|N||F|3.216365^^^^|0|<measured>||Mindry^
    R|163|HBS^HBsAg^^I|^Negative||||||F|...                        a call stands in component 2
    L|475|N                                                        sequence numbers run on, also in L

    Q|221|^<id>||||||||||O                      H.12 = RQ; answered with SA, or with QA and L|1|I when not found

The code is the first component, not the fourth. The id is O.4; O.3 is the instrument's own number and place.
R.10 repeats the value, R.12 is the time.

Not claimed: control results (H.12 = QR: values inside the O record, no R), calibration (CR), dilution, batch
download; Mindray writes the same sender for BS and CL, so one driver serves both.
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
    key="mindray-bs-cl-astm",
    name="Mindray BS and CL (ASTM)",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "Mindry"), FieldRule("H.13", "1394-97")),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.4.1",
        test="R.3.1",
        value="R.4.1 R.4.2",
        operator="",
        observed_at="R.13 R.12",
        position="O.3.2+O.3.3",
        specimen_type="",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "A")},
    statuses={"F": ASTM_STATUSES["F"]},
    controls=(FieldRule("H.12.1", "QR"), *ASTM_CONTROLS),
    orders=OrderStyle(
        test_component=1,
        test_form="{code}^^2^1",
        answer_end="N",
        header={"H.5": "{asker_name}^^", "H.12": "SA", "H.13": "1394-97", "H.14": "{time}"},
        nothing_header={"H.12": "QA"},
        patient={
            "P.4": "{patient_id}",
            "P.6": "{family_name}^{given_name}",
            "P.8": "{birth_date}",
            "P.9": "{sex}",
        },
        order={
            "O.4": "{specimen}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.7": "{time}",
            "O.8": "{collected}",
            "O.16": "{specimen_type}",
            "O.26": "{report_type}",
        },
        spelling={"O.16": {"SER": "serum", "UR": "urine"}},
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="PrasoonPratham/astmio tests/test_bs240_parser.py (production logs: results, RQ, "
            "SA, QA, QR); a public BS-430 driver that says it was decoded from a live line; "
            "paras-rana11/lab_lis Bidirection/machines/Mindray/cl_900_i_bi.py, bs_240_bi.py",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags beyond N, L, H",
            source="LIS02-A2 9.7",
        ),
    ),
)
