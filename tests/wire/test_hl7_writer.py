"""Writing HL7 v2: requirement rows E3, E9 and C3."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import LocalProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_charset import Unencodable
from lis.wire.hl7_writer import (
    DELETED,
    Precision,
    message,
    parse_timestamp,
    segment,
    timestamp,
)

MOSCOW = ZoneInfo("Europe/Moscow")
MSH = segment(
    "MSH",
    "LIS",
    "Lab",
    "EMR",
    "Hosp",
    "20261122101010",
    None,
    ("ORU", "R01", "ORU_R01"),
    "M1",
    "P",
    "2.5.1",
)


def read_back(*segments: str, charset: str = "utf-8") -> Message:
    return Message.parse(message([MSH, *segments], charset))


# ------------------------------------------------------------------ shapes


def test_msh_gets_its_separators_and_starts_with_field_3():
    assert MSH == "MSH|^~\\&|LIS|Lab|EMR|Hosp|20261122101010||ORU^R01^ORU_R01|M1|P|2.5.1"


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ((), "OBX"),
        (("1", None, "", "x"), "OBX|1|||x"),
        (("1", None, ""), "OBX|1"),
        ((("6690-2", "WBC", "LN"),), "OBX|6690-2^WBC^LN"),
        (((None, "WBC", None),), "OBX|^WBC"),
        ((("A", ("Hosp", None, "ISO")),), "OBX|A^Hosp&&ISO"),
        (((("", "a"), (None, None)),), "OBX|&a"),
        ((["A", ("B", "C"), None],), "OBX|A~B^C~"),
        (([None, "N"],), "OBX|~N"),
        ((DELETED, (DELETED, "M")), 'OBX|""|""^M'),
    ],
)
def test_the_shape_of_a_value_is_the_shape_of_the_field(fields, written):
    assert segment("OBX", *fields) == written


def test_a_message_ends_each_segment_with_cr():
    assert message([MSH, segment("PID", "1")]) == MSH.encode() + b"\rPID|1\r"


# ------------------------------------------------------------------ E3: escaping


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b^c~d&e\\f", "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f"),
        ("one\ntwo\r\nthree\rfour", "one\\.br\\two\\.br\\three\\X0D\\four"),
        ("\x0b\x1c\x00\t\x7f", "\\X0B\\\\X1C\\\\X00\\\\X09\\\\X7F\\"),
        ("5 \\.br\\ literal", "5 \\E\\.br\\E\\ literal"),
        ("Иванова 10^9/L", "Иванова 10\\S\\9/L"),
    ],
)
def test_E3_text_is_escaped(text, written):
    assert segment("NTE", text) == "NTE|" + written
    assert segment("NTE", [((text,),)]) == "NTE|" + written


texts = st.text(max_size=20).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
hostile = st.text("|^~&\\\r\n\x0b\x1c\x00XF.br0Ж ", max_size=16)
codecs = st.sampled_from(["utf-8", "ascii", "iso8859-5", "cp1251", "gb18030"])


@given(st.lists(st.one_of(st.text(max_size=20), hostile), min_size=1, max_size=5), codecs)
def test_E3_no_text_can_create_a_segment_field_or_frame_end(fields, codec):
    raw = message([MSH, segment("ZZZ", *fields, "end"), segment("NTE", "1")], codec)

    assert raw.count(b"\r") == 3
    assert not any(byte in raw for byte in b"\n\x0b\x1c")
    read = Message.parse(raw, fallback=(codec,))
    assert [found.name for found in read.segments] == ["MSH", "ZZZ", "NTE"]
    assert read.segments[1].field_count == len(fields) + 1
    assert all(
        len(found.parts()) == 1
        for n in range(1, len(fields))
        for found in read.segments[1].repeats(n)
    )


@given(st.lists(st.one_of(texts, hostile), min_size=1, max_size=5))
def test_E3_what_is_written_is_read_back(fields):
    read = read_back(segment("ZZZ", *fields, "end")).segments[1]
    for n, text in enumerate(fields, 1):
        assert read.component(n) == read.field(n) == text.replace("\r\n", "\n")


parts = st.lists(
    st.one_of(texts, hostile).map(lambda text: text.replace("\r", "") + "."), min_size=1, max_size=3
)
components = st.lists(parts.map(tuple), min_size=1, max_size=3).map(tuple)


@given(st.lists(components, min_size=1, max_size=3))
def test_a_structured_field_comes_back_in_its_own_shape(repetitions):
    read = read_back(segment("ZZZ", repetitions)).segments[1]
    assert [repeat.parts() for repeat in read.repeats(1)] == repetitions
    assert segment("ZZZ", [repeat.parts() for repeat in read.repeats(1)]) == read.raw


# ------------------------------------------------------------------ C3: the peer's characters


def test_C3_characters_the_peer_lacks_are_written_by_policy():
    pid = segment("PID", "Ия")
    assert message([MSH, pid], "ascii").endswith(rb"PID|\XD098\\XD18F\ ".rstrip() + b"\r")
    assert message([MSH, pid], "ascii", unencodable=Unencodable.QUESTION_MARK).endswith(b"PID|??\r")


def test_C3_our_own_reader_restores_them():
    assert read_back(segment("PID", "Ия|"), charset="ascii").segments[1].field(1) == "Ия|"


# ------------------------------------------------------------------ our own mistakes


@pytest.mark.parametrize("name", ["", "OB", "obx", "OBXX", "1BX", "OB|", "OBX\r"])
def test_a_segment_needs_a_name(name):
    with pytest.raises(LocalProtocolError, match="segment name"):
        segment(name)


@pytest.mark.parametrize("value", [5, 5.2, ("a", 1), (("a", b"b"),), [3], {"a"}])
def test_only_text_is_written(value):
    with pytest.raises(LocalProtocolError, match="expected text"):
        segment("OBX", value)


@pytest.mark.parametrize("segments", [[], ["PID|1"], ["MSH|a"]])
def test_a_message_begins_with_msh(segments):
    with pytest.raises(LocalProtocolError, match="begins with MSH"):
        message(segments)


@pytest.mark.parametrize("control", ["\r", "\n", "\x0b", "\x1c"])
def test_a_segment_made_by_hand_cannot_smuggle_control_characters(control):
    with pytest.raises(LocalProtocolError, match="segment 2 has control characters"):
        message([MSH, f"PID|1{control}OBX|1"])


@pytest.mark.parametrize("codec", ["utf-16", "cp500"])
def test_a_codec_that_hides_msh_is_refused(codec):
    with pytest.raises(LocalProtocolError, match="contains ASCII"):
        message([MSH], codec)


# ------------------------------------------------------------------ E9: times


def test_E9_a_time_is_written_with_seconds_and_offset():
    at = datetime(2026, 11, 22, 10, 10, 10, 999_999, tzinfo=MOSCOW)
    assert timestamp(at) == "20261122101010+0300"
    assert timestamp(at.astimezone(UTC)) == "20261122071010+0000"
    assert timestamp(datetime(987, 1, 2, tzinfo=UTC)) == "09870102000000+0000"


def test_E9_an_offset_with_seconds_is_written_in_utc():
    old = datetime(1900, 1, 1, 12, tzinfo=timezone(timedelta(hours=2, minutes=30, seconds=17)))
    assert timestamp(old) == "19000101092943+0000"


def test_E9_a_time_without_zone_is_our_own_mistake():
    with pytest.raises(LocalProtocolError, match="without"):
        timestamp(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "at", "precision"),
    [
        ("2026", datetime(2026, 1, 1), Precision.YEAR),
        ("202611", datetime(2026, 11, 1), Precision.MONTH),
        ("20261122", datetime(2026, 11, 22), Precision.DAY),
        ("2026112210", datetime(2026, 11, 22, 10), Precision.HOUR),
        ("202611221011", datetime(2026, 11, 22, 10, 11), Precision.MINUTE),
        ("20261122101112", datetime(2026, 11, 22, 10, 11, 12), Precision.SECOND),
        ("20261122101112.5", datetime(2026, 11, 22, 10, 11, 12, 500_000), Precision.FRACTION),
        ("20261122101112.0001", datetime(2026, 11, 22, 10, 11, 12, 100), Precision.FRACTION),
    ],
)
def test_E9_every_precision_is_kept_and_the_zone_is_the_callers(text, at, precision):
    found = parse_timestamp(text, MOSCOW)
    assert found is not None
    assert (found.at, found.precision, found.has_offset) == (
        at.replace(tzinfo=MOSCOW),
        precision,
        False,
    )


def test_E9_an_offset_is_kept():
    found = parse_timestamp("202611221011-0330", MOSCOW)
    assert found is not None
    assert found.has_offset
    assert found.at.utcoffset() == -timedelta(hours=3, minutes=30)
    assert found.precision is Precision.MINUTE


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "26", "20261", "2026-11-22", "20261322", "20260230", "2026112224", "20261122101160",
        "20261122101112.", "2026112210.5", "20261122+3", "20261122+0360", "20261122+2400", "Aug 15, 1942",
        "٢٠٢٦", "00000000", "00010101", "99991231235959-0100", '""', "20261122 1011", "20261122101112.1234567",
    ],
)  # fmt: skip
def test_E9_what_is_not_a_time_is_said_to_be_none(text):
    assert parse_timestamp(text, MOSCOW) is None


@given(
    st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2999, 1, 1)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_E9_a_written_time_is_read_back(at, minutes):
    aware = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    found = parse_timestamp(timestamp(aware), UTC)
    assert found is not None
    assert (found.at, found.precision, found.has_offset) == (aware, Precision.SECOND, True)
