"""Reading HL7 v2: requirement rows E1, E4-E8, and the promises of the lazy reader."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from lis.wire.hl7 import (
    ABSENT,
    FIELD_COUNT_MAX,
    Message,
    Separators,
    is_number,
    split_messages,
)
from lis.wire.hl7_lines import SEGMENT_COUNT_MAX

MSH = "MSH|^~\\&|BC-6800|Mindray|LIS|Lab|20261122101010||ORU^R01^ORU_R01|M1|P|2.5.1"


def message(*segments: str, header: str = MSH) -> Message:
    return Message.parse("\r".join([header, *segments, ""]).encode())


def only(segment: str):
    found = message(segment).segments
    assert len(found) == 2
    return found[1]


# ------------------------------------------------------------------ numbering and access


def test_msh_is_numbered_as_the_standard_counts():
    header = message().header

    assert header.field(1) == "|"
    assert header.field(2) == "^~\\&"
    assert header.field(3) == "BC-6800"
    assert [header.component(9, c) for c in (1, 2, 3)] == ["ORU", "R01", "ORU_R01"]
    assert header.field(12) == "2.5.1"
    assert header.field_count == 12


def test_separator_fields_are_never_split_or_unescaped():
    header = message().header

    assert header.component(1) == "|"
    assert header.component(2) == "^~\\&"
    assert header.component(2, 2) == ""
    assert header.component(2, 1, sub=2) == ""
    assert header.component(2, 1, repeat=2) == ""
    assert [repeat.raw for repeat in header.repeats(2)] == ["^~\\&"]


def test_the_header_answers_what_routing_asks():
    read = message()

    assert (read.code, read.event, read.structure) == ("ORU", "R01", "ORU_R01")
    assert (read.control_id, read.processing_id, read.version) == ("M1", "P", "2.5.1")
    assert read.first("MSH") is read.header is read.segments[0]


def test_fields_repetitions_components_and_subcomponents_are_found_by_position():
    obx = only("OBX|1|ST|||a^b~c&d^e")

    assert obx.raw_field(5) == obx.field(5) == "a^b~c&d^e"
    assert (obx.component(5), obx.component(5, 2)) == ("a", "b")
    assert obx.component(5, repeat=2) == "c&d"
    assert obx.component(5, 1, repeat=2, sub=2) == "d"
    assert obx.component(5, 2, repeat=2, sub=1) == "e"


def test_what_was_not_sent_reads_as_empty():
    obx = only("OBX|1|ST|||a^b~c&d^e")

    assert obx.field(3) == obx.field(29) == ""
    assert obx.component(3) == obx.component(29) == ""
    assert obx.component(1, 2) == obx.component(5, 9) == obx.component(2, 2) == ""
    assert only("OBX|1|ST|WBC").component(3, 2) == ""
    assert obx.component(5, repeat=3) == obx.component(5, 1, sub=2) == ""
    assert obx.repeats(3) == ()


def test_repetitions_know_their_parts():
    first, second = only("PID|1||A\\T\\1^^^Hosp&1.2&ISO^MR~B2").repeats(3)

    assert first.parts() == (("A&1",), ("",), ("",), ("Hosp", "1.2", "ISO"), ("MR",))
    assert (first.component(), first.component(4, sub=3), first.component(9)) == ("A&1", "ISO", "")
    assert second.raw == second.text == "B2"


def test_an_empty_first_repetition_keeps_its_place():
    """Zybio and Dymind send OBX-8 as `~N`."""
    obx = only("OBX|1|NM|WBC||5.2||||~N")

    assert [repeat.text for repeat in obx.repeats(9)] == ["", "N"]
    assert obx.component(9) == ""
    assert obx.component(9, repeat=2) == "N"


@pytest.mark.parametrize(
    "where", [{"n": 0}, {"n": 3, "c": 0}, {"n": 3, "repeat": 0}, {"n": 3, "sub": 0}, {"n": -1}]
)
def test_a_position_below_one_is_our_own_mistake(where):
    with pytest.raises(LocalProtocolError, match="positions from 1"):
        only("PID|1||A").component(**where)


def test_a_representation_shows_no_patient():
    read = message("PID|1||77||Ivanova^Maria")
    shown = repr(read) + repr(read.segments) + repr(read.first("PID").repeats(5))
    assert "Ivanova" not in shown


# ------------------------------------------------------------------ E1: separators


def test_E1_any_punctuation_may_separate():
    raw = b"MSH*%~!$*BC*Lab***20261122**ORU%R01*7*P*2.3.1\rOBX*1*NM*6690-2%WBC**1|2$3~4\r"
    read = Message.parse(raw)

    obx = read.first("OBX")
    assert read.separators == Separators("*", "%", "~", "!", "$")
    assert (read.code, read.event, obx.component(3, 2)) == ("ORU", "R01", "WBC")
    assert (obx.component(5), obx.component(5, sub=2)) == ("1|2$3", "3")


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.8.2", ""])
def test_E1_a_fifth_encoding_character_is_read_at_any_version(version):
    """CDC's STARLIMS sends it at 2.5.1."""
    read = Message.parse(rf"MSH|^~\&#|LIMS|CDC|||||ORU^R01|1|P|{version}".encode())
    assert read.separators == Separators("|", "^", "~", "\\", "&", "#")


