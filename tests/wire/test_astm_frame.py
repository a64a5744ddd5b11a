"""ASTM frames: bytes, checksum, cutting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_frame import (
    ETB,
    ETX,
    TEXT_LIMIT_BYTES,
    Frame,
    blocks_of,
    checksum,
    frames_of,
)
from lis.wire.astm_settings import LinkSettings
from lis.wire.errors import LocalProtocolError, RemoteProtocolError
from tests.wire.astm_harness import block

TEXT = st.binary(max_size=60).map(
    lambda data: data.translate(None, bytes(range(0x0C)) + bytes(range(0x0E, 0x18)))
)
RECORDS = st.lists(TEXT.map(lambda data: data.replace(b"\r", b"")), min_size=1, max_size=8)


def test_L1_08_a_frame_as_bytes() -> None:
    frame = Frame(number=3, text=b"L|1|N\r")
    assert frame.to_bytes() == b"\x023L|1|N\r\x0306\r\n"
    assert Frame(number=3, text=b"L|1", is_last=False).to_bytes()[-5:-4] == ETB


def test_L1_12_checksum_of_a_known_capture() -> None:
    """The last frame of a cobas c111 session, as published."""
    assert checksum(b"7L|1|N\r\x03") == b"0A"
    assert checksum(b"") == b"00"
    assert checksum(b"\xff\xff") == b"FE"


@given(st.integers(0, 7), TEXT, st.booleans())
def test_frames_round_trip(number: int, text: bytes, is_last: bool) -> None:
    frame = Frame(number=number, text=text, is_last=is_last)
    assert Frame.from_bytes(frame.to_bytes()) == frame
    assert frame.to_bytes() == block(number, text, ETX if is_last else ETB)


def test_a_wrong_checksum_says_what_was_expected_and_where() -> None:
    with pytest.raises(RemoteProtocolError, match=r"b'07', computed b'06' in frame 3"):
        Frame.from_bytes(b"\x023L|1|N\r\x0307\r\n")


@pytest.mark.parametrize(
    "raw", [b"", b"\x02", b"3L|1\r\x0306\r\n", b"\x029L\x0306\r\n", b"\x023L\x03XX\r\n"]
)
def test_other_shapes_are_refused_without_quoting_them(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"got {len(raw)} bytes of another shape"):
        Frame.from_bytes(raw)


@given(st.binary(max_size=80))
def test_from_any_bytes_only_our_error(raw: bytes) -> None:
    try:
        Frame.from_bytes(raw)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize("number", [-1, 8])
def test_a_frame_number_of_ours_is_a_digit_from_0_to_7(number: int) -> None:
    with pytest.raises(LocalProtocolError, match="expected 0 to 7"):
        Frame(number=number, text=b"").to_bytes()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 10, 16, 17, 18, 19, 20, 21, 22, 23])
def test_L1_25_restricted_characters_never_go_into_a_frame(code: int) -> None:
    with pytest.raises(LocalProtocolError, match="control character"):
        Frame(number=1, text=bytes([code])).to_bytes()


def test_L1_09_numbers_start_where_told_and_wrap() -> None:
    assert [frame.number for frame in frames_of([b"C"] * 10, start=6)] == [
        6,
        7,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]


@pytest.mark.parametrize(("size_bytes", "count"), [(239, 1), (240, 2), (479, 2), (480, 3)])
def test_L1_10_the_cr_counts_as_text(size_bytes: int, count: int) -> None:
    frames = list(frames_of([b"x" * size_bytes]))
    assert len(frames) == count
    assert max(len(frame.text) for frame in frames) <= 240
    assert [frame.is_last for frame in frames] == [False] * (count - 1) + [True]


@pytest.mark.parametrize(("size_bytes", "count"), [(63_992, 1), (63_993, 2)])
def test_L1_10_the_limit_of_the_newer_standard_is_63993_characters(
    size_bytes: int, count: int
) -> None:
    frames = list(frames_of([b"x" * size_bytes], limit=TEXT_LIMIT_BYTES))
    assert len(frames) == count
    assert max(len(frame.to_bytes()) for frame in frames) == 64_000
    with pytest.raises(LocalProtocolError, match="expected 1 to 63993"):
        LinkSettings(text_limit_bytes=63_994)


@given(RECORDS, st.integers(1, 50), st.booleans())
def test_cutting_loses_nothing(records: list[bytes], limit: int, per_frame: bool) -> None:
    frames = list(frames_of(records, limit=limit, record_per_frame=per_frame))
    assert b"".join(frame.text for frame in frames) == b"".join(r + b"\r" for r in records)
    assert frames[-1].is_last
    assert sum(frame.is_last for frame in frames) == (len(records) if per_frame else 1)
    wire = blocks_of(records, limit=limit, record_per_frame=per_frame)
    assert wire == [frame.to_bytes() for frame in frames]


def test_a_cr_inside_a_record_of_ours_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="holds CR"):
        list(frames_of([b"C|1|I|a\rL|1"]))


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="at least 1"):
        list(frames_of([b"C"], limit=0))
