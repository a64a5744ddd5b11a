"""MLLP framing: requirement rows M1-M7, and the frame-level rows of the behaviour matrix."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import LocalProtocolError
from lis.wire.mllp import (
    CR,
    EVIDENCE_BYTES,
    FS,
    VT,
    BlockReceived,
    CutFrame,
    Event,
    MllpFramer,
    MllpSettings,
    Noise,
    Oversized,
    StalledFrame,
    frame,
)

ONE = b"MSH|^~\\&|BC||LIS||20261122101010||ORU^R01|1|P|2.3.1\rPID|1\r"
TWO = ONE.replace(b"|1|P|", b"|2|P|")
MIB = 1024 * 1024


def fed(*reads: bytes, settings: MllpSettings | None = None) -> list[Event]:
    framer = MllpFramer(settings)
    return [event for data in reads for event in framer.receive_bytes(data, 0.0)]


def payloads(events: list[Event]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, BlockReceived)]


def noise(events: list[Event]) -> int:
    return sum(event.count for event in events if isinstance(event, Noise))


# ------------------------------------------------------------------ M1: the frame


def test_M1_a_frame_cut_at_every_offset_gives_the_same_payload():
    wire = frame(ONE)
    for cut in range(len(wire) + 1):
        assert payloads(fed(wire[:cut], wire[cut:])) == [ONE]


def test_M1_a_frame_byte_by_byte_gives_the_same_payload():
    assert payloads(fed(*(bytes([byte]) for byte in frame(ONE)))) == [ONE]


def test_M1_control_characters_inside_a_frame_are_data():
    everything_but_fs = bytes(byte for byte in range(256) if byte != FS[0])
    assert payloads(fed(frame(everything_but_fs))) == [everything_but_fs]


def test_M1_an_empty_frame_is_delivered_so_that_it_can_be_refused():
    assert payloads(fed(frame(b""))) == [b""]


# ------------------------------------------------------------------ M2: noise


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00",
        b"\x02\x02\x02",
        b"\x06",
        b"\r\n",
        b"\n",
        b"hello",
        FS,
        FS + CR,
        b"MSH|^~\\&|no VT\r",
    ],
)
def test_M2_bytes_outside_frames_are_counted_and_dropped(junk):
    events = fed(junk + frame(ONE) + junk + frame(TWO) + junk)

    assert payloads(events) == [ONE, TWO]
    assert noise(events) == 3 * len(junk)


def test_M2_noise_is_shown_by_a_bounded_sample_and_a_running_total():
    framer = MllpFramer()

    (event,) = framer.receive_bytes(b"\x02" * 100_000, 0.0)

    assert event == Noise(count=100_000, sample=b"\x02" * 64)
    assert framer.noise_bytes == 100_000
    assert framer.next_deadline() is None


# ------------------------------------------------------------------ M3, M4: real senders


def test_M3_a_frame_without_cr_is_delivered_at_once():
    assert payloads(fed(VT + ONE + FS)) == [ONE]


def test_M3_a_frame_without_cr_does_not_spoil_the_next():
    events = fed(VT + ONE + FS + frame(TWO))
    assert payloads(events) == [ONE, TWO]
    assert noise(events) == 0


def test_M3_a_cr_that_comes_late_is_not_noise():
    events = fed(VT + ONE + FS, CR, frame(TWO))
    assert payloads(events) == [ONE, TWO]
    assert noise(events) == 0


def test_M4_several_frames_in_one_read_are_delivered_in_order():
    assert payloads(fed(frame(ONE) + frame(TWO) + frame(ONE))) == [ONE, TWO, ONE]


def test_M4_fs_and_cr_may_come_in_separate_segments():
    assert payloads(fed(frame(ONE)[:-1], frame(ONE)[-1:])) == [ONE]


# ------------------------------------------------------------------ M5: VT inside a frame


def test_M5_vt_inside_a_frame_is_data():
    assert payloads(fed(VT + b"AB" + VT + b"CD" + FS + CR)) == [b"AB\x0bCD"]


def test_M5_vt_after_a_stalled_frame_restarts_when_the_link_says_so():
    framer = MllpFramer(MllpSettings(restart_after_s=5.0))
    framer.receive_bytes(VT + ONE[:20], 100.0)

    events = framer.receive_bytes(frame(TWO), 105.0)

    assert events == [StalledFrame(partial=ONE[:20]), BlockReceived(payload=TWO)]


def test_M5_vt_before_the_pause_is_over_stays_data():
    framer = MllpFramer(MllpSettings(restart_after_s=5.0))
    framer.receive_bytes(VT + b"AB", 100.0)
    assert framer.receive_bytes(VT + b"CD" + FS, 104.9) == [BlockReceived(payload=b"AB\x0bCD")]


def test_M5_bytes_without_vt_after_the_pause_continue_the_frame():
    framer = MllpFramer(MllpSettings(restart_after_s=5.0))
    framer.receive_bytes(VT + b"AB", 100.0)
    assert framer.receive_bytes(b"CD" + FS, 120.0) == [BlockReceived(payload=b"ABCD")]


# ------------------------------------------------------------------ M6: bounded memory


def test_M6_a_frame_of_exactly_the_limit_passes():
    settings = MllpSettings(frame_limit_bytes=len(ONE))
    assert payloads(fed(frame(ONE), settings=settings)) == [ONE]
    assert payloads(fed(*(bytes([b]) for b in frame(ONE)), settings=settings)) == [ONE]


def test_M6_one_byte_over_the_limit_is_refused_and_the_next_frame_still_read():
    settings = MllpSettings(frame_limit_bytes=len(ONE) - 1)

    events = fed(frame(ONE) + frame(b"small"), settings=settings)

    assert events == [
        Oversized(limit_bytes=len(ONE) - 1, head=ONE),
        BlockReceived(payload=b"small"),
    ]


def test_M6_a_hundred_megabytes_without_fs_stay_within_the_limit():
    framer = MllpFramer()
    framer.receive_bytes(VT, 0.0)
    block = b"A" * MIB
    events = []
    for _ in range(100):
        events += framer.receive_bytes(block, 0.0)
        assert len(framer._partial) <= 16 * MIB

    assert events == [Oversized(limit_bytes=16 * MIB, head=b"A" * EVIDENCE_BYTES)]
    assert len(framer._partial) == 0


def test_M6_an_oversized_frame_that_falls_silent_is_forgotten_without_a_second_report():
    framer = MllpFramer(MllpSettings(frame_limit_bytes=3))
    framer.receive_bytes(VT + b"AAAA", 10.0)

    assert framer.tick(40.0) == []
    assert framer.next_deadline() is None
    assert payloads(framer.receive_bytes(frame(b"ok"), 41.0)) == [b"ok"]


def test_M6_the_cost_of_a_large_frame_is_linear_in_its_size():
    def cpu_s(size: int) -> float:
        framer = MllpFramer()
        framer.receive_bytes(VT, 0.0)
        started = time.process_time()
        for _ in range(size):
            framer.receive_bytes(b"A", 0.0)
        assert len(payloads(framer.receive_bytes(FS, 0.0))[0]) == size
        return time.process_time() - started

    small = min(cpu_s(20_000) for _ in range(3))
    assert cpu_s(200_000) < 30 * small  # quadratic copying would be 100 times


# ------------------------------------------------------------------ M7: half a frame


def test_M7_half_a_frame_and_silence_is_given_up_with_its_bytes_as_evidence():
    framer = MllpFramer(MllpSettings(half_frame_timeout_s=30.0))
    framer.receive_bytes(VT + ONE[:20], 100.0)

    assert framer.next_deadline() == 130.0
    assert framer.tick(129.9) == []
    assert framer.tick(130.0) == [StalledFrame(partial=ONE[:20])]
    assert framer.next_deadline() is None
    assert framer.tick(500.0) == []


def test_M7_each_byte_moves_the_deadline():
    framer = MllpFramer()
    framer.receive_bytes(VT, 0.0)
    framer.receive_bytes(b"M", 25.0)
    framer.receive_bytes(b"", 27.0)
    assert framer.next_deadline() == 55.0


def test_M7_an_idle_link_has_no_deadline():
    framer = MllpFramer()
    assert framer.next_deadline() is None
    framer.receive_bytes(frame(ONE), 0.0)
    assert framer.next_deadline() is None
    assert framer.tick(1e9) == []


def test_after_a_stalled_frame_the_same_line_goes_on():
    framer = MllpFramer()
    framer.receive_bytes(VT + ONE[:20], 0.0)
    framer.tick(30.0)
    events = framer.receive_bytes(ONE[20:] + FS + CR + frame(TWO), 31.0)
    assert payloads(events) == [TWO]


def test_a_lost_connection_hands_over_what_had_arrived():
    framer = MllpFramer()
    framer.receive_bytes(frame(ONE) + VT + TWO[:9], 0.0)
    assert framer.connection_lost(1.0) == [CutFrame(partial=TWO[:9])]
    assert framer.connection_lost(2.0) == []
    assert payloads(framer.receive_bytes(frame(ONE), 3.0)) == [ONE]


# ------------------------------------------------------------------ writing


def test_frame_puts_the_payload_between_vt_and_fs_cr():
    assert frame(b"MSH|") == b"\x0bMSH|\x1c\r"


def test_frame_refuses_a_payload_that_would_end_early():
    with pytest.raises(LocalProtocolError, match="at byte 2"):
        frame(b"ab\x1ccd")


# ------------------------------------------------------------------ properties

pieces = st.lists(
    st.one_of(
        st.sampled_from([VT, FS, CR, b"\n", FS + CR, frame(ONE), VT + ONE + FS, b"\x02"]),
        st.binary(max_size=12),
    ),
    max_size=12,
).map(b"".join)


@given(wire=pieces, cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=8))
def test_any_cutting_of_the_stream_gives_the_same_blocks(wire, cuts):
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    reads = [wire[a:b] for a, b in pairwise(edges)]
    settings = MllpSettings(frame_limit_bytes=90)

    whole, cut = MllpFramer(settings), MllpFramer(settings)
    of_whole = whole.receive_bytes(wire, 0.0)
    of_cut = [event for data in reads for event in cut.receive_bytes(data, 0.0)]

    assert payloads(of_cut) == payloads(of_whole)
    assert noise(of_cut) == noise(of_whole)
    assert cut.connection_lost(0.0) == whole.connection_lost(0.0)


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(FS, b"")), max_size=6))
def test_what_is_framed_is_received(messages):
    assert payloads(fed(b"".join(frame(message) for message in messages))) == messages


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_every_byte_is_accounted_for(reads):
    framer = MllpFramer()
    for data in reads:
        framer.receive_bytes(data, 0.0)
        assert len(framer._partial) <= sum(map(len, reads))
        assert (framer.next_deadline() is not None) == framer.is_inside_frame
