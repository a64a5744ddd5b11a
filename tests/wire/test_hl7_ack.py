"""Acknowledgements: requirement rows A1, A2, A4, A5 and C3."""

import itertools
from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_ack import (
    Ack,
    AckCode,
    ErrorCode,
    ErrorPlace,
    Hl7Error,
    PeerError,
    RequiredAcks,
    Severity,
    acknowledge,
    read_ack,
    refusal_code,
    required_acks,
)
from lis.wire.hl7_writer import message, segment

AT = datetime(2026, 11, 22, 7, 10, 10, tzinfo=UTC)
MISSING = Hl7Error(
    code=ErrorCode.REQUIRED_FIELD_MISSING,
    text="OBX-3 is empty",
    place=ErrorPlace(segment="OBX", sequence=2, field=3),
)


def request(version: str = "2.5.1", rest: str = "", sender: str = "BC|Mindray") -> Message:
    return Message.parse(
        f"MSH|^~\\&|{sender}|LIS|Lab|20261122101010||ORU^R01^ORU_R01|77|Q|{version}{rest}\r".encode()
    )


def answer(to: Message | None, code: AckCode = AckCode.AA, **more) -> bytes:
    return acknowledge(to, code=code, control_id="A1", at=AT, sending=("LIS", "Lab"), **more)


def lines(raw: bytes) -> list[str]:
    return raw.decode().split("\r")[:-1]


# ------------------------------------------------------------------ A1, A5: shape


def test_A1_the_answer_goes_back_to_the_sender_and_echoes_the_control_id():
    assert lines(answer(request())) == [
        "MSH|^~\\&|LIS|Lab|BC|Mindray|20261122071010+0000||ACK^R01^ACK|A1|Q|2.5.1",
        "MSA|AA|77",
    ]


def test_A1_the_senders_components_are_kept():
    header = lines(answer(request(sender="Epic^1.2.840&x^ISO|H\\T\\M^^")))[0]
    assert "|Epic^1.2.840&x^ISO|H\\T\\M|" in header


def test_A1_the_answer_uses_our_separators_whatever_the_request_used():
    asked = Message.parse(b"MSH*%~!$*B|C%1*Lab*LIS*X*2026**ORU%R01*7^7*P*2.3.1\r")
    assert lines(answer(asked)) == [
        "MSH|^~\\&|LIS|Lab|B\\F\\C^1|Lab|20261122071010+0000||ACK^R01|A1|P|2.3.1",
        "MSA|AA|7\\S\\7",
    ]


@pytest.mark.parametrize(
    ("version", "message_type"),
    [
        ("2.1", "ACK"),
        ("2.2", "ACK^R01"),
        ("2.3.1", "ACK^R01"),
        ("2.4", "ACK^R01^ACK"),
        ("2.5.1", "ACK^R01^ACK"),
        ("2.8.2", "ACK^R01^ACK"),
        ("9.9", "ACK^R01^ACK"),
    ],
)
def test_A5_the_type_of_the_answer_follows_the_version(version, message_type):
    header = Message.parse(answer(request(version))).header
    assert (header.field(9), header.field(12)) == (message_type, version)


def test_A5_a_message_without_version_or_event_gets_the_plainest_answer():
    asked = Message.parse(b"MSH|^~\\&|A|B|C|D|||ORU|7||\r")
    header = Message.parse(answer(asked)).header
    assert [header.field(n) for n in (9, 11, 12)] == ["ACK", "P", "2.5.1"]


def test_A5_a_driver_may_ask_for_another_type():
    header = Message.parse(answer(request(), message_type=("ACK", "Q03"))).header
    assert header.field(9) == "ACK^Q03"


# ------------------------------------------------------------------ A2: who gets which answer

ALWAYS, NEVER, ERROR, SUCCESS, EMPTY = "AL", "NE", "ER", "SU", ""
WANTED = {ALWAYS: (True, True), NEVER: (False, False), ERROR: (False, True), SUCCESS: (True, False)}


