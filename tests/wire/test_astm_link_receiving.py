"""The receiving side of the ASTM link, requirement by requirement (reference/astm.md, section 6)."""

import pytest

from lis.wire.astm_link import (
    AstmLink,
    DuplicateFrame,
    FrameReceived,
    FrameRefused,
    KeepAlive,
    LinkSettings,
    Noise,
    Role,
    SessionEnded,
    SessionStarted,
    State,
    Tolerance,
    ToleranceUsed,
    decode_raw,
)
from lis.wire.errors import LocalProtocolError
from tests.wire.astm_harness import (
    ACK,
    ENQ,
    EOT,
    ETB,
    ETX,
    NAK,
    RESULT,
    STX,
    Bench,
    block,
    blocks,
    session,
)


def opened(settings: LinkSettings | None = None, *, keeps: bool = True) -> Bench:
    bench = Bench(settings=settings, keeps=keeps)
    assert bench.feed(ENQ) == ACK
    return bench


# --- the promise -------------------------------------------------------------------------------


def test_nothing_is_acknowledged_before_accept() -> None:
    bench = opened(keeps=False)
    assert bench.feed(blocks()[0]) == b""
    assert bench.wait(13.9) == b""
    assert bench.accept() == ACK


def test_bytes_behind_a_waiting_frame_wait_too() -> None:
    bench = opened(keeps=False)
    assert bench.feed(b"".join(blocks()[:2]) + EOT) == b""
    assert len(bench.of(FrameReceived)) == 1
    assert bench.accept() == ACK
    assert len(bench.of(FrameReceived)) == 2
    assert bench.link.state is State.STORING


def test_a_message_completes_in_the_very_frame_that_carries_its_l() -> None:
    bench = opened()
    bench.feed(*blocks())
    received = bench.of(FrameReceived)
    assert [len(event.messages) for event in received] == [0, 0, 0, 0, 1]
    assert received[-1].messages[0].records == RESULT
    assert received[-1].messages[0].raw == b"".join(blocks())
    assert received[-1].messages[0].complete


def test_a_refused_frame_leaves_no_trace_and_can_come_again() -> None:
    bench = opened(keeps=False)
    first = blocks()[0]
    bench.feed(first)
    bench.link.refuse(bench.now)
    assert bench.link.data_to_send() == NAK
    assert bench.wait(0) == b""
    bench.keeps = True
    assert bench.feed(first, *blocks()[1:]) == ACK * 5
    assert bench.whole == [RESULT]


def test_L1_14_a_keeper_that_is_too_slow_gets_the_frame_again() -> None:
    bench = opened(keeps=False)
    bench.feed(blocks()[0])
    late = bench.link.pending_serial
    assert bench.wait(13.9) == b""
    assert bench.wait(0.1) == NAK
    assert bench.of(FrameRefused)[-1].reason == "not kept"
    bench.feed(blocks()[0])
    assert not bench.link.accept(bench.now, serial=late)
    assert bench.link.data_to_send() == b""
    assert bench.link.accept(bench.now, serial=bench.link.pending_serial)
    assert bench.link.data_to_send() == ACK


def test_accept_without_a_waiting_frame_is_our_defect() -> None:
    bench = opened()
    with pytest.raises(LocalProtocolError, match="no frame waits"):
        bench.link.accept(bench.now)
    with pytest.raises(LocalProtocolError, match="no frame waits"):
        bench.link.refuse(bench.now)


# --- L1: the receiver's rows ----------------------------------------------------------------------


def test_L1_03_neutral_answers_enq_and_ignores_the_rest() -> None:
    bench = Bench()
    assert bench.feed(b"\x00\xffnoise" + EOT + ACK + NAK + ENQ) == ACK
    assert [type(event) for event in bench.story()] == [Noise, SessionStarted]


def test_L1_03_busy_answers_enq_with_nak() -> None:
    bench = Bench()
    bench.link.busy = True
    assert bench.feed(ENQ) == NAK
    bench.link.busy = False
    assert bench.feed(ENQ) == ACK


