"""Kept bytes cut into frames again, for a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_frame import Frame
from lis.wire.frame_view import Checksum, checksum_of, frames_of_bytes, last_frame

FIRST = Frame(number=1, text=b"H|\\^&\r").to_bytes()
SECOND = Frame(number=2, text=b"L|1|N\r").to_bytes()


def test_each_frame_is_judged_by_itself():
    wrong = SECOND[:-4] + b"00\r\n"
    views = frames_of_bytes(b"\x05" + FIRST + wrong)
    assert [view.checksum for view in views] == [Checksum.NONE, Checksum.GOOD, Checksum.BAD]
    assert views[2].expected == SECOND[-4:-2].decode()


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (FIRST + SECOND, Checksum.GOOD),
        (FIRST.lower(), Checksum.BAD),
        (FIRST[:-2], Checksum.GOOD),
        (FIRST[:-4], Checksum.BAD),
        (b"\x02", Checksum.BAD),
        (b"\x05", Checksum.NONE),
        (b"MSH|^~\\&", Checksum.NONE),
        (b"", Checksum.NONE),
    ],
)
def test_a_line_is_bad_when_one_of_its_frames_is(data: bytes, verdict: Checksum):
    assert checksum_of(data) is verdict


def test_a_slip_has_no_checksum_and_a_frame_without_one_is_bad():
    assert checksum_of(b"\x0226/11/02 08:40 ID# 1 Na 141 mmol/L \x03") is Checksum.NONE
    assert checksum_of(b"\x021H|\\^&\r\x03") is Checksum.BAD


def test_the_last_frame_is_what_came_last():
    assert last_frame(FIRST + SECOND) == SECOND
    assert last_frame(b"H|\\^&\rL|1\r") == b"H|\\^&\rL|1\r"


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([FIRST, SECOND, b"\x02", b"\x05"])).map(b"".join)
)
def test_no_byte_is_lost(data: bytes):
    assert b"".join(view.data for view in frames_of_bytes(data)) == data


@given(st.integers(0, 7), st.text("ABC|^\r", max_size=30), st.booleans())
def test_every_frame_we_write_is_good(number: int, text: str, is_last: bool):
    data = Frame(number=number, text=text.encode(), is_last=is_last).to_bytes()
    assert checksum_of(data) is Checksum.GOOD
