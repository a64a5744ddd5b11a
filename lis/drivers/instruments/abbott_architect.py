r"""Abbott ARCHITECT (c and i systems): chemistry and immunoassays, ASTM over RS-232, one test a message.

    H|\^&|||ARCHITECT^9.45^F3452430028^H1P1O1R1C1Q1L1|||||||P|1|<time>       version, serial number of the system
    P|1|||||||U
    O|1|<id>|<id>^<carrier>^<pos>|^^^580^Anti-HBcII^UNDILUTED^P|R||||||||||||||||||||F
    R|1|^^^580^Anti-HBcII^UNDILUTED^P^<lot>^<kit>^^F|0.15|S/CO||||R||ADMIN^ADMIN||<measured>|<module>
    C|1|I|<comment>|G
    R|2|...^I|Nonreactive|||||R||...                                         the same result in words
    R|3|...^P|1277|RLU||||R||...                                             what the detector counted
    L|1

    Q|1|^<id>||^^^ALL||||||||O                  nothing to do: the same record back with status X

One result is up to three rows; R.3.11 names the kind. F is the result; I and P stand behind it as `580^I` and
`580^P`, and the words of I are its comment too. Flags are components of R.7: `EXP^<`. R.3.10 is the lot of the
control, where one was measured. R.9 = R was sent before. Several messages may share a session.

The dilution protocol stands in words: UNDILUTED, and STANDARD on c systems (the assay's own). Any other protocol
holds the value: whether it is multiplied is not in the sources (S25).

Not claimed: test exceptions (O.26 = X with the reason in C, no row to hold), orders without a query, honouring
the meaning of A#1, A#2, FLEX, INDX, IUO and PSHH beyond "a person looks".
"""

from dataclasses import replace

from lis.domain.messages import Protocol
from lis.drivers.order_style import Nothing, OrderStyle
from lis.drivers.profile import (
    ASTM_CONTROLS,
    ASTM_FIELDS,
    ASTM_STATUSES,
    Evidence,
    FieldRule,
    FlagMeaning,
    Grade,
    Profile,
    Quirks,
    RowKind,
)

LOOK = (
    *("LL", "HH", "<", ">", "EXP", "EXPC", "CNTL", "CORR", "FLEX", "PSHH", "IUO", "INDX"),
    *("A#1", "A#2", "1-2s", "1-3s", "2-2s1R1M", "2-2s1RxM", "2-2sxR1M", "R-4s"),
    *("4-1s1M", "4-1sxM", "10-x1M", "10-xxM"),
)
"""Beyond plain low and high: ranges, expired reagent or calibration, controls out, Westgard."""

PROFILE = Profile(
    key="abbott-architect",
    name="Abbott ARCHITECT",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "ARCHITECT"),),),
    fields=replace(
        ASTM_FIELDS,
        supplement="R.3.11",
        dilution="R.3.6",
        reagent_lot="R.3.8",
        control_lot="R.3.10",
        flags="R.7.1 R.7.2 R.7.3 R.7.4 R.7.5",
        operator="R.11.2 R.11.1",
        module="R.14",
        position="O.4.2+O.4.3",
        sender_version="H.5.2",
        sender_serial="H.5.3",
    ),
    flags={
        "LOW": FlagMeaning.OUTSIDE_INTERVAL,
        "HIGH": FlagMeaning.OUTSIDE_INTERVAL,
        "EDIT": FlagMeaning.EDITED,
        **dict.fromkeys(LOOK, FlagMeaning.LOOK),
    },
    statuses={code: ASTM_STATUSES[code] for code in ("F", "R")},
    rows=(
        (RowKind.INTERPRETATION, FieldRule("R.3.11", "I")),
        (RowKind.SUPPLEMENT, FieldRule("R.3.11", "P")),
    ),
    controls=ASTM_CONTROLS,
    orders=OrderStyle(
        nothing=Nothing.QUESTION_BACK,
        header={
            "H.5": "{sender}",
            "H.10": "{asker_name}",
            "H.12": "P",
            "H.13": "1",
            "H.14": "{time}",
        },
        patient={
            "P.3": "{patient_id}",
            "P.6": "{family_name}^{given_name}",
            "P.8": "{birth_date}",
            "P.9": "{sex}",
        },
        order={
            "O.3": "{specimen}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.7": "{time}",
            "O.12": "{action}",
            "O.26": "{report_type}",
        },
    ),
    quirks=Quirks(
        undiluted=("UNDILUTED", "STANDARD"),
        flag_comments=(FieldRule("C.5", "I"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="senaite/senaite.astm src/senaite/astm/instruments/abbott_architect.py (field by field) and "
            "tests/data/abbott_architect.txt; manual: Abbott Standard Interface RS-232, list 06F71",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="three rows a result, many messages a session, status R",
            source="blutspende/go-astm e2etest/unmarshal_test.go: messages of ARCHITECT^9.45",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="query, answer, negative answer with status X",
            source="public ARCHITECT drivers: query ^^^ALL, order with A and Q, L|1|F, question back with X",
        ),
    ),
)