def test_L1_27_a_system_that_cannot_receive_turns_every_enq_away() -> None:
    bench = Bench(settings=LinkSettings(can_receive=False))
    assert bench.feed(ENQ, ENQ) == NAK * 2
    assert bench.feed(blocks()[0]) == b""
    assert bench.of(FrameReceived) == []


def test_L1_27_busy_inside_a_session_turns_a_new_enq_away() -> None:
    bench = opened()
    bench.link.busy = True
    assert bench.feed(ENQ) + bench.wait(0.3) == NAK


def test_L1_09_frame_numbers_count_on_over_messages_of_a_session() -> None:
    bench = opened()
    records = [RESULT[0], *(b"C|%d|I|text" % n for n in range(1, 9)), RESULT[-1]]
    assert bench.feed(*blocks([*records, *records])) == ACK * 20
    assert bench.whole == [tuple(records)] * 2


@pytest.mark.parametrize("size_bytes", [240, 241, 63_993])
def test_L1_10_texts_up_to_the_limit_are_taken(size_bytes: int) -> None:
    bench = opened()
    assert bench.feed(block(1, b"H" * (size_bytes - 1) + b"\r")) == ACK
    assert bench.of(ToleranceUsed) == []


def test_L1_10_a_text_over_the_limit_is_a_liberty() -> None:
    bench = opened()
    assert bench.feed(block(1, b"x" * 63_994)) == ACK
    assert ToleranceUsed(name=Tolerance.OVERSIZE_FRAME) in bench.events


def test_L1_10_without_the_liberty_it_is_refused() -> None:
    strict = opened(LinkSettings(tolerances=frozenset()))
    assert strict.feed(block(1, b"x" * 63_992 + b"\r")) == ACK
    assert strict.feed(block(2, b"x" * 63_994)) == NAK
    assert strict.of(FrameRefused)[-1].reason == "text of 63994 bytes, limit 63993"


def test_L1_11_several_records_in_a_frame_are_survived() -> None:
    bench = opened()
    assert bench.feed(block(1, b"\r".join(RESULT) + b"\r")) == ACK
    assert bench.whole == [RESULT]


def test_L1_12_wrong_checksum_is_refused_and_named() -> None:
    bench = opened()
    bad = blocks()[0].replace(b"c111", b"c112")
    assert bench.feed(bad) == NAK
    assert "computed" in bench.of(FrameRefused)[-1].reason
    assert bench.of(FrameRefused)[-1].raw == bad
    assert b"c112" not in bench.of(FrameRefused)[-1].reason.encode()
    assert bench.feed(*blocks()) == ACK * 5


def test_L1_13_bytes_of_any_charset_pass_unchanged() -> None:
    bench = opened()
    records = [b"H|\\^&", "P|1||||Иванов".encode(), "C|1|I|山田|ソ".encode("shift_jis"), b"L|1"]
    assert bench.feed(*blocks(records)) == ACK * 4
    assert bench.whole == [tuple(records)]


def test_L1_15_a_repeated_frame_is_acknowledged_again_and_delivered_once() -> None:
    bench = opened()
    made = blocks()
    assert bench.feed(made[0], made[0], *made[1:], made[-1]) == ACK * 7
    assert bench.whole == [RESULT]
    assert [event.number for event in bench.of(DuplicateFrame)] == [1, 5]


def test_L1_15_the_same_number_with_other_content_is_no_repetition() -> None:
    bench = opened()
    assert bench.feed(blocks()[0], block(1, b"P|1\r")) == ACK + NAK
    assert bench.of(FrameRefused)[-1].reason == "frame number 1 again, with other content"


def test_L1_15_frame_0_before_any_other_repeats_nothing() -> None:
    bench = opened()
    assert bench.feed(block(0, RESULT[0] + b"\r")) == NAK
    assert bench.of(FrameRefused)[-1].reason == "frame number 0, expected 1"


