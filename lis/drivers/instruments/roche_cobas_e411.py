r"""Roche cobas e411: immunoassays, ASTM in the "cobas type" format.

    H|\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1
    P|1
    O|1|<id>|<seq>^<disk or rack>^<pos>^^S1^SC|^^^117^1\^^^900^1|R||<drawn>||||N||||1|||||||<measured>|||F
    R|1|^^^117/1/not|317.6|IU/l||H||F||<operator>|||E1        code/dilution/pre-dilution, module
    C|1|I|40|I                                                data alarm, only where there is one
    R|2|^^^900/1/not|-1^0.567|COI||N||F||ADMIN|||E1           call^cut-off index: 1, 0, -1 = reactive, border, not

    Q|1|^^<id>^<seq>^<rack>^<pos>^^S1^SC||ALL||||||||O        answered within 15 s, or it comes again with status A

A call (unit COI) is a word, though it looks like a number; the index stands behind it as `900^quantity`. A
value that could not be measured comes as seven blanks. A barcode that could not be read gives the id `@<seq>`,
which is nobody's.

`1/not` is what every undiluted result of the sources carries; anything else holds the value, as nobody has shown
whether it is already multiplied (S25). Nothing to do is told by an order without tests.

Not claimed: the "Elecsys type" format (H.5 empty), pushing orders (TSDWN^BATCH), sending one test twice, more than
18 tests in one answer (the instrument takes no more), calibration.
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

PROFILE = Profile(
    key="roche-cobas-e411",
    name="Roche cobas e411",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "cobas-e411"),),),
    fields=replace(
        ASTM_FIELDS,
        test="R.3.4/1",
        value="R.4.1",
        quantity="R.4.2",
        dilution="R.3.4/2+R.3.4/3",
        observed_at="R.13 O.23",
        position="O.4.2+O.4.3",
        module="R.14",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "LL", "HH", "A")},
    statuses={code: ASTM_STATUSES[code] for code in ("F", "C")},
    controls=(*ASTM_CONTROLS, FieldRule("O.4.5", "QC")),
    words=(FieldRule("R.5", "COI"),),
    query=Query(component=3, wait_s=15.0),
    orders=OrderStyle(
        nothing=Nothing.EMPTY_ORDER,
        answer_report_type="O",
        answer_end="N",
        test_form="^^^{code}^{dilution}",
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
        spelling={"O.16": {"S1": "1", "S2": "2", "S5": "5"}},
    ),
    quirks=Quirks(
        padding=" ",
        record_per_frame=False,
        undiluted=("1^not", "1"),
        flag_comments=(FieldRule("C.4", "0*[1-9][0-9]*"),),
        silent_comments=(FieldRule("C.4", "0"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="Roche cobas e 411 Host Interface Manual 2.3, pages 28-43: records, values, calls",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query, answer, empty answer, 15 s, cancel",
            source="Roche cobas e 411 Host Interface Manual 2.3, pages 16, 35, 51, 52",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="code/dilution/pre-dilution, alarms, flags LL, stream cut at 240",
            source="public traces of cobas-e411^1 uploads (astm.md section 3, letter X); "
            "flags LIS02-A2 9.7",
        ),
    ),
)
