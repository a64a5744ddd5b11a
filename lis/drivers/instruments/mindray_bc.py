r"""Mindray BC series (BC-5000, 5150, 5380, 6800): five-part haematology, HL7 2.3.1 over MLLP.

    MSH|^~\&|Mindray|BC-5380|||<time>||ORU^R01|<n>|P|2.3.1||||||UNICODE      often without MSH-3 and MSH-4
    PID|1||<patient>^^^^MR
    OBR|1||<specimen>|00001^Automated Count^99MRC||<drawn>|<measured>|...
    OBX|1|IS|08001^Take Mode^99MRC||O||||||F                                 setting of the run
    OBX|7|NM|6690-2^WBC^LN||9.55|10*9/L|4.00-10.00|L~N|||F                   result; A in OBX-8 = suspect
    OBX|9|IS|12014^Left Shift?^99MRC||T||||||F                               alarm of the whole count
    OBX|30|ED|15008^WBC Histogram^99MRC||^Image^BMP^Base64^...               image

Codes: OBX-3.1 (LOINC, or Mindray's own 99MRC number); messages that leave it empty carry the name in
component 4 or 2. A value may be `*****`: no number, so the catalog decides. OBX-13 marks edited values.

Controls: MSH-11 is Q, or OBR-4 is one of 00003-00008 (L-J, X, XB, X-R and their means); PID-3 carries the lot,
OBX 05001 the level; OBR-3 is the number of the control file, not a specimen. Rows under 00007 and 00008 are
means of runs, not measurements.

Query: ORM^O01 with ORC-1 RF and the specimen in ORC-3, answered on the same connection by ORR^O02; nothing to do
is MSA-1 AR; an answer with an order tells the age, in `yr` or `mo`. Between frames some send 0x02 to show they live; the framer drops it.

No capture of a real instrument is at hand: the file in the corpus was written by hand by its project.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from lis.domain.messages import HostQuery, Protocol, SpecimenOrders
from lis.drivers.hl7_dialect import Acknowledging, Hl7Dialect
from lis.drivers.hl7_orders import Asked, header, written
from lis.drivers.profile import (
    HL7_ATTACHMENTS,
    HL7_FIELDS,
    HL7_FLAGS,
    HL7_STATUSES,
    Evidence,
    FieldRule,
    FlagMeaning,
    Grade,
    Profile,
    Query,
    Quirks,
    RowKind,
)
from lis.wire.hl7_writer import Value, segment

CODING = "99MRC"
VERSION = "2.3.1"
MONTHS_A_YEAR = 12
AUTOMATED_COUNT = ("00001", "Automated Count", CODING)
CBC_CODES = frozenset(
    {
        *("6690-2", "789-8", "718-7", "4544-3", "787-2", "785-6", "786-4", "788-0", "21000-5"),
        *("777-3", "32623-1", "32207-3"),
        *("CBC", "WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "RDW-CV", "RDW-SD", "PLT"),
        *("MPV", "PDW", "PCT"),
    }
)
"""What the counter measures without its differential channel."""
PATIENT_SEXES = {"M": "Male", "F": "Female"}


def write_orders(
    profile: Profile,  # noqa: ARG001  # same shape for every instrument
    orders: Sequence[SpecimenOrders],
    *,
    at: datetime,
    control_id: str,
    query: HostQuery | None = None,
) -> tuple[bytes, ...]:
    """ORR^O02 for the one specimen that was asked for; () when nobody asked: it takes no push.

    ORC-2 and OBR-2 both repeat the specimen. The instrument knows no single tests, only modes: `CBC`, or
    `CBC+5DIFF` as soon as one test needs the differential.
    """
    if query is None:
        return ()
    asked = Asked.of(query.echo)
    wanted = [entry for entry in orders if entry.tests]
    segments = [
        header(
            replace(asked, version=asked.version or VERSION),
            ("ORR", "O02"),
            control_id=control_id,
            at=at,
        ),
        segment("MSA", "AA" if wanted else "AR", asked.control_id),
    ]
    for entry in wanted[:1]:
        segments.extend(_specimen_segments(entry, at))
    return (written(asked, segments),)


def _specimen_segments(entry: SpecimenOrders, at: datetime) -> list[str]:
    is_plain = all(test.test in CBC_CODES for test in entry.tests)
    mode = "CBC" if is_plain else "CBC+5DIFF"
    patient: tuple[Value, ...] = (
        *("1", "", [(entry.patient_id, "", "", "", "MR")], ""),
        *((entry.family_name, entry.given_name), "", entry.birth_date),
        PATIENT_SEXES.get(entry.sex, ""),
    )
    drawn = f"{entry.collected_at:%Y%m%d%H%M%S}" if entry.collected_at else ""
    return [
        segment("PID", *patient),
        segment("ORC", "AF", entry.specimen),
        segment("OBR", "1", entry.specimen, "", AUTOMATED_COUNT, "", drawn),
        segment("OBX", "1", "IS", ("08002", "Blood Mode", CODING), "", "W", *[""] * 5, "F"),
        segment("OBX", "2", "IS", ("08003", "Test Mode", CODING), "", mode, *[""] * 5, "F"),
        *_age(entry, at),
    ]


def _age(entry: SpecimenOrders, at: datetime) -> list[str]:
    """The age in years, below one in months; a younger patient, or one born on no known day, has none here.

    The counter takes no age of 0, and nobody told us its word for days.
    """
    try:
        born = date.fromisoformat(entry.birth_date)
    except ValueError:
        return []
    months = (at.year - born.year) * 12 + at.month - born.month - (at.day < born.day)
    age, unit = (months // 12, "yr") if months >= MONTHS_A_YEAR else (months, "mo")
    if age <= 0:
        return []
    return [segment("OBX", "3", "NM", ("30525-0", "Age", "LN"), "", str(age), unit, *[""] * 4, "F")]


PROFILE = Profile(
    key="mindray-bc",
    name="Mindray BC series",
    protocol=Protocol.HL7,
    version="1",
    identity=(
        (FieldRule("MSH-3.1", "(?i)mindray"), FieldRule("MSH-4.1", "BC-.*")),
        (FieldRule("MSH-3.1", "BC-.*"), FieldRule("MSH-4.1", "(?i)mindray")),
        (
            FieldRule("MSH-3.1", ""),  # others that speak like it (Dymind, Zybio) say who they are
            FieldRule("MSH-4.1", ""),
            FieldRule("MSH-9.1", "ORU"),
            FieldRule("OBR-4.3", CODING),
        ),
    ),
    fields=replace(
        HL7_FIELDS,
        test="OBX-3.1 OBX-3.4 OBX-3.2",
        flags="OBX-8 OBX-13",
        observed_at="OBX-14 OBR-7 OBR-8",
        control_material="OBR-3.1",
        control_lot="PID-3.1",
        sender_name="MSH-4.1 MSH-3.1",
    ),
    flags={
        **{flag: HL7_FLAGS[flag] for flag in ("N", "L", "H", "A")},
        "e": FlagMeaning.EDITED,
        "E": FlagMeaning.EDITED,
    },
    statuses=HL7_STATUSES,
    rows=(
        *HL7_ATTACHMENTS,
        (RowKind.COMMENT, FieldRule("OBX-3.1", "01001")),
        (RowKind.LEVEL, FieldRule("OBX-3.1", "05001")),
        (RowKind.SETTING, FieldRule("OBX-3.1", "0[0-9]{4}|15[0-9]{3}|30525-0")),
        (RowKind.SETTING, FieldRule("OBR-4.1", "00007|00008")),
        (RowKind.FLAG, FieldRule("OBX-2", "IS")),
    ),
    controls=(FieldRule("MSH-11.1", "Q"), FieldRule("OBR-4.1", "0000[3-8]")),
    query=Query(match=(FieldRule("MSH-9.1", "ORM"), FieldRule("ORC-1", "RF")), specimen="ORC-3.1"),
    write_orders=write_orders,
    charsets=("utf-8",),
    quirks=Quirks(heartbeats=b"\x02"),
    hl7=Hl7Dialect(acknowledging=Acknowledging(says_success=True)),
    evidence=(
        Evidence(
            grade=Grade.SPEC,
            source="Mindray hematology LIS protocol (public descriptions), see hl7.md section 4",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="acknowledgement with MSA-6 0, empty MSH-3 to MSH-6, ORR with MSA AR",
            source="live-itech/midlab protocols/mindray_bc5150/constants.py and builder.py (from the log of a BC-5150)",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="heartbeat bytes",
            source="a public receiver's regression test for a BC-5150, see hl7.md section 4 and its source 37",
        ),
        Evidence(
            grade=Grade.SPEC,
            covers="edit marks in OBX-13",
            source="seen on instruments of the same make and family, see hl7.md section 4",
        ),
    ),
)