@pytest.mark.parametrize(
    "bad",
    [
        block(3, b"P|1\r"),
        block(2, b"P|1\r").replace(b"\x022", b"\x029"),
        STX + b"2P|1\r" + ETX + b"ZZ\r\n",
        STX + b"2P|1\r" + ETX + b"00\r\n",
        STX + ETX + b"03\r\n",
        block(2, b"P|1\r", tail=b"XY"),
    ],
    ids=["skipped", "no digit", "no hex", "wrong sum", "empty", "no end"],
)
def test_L1_16_what_is_not_the_next_frame_is_refused(bad: bytes) -> None:
    bench = opened()
    bench.feed(blocks()[0])
    assert bench.feed(bad) == NAK
    assert bench.feed(*blocks()[1:]) == ACK * 4
    assert bench.whole == [RESULT]


def test_L1_16_a_peer_that_goes_on_after_a_refusal_is_not_believed_eight_frames_later() -> None:
    bench = opened()
    made = blocks((RESULT[0], *(b"C|%d|I|x" % n for n in range(1, 8)), *RESULT[1:]))
    assert bench.feed(made[0], *made[2:9]) == ACK + NAK * 7
    assert bench.feed(*made[9:]) == NAK * 3
    assert bench.of(FrameRefused)[-1].reason == "the peer does not wait for answers"
    assert bench.feed(made[0]) == NAK
    bench.feed(EOT)
    assert bench.whole == []
    assert bench.incomplete[0].records == RESULT[:1]
    assert bench.feed(session()) == ACK * 6


def test_L1_17_characters_around_blocks_are_ignored() -> None:
    bench = opened()
    noisy = b"".join(b"~?" + made + b"\x00\xff" for made in blocks())
    assert bench.feed(noisy + b"zz" + EOT) == ACK * 5
    assert bench.whole == [RESULT]
    assert bench.of(SessionEnded)[-1].clean


def test_L1_21_a_silent_peer_is_dropped_after_30_seconds() -> None:
    bench = opened()
    bench.feed(*blocks()[:2])
    bench.wait(29.9)
    assert bench.of(SessionEnded) == []
    bench.wait(0.1)
    ended = bench.of(SessionEnded)[-1]
    assert not ended.clean
    assert ended.incomplete is not None
    assert ended.incomplete.records == RESULT[:2]
    assert bench.link.state is State.NEUTRAL


def test_L1_21_the_receive_timer_starts_with_the_session() -> None:
    bench = opened()
    bench.wait(30.0)
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=False)]
    assert bench.of(KeepAlive) == []


def test_L1_21_a_slow_line_that_keeps_sending_is_not_dropped() -> None:
    bench = opened()
    made = block(1, b"H" * 70 + b"\r")
    for byte in made:
        bench.feed(bytes([byte]))
        bench.wait(1.0)
    assert bench.of(SessionEnded) == []
    assert len(bench.of(FrameReceived)) == 1


def test_L1_23_a_receiver_with_data_asks_until_it_gets_the_line() -> None:
    bench = opened()
    made = blocks()
    bench.link.interrupt()
    assert bench.feed(made[0]) == EOT
    assert bench.feed(made[0]) == EOT
    assert bench.feed(made[1]) == EOT
    bench.link.send_message((b"H|\\^&", b"L|1"))
    assert bench.feed(EOT) == ENQ


def test_L1_23_an_interrupt_ends_with_the_session() -> None:
    bench = opened()
    bench.link.interrupt()
    bench.feed(EOT)
    bench.link.interrupt()
    assert bench.feed(ENQ, blocks()[0]) == ACK * 2


def test_L1_24_eot_makes_both_neutral() -> None:
    bench = Bench()
    bench.feed(session())
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=True)]
    assert bench.link.state is State.NEUTRAL
    assert bench.link.next_deadline() is None


