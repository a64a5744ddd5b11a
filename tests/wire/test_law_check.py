"""The table of LAW messages: each rule with the message that breaks it, and what a peer may do all the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, split_messages
from lis.wire.hl7_ack import ErrorCode, Severity
from lis.wire.law_check import Finding, check, errors, is_law
from lis.wire.law_tables import FIELDS, QUERY_SHAPES, STRUCTURES, Group, One, Weight
from tests.conftest import CORPUS

HEADS = {
    "QBP_Q11": "QBP^Q11^QBP_Q11|1|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-27^IHE",
    "RSP_K11": "RSP^K11^RSP_K11|1|P|2.5.1||||||UNICODE UTF-8|||LAB-27^IHE",
    "OML_O33": "OML^O33^OML_O33|1|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-28^IHE",
    "ORL_O42": "ORL^O34^ORL_O42|1|P|2.5.1||||||UNICODE UTF-8|||LAB-28^IHE",
    "OUL_R22": "OUL^R22^OUL_R22|1|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-29^IHE",
    "ACK": "ACK^R22^ACK|1|P|2.5.1||||||UNICODE UTF-8|||LAB-29^IHE",
}
QPD = "QPD|WOS^Work Order Step^IHELAW|q1|T1"
RCP = "RCP|I||R^^HL70394"
SPM = "SPM|1|T1||SER^^HL70487|||||||P^^HL70369"
SAC = "SAC|||T1"
ORC = "ORC|NW||||||||20261122080000"
OBR = "OBR|1|A1||GLU^^99LAB"
OBX = "OBX|1|NM|GLU^^99LAB|1|5.1|mmol/L||N|||F|||||op||c503^M|20261122075900||||||||||RSLT"
DONE = "ORC|SC||||CM"

GOOD = {
    "QBP_Q11": (QPD, RCP),
    "RSP_K11": ("MSA|AA|9", "QAK|q1|OK|WOS^Work Order Step^IHELAW", QPD),
    "OML_O33": (SPM, SAC, ORC, OBR),
    "ORL_O42": ("MSA|AA|9", SPM, SAC, "ORC|OK|A1|||SC"),
    "OUL_R22": (SPM, SAC, OBR, DONE, OBX),
    "ACK": ("MSA|AA|9",),
}


def build(structure: str, *lines: str) -> Message:
    head = rf"MSH|^~\&|one||two||20261122080000+0000||{HEADS[structure]}"
    return Message.parse("\r".join([head, *lines]).encode() + b"\r")


def found(structure: str, *lines: str) -> list[str]:
    return [finding.text for finding in errors(build(structure, *lines))]


@pytest.mark.parametrize("structure", GOOD)
def test_a_good_message_has_no_finding(structure: str) -> None:
    assert check(build(structure, *GOOD[structure])) == ()
    assert is_law(build(structure, *GOOD[structure]))


# ------------------------------------------------------------------ the order of segments


@pytest.mark.parametrize(
    ("structure", "number"),
    [(structure, number) for structure, lines in GOOD.items() for number in range(len(lines))],
)
def test_a_needed_segment_that_is_missing_is_named(structure: str, number: int) -> None:
    lines = [line for index, line in enumerate(GOOD[structure]) if index != number]
    missing = GOOD[structure][number][:3]
    optional = {("OML_O33", "SAC"), ("ORL_O42", "SAC"), ("OUL_R22", "SAC"), ("OUL_R22", "ORC")}

    said = found(structure, *lines)

    if (structure, missing) in optional or (structure, missing) == ("OUL_R22", "OBX"):
        assert said == []
    else:
        assert any(missing in text for text in said)


def test_the_place_of_the_first_segment_out_of_order_is_told() -> None:
    assert found("OML_O33", SAC, SPM, ORC, OBR)[0] == "SAC|1: expected SPM, got SAC"
    assert found("QBP_Q11", RCP, QPD)[0] == "RCP|1: expected QPD, got RCP"


def test_orc_before_obr_in_an_order_and_after_it_in_a_result() -> None:
    assert found("OML_O33", SPM, SAC, OBR, ORC)
    assert found("OUL_R22", SPM, SAC, DONE, OBR, OBX)


def test_a_segment_of_two_partners_may_stand_anywhere() -> None:
    assert found("OUL_R22", "ZPV|1", SPM, "ZZZ|a", SAC, OBR, DONE, OBX, "Z99|1") == []


def test_details_of_an_analyzer_follow_their_result() -> None:
    tail = ("TCD|GLU^^99LAB", "INV|R1^^99LAB|OK^^HL70383|R1", "NTE|1||text")

    assert found("OUL_R22", SPM, SAC, OBR, DONE, "TQ1|1", OBX, *tail, OBX, *tail) == []


def test_several_containers_each_with_several_steps_are_one_message() -> None:
    second = SPM.replace("SPM|1|T1", "SPM|2|T2")

    assert found("OUL_R22", SPM, SAC, OBR, DONE, OBX, OBR, DONE, OBX, second, OBR, DONE, OBX) == []


# ------------------------------------------------------------------ what segments must hold


@pytest.mark.parametrize(
    ("structure", "good", "bad", "said"),
    [
        ("QBP_Q11", "NE|AL", "AL|AL", "MSH|1-15: expected ER or NE, got AL"),
        ("QBP_Q11", "NE|AL", "NE|NE", "MSH|1-16: expected AL, got NE"),
        ("QBP_Q11", "|2.5.1|", "|2.3|", "MSH|1-12: expected 2.5.1, got 2.3"),
        ("ACK", "2.5.1||||", "2.5.1|||NE|", "MSH|1-15: expected nothing, got something"),
        ("RSP_K11", "MSA|AA|9", "MSA|CA|9", "MSA|1-1: expected AA or AE or AR, got CA"),
        ("RSP_K11", "MSA|AA|9", "MSA|AA", "MSA|1-2: expected something, got nothing"),
        ("RSP_K11", "QAK|q1|OK", "QAK|q1|NF", "QAK|1-2: expected AE or AR or OK, got NF"),
        (
            "RSP_K11",
            "QAK|q1",
            "QAK|q2",
            "QAK|1-1: expected the tag that QPD-2 repeats, got another",
        ),
        ("OML_O33", "P^^HL70369", "X^^HL70369", "SPM|1-11: expected L or P or Q or U, got X"),
        ("OML_O33", "ORC|NW", "ORC|RE", "ORC|1-1: expected CA or DC or NW, got RE"),
        ("OML_O33", "||||||||20261122080000\r", "\r", "ORC|1-9: expected something, got nothing"),
        ("OML_O33", "OBR|1|A1", "OBR|1|", "OBR|1-2: expected something, got nothing"),
        ("ORL_O42", "ORC|OK|A1", "ORC|AF|A1", "ORC|1-1: expected CR or OK or UA or UC, got AF"),
        ("ORL_O42", "ORC|OK|A1", "ORC|OK|", "ORC|1-2: expected something, got nothing"),
        ("OUL_R22", "ORC|SC||||CM", "ORC|SC||||A", "ORC|1-5: expected CA or CM or IP, got A"),
        ("OUL_R22", "|||F|", "||||", "OBX|1-11: expected C or F or P or X, got nothing"),
        ("OUL_R22", "|RSLT", "|", "OBX|1-29: expected RSLT, got nothing"),
        ("OUL_R22", "|||||op||", "|||||||", "OBX|1-16: expected something, got nothing"),
    ],
)
def test_a_field_that_is_wrong_is_told_with_its_place(
    structure: str, good: str, bad: str, said: str
) -> None:
    text = build(structure, *GOOD[structure]).raw.decode()
    assert text.count(good) >= 1
    changed = Message.parse(text.replace(good, bad, 1).encode())

    assert said in [finding.text for finding in errors(changed)]


def test_LAB29_003_a_result_nobody_ordered_says_so_with_two_quotation_marks() -> None:
    assert found("OUL_R22", SPM, SAC, OBR.replace("A1", '""'), DONE, OBX) == []
    assert found("OUL_R22", SPM, SAC, OBR.replace("A1", ""), DONE, OBX)


def test_a_specimen_without_any_id_is_found() -> None:
    nameless = SPM.replace("|T1|", "||")

    assert found("OUL_R22", nameless, OBR, DONE, OBX) == [
        "SPM|1-2: expected an id here or in SAC-3, got nothing"
    ]
    assert found("OUL_R22", nameless, SAC, OBR, DONE, OBX) == []


def test_what_makers_add_is_a_note_and_no_error() -> None:
    message = build("QBP_Q11", "QPD|INISEQ^^99ROC|q1|T1", RCP)
    notes = [finding for finding in check(message) if finding.weight is Weight.NOTE]

    assert errors(message) == ()
    assert {finding.place for finding in notes} == {"QPD|1-1", "QPD|1-1.3"}
    assert all(finding.as_error().severity is Severity.WARNING for finding in notes)


# ------------------------------------------------------------------ what a query asks for


def query(name: str, *fields: str) -> list[str]:
    return found("QBP_Q11", f"QPD|{name}^Work Order Step^IHELAW|q1|" + "|".join(fields), RCP)


def test_LAB27_001_a_query_for_one_container_names_it() -> None:
    assert query("WOS", "T1") == []
    assert query("WOS", "") == ["QPD|1-3: expected something, got nothing"]


def test_LAB27_005_a_query_for_everything_has_a_name_and_a_tag_only() -> None:
    assert query("WOS_ALL") == []
    assert query("WOS_ALL", "T1") == ["QPD|1-3: expected nothing, got something"]


def test_LAB27_006_a_query_by_rack_names_rack_and_position() -> None:
    assert query("WOS_BY_RACK", "", "R1", "3") == []
    assert query("WOS_BY_RACK", "", "R1", "3", "", "", "left") == []
    assert query("WOS_BY_RACK", "", "R1") == ["QPD|1-5: expected something, got nothing"]


def test_LAB27_007_a_query_by_tray_names_tray_and_position() -> None:
    assert query("WOS_BY_TRAY", "", "", "", "T1", "3", "left") == []
    assert query("WOS_BY_TRAY", "", "", "", "T1") == ["QPD|1-7: expected something, got nothing"]


def test_LAB27_008_a_query_by_isolate_is_known() -> None:
    assert query("WOS_BY_ISOLATE") == []
    assert "WOS_BY_ISOLATE" in QUERY_SHAPES


# ------------------------------------------------------------------ nothing to do, and refusals

ROLE_U = 'SPM|1|""||""|||||||U^^HL70369'
DC = "ORC|DC||||||||20261122080000"


def test_LAB28_001_a_negative_answer_holds_four_segments_and_the_role_u() -> None:
    assert found("OML_O33", ROLE_U, SAC, DC) == []
    assert found("OML_O33", 'SPM|1|||""|||||||U^^HL70369', SAC, DC) == []
    assert "PID|1: expected no such segment in a negative answer, got PID" in found(
        "OML_O33", "PID|1", ROLE_U, SAC, DC
    )
    assert "SPM|1-11: expected U, got P" in found("OML_O33", SPM, SAC, DC)


def test_an_order_with_the_role_u_is_no_order() -> None:
    assert found("OML_O33", SPM.replace("|P^", "|U^"), SAC, ORC, OBR) == [
        "SPM|1-11: expected P, Q or L, got U"
    ]


def test_each_step_of_an_order_has_its_obr() -> None:
    assert found("OML_O33", SPM, SAC, ORC, OBR, ORC) == [
        "ORC|2: expected an OBR for each ORC, got ORC"
    ]


def test_LAB28_008_a_refusal_says_why_in_err() -> None:
    err = "ERR||ORC^1^1|204^Unknown key identifier^HL70357|E"

    assert found("ORL_O42", "MSA|AR|9", err) == []
    assert found("ORL_O42", "MSA|AR|9") == [
        "MSA|1: expected an ERR segment beside AE or AR, got MSA"
    ]


def test_a_reply_of_msh_and_msa_only_is_legal() -> None:
    assert found("ORL_O42", "MSA|AA|9") == []


# ------------------------------------------------------------------ what comes from outside


def test_a_message_that_is_no_law_is_told_and_not_judged() -> None:
    other = Message.parse(b"MSH|^~\\&|a||b||20261122||ORU^R01^ORU_R01|1|P|2.5.1\r")

    [finding] = check(other)
    assert not is_law(other)
    assert finding.code is ErrorCode.UNSUPPORTED_MESSAGE_TYPE
    assert finding.place == "MSH|1-9.3"


def test_no_finding_repeats_text_that_may_name_a_patient() -> None:
    message = build("OML_O33", SPM.replace("|P^", "|ИВАНОВ ИВАН^"), SAC, ORC, OBR)

    assert "ИВАНОВ" not in " ".join(finding.text for finding in check(message))


def test_a_finding_becomes_an_err_segment_with_its_place() -> None:
    [finding] = errors(build("OML_O33", SPM, SAC, ORC.replace("NW", "RE"), OBR))
    error = finding.as_error()

    assert error.place is not None
    assert (error.place.segment, error.place.field) == ("ORC", 1)
    assert error.code is ErrorCode.TABLE_VALUE_NOT_FOUND


def corpus(name: str) -> list[Finding]:
    path: Path = CORPUS / "hl7" / "medplum__medplum" / name
    if not path.exists():
        pytest.skip(f"no corpus file {path}; set LIS_CORPUS")
    [raw] = split_messages(path.read_bytes())
    return list(check(Message.parse(raw)))


def medplum_files() -> list[str]:
    folder = CORPUS / "hl7" / "medplum__medplum"
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", medplum_files())
def test_a_real_cobas_pro_is_told_nothing_but_notes(name: str) -> None:
    assert [finding.text for finding in corpus(name) if finding.weight is Weight.ERROR] == []


names = st.sampled_from(
    ["MSH", "PID", "SPM", "SAC", "ORC", "OBR", "OBX", "TCD", "INV", "NTE", "MSA", "ERR", "QPD"]
)


@given(structure=st.sampled_from(sorted(STRUCTURES)), parts=st.lists(names, max_size=30))
def test_any_row_of_segments_is_judged_without_a_crash(structure: str, parts: list[str]) -> None:
    lines = [part for part in parts if part != "MSH"]
    check(build(structure, *lines))


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_refused_or_judged(raw: bytes) -> None:
    try:
        message = Message.parse(b"MSH|^~\\&|" + raw)
    except RemoteProtocolError:
        return
    check(message)


def test_every_rule_of_the_tables_speaks_of_a_segment_of_its_structure() -> None:
    for structure, rules in FIELDS.items():
        assert set(rules) <= names_of(STRUCTURES[structure])


def names_of(items: tuple[One | Group, ...]) -> set[str]:
    found: set[str] = set()
    for item in items:
        found |= names_of(item.items) if isinstance(item, Group) else {item.name}
    return found
