"""Orders in HL7 dialects, in bytes written here by hand; and controls that never look like patients (Q1)."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lis.domain.messages import (
    HostQuery,
    OrderedTest,
    Protocol,
    Reason,
    SpecimenOrders,
    SubjectKind,
    Translation,
)
from lis.drivers import order_records, registry, translate
from lis.drivers.hl7_orders import Asked
from lis.wire.hl7 import Message

AT = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")
ORDERS = SpecimenOrders(
    specimen="20000072",
    tests=(OrderedTest(work_order="w1", test="12"), OrderedTest(work_order="w2", test="45")),
    specimen_type="SER",
    priority="S",
    patient_id="4711",
    family_name="Test",
    given_name="Anna",
    birth_date="19800102",
    sex="F",
    collected_at=datetime(2026, 11, 22, 8, 0, tzinfo=MOSCOW),
)
NOTHING = SpecimenOrders(specimen="20000072", tests=())
BS, GX, BC = (registry.get(key) for key in ("mindray-bs", "cepheid-genexpert-hl7", "mindray-bc"))


def read(key: str, *segments: str, codec: str = "utf-8") -> Translation:
    raw = ("\r".join(segments) + "\r").encode(codec)
    return translate(registry.get(key), raw, zone=UTC, received_at=AT)


def asked(key: str, *segments: str) -> HostQuery:
    [query] = read(key, *segments).queries
    return query


def lines(payload: bytes) -> list[str]:
    return payload.decode().split("\r")[:-1]


# ------------------------------------------------------------------ Mindray BS

QRY = r"MSH|^~\&|Mindray|BS-240|||20261122093000||QRY^Q02|5|P|2.3.1||||||ASCII|||"
QRD = "QRD|20261122093000|R|D|1|||RD|20000072|OTH|||T|"
QRF = "QRF|BS-240|20261122000000|20261122093000|||RCT|COR|ALL||"
HEAD = r"MSH|^~\&|LIS||Mindray|BS-240|20261122093000||{}|5|P|2.3.1||||||ASCII"
ACCEPTED = ["MSA|AA|5|Message accepted|||0", "ERR|0"]


def test_a_tube_that_a_mindray_bs_asks_for_is_answered_by_qck_and_dsr() -> None:
    query = asked("mindray-bs", QRY, QRD, QRF)

    found, worklist = order_records(BS, [ORDERS], at=AT, control_id="Q1", query=query, zone=MOSCOW)

    assert lines(found) == [HEAD.format("QCK^Q02"), *ACCEPTED, "QAK|SR|OK"]
    said = {
        1: "4711",
        3: "Test Anna",
        4: "19800102000000",
        5: "F",
        21: "20000072",
        23: "20261122080000",
        24: "Y",
        26: "serum",
    }
    assert lines(worklist) == [
        HEAD.format("DSR^Q03"),
        *ACCEPTED,
        "QAK|SR|OK",
        QRD,
        QRF,
        *(f"DSP|{n}||{said[n]}" if n in said else f"DSP|{n}" for n in range(1, 29)),
        "DSP|29||12^^^",
        "DSP|30||45^^^",
        "DSC",
    ]


def test_a_mindray_bs_that_asks_in_vain_hears_nf_and_gets_no_worklist() -> None:
    query = asked("mindray-bs", QRY, QRD, QRF)

    [answer] = order_records(BS, [NOTHING], at=AT, control_id="Q1", query=query, zone=MOSCOW)

    assert lines(answer) == [HEAD.format("QCK^Q02"), *ACCEPTED, "QAK|SR|NF"]


def test_all_of_a_day_goes_to_a_mindray_bs_in_one_message_a_tube_and_the_last_says_so() -> None:
    query = asked("mindray-bs", QRY, QRD.replace("20000072", ""), QRF)
    orders = [replace(ORDERS, specimen=f"2000008{n}") for n in range(3)]

    found, *worklists = order_records(BS, orders, at=AT, control_id="Q1", query=query)

    assert (query.wants_all, query.specimens) == (True, ())
    assert lines(found)[-1] == "QAK|SR|OK"
    assert [lines(one)[-1] for one in worklists] == ["DSC|1", "DSC|2", "DSC"]
    assert [lines(one)[6 + 20] for one in worklists] == [f"DSP|21||2000008{n}" for n in range(3)]


def test_a_mindray_bs_takes_its_question_back() -> None:
    query = asked("mindray-bs", QRY, QRD.replace("|20000072|OTH|", "||CAN|"), QRF)

    [answer] = order_records(BS, (), at=AT, control_id="Q1", query=query, zone=MOSCOW)

    assert (query.is_cancel, query.wants_all) == (True, False)
    assert lines(answer)[-1] == "QAK|SR|NF"


def test_a_mindray_bs_takes_no_orders_unasked() -> None:
    assert order_records(BS, [ORDERS], at=AT, control_id="Q1") == ()


def test_a_message_whose_kind_nobody_explained_is_filed_whole() -> None:
    told = read(
        "mindray-bs",
        r"MSH|^~\&|Mindray|BS-240|||20261122093000||ORU^R01|6|P|2.3.1||||7||ASCII",
        "OBR|1|20000072|4|Mindray^BS-240|N",
        "OBX|1|NM|12|GLU|5.4|mmol/L|-|N|||F",
    )

    assert told.observations == ()
    [entry] = told.unreadable
    assert (entry.field, entry.reason) == ("MSH-16.1", Reason.UNREADABLE_RECORD)
    assert "20000072" in entry.raw


def test_the_place_in_the_rack_is_never_a_specimen() -> None:
    [row] = read(
        "mindray-bs",
        r"MSH|^~\&|Mindray|BS-240|||20261122093000||ORU^R01|6|P|2.3.1||||0||ASCII",
        "OBR|1||4|Mindray^BS-240|N||20261122092500",
        "OBX|1|NM|12|GLU|5.4|mmol/L|-|N|||F",
    ).observations

    assert (row.specimen, row.holds) == ("", (Reason.NO_SPECIMEN_ID,))


# ------------------------------------------------------------------ GeneXpert

QBP = r"MSH|^~\&|GX NORTH^GeneXpert^Dx4.8||LIS||20261122093000||QBP^Z03^QBP_Z03|q-1|P|2.5"
QPD = "QPD|Z03^HOST QUERY|tag-1||20000072"
RSP = r"MSH|^~\&|LIS||GX NORTH^GeneXpert^Dx4.8||20261122093000||RSP^Z02|Q1|P|2.5|||NE|NE"
XPERT = replace(
    ORDERS,
    tests=(
        OrderedTest(work_order="w1", test="MTB-RIF^MTB"),
        OrderedTest(work_order="w2", test="MTB-RIF^RIF"),
        OrderedTest(work_order="w3", test="HIV VL"),
    ),
)


def test_a_genexpert_gets_its_orders_inside_the_answer_one_for_each_cartridge() -> None:
    query = asked("cepheid-genexpert-hl7", QBP, QPD, "RCP|I")

    [answer] = order_records(GX, [XPERT], at=AT, control_id="Q1", query=query, zone=MOSCOW)

    assert query.specimens == ("20000072",)
    assert lines(answer) == [
        RSP,
        "MSA|AA|q-1",
        "QAK|tag-1|OK|Z03^HOST QUERY",
        QPD,
        "PID|1||4711||Test^Anna||19800102|F",
        "ORC|NW|1|||||||20261122093000",
        "OBR|1|||MTB-RIF|||||||A",
        "TQ1|||||||||S",
        "SPM|1|20000072||ORH|||||||P",
        "ORC|NW|2|||||||20261122093000",
        "OBR|2|||HIV VL|||||||A",
        "TQ1|||||||||S",
        "SPM|2|20000072||ORH|||||||P",
    ]


def test_a_genexpert_that_asks_in_vain_hears_of_no_order() -> None:
    query = asked("cepheid-genexpert-hl7", QBP, QPD, "RCP|I")

    [answer] = order_records(GX, [NOTHING], at=AT, control_id="Q1", query=query, zone=MOSCOW)

    assert lines(answer) == [RSP, "MSA|AA|q-1", "QAK|tag-1|OK|Z03^HOST QUERY", QPD]


def test_a_genexpert_may_ask_for_everything_and_take_its_question_back() -> None:
    everything = asked(
        "cepheid-genexpert-hl7", QBP.replace("Z03", "Z01"), "QPD|Z01^REQUEST TEST ORDERS|t|ALL"
    )
    taken_back = asked(
        "cepheid-genexpert-hl7", QBP.replace("QBP^Z03^QBP_Z03", "QCN^J01^QCN_J01"), "QID|t|N/D"
    )

    assert (everything.wants_all, everything.is_cancel) == (True, False)
    assert (taken_back.wants_all, taken_back.is_cancel) == (False, True)
    assert order_records(GX, (), at=AT, control_id="Q1", query=taken_back) == ()
    assert order_records(GX, [XPERT], at=AT, control_id="Q1") == ()


def test_a_genexpert_waits_a_minute_for_its_answer() -> None:
    assert GX.query.wait_s == 60.0


def test_a_specimen_behind_its_rows_speaks_for_them_alone() -> None:
    head = r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE"
    row = "OBX|1|ST|&GBS&GBS&2||NEGATIVE^||||||F"
    rows = read(
        "cepheid-genexpert-hl7",
        *(head, "PID|1", "ORC|RE|1", "OBR|1|||GBS", row, "SPM|1|20000072^||ORH|||||||P"),
        *("ORC|RE|2", "OBR|2|||GBS", row),
        *("PID|2", "ORC|RE|1", "OBR|1|||GBS", row, "SPM|1|20000080^||ORH|||||||P"),
    ).observations

    assert [(one.specimen, one.holds) for one in rows] == [
        ("20000072", ()),
        ("", (Reason.NO_SPECIMEN_ID,)),
        ("20000080", ()),
    ]


def test_an_order_that_a_genexpert_refuses_is_shown_to_a_person() -> None:
    head = r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE"
    told = read(
        "cepheid-genexpert-hl7",
        *(head, "PID|1", "ORC|OC|1", "OBR|1|||XYZ" + "|" * 21 + "X"),
        *("NTE|1|L|Error^InvalidTestData^test unknown", "SPM|1|20000072^||ORH|||||||P"),
    )

    [entry] = told.unreadable
    assert (entry.record, entry.reason) == ("OBR|1", Reason.REFUSED_BY_ANALYZER)
    assert entry.raw == "20000072 | XYZ | Error^InvalidTestData^test unknown"


# ------------------------------------------------------------------ Mindray BC


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("19800102", "46|yr"),
        ("20251122", "1|yr"),
        ("20251123", "11|mo"),
        ("20261022", "1|mo"),
        ("20261023", None),
        ("20261122", None),
        ("1980", None),
        ("", None),
        ("20270101", None),
    ],
)
def test_a_mindray_bc_hears_the_age_in_years_or_months_and_never_zero(
    born: str, age: str | None
) -> None:
    query = HostQuery(specimens=("20000072",), echo=("55", "", "", "P", "2.3.1", "UNICODE"))

    [answer] = order_records(
        BC, [replace(ORDERS, birth_date=born)], at=AT, control_id="Q1", query=query
    )

    ages = [line for line in lines(answer) if "30525-0" in line]
    expected = [] if age is None else [f"OBX|3|NM|30525-0^Age^LN||{age}|||||F"]
    assert ages == expected


# ------------------------------------------------------------------ what an answer gives back


def test_an_answer_uses_our_separators_whatever_the_question_used() -> None:
    query = asked(
        "cepheid-genexpert-hl7",
        "MSH*%~!$*GX%GeneXpert%1**LIS**20261122093000**QBP%Z03%QBP_Z03*q-1*P*2.5",
        "QPD*Z03%HOST QUERY*tag|1**20000072",
    )

    [answer] = order_records(GX, [NOTHING], at=AT, control_id="Q1", query=query)

    assert lines(answer)[2:] == [
        r"QAK|tag\F\1|OK|Z03^HOST QUERY",
        r"QPD|Z03^HOST QUERY|tag\F\1||20000072",
    ]


def test_what_a_query_said_of_itself_survives_its_way_through_the_house() -> None:
    said = Asked.of(asked("mindray-bs", QRY, QRD, QRF).echo)

    assert Asked.of(said.echo()) == said
    assert (said.segment("QRD"), said.segment("QPD")) == (QRD, "")


def test_C3_an_order_is_written_in_the_character_set_of_its_question() -> None:
    query = asked("mindray-bs", QRY.replace("ASCII", "8859/5"), QRD, QRF)
    orders = replace(ORDERS, family_name="Иванова", given_name="")

    _, worklist = order_records(BS, [orders], at=AT, control_id="Q1", query=query)
    _, plain = order_records(
        BS, [orders], at=AT, control_id="Q1", query=asked("mindray-bs", QRY, QRD, QRF)
    )

    assert "Иванова".encode("iso8859-5") in worklist
    assert Message.parse(worklist).charset == "iso8859-5"
    assert plain.isascii()
    assert Message.parse(plain).all("DSP")[2].field(3) == "Иванова"


# ------------------------------------------------------------------ Q1: controls

FAMILY = (
    r"MSH|^~\&|{}|{}|||20261122093000||ORU^R01|6|Q|2.3.1||||{}||UNICODE",
    "PID|1||20000072",
    "OBR|1|20000072|20000072|01001^Automated Count^99MRC||20261122070000|20261122070000",
    "OBX|1|NM|6690-2^WBC^LN|WBC|7.02|10*9/L||N|||F",
)


def family(application: str, facility: str, kind: str = "") -> tuple[str, ...]:
    return FAMILY[0].format(application, facility, kind), *FAMILY[1:]


CONTROLS = {
    "mindray-bc": family("Mindray", "BC-5380"),
    "mindray-bs": (
        r"MSH|^~\&|Mindray|BS-240|||20261122093000||ORU^R01|6|P|2.3.1||||2||ASCII",
        "OBR|1|12|GLU|Mindray^BS-240||20261122062010|||||||CTRL|L1|20270131||M|6.1|0.2|6.18|mmol/L",
    ),
    "cepheid-genexpert-hl7": (
        r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE",
        *("PID|1", "OBR|1|||GBS", "OBX|1|ST|&GBS&GBS&2||NEGATIVE^||||||F"),
        "SPM|1|20000072^||ORH|||||||Q",
    ),
    "zybio-z": family("Z3", "Zybio"),
    "dymind-dh": family("DH3x", "Dymind"),
    "genrui-kt": family("Genrui", "KT-6610"),
    "urit-8030": family("urit", "8030", "0"),
    "wondfo-finecare": family("FineCarePlus", "X", "0"),
    "sd-biosensor-f2400": family("FA24X^1^EUI-64", ""),
}


@pytest.mark.parametrize("key", CONTROLS)
def test_Q1_a_control_of_each_dialect_never_looks_like_a_patient(key: str) -> None:
    [row] = read(key, *CONTROLS[key]).observations

    assert row.kind is SubjectKind.CONTROL
    assert row.control is not None


def test_Q1_every_dialect_has_its_control() -> None:
    known = {
        key
        for key, profile in registry.profiles().items()
        if profile.protocol is Protocol.HL7 and profile.law is None
    }
    assert known == set(CONTROLS)


def test_E2_a_genexpert_writes_what_its_character_set_lacks_by_code_point() -> None:
    head = r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE"
    row = r"OBX|1|ST|&GBS&GBS&2||NEGATIVE^|\Z03BC\g|||||F"
    [told] = read("cepheid-genexpert-hl7", head, "PID|1", "OBR|1|||GBS", row).observations
    [other] = read("mindray-bc", head.replace("GeneXpert", "X"), "OBR|1||1", row).observations

    assert (told.unit, other.unit) == ("μg", r"\Z03BC\g")


def test_C2_a_genexpert_speaks_latin_1_where_its_header_is_silent() -> None:
    head = r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE"
    row = "OBX|1|ST|&GBS&GBS&2||NEGATIVE^|||||||||||^Müller"
    raw = "\r".join([head, "PID|1", "OBR|1|||GBS", row]).encode("iso8859-1")
    [told] = translate(GX, raw, zone=UTC, received_at=AT).observations

    assert told.operator == "Müller"


def test_a_row_behind_nothing_keeps_its_full_code_and_one_behind_a_result_names_it() -> None:
    head = r"MSH|^~\&|GX^GeneXpert^1||LIS||20261122093000||ORU^R32^ORU_R30|u|P|2.5|||AL|NE"
    row = "OBX|1|ST|&HIV VL&HIV&1|{}|^{}|copies/mL||N|||F"
    told = read(
        "cepheid-genexpert-hl7",
        *(head, "PID|1", "OBR|1|||HIV VL", row.format("&LOG", "3.18")),
        *(row.format("", "1520"), row.format("&LOG", "3.19"), "SPM|1|20000072"),
    ).observations

    assert [(one.test, one.value.text, one.part_of) for one in told] == [
        ("HIV VL^LOG", "3.18", ""),
        ("HIV VL", "1520", ""),
        ("HIV VL^LOG", "3.19", "OBX|2"),
    ]