@pytest.mark.parametrize("how", ["eot", "timeout", "lost", "enq"])
def test_L1_26_an_incomplete_message_is_evidence_and_never_final(how: str) -> None:
    bench = opened()
    bench.feed(*blocks()[:3])
    {
        "eot": lambda: bench.feed(EOT),
        "timeout": lambda: bench.wait(30.0),
        "lost": bench.lose,
        "enq": lambda: bench.feed(ENQ) + bench.wait(0.3),
    }[how]()
    assert bench.whole == []
    assert [message.records for message in bench.incomplete] == [RESULT[:3]]
    assert bench.incomplete[0].raw == b"".join(blocks()[:3])
    assert decode_raw(bench.incomplete[0].raw) == RESULT[:3]
    assert not bench.of(SessionEnded)[-1].clean


def test_L1_26_the_next_session_is_not_glued_to_a_cut_one() -> None:
    bench = opened()
    bench.feed(blocks()[0], block(2, b"P|1|half", ETB), EOT, session())
    assert bench.whole == [RESULT]
    assert bench.incomplete[0].records == RESULT[:1]


def test_a_message_without_its_header_is_never_complete() -> None:
    bench = opened()
    bench.feed(*blocks(RESULT[1:]))
    assert [message.complete for message in bench.messages] == [False]


def test_a_header_inside_a_message_leaves_that_one_incomplete() -> None:
    bench = opened()
    bench.feed(*blocks([*RESULT[:2], *RESULT]))
    assert [message.complete for message in bench.messages] == [False, True]
    assert bench.messages[0].records == RESULT[:2]
    assert bench.whole == [RESULT]


def test_messages_that_share_frames_each_get_their_own_records_and_bytes() -> None:
    """The second header is cut by a frame end, in the middle of nothing but itself."""
    bench = opened()
    cut = (b"H|\\^&|one", b"P|1")
    bench.feed(block(1, b"\r".join(cut) + b"\rH|\\", ETB))
    bench.feed(block(2, b"^&|two\rL|1\rH|\\^&|three\rL|1\r\r"))
    whole = [(b"H|\\^&|two", b"L|1"), (b"H|\\^&|three", b"L|1")]
    assert [message.records for message in bench.messages] == [cut, *whole]
    assert [message.complete for message in bench.messages] == [False, True, True]
    assert all(decode_raw(message.raw) == message.records for message in bench.messages)
    assert bench.incomplete == []


def test_empty_records_are_none() -> None:
    bench = opened()
    bench.feed(block(1, b"\r\r" + b"\r\r".join(RESULT) + b"\r\r"))
    assert bench.whole == [RESULT]


# --- liberties ----------------------------------------------------------------------------------


def strict(*without: Tolerance) -> LinkSettings:
    return LinkSettings(tolerances=LinkSettings().tolerances - set(without))


def test_cr_without_lf_ends_a_block_after_a_short_silence() -> None:
    bench = opened()
    assert bench.feed(block(1, RESULT[0] + b"\r", tail=b"\r")) == b""
    assert bench.wait(0.24) == b""
    assert bench.wait(0.02) == ACK
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.CR_ONLY_END)]
    assert bench.feed(b"\n", *blocks()[1:]) == ACK * 4
    assert bench.of(Noise) == []


def test_cr_without_lf_ends_a_block_before_the_next_thing() -> None:
    bench = Bench()
    made = b"".join(made[:-1] for made in blocks())
    assert bench.feed(ENQ + made + EOT) == ACK * 6
    assert bench.whole == [RESULT]


def test_cr_without_lf_can_be_forbidden() -> None:
    bench = opened(strict(Tolerance.CR_ONLY_END))
    bench.feed(block(1, RESULT[0] + b"\r", tail=b"\r"))
    assert bench.wait(0.3) == NAK
    assert bench.of(FrameRefused)[-1].reason == "not allowed: cr_only_end"


def test_lf_alone_ends_a_block() -> None:
    bench = opened()
    assert bench.feed(block(1, RESULT[0] + b"\r", tail=b"\n")) == ACK
    assert ToleranceUsed(name=Tolerance.LF_ONLY_END) in bench.events
    strictly = opened(strict(Tolerance.LF_ONLY_END))
    assert strictly.feed(block(1, RESULT[0] + b"\r", tail=b"\n")) == NAK