@pytest.mark.parametrize(
    ("msh15", "msh16"), list(itertools.product([ALWAYS, NEVER, ERROR, SUCCESS, EMPTY], repeat=2))
)
def test_A2_the_truth_table_of_accept_and_application_answers(msh15, msh16):
    for ok, column in ((True, 0), (False, 1)):
        if msh15 == msh16 == EMPTY:
            expected = RequiredAcks(accept=False, application=True)
        else:
            expected = RequiredAcks(
                accept=WANTED.get(msh15, (False, False))[column],
                application=WANTED.get(msh16, (False, False))[column],
            )
        assert required_acks(msh15, msh16, ok=ok) == expected


def test_A2_an_unknown_word_is_answered():
    assert required_acks("YES", "", ok=True) == RequiredAcks(accept=True, application=False)


@pytest.mark.parametrize("code", list(AckCode))
def test_A2_every_code_can_be_said_and_read(code):
    got = read_ack(Message.parse(answer(request(), code)))
    assert got == Ack(code=code, control_id="77", text="", error=None)
    assert code.is_positive == code.value.endswith("A")
    assert code.is_accept == code.value.startswith("C")


# ------------------------------------------------------------------ A4: errors


@pytest.mark.parametrize("error", list(ErrorCode))
def test_A4_the_wrong_kind_of_message_is_rejected_and_a_wrong_message_is_an_error(error):
    is_reject = error.value in {"200", "201", "202", "203"}
    assert refusal_code(error) is (AckCode.AR if is_reject else AckCode.AE)
    assert refusal_code(error, is_accept=True) is (AckCode.CR if is_reject else AckCode.CE)


def test_A4_from_2_5_on_err_says_place_code_severity_and_text():
    raw = answer(request(), AckCode.AE, error=MISSING)
    assert lines(raw)[1:] == [
        "MSA|AE|77",
        "ERR||OBX^2^3|101^Required field missing^HL70357|E||||OBX-3 is empty",
    ]


def test_A4_before_2_5_err_and_msa_say_it_in_the_old_places():
    raw = answer(request("2.3.1"), AckCode.AE, error=MISSING)
    assert lines(raw)[1:] == [
        "MSA|AE|77|OBX-3 is empty|||101",
        "ERR|OBX^2^3^101&Required field missing&HL70357",
    ]
    assert lines(answer(request("2.1"), AckCode.AE, error=MISSING))[1] == "MSA|AE|77|OBX-3 is empty"


def test_A4_an_error_without_place_keeps_the_code_where_it_belongs():
    error = Hl7Error(code=ErrorCode.INTERNAL, severity=Severity.WARNING)
    old = lines(answer(request("2.3.1"), AckCode.AE, error=error))
    new = lines(answer(request(), AckCode.AE, error=error))
    assert old[1:] == [
        "MSA|AE|77|Application internal error|||207",
        "ERR|^^^207&Application internal error&HL70357",
    ]
    assert new[2] == "ERR|||207^Application internal error^HL70357|W"


def test_A4_mindray_reads_success_in_msa_6():
    accepted = Hl7Error(code=ErrorCode.ACCEPTED)
    assert lines(answer(request("2.3.1"), error=accepted))[1:] == ["MSA|AA|77|Message accepted|||0"]
    assert read_ack(Message.parse(answer(request("2.3.1"), error=accepted))).error is None


def test_A4_a_message_nobody_can_read_is_still_answered():
    error = Hl7Error(code=ErrorCode.UNSUPPORTED_MESSAGE_TYPE, text="expected MSH")
    assert lines(answer(None, AckCode.AR, error=error)) == [
        "MSH|^~\\&|LIS|Lab|||20261122071010+0000||ACK|A1|P|2.5.1",
        "MSA|AR",
        "ERR|||200^Unsupported message type^HL70357|E||||expected MSH",
    ]


@pytest.mark.parametrize(
    "version", ["2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2"]
)
def test_every_error_we_send_we_can_read(version):
    for code in list(ErrorCode)[1:]:
        error = Hl7Error(code=code, text="why", place=MISSING.place)
        got = read_ack(Message.parse(answer(request(version), AckCode.AE, error=error)))
        assert got.error is not None
        assert (got.code, got.control_id, got.text) == (AckCode.AE, "77", "why")
        assert (got.error.code, got.error.place) == (code.value, "OBX^2^3")


# ------------------------------------------------------------------ C3: character set


