r"""Mindray BS chemistry (BS-120 to BS-350E, 200E, 480 and kin): HL7 2.3.1 over MLLP, one test a message.

    MSH|^~\&|Mindray|BS-200E|||<time>||ORU^R01|<n>|P|2.3.1||||0||ASCII      MSH-16: 0 result, 1 calibration, 2 control
    PID|1|<number>|||<name>||<born>|F
    OBR|1|<bar code>|<place>|Mindray^BS-200E|N||<measured>||||||||serum
    OBX|1|NM|2|GLU|5.100000|mmol/L|3.9-6.1|N|||F||5.100000|<measured>

The specimen is the bar code in OBR-2. OBR-3 is the analyzer's own number (a place in the rack): read as a specimen
it would file results under somebody else's tube. OBX-3 is the channel number that laboratory and analyzer agreed
on, OBX-4 its name for people.

Controls have neither PID nor OBX; OBR is the result itself:

    OBR|1|<channel>|<name>|Mindray^BS-200E||<time>|||||||<control>|<lot>|<expiry>||H|<target>|<SD>|<value>|<unit>

Calibrations (1) say nothing about a specimen and stay in the raw message. Another MSH-16 files the message whole.

Query: QRY^Q02 with the bar code in QRD-8 (empty: all of the day; QRD-9 CAN: taken back). The answer is QCK^Q02 (QAK-2
OK or NF) and, for each specimen, DSR^Q03 with its lines of DSP: 1 to 28 have their fixed meaning, from 29 on one
channel each. DSC-1 counts while more follow and is empty in the last. Each DSR waits for the ACK^Q03 of the one
before. MSH-10 is a number and comes back as it was; MSA-6 is 0 or a code of table 0357.

Not claimed: DSP lines that we have nothing to say in (ward, account, doctor), and calibration data.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lis.domain.messages import HostQuery, Protocol, SpecimenOrders
from lis.drivers.hl7_dialect import Acknowledging, Hl7Dialect, OrderRow
from lis.drivers.hl7_orders import Asked, full_name, header, is_urgent, written
from lis.drivers.profile import (
    HL7_ATTACHMENTS,
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    Grade,
    Profile,
    Query,
    RowKind,
)
from lis.wire.hl7_writer import segment

FIXED_LINES = 28
ACCEPTED = "Message accepted"
SPECIMEN_TYPES = {"SER": "serum", "PLAS": "plasma", "UR": "urine"}
"""HL7 table 0487 to the words of the analyzer, as far as it has words."""
SEXES = {"M": "M", "F": "F"}


def write_orders(
    profile: Profile,  # noqa: ARG001  # same shape for every instrument
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,  # noqa: ARG001  # the analyzer wants its own number back
    query: HostQuery | None = None,
) -> tuple[bytes, ...]:
    """QCK^Q02, then a DSR^Q03 for each specimen with work; () when nobody asked: it takes no push."""
    if query is None:
        return ()
    asked = Asked.of(query.echo)
    wanted = [entry for entry in orders if entry.tests]
    found = "OK" if wanted and not query.is_cancel else "NF"
    answers = [written(asked, [*_head(asked, ("QCK", "Q02"), at), segment("QAK", "SR", found)])]
    if found == "NF":
        return tuple(answers)
    for number, entry in enumerate(wanted, 1):
        is_last = number == len(wanted)
        answers.append(written(asked, _worklist(asked, entry, at, "" if is_last else str(number))))
    return tuple(answers)


def _head(asked: Asked, message_type: tuple[str, ...], at: datetime) -> list[str]:
    return [
        header(asked, message_type, control_id=asked.control_id, at=at),
        segment("MSA", "AA", asked.control_id, ACCEPTED, "", "", "0"),
        segment("ERR", "0"),
    ]


def _worklist(asked: Asked, entry: SpecimenOrders, at: datetime, pointer: str) -> list[str]:
    lines = _lines(entry)
    numbered = [(str(number), lines.get(number, "")) for number in range(1, FIXED_LINES + 1)]
    tests = [
        (str(number), (test.test, "", "", ""))
        for number, test in enumerate(entry.tests, FIXED_LINES + 1)
    ]
    return [
        *_head(asked, ("DSR", "Q03"), at),
        segment("QAK", "SR", "OK"),
        asked.segment("QRD"),
        asked.segment("QRF"),
        *(segment("DSP", number, "", text) for number, text in numbered),
        *(f"{segment('DSP', number, '', code[0])}^^^" for number, code in tests),
        segment("DSC", pointer),
    ]


def _lines(entry: SpecimenOrders) -> dict[int, str]:
    """What stands in the lines with a fixed meaning."""
    is_day = len(entry.birth_date) == len("YYYYMMDD")
    return {
        1: entry.patient_id,
        3: full_name(entry),
        4: f"{entry.birth_date}000000" if is_day else "",
        5: SEXES.get(entry.sex, "O" if entry.sex else ""),
        21: entry.specimen,
        23: f"{entry.collected_at:%Y%m%d%H%M%S}" if entry.collected_at else "",
        24: "Y" if is_urgent(entry) else "N",
        26: SPECIMEN_TYPES.get(entry.specimen_type, ""),
    }


MANUAL = "Mindray Host Interface Manual, BA20-20-75337"

PROFILE = Profile(
    key="mindray-bs",
    name="Mindray BS series",
    protocol=Protocol.HL7,
    version="1",
    identity=((FieldRule("MSH-3.1", "(?i)mindray"), FieldRule("MSH-4.1", "BS-.*")),),
    fields=replace(
        HL7_FIELDS,
        specimen="OBR-2.1",
        observed_at="OBX-14 OBR-7",
        specimen_type="OBR-15.1",
        sender_name="MSH-4.1",
    ),
    flags={flag: HL7_FLAGS[flag] for flag in ("N", "L", "H")},
    statuses=HL7_STATUSES,
    rows=(*HL7_ATTACHMENTS, (RowKind.SETTING, FieldRule("MSH-16.1", "1"))),
    controls=(FieldRule("MSH-16.1", "2"),),
    query=Query(
        match=(FieldRule("MSH-9.1", "QRY"), FieldRule("MSH-9.2", "Q02")),
        specimen="QRD-8.1",
        everything=FieldRule("QRD-8.1", ""),
        cancel=FieldRule("QRD-9.1", "CAN"),
    ),
    write_orders=write_orders,
    charsets=("latin-1",),
    hl7=Hl7Dialect(
        known=(FieldRule("MSH-16.1", "[012]?"),),
        order_row=OrderRow(
            when=(FieldRule("MSH-16.1", "2"),),
            fields={
                "specimen": "",
                "test": "OBR-2.1",
                "value": "OBR-20",
                "unit": "OBR-21",
                "interval": "",
                "flags": "",
                "status": "",
                "operator": "",
                "observed_at": "OBR-6",
                "specimen_type": "",
                "control_material": "OBR-13.1",
                "control_lot": "OBR-14.1",
                "control_level": "OBR-17.1",
            },
        ),
        acknowledging=Acknowledging(
            echoes_control_id=True, says_success=True, waits_between_answers=True
        ),
    ),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source=f"{MANUAL}, as described in live-itech/midlab protocols/mindray_bs200e/constants.py and parser.py",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="controls in OBR, MSH-16, channel numbers in OBX-3, batch query and CAN",
            source=f"{MANUAL}, as described in the public note `Mindray BS-Series Chemistry Analyzers - HL7 v2.3.1 Integration Specification` 2.0 of OpenELIS (hl7.md, source 34)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="OBR-3 is a place in the rack; NF also answers CAN",
            source=f"{MANUAL}, pages 24 to 27 and 33, as cited in the tests of a public Russian LIS (hl7.md, source 38)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="DSR with DSP 21, 24, 26 and tests from 29 on",
            source="two public hosts in use with BS analyzers (hl7.md, source 35)",
        ),
    ),
)