def test_a_damaged_lf_does_not_cost_the_frame() -> None:
    bench = opened()
    assert bench.feed(block(1, RESULT[0] + b"\r", tail=b"\r\x05")) == ACK
    assert bench.feed(*blocks()[1:]) == ACK * 4


def test_lower_case_checksum_is_a_liberty() -> None:
    made = block(1, b"H|\\^&|J\r")
    lower = made[:-4] + made[-4:-2].lower() + b"\r\n"
    assert lower != made
    bench = opened()
    assert bench.feed(lower) == ACK
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.LOWER_CASE_CHECKSUM)]
    assert opened(strict(Tolerance.LOWER_CASE_CHECKSUM)).feed(lower) == NAK


def test_wrong_checksum_is_taken_only_by_an_explicit_profile() -> None:
    bad = blocks()[0][:-4] + b"00\r\n"
    assert opened().feed(bad) == NAK
    bench = opened(LinkSettings(tolerances=frozenset(Tolerance)))
    assert bench.feed(bad) == ACK
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.WRONG_CHECKSUM)]


def test_a_record_without_cr_ends_with_its_frame() -> None:
    bench = opened()
    bench.feed(*(block(n, record) for n, record in enumerate(RESULT, start=1)))
    assert bench.whole == [RESULT]
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.MISSING_CR)] * 5
    assert decode_raw(bench.messages[0].raw) == RESULT


def test_a_record_without_cr_can_be_forbidden() -> None:
    bench = opened(strict(Tolerance.MISSING_CR))
    assert bench.feed(block(1, RESULT[0])) == NAK
    assert bench.of(FrameRefused)[-1].reason == "not allowed: missing_cr"
    assert bench.feed(*blocks()) == ACK * 5
    assert bench.whole == [RESULT]


def test_records_that_end_cr_lf_inside_a_frame() -> None:
    bench = opened()
    bench.feed(block(1, b"\r\n".join(RESULT) + b"\r\n"))
    assert bench.whole == [RESULT]
    assert ToleranceUsed(name=Tolerance.LF_IN_TEXT) in bench.events
    strictly = opened(strict(Tolerance.LF_IN_TEXT))
    assert strictly.feed(block(1, b"\r\n".join(RESULT) + b"\r\n")) == NAK
    assert strictly.of(FrameRefused)[-1].reason == "not allowed: lf_in_text"


def test_enq_repeated_before_any_frame_is_answered_again() -> None:
    bench = opened()
    assert bench.feed(ENQ) + bench.wait(0.3) == ACK
    assert bench.of(SessionStarted) == [SessionStarted()]
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.REPEATED_ENQ)]


def test_enq_inside_a_session_can_be_forbidden() -> None:
    bench = opened(strict(Tolerance.REPEATED_ENQ))
    assert bench.feed(ENQ) + bench.wait(0.3) == b""
    assert bench.of(Noise) == [Noise(data=ENQ, where="inside a session")]


def test_frame_1_with_a_header_opens_a_session_without_enq() -> None:
    bench = Bench()
    assert bench.feed(EOT + b"".join(blocks()) + ENQ) + bench.wait(0.3) == ACK * 6
    assert bench.whole == [RESULT]
    assert ToleranceUsed(name=Tolerance.FRAME_WITHOUT_ENQ) in bench.events


def test_a_frame_without_enq_can_be_forbidden() -> None:
    bench = Bench(settings=strict(Tolerance.FRAME_WITHOUT_ENQ))
    assert bench.feed(*blocks(), EOT) == b""
    assert bench.messages == []