def test_E1_missing_separators_never_split():
    read = Message.parse(rb"MSH|^|A~\&B|x^y|||||ADT^A01|1|P|2.5" + b"\rPID|1||a~b\\T\\&c^d\r")

    assert read.separators.subcomponent == ABSENT
    assert read.header.component(3) == "A~\\&B"
    assert read.first("PID").component(3) == "a~b\\T\\&c"
    assert read.first("PID").component(3, 2, sub=1) == "d"


def test_E1_a_doubled_escape_character_is_mended():
    """Messages pasted from program source carry `^~\\\\&`."""
    read = Message.parse(b"MSH|^~\\\\&|SE050|050||||ADT^A01|1|P|2.3\rPID|1||a&b\\T\\\r")

    assert read.separators == Separators("|", "^", "~", "\\", "&")
    assert read.first("PID").component(3, 1, sub=2) == "b&"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "begins with MSH, got b''"),
        (b"hello", "begins with MSH, got b'hel'"),
        (b"msh|^~\\&|", "begins with MSH, got b'msh'"),
        (b"\x00MSH|^~\\&|", "begins with MSH"),
        (b"MSH", "MSH-1, MSH-2 and a separator"),
        (b"MSH|^~", "MSH-1, MSH-2 and a separator"),
        (b"MSH|^~\\&\rPID|1||", "MSH-1, MSH-2 and a separator"),
        (b"MSH|^~\\&\nPID|1||", "MSH-1, MSH-2 and a separator"),
        (b"MSH||LIS|", "1 to 5 encoding characters in MSH-2, got 0"),
        (b"MSH|^~\\&#@|LIS|", "1 to 5 encoding characters in MSH-2, got 6"),
        (b"MSHello, world", "MSH-1, MSH-2 and a separator"),
        (b"MSHABCAD", "punctuation"),
        (b"MSH|ab|LIS|", "punctuation"),
        (b"MSH|\xd0\xb0|LIS|", "punctuation"),
        (b"MSH \t |LIS|", "punctuation"),
        (b"MSH|^^\\&|LIS|", "different separators"),
    ],
)
def test_E1_an_unreadable_msh_is_refused_with_what_was_expected(raw, expected):
    with pytest.raises(RemoteProtocolError) as caught:
        Message.parse(raw)
    assert expected in str(caught.value)


# ------------------------------------------------------------------ E4: delete and empty


def test_E4_delete_is_not_the_same_as_empty():
    pid = only('PID|1||""||""^Maria||""~""')

    assert pid.is_deleted(3)
    assert pid.component(3) == '""'
    assert not pid.is_deleted(4)
    assert not pid.is_deleted(5)
    assert pid.is_deleted(5, 1)
    assert not pid.is_deleted(5, 2)
    assert not pid.is_deleted(7)
    assert not pid.is_deleted(99)


# ------------------------------------------------------------------ E5: line ends

LINES = [MSH, "PID|1||77", "OBX|1|NM|WBC||5.2", "ZLB|1|x"]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n", "\r \r", "\n\r"])
def test_E5_segments_end_with_cr_lf_or_both_and_blank_lines_mean_nothing(end):
    read = Message.parse((end.join(LINES) + end).encode())
    assert [segment.raw for segment in read.segments] == LINES


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_E5_the_last_line_end_may_be_missing(end):
    read = Message.parse(end.join(LINES).encode())
    assert [segment.raw for segment in read.segments] == LINES


def test_E5_line_ends_before_msh_and_a_byte_order_mark_are_skipped():
    raw = b"\xef\xbb\xbf\r\n" + "\r".join(LINES).encode()
    read = Message.parse(raw)
    assert read.raw == raw
    assert [segment.raw for segment in read.segments] == LINES


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_E5_lf_inside_a_field_stays_data_when_cr_ends_segments(end):
    note = "OBX|1|ST|REM||haemolysed\nNEG|||\nrepeat"
    read = Message.parse((MSH + end + note + end + "NTE|1||x\ny" + end).encode())

    assert [segment.name for segment in read.segments] == ["MSH", "OBX", "NTE"]
    assert read.segments[1].raw == note
    assert read.segments[2].component(3) == "x\ny"


def test_E5_a_message_that_mixes_line_ends_still_shows_its_segments():
    raw = f"{MSH}\rEVN|A01\nPID|1||77\r\nPV1|1|I\n".encode()
    read = Message.parse(raw)
    assert [segment.name for segment in read.segments] == ["MSH", "EVN", "PID", "PV1"]
    assert read.segments[1].raw == "EVN|A01"
    assert read.segments[3].field(2) == "I"


