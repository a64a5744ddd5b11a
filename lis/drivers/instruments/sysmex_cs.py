r"""Sysmex CS-1600, CS-2500 and CA-600: coagulation, ASTM over TCP or RS-232.

    H|\^&|||CS-2500^01-70^21768^^^<site>^BV981798||||||||E1394-97        software, serial number; no time
    P|1||||^<name>
    O|1||000000^02^     6550049260^B^||R||||||N                          rack, position, padded id, how it was read
    R|1|^^^041^PT INN~sec^100.00^A^^^|  10.6|sec||N||||||<finished>      parameter 041 of test 040, in percent of
    C|1|I|CAL^042^^7^|I                                                  the specimen; calibration and lot as notes
    R|4|^^^044^DFbg INN~g_L^100.00^A^^^|   5.0|g/L||>||||||<finished>
    C|2|I|LOT^040^PT Inn^564636|I

    Q|1|000001^01^         189915^B||^^^040^PT T    \^^^050^PSL     |O|<time>

One test (040) gives several parameters (041 seconds, 042 percent, 043 INR ...), so an order for any of them names
the test. CA-600 writes in O.3 what the others write in O.4. A row has no state; R.13 is the time when the test was
finished (LIS02-A2 9.13), so it is final. R.3.6 is 100.00 in every row of the sources; anything else holds the value
(S25), and is no factor. The answer repeats Q.3 as it stands.

Not claimed: what to say when there is nothing to do (the standard's L|1|I), ways of reading an id other than B
(held), controls beyond O.12 and H.12, the letter in R.3.7.
"""

from dataclasses import replace

from lis.domain.messages import IdReadMode, Protocol, ResultStatus
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
    Query,
    Quirks,
    ReadMode,
)

PROFILE = Profile(
    key="sysmex-cs",
    name="Sysmex CS-1600, CS-2500 and CA-600",
    protocol=Protocol.ASTM,
    version="1",
    identity=((FieldRule("H.5.1", "CS-1600|CS-2500|CA-600"),),),
    fields=replace(
        ASTM_FIELDS,
        specimen="O.4.3 O.3.3",
        dilution="R.3.6",
        position="O.4.1+O.4.2 O.3.1+O.3.2",
        specimen_type="",
        sender_version="H.5.2",
        sender_serial="H.5.3",
    ),
    flags={flag: ASTM_FLAGS[flag] for flag in ("N", "L", "H", "<", ">", "A")},
    statuses={"F": ASTM_STATUSES["F"]},
    read_mode=ReadMode(path="O.4.4 O.3.4", modes={"B": IdReadMode.BARCODE}),
    controls=ASTM_CONTROLS,
    query=Query(component=3),
    orders=OrderStyle(
        action="N",
        answer_end="N",
        code_pattern="^([0-9]{2})[0-9]$",
        code_ordered=r"\g<1>0",
        test_form="^^^{code}^^100",
        header={"H.5": "{sender}", "H.10": "{asker_name}"},
        patient={},
        order={
            "O.3": "{asked}",
            "O.5": "{tests}",
            "O.6": "{priority}",
            "O.7": "{time}",
            "O.12": "{action}",
        },
    ),
    quirks=Quirks(
        padding=" ",
        undiluted=("100.00",),
        dilution_is_factor=False,
        status_missing=ResultStatus.FINAL,
        flag_comments=(FieldRule("C.4.1", "(?!(?:CAL|LOT)$).+"),),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="garett1973/analyzers app/Console/Commands/StartSysmex_CS2500_ClientCommand.php (messages of "
            "CS-2500 and CS-1600: H, O, R, C); a public receiver with the query of a CA-600 and its O.3",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="answer: Q.3 repeated in O.3, ^^^<test>^^100, R, time, N",
            source="dmytrotankode/medlink.lab src/MedLink.LIS.Core/Protocols/Orders/OrderBuilders.cs and two more "
            "public order writers for CA-600",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="flags beyond N and >, controls, state",
            source="LIS02-A2 9.7, 8.4, 9.13",
        ),
    ),
)