@pytest.mark.parametrize("made", [blocks()[1], block(1, b"P|1\r"), b"\x021H|\\^&\r\x0300\r\n"])
def test_other_frames_outside_a_session_are_ignored(made: bytes) -> None:
    """After our restart the rest of a message must not look like a message."""
    bench = Bench()
    assert bench.feed(made) == b""
    assert bench.of(Noise) == [Noise(data=made, where="frame outside a session")]


def test_a_keep_alive_is_no_error() -> None:
    bench = Bench()
    assert bench.feed(ENQ, EOT, ENQ + EOT) == ACK * 2
    ended = SessionEnded(incomplete=None, clean=True)
    used = ToleranceUsed(name=Tolerance.KEEP_ALIVE)
    assert bench.events == [SessionStarted(), used, KeepAlive(), ended] * 2


def test_a_keep_alive_can_be_forbidden() -> None:
    bench = Bench(settings=strict(Tolerance.KEEP_ALIVE))
    assert bench.feed(ENQ, EOT) == ACK
    assert bench.events == [SessionStarted(), SessionEnded(incomplete=None, clean=False)]


def test_a_session_whose_last_frame_was_refused_is_not_clean() -> None:
    bench = opened()
    bench.feed(STX + b"1H" + ETX + b"00\r\n", EOT)
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=False)]
    assert bench.of(KeepAlive) == []


# --- broken frames ------------------------------------------------------------------------------


def test_half_a_frame_is_refused_after_the_byte_gap() -> None:
    bench = opened()
    bench.feed(blocks()[0][:9])
    assert bench.wait(9.9) == b""
    assert bench.wait(0.1) == NAK
    assert bench.of(FrameRefused)[-1].reason == "half a frame, then silence for 10 s"
    assert bench.of(ToleranceUsed) == [ToleranceUsed(name=Tolerance.HALF_FRAME)]
    assert bench.feed(*blocks()) == ACK * 5


def test_without_the_gap_timer_half_a_frame_ends_the_session_in_silence() -> None:
    bench = opened(strict(Tolerance.HALF_FRAME))
    bench.feed(blocks()[0][:9])
    assert bench.wait(29.9) == b""
    assert bench.of(SessionEnded) == []
    assert bench.wait(0.1) == b""
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=False)]


def test_half_a_frame_outside_a_session_is_noise() -> None:
    bench = Bench()
    bench.feed(blocks()[0][:9])
    assert bench.wait(10.0) == b""
    assert bench.of(Noise) == [Noise(data=blocks()[0][:9], where="unfinished")]


def test_a_new_stx_starts_the_frame_again() -> None:
    bench = opened()
    made = blocks()
    assert bench.feed(made[0][:7] + made[0], *made[1:]) == ACK * 5
    assert bench.whole == [RESULT]


def test_a_damaged_byte_that_looks_like_stx_never_makes_a_record() -> None:
    """Byte, sum and number fit by luck; that it begins no record gives it away."""
    tail = b"2|4.7|mmol/L\r"
    head = b"R|1|^^^X|"
    filler = (-sum(b"2" + head) - 0x41) % 256
    text = head + bytes([0x41, filler % 256]) + tail
    whole = bytearray(block(2, text))
    place = whole.index(bytes([filler]) + tail)
    whole[place] = STX[0]
    bench = opened()
    bench.feed(blocks()[0])
    assert bench.feed(bytes(whole)) == NAK
    assert bench.of(FrameRefused)[-1].reason == "STX inside a frame"


def test_an_enq_in_the_middle_of_a_frame_is_a_damaged_byte() -> None:
    bench = opened()
    bench.feed(blocks()[0])
    damaged = blocks()[1].replace(b"|", ENQ)
    assert bench.feed(damaged[:4]) == b""
    assert bench.feed(damaged[4:]) == NAK


@pytest.mark.parametrize("place", [0, 11, 12, 13])
def test_a_damaged_byte_that_looks_like_enq_is_never_answered(place: int) -> None:
    """STX, the checksum and CR: an ACK to such an ENQ would be taken for the frame's."""
    bench = opened()
    bench.feed(blocks()[0])
    damaged = bytearray(block(2, b"C|1|xyz\r"))
    damaged[place] = ENQ[0]
    assert ACK not in bench.feed(bytes(damaged)) + bench.wait(14.0)
    assert bench.feed(*blocks()[1:]) == ACK * 4