# ------------------------------------------------------------------ E6, E7: nothing is lost


def test_E6_unknown_lower_case_and_misplaced_segments_are_kept_in_order():
    lines = ["NTE|1||first", "ZLB|1|a^b", "obx|1", "FT1|1", "LONGNAME|1", "free text", "PID|1"]
    read = message(*lines)

    assert [segment.raw for segment in read.segments[1:]] == lines
    assert read.first("ZLB").component(2, 2) == "b"
    assert read.first("OBX") is None
    assert read.first("obx").field(1) == "1"
    assert read.first("free text").field_count == 0
    assert read.all("DSC") == ()


def test_E6_segments_of_one_name_come_in_order():
    read = message("OBX|1", "NTE|1", "OBX|2")
    assert [obx.field(1) for obx in read.all("OBX")] == ["1", "2"]


def test_E7_fields_beyond_the_declared_version_are_read_by_number():
    obx = only("OBX|1|NM|6690-2||5.2" + "|" * 24 + "RSLT")
    assert obx.field_count == 29
    assert obx.field(29) == "RSLT"


def test_more_fields_than_anyone_sends_stay_together_in_the_last():
    segment = only("ZZZ" + "|x" * (FIELD_COUNT_MAX + 3))
    assert segment.field_count == FIELD_COUNT_MAX
    assert segment.field(FIELD_COUNT_MAX) == "x|x|x|x"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_two_messages_are_never_read_as_one(end):
    """The results of the second patient would be filed under the first."""
    raw = end.join([*LINES, *LINES, ""]).encode()
    with pytest.raises(RemoteProtocolError, match="second MSH"):
        Message.parse(raw)
    assert [Message.parse(part).control_id for part in split_messages(raw)] == ["M1", "M1"]


def test_line_feeds_without_end_cost_no_time():
    raw = (MSH + "\rNTE|1||x" + "\n" * 90_000 + "y\r").encode()
    started = time.process_time()
    assert len(Message.parse(raw).segments) == 2
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("end", ["\r", "\n"])
def test_a_message_of_countless_segments_is_refused(end):
    raw = (MSH + end + ("A" + end) * SEGMENT_COUNT_MAX).encode()
    with pytest.raises(RemoteProtocolError, match="at most 100000 lines"):
        Message.parse(raw)


def test_a_large_message_of_few_segments_is_read():
    base64 = "QUJD" * 50_000
    read = message(f"OBX|1|ED|15000^Histogram||^Application^Octet-stream^Base64^{base64}")
    assert read.first("OBX").component(5, 5) == base64


# ------------------------------------------------------------------ E8: values stay text


@pytest.mark.parametrize(
    "text",
    ["5.2", "05.5", "5.", ".5", "+5", "-0.10", "0464435"],
)
def test_E8_numbers_are_known_and_keep_their_text(text):
    assert is_number(text)
    assert only(f"OBX|1|NM|||{text}").component(5) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "<0.1",
        "*****",
        "161,152",
        "3.26E+05 cp/mL",
        "1E5",
        "5 .2",
        "5.2 ",
        "٥",
        "1.2.3",
        "--",
    ],
)
def test_E8_what_is_not_a_number_is_flagged_and_keeps_its_text(text):
    assert not is_number(text)
    assert only(f"OBX|1|NM|||{text}|u").component(5) == text


# ------------------------------------------------------------------ properties

anything = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda tail: b"MSH|^~\\&|" + tail),
    st.lists(
        st.sampled_from(
            [b"MSH", b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"OBX|", b"X41", b".br", b'""']
        ),
        max_size=30,
    ).map(lambda parts: b"MSH|^~\\&|" + b"".join(parts)),
)


@given(anything)
def test_arbitrary_bytes_raise_only_protocol_errors_and_stay_byte_exact(raw):
    assert b"".join(split_messages(raw)).endswith(raw[-1:])
    try:
        read = Message.parse(raw)
    except ProtocolError:
        return
    assert read.raw == raw
    for segment in read.segments:
        for n in range(1, segment.field_count + 2):
            segment.field(n)
            for repeat in segment.repeats(n):
                repeat.parts()
            segment.component(n, 2, repeat=2, sub=2)


@given(st.lists(st.text('ab^~&\\|"', max_size=12), min_size=1, max_size=6))
def test_every_way_to_read_a_field_agrees(fields):
    segment = only("ZZZ|" + "|".join(fields))
    for n in range(1, segment.field_count + 1):
        raw = segment.raw_field(n)
        repeats = segment.repeats(n)
        assert "~".join(repeat.raw for repeat in repeats) == raw
        for r, repeat in enumerate(repeats, 1):
            for c, subs in enumerate(repeat.parts(), 1):
                assert segment.component(n, c, repeat=r) == repeat.component(c)
                assert segment.component(n, c, repeat=r, sub=len(subs)) == subs[-1]
        if repeats:
            assert segment.component(n) == repeats[0].component()
