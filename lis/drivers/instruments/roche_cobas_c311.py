r"""Roche cobas c311, and the dialect of Hitachi 7600 that cobas c501 and Modular share: chemistry, ASTM.

    H|\^&|||c311^1|||||host|RSUPL^REAL|P|1                    H.11: what the message is for, and why now
    P|1|||||||U||||||^
    O|1|<id, 22 wide>|<seq>^<rack>^<pos>^^S1^SC|^^^717/\^^^418/|R||<drawn>||||N||||1|||||||<measured>|||F
    C|1|I|^^^^|G                                              the patient's comment, usually blank
    R|1|^^^717/|298|mg/dl||N||F||<operator>|||P1              code/dilution; module in R.14, no time of its own
    C|1|I|43|I                                                data alarm; 0 = none

    Q|1|^^<id, 22 wide>^<seq>^<rack>^<pos>^^S1^SC||ALL||||||||O      H.11 TSREQ^REAL; status A takes it back

Some send O.3 as `<counter>^<id>^<count>^^<daily counter>` and `R1` in O.4. The id is padded there too, so a
missing one is blank, and the counter is never taken for it.

Messages are one stream of text cut every 240 characters, in the middle of a field if need be. The answer goes back
the same way, with the id as wide and the rack, position, sample type and container as they were asked.

Not claimed: pushing orders (TSDWN^BATCH: which sample type a specimen is called there is not in the sources),
calibration and absorbance uploads (PCUPL, ICUPL, ABUPL), whether a diluted value is already multiplied (held, S25).
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.order_style import Nothing, OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_FLAGS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
    Query,
    Quirks,
)

ID_WIDTH = 22  # characters of O.3 and of the id in Q.3
DESCRIPTORS = {"S1": "1", "S2": "2", "S5": "5"}
"""O.16 for the sample type asked about: serum, urine, others."""

PROFILE = Profile(
    key="roche-cobas-c311",
    name="Roche cobas c311, c501 and Hitachi 7600",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "c311|H7600"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.3.2 O.3.1",
        test="R.3.4/1",
        dilution="R.3.4/2",
        status="R.9 O.26",
        observed_at="R.13 O.23",
        position="O.4.2+O.4.3",
        module="R.14",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "C")},
    controls=(*ASTM_CONTROLS, FieldRule("O.4.5", "QC")),
    query=Query(component=3),
    orders=OrderStyle(
        nothing=Nothing.EMPTY_ORDER,
        answer_report_type="O",
        answer_end="N",
        test_form="^^^{code}^{dilution}",
        specimen_width=ID_WIDTH,
        header={
            "H.5": "host^1",
            "H.10": "{asker}",
            "H.11": "TSDWN^REPLY",
            "H.12": "P",
            "H.13": "1",
        },
        patient={},
        order={
            "O.3": "{specimen}",
            "O.4": "{place}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.12": "{action}",
            "O.16": "{asked.8}",
            "O.26": "{report_type}",
        },
        spelling={"O.16": DESCRIPTORS},
    ),
    quirks=Quirks(
        padding=" ",
        record_per_frame=False,
        flag_comments=(FieldRule("C.4", "0*[1-9][0-9]*"),),
        silent_comments=(FieldRule("C.4", "0|[ ^]*"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/roche_cobas_c311.py and "
            "tests/data/cobas_c311.txt, hitachi_7600.txt: records, flags, statuses, both shapes of O.3",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query, answer, rack fields, H.11, alarms",
            source="Roche cobas c 311 Host Interface Manual 1.3 (page E-17: alarm number in C.4); "
            "cobas e 411 manual 2.3 page 28: same protocol with minor differences, pages 35-40 and 51",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="stream cut at 240, padded id, QC in O.4.5, status in O.26",
            source="astm.md section 3, rows of H7600^1; id 22 wide: paras-rana11/lab_lis "
            "Bidirection/machines/cobas/c_311/c311.py",
        ),
    ),
)
