"""Several messages in one input: requirement rows B1 and B2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import CountFault, Message, read_batch, split_messages
from lis.wire.hl7_batch import LINE_COUNT_MAX, stray_segments

ONE = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\rPID|1||77\r"
TWO = ONE.replace(b"|1|P|", b"|2|P|")
FHS, BHS = b"FHS|^~\\&|A\r", b"BHS|^~\\&|A\r"


def ids(raw: bytes) -> list[str]:
    return [Message.parse(part).control_id for part in split_messages(raw)]


def test_a_single_message_comes_back_as_it_is():
    assert split_messages(ONE) == (ONE,)
    assert read_batch(ONE).outside == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FHS + BHS, b"BTS|2\rFTS|1\r"),
        (BHS, b"BTS|2|all sent\r"),
        (FHS + BHS, b""),
        (FHS, b"FTS|2\r"),
        (b"", b"BTS|2\r"),
        (BHS, b"BTS\r"),
        (BHS, b"BTS|\r"),
        (BHS, b"BTS|many\r"),
    ],
)
def test_B1_envelopes_are_taken_off_with_or_without_file_level(before, after):
    batch = read_batch(before + ONE + TWO + after)
    assert batch.messages == (ONE, TWO)
    assert b"".join(batch.outside) == before + after
    assert batch.count_faults == ()


def test_B1_a_batch_count_that_does_not_fit_is_reported():
    batch = read_batch(BHS + ONE + TWO + b"BTS|3\r")
    assert batch.count_faults == (CountFault(trailer="BTS", declared=3, counted=2),)


def test_B1_each_level_counts_its_own_parts():
    raw = (
        FHS + BHS + ONE + TWO + b"BTS|2\r" + BHS + ONE + b"BTS|2\rFTS|3\r" + FHS + BHS + b"FTS|1\r"
    )
    assert read_batch(raw).count_faults == (
        CountFault(trailer="BTS", declared=2, counted=1),
        CountFault(trailer="FTS", declared=3, counted=2),
    )


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n\r\n"])
def test_B2_bare_messages_in_one_frame_are_split_at_msh(between):
    assert ids(ONE + between + TWO + between + ONE) == ["1", "2", "1"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_B2_files_with_other_line_ends_are_split(end):
    assert ids((BHS + ONE + TWO + b"BTS|2\r").replace(b"\r", end)) == ["1", "2"]


def test_B2_one_unreadable_message_does_not_hide_its_neighbours():
    assert split_messages(ONE + b"MSH|^~\r" + TWO) == (ONE, b"MSH|^~\r", TWO)


def test_input_without_a_message_comes_back_whole_to_be_refused():
    assert split_messages(b"hello\r") == (b"hello\r",)
    assert split_messages(b"") == (b"",)
    assert split_messages(BHS) == (BHS,)


def test_text_before_the_first_message_is_kept_outside():
    batch = read_batch(b"/* comment about MSH| */\n" + ONE)
    assert (batch.outside, batch.messages) == ((b"/* comment about MSH| */\n",), (ONE,))


def test_a_byte_order_mark_does_not_hide_the_first_message():
    assert split_messages(b"\xef\xbb\xbf" + ONE + TWO) == (b"\xef\xbb\xbf" + ONE, TWO)


def test_words_that_only_begin_like_a_header_are_data():
    note = b"NTE|1||x\rMSHAPE is not a header\rBTS follows\r"
    assert split_messages(ONE + note) == (ONE + note,)


def test_countless_messages_stay_bounded_and_the_rest_is_refused_not_mixed():
    parts = split_messages(ONE * (LINE_COUNT_MAX + 5))
    assert len(parts) == LINE_COUNT_MAX
    with pytest.raises(RemoteProtocolError, match="second MSH"):
        Message.parse(parts[-1])


@given(
    st.lists(
        st.sampled_from([ONE, TWO, FHS, BHS, b"BTS|1\r", b"FTS|x\r", b"MSH", b"\n", b"junk"]),
        max_size=10,
    )
)
def test_no_byte_is_lost_or_changed(parts):
    raw = b"".join(parts)
    batch = read_batch(raw)
    assert sum(map(len, batch.messages + batch.outside)) == len(raw)
    assert all(part in raw for part in batch.messages)


LINES = st.sampled_from(
    [b"MSH|a", b"MSHX", b"MSH ", b"BHS|", b"FTS|1", b"OBX|MSH", b"\r", b"\n", b"\xef\xbb\xbf", b"x"]
)


@given(pieces=st.lists(LINES, max_size=6))
def test_B2_the_first_look_finds_what_the_long_one_finds(pieces):
    raw = b"".join(pieces)

    assert split_messages(raw) == (read_batch(raw).messages or (raw,))


@pytest.mark.parametrize("before", [b"", b"\x00\r\n", FHS, BHS])
@pytest.mark.parametrize("damaged", [b"MSHX", b"MS0\xc6H", b"SH", b"MSH MSH"])
def test_B2_what_lost_its_own_header_is_not_passed_over(before, damaged):
    first = ONE.replace(b"MSH", damaged)
    assert first in stray_segments(before + first + TWO)
    assert b"PID|1||77\r" in stray_segments(before + ONE[ONE.index(b"PID") :] + TWO)


@pytest.mark.parametrize(
    "raw", [ONE, ONE + TWO, FHS + BHS + ONE + b"BTS|1\rFTS|1\r", b"", b"PID|1\r"]
)
@pytest.mark.parametrize("before", [b"", b"\x00\x00 \r", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_B2_envelopes_and_padding_are_no_message(before, raw):
    assert stray_segments(before + raw) == b""