def test_C3_the_answer_is_in_the_character_set_of_the_request():
    asked = Message.parse(
        "MSH|^~\\&|Прибор||LIS|Lab|2026||ORU^R01|7|P|2.5.1||||||8859/5~UNICODE\r".encode(
            "iso8859-5"
        )
    )
    reply = Message.parse(answer(asked))
    assert reply.header.field(18) == "8859/5~UNICODE"
    assert (reply.charset, reply.header.field(5)) == ("iso8859-5", "Прибор")


def test_C3_what_the_peer_cannot_read_does_not_stop_the_answer():
    error = Hl7Error(code=ErrorCode.INTERNAL, text="сбой")
    raw = answer(request(rest="||||||ASCII"), AckCode.AE, error=error)
    assert raw.isascii()
    assert read_ack(Message.parse(raw)).text == "сбой"


# ------------------------------------------------------------------ reading foreign answers


def read(*segments: str) -> Ack:
    return read_ack(
        Message.parse("\r".join(["MSH|^~\\&|A|B|C|D|||ACK|9|P|2.5", *segments]).encode())
    )


def test_an_answer_with_text_only_is_read():
    assert read("MSA| AE |12|no such patient") == Ack(
        code=AckCode.AE, control_id="12", text="no such patient", error=None
    )


def test_the_error_is_read_wherever_the_peer_put_it():
    assert read("MSA|AE|1", "ERR||PID^1^3|204^Unknown key^HL70357|E").error == PeerError(
        code="204", text="Unknown key", place="PID^1^3", severity="E"
    )
    assert read("MSA|AE|1", "ERR|PID^1^^102&Data type").error == PeerError(
        code="102", text="Data type", place="PID^1", severity=""
    )
    assert read("MSA|AR|1||||201^Unsupported event").error == PeerError(
        code="201", text="Unsupported event", place="", severity=""
    )
    assert read("MSA|AR|1||||0", "ERR|").error is None
    assert read("MSA|AE|1", "ERR||PID^1|Z9").text == ""


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((), "expected an MSA segment"),
        (("MSA|",), "MSA-1, got ''"),
        (("MSA|OK|1",), "MSA-1, got 'OK'"),
        (("MSA|aa|1",), "MSA-1, got 'aa'"),
    ],
)
def test_a_message_that_acknowledges_nothing_is_refused(segments, expected):
    with pytest.raises(RemoteProtocolError, match=expected):
        read(*segments)


# ------------------------------------------------------------------ the foreign judge


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2"])
@pytest.mark.parametrize("code", list(AckCode))
@pytest.mark.parametrize("error", [None, MISSING, Hl7Error(code=ErrorCode.INTERNAL)])
def test_hl7apy_finds_our_answers_valid(version, code, error):
    asked = request(version, "||||||UNICODE UTF-8")
    # It finds the structure by MSH-9.3 only, so the copy it judges names it at 2.3.1 too. Older
    # versions have no MSH-9.3 and it can read no acknowledgement of theirs.
    judged_type = ("ACK", "R01", "ACK") if version < "2.4" else None
    text = answer(asked, code, error=error, message_type=judged_type).decode()
    judged = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert judged.validate()
    assert judged.msa.msa_2.value == "77"


NAMES = st.text(alphabet="aB|^~\\&Ж ", max_size=8).map(str.strip)


@given(sender=NAMES, facility=NAMES, control_id=NAMES, version=st.sampled_from(["2.1", "2.5.1"]))
def test_an_answer_addresses_its_peer_whatever_it_is_called(sender, facility, control_id, version):
    asked = (
        "host",
        "lab",
        "",
        "",
        ("ORU", "R01"),
        "M1",
        "P",
        version,
        *[None] * 5,
        "UNICODE UTF-8",
    )
    peer = Message.parse(message([segment("MSH", sender, facility, *asked)]))

    for number in range(2):  # the second answer comes from what the first left behind
        reply = acknowledge(
            peer, code=AckCode.AA, control_id=f"{control_id}{number}", at=AT, sending=("LIS", "")
        )
        header = Message.parse(reply).header
        said = [header.field(n) for n in (3, 5, 6, 10, 12, 18)]
        assert said == ["LIS", sender, facility, f"{control_id}{number}", version, "UNICODE UTF-8"]
        assert header.raw_field(7) == "20261122071010+0000"