@pytest.mark.parametrize("control", [ENQ, EOT, EOT + ENQ])
def test_a_sender_that_gives_up_inside_a_frame_is_heard_after_a_silence(control: bytes) -> None:
    bench = opened()
    bench.feed(*blocks()[:2])
    assert bench.feed(blocks()[2][:6] + control) == b""
    expected = ACK if control.endswith(ENQ) else b""
    assert bench.wait(0.3) == expected
    assert bench.incomplete[0].records == RESULT[:2]
    assert bench.whole == []


def test_a_damaged_byte_that_looks_like_etx_is_seen_by_what_follows() -> None:
    bench = opened()
    bench.feed(blocks()[0])
    body = b"2R|1|^^^X|5"
    looks_right = STX + body + ETX + b"%02X" % ((sum(body) + 3) % 256) + b"\r"
    assert bench.feed(looks_right + b"R|2|^^^Y|7\r" + ETX + b"00\r\n") == NAK
    assert "goes on after the end" in bench.of(FrameRefused)[-1].reason


def test_a_frame_without_end_is_bounded() -> None:
    bench = opened(LinkSettings(message_limit_bytes=10_000))
    for _ in range(100):
        bench.feed(b"\x021" if not bench.now else b"x" * 1_000)
    bench.feed(STX + b"1")
    for _ in range(100):
        bench.feed(b"x" * 1_000)
    assert bench.link._stream.size_bytes <= 11_100
    assert bench.feed(ETX + b"00\r\n") == NAK
    assert "more than 10000 bytes" in bench.of(FrameRefused)[-1].reason
    assert bench.feed(*blocks()) == ACK * 5


def test_a_message_beyond_its_limit_is_refused() -> None:
    bench = opened(LinkSettings(message_limit_bytes=2_000))
    bench.feed(blocks()[0])
    made = [block(n % 8, b"C|1|I|" + b"x" * 200 + b"\r") for n in range(2, 20)]
    answers = bench.feed(*made[:10])
    assert answers.startswith(ACK * 8)
    assert answers.endswith(NAK)
    assert "message of more than 2000 bytes" in bench.of(FrameRefused)[-1].reason


def test_what_waits_unread_is_bounded_and_the_gap_is_never_bridged() -> None:
    bench = opened(LinkSettings(message_limit_bytes=2_000), keeps=False)
    made = blocks()
    bench.feed(made[0] + made[1] + b"\r\n" * 2_000)
    bench.feed(b"".join(made[2:]))
    bench.keeps = True
    assert bench.accept() == ACK * 2
    assert bench.whole == []
    assert bench.incomplete[0].records == RESULT[:2]
    assert bench.feed(session()) == ACK * 6
    assert bench.whole == [RESULT]


# --- records without frames ---------------------------------------------------------------------

PLAIN = b"\r".join(RESULT) + b"\r"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_records_without_frames_are_taken_from_h_to_l(end: bytes) -> None:
    bench = Bench()
    raw = end.join(RESULT) + end
    assert bench.feed(b"\x00" + raw) == b""
    assert bench.whole == [RESULT]
    assert decode_raw(bench.messages[0].raw) == RESULT
    assert ToleranceUsed(name=Tolerance.UNFRAMED) in bench.events
    assert not bench.of(FrameReceived)[0].is_framed
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=True)]


def test_records_without_frames_wait_for_accept() -> None:
    bench = Bench(keeps=False)
    bench.feed(PLAIN * 2)
    assert len(bench.messages) == 1
    assert bench.accept() == b""
    assert len(bench.messages) == 2


def test_records_without_frames_that_cannot_be_kept_are_named() -> None:
    bench = Bench(keeps=False)
    bench.feed(PLAIN)
    bench.link.refuse(bench.now)
    bench.wait(0)
    assert bench.link.data_to_send() == b""
    assert bench.of(FrameRefused)[0].reason == "not kept"
    assert not bench.of(SessionEnded)[0].clean


def test_records_without_frames_after_enq_and_before_eot() -> None:
    bench = Bench()
    assert bench.feed(ENQ + PLAIN + EOT) == ACK
    assert bench.whole == [RESULT]
    assert bench.of(SessionEnded) == [SessionEnded(incomplete=None, clean=True)]


def test_a_last_record_without_line_end_counts_after_a_silence() -> None:
    bench = Bench()
    bench.feed(PLAIN[:-1])
    assert bench.whole == []
    bench.wait(0.3)
    assert bench.whole == [RESULT]


def test_a_continuation_line_stays_in_its_record() -> None:
    bench = Bench()
    bench.feed(b"H|\\^&\rR|1|^^^IMG|Qk0\rQUJD\rR|2|^^^X|1\rL|1\r")
    records = (b"H|\\^&", b"R|1|^^^IMG|Qk0\rQUJD", b"R|2|^^^X|1", b"L|1")
    assert bench.whole == [records]


@pytest.mark.parametrize("how", ["silence", "lost", "stx", "header"])
def test_records_without_frames_that_never_end_are_evidence(how: str) -> None:
    bench = Bench()
    bench.feed(PLAIN[:-8])
    {
        "silence": lambda: bench.wait(30.0),
        "lost": bench.lose,
        "stx": lambda: bench.feed(blocks()[0]),
        "header": lambda: bench.feed(b"\r" + PLAIN),
    }[how]()
    assert bench.incomplete[0].records[:3] == RESULT[:3]
    assert not bench.incomplete[0].complete
    assert bench.whole == ([RESULT] if how == "header" else [])


def test_records_without_frames_that_are_cut_inside_a_session() -> None:
    bench = opened()
    bench.feed(PLAIN[:40] + b"\r" + STX)
    assert len(bench.incomplete) == 1
    assert bench.link.state is State.RECEIVING


def test_records_without_frames_are_bounded() -> None:
    bench = Bench(settings=LinkSettings(message_limit_bytes=1_000))
    bench.feed(b"H|\\^&\r" + b"C|1|I|x\r" * 1_000)
    assert len(bench.incomplete) >= 1
    assert bench.whole == []


def test_records_without_frames_can_be_forbidden() -> None:
    bench = Bench(settings=strict(Tolerance.UNFRAMED))
    bench.feed(PLAIN)
    assert bench.messages == []
    assert bench.of(Noise)


def test_a_lost_stx_does_not_turn_frames_into_plain_records() -> None:
    bench = opened()
    text = b"\r".join([*RESULT, *RESULT]) + b"\r"
    bench.feed(block(1, text).replace(STX, b"\r", 1))
    assert bench.messages == []


def test_the_beginning_of_a_header_may_come_in_pieces_or_never() -> None:
    bench = Bench()
    bench.feed(b"H")
    bench.feed(b"|", b"\\^&\r" + PLAIN[6:])
    assert len(bench.messages) == 1
    bench.feed(b"xx\rH")
    bench.wait(10.0)
    assert bench.of(Noise)[-1].data == b"H"


# --- the link itself ----------------------------------------------------------------------------


def test_a_lost_link_can_be_used_again() -> None:
    bench = opened(keeps=False)
    bench.feed(blocks()[0])
    bench.lose()
    assert bench.link.pending_serial is None
    assert bench.link.next_deadline() is None
    bench.keeps = True
    assert bench.feed(session()) == ACK * 6


def test_losing_a_neutral_link_says_nothing() -> None:
    bench = Bench()
    bench.lose()
    assert bench.events == []


def test_roles_are_symmetrical_for_receiving() -> None:
    link = AstmLink(Role.INSTRUMENT)
    link.receive_bytes(ENQ, 0.0)
    assert link.data_to_send() == ACK
