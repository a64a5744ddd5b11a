"""The sending side of the ASTM link, requirement by requirement (reference/astm.md, section 6)."""

import pytest

from lis.wire.astm_link import (
    LinkSettings,
    MessageSent,
    Noise,
    Role,
    SendDelay,
    SendDelayed,
    SendFailed,
    SendFailure,
    State,
)
from lis.wire.errors import LocalProtocolError
from tests.wire.astm_harness import (
    ACK,
    ENQ,
    EOT,
    ETB,
    NAK,
    RESULT,
    Bench,
    block,
    blocks,
    session,
)

ORDER = (b"H|\\^&|||LIS", b"P|1", b"O|1|4711||^^^413|R", b"L|1|N")
SHORT = (b"H|\\^&", b"L|1")


def asking(**settings: object) -> Bench:
    """A link that has just sent ENQ for an order."""
    bench = Bench(settings=LinkSettings(**settings))  # type: ignore[arg-type]
    assert bench.send(ORDER) == ENQ
    return bench


def sending(**settings: object) -> Bench:
    """A link that has just sent the first frame of an order."""
    bench = asking(**settings)
    assert bench.feed(ACK) == blocks(ORDER)[0]
    return bench


def failed(bench: Bench) -> list[SendFailure]:
    return [event.reason for event in bench.of(SendFailed)]


def test_a_message_goes_frame_by_frame_and_ends_with_eot() -> None:
    bench = sending()
    made = blocks(ORDER)
    assert bench.feed(ACK) == made[1]
    assert bench.feed(ACK) == made[2]
    assert bench.feed(ACK) == made[3]
    assert bench.of(MessageSent) == []
    assert bench.feed(ACK) == EOT
    assert bench.events == [MessageSent(records=ORDER)]
    assert bench.link.state is State.NEUTRAL


def test_a_message_queued_without_the_time_goes_with_the_next_tick() -> None:
    bench = Bench()
    bench.link.send_message(ORDER)
    assert bench.link.data_to_send() == b""
    assert bench.link.next_deadline() == 0.0
    assert bench.wait(0) == ENQ


def test_L1_04_after_enq_only_three_answers_count() -> None:
    bench = asking()
    assert bench.feed(b"\x00junk" + EOT + blocks()[0]) == b""
    assert bench.feed(ACK) == blocks(ORDER)[0]


def test_L1_05_an_unanswered_enq_ends_with_eot_after_15_seconds() -> None:
    bench = asking()
    assert bench.wait(14.9) == b""
    assert bench.wait(0.1) == EOT
    assert bench.of(SendDelayed)[-1].reason is SendDelay.UNANSWERED
    assert bench.wait(0.9) == b""
    assert bench.wait(0.1) == ENQ


def test_L1_06_nak_to_enq_means_ten_seconds_of_silence() -> None:
    bench = asking()
    assert bench.feed(NAK) == b""
    assert bench.of(SendDelayed) == [SendDelayed(reason=SendDelay.BUSY, retry_at=bench.now + 10)]
    assert bench.wait(9.9) == b""
    assert bench.wait(0.1) == ENQ


def test_L1_06_the_peer_may_have_the_line_meanwhile() -> None:
    bench = asking()
    bench.feed(NAK)
    assert bench.feed(session()) == ACK * 6
    assert bench.whole == [RESULT]
    assert bench.wait(9.9) == b""
    assert bench.wait(0.1) == ENQ


@pytest.mark.parametrize(("answer", "reason"), [(NAK, "busy"), (b"", "unanswered")])
def test_after_six_enquiries_the_caller_decides(answer: bytes, reason: str) -> None:
    bench = asking()
    sent = b""
    for _ in range(6):
        sent += bench.feed(answer) + bench.wait(16.0)
    assert sent.count(ENQ) == 5
    assert failed(bench) == [SendFailure(reason)]
    assert bench.wait(100.0) == b""


def test_L1_07_the_host_yields_and_waits_20_seconds() -> None:
    bench = asking()
    assert bench.feed(ENQ) == b""
    assert bench.of(SendDelayed)[-1].reason is SendDelay.CONTENTION
    assert bench.wait(19.9) == b""
    assert bench.wait(0.1) == ENQ


def test_L1_07_the_host_answers_the_second_enq_and_has_its_turn_after_the_session() -> None:
    bench = asking()
    bench.feed(ENQ)
    bench.wait(1.0)
    assert bench.feed(session()) == ACK * 6 + ENQ
    assert bench.whole == [RESULT]


def test_L1_07_the_instrument_tries_again_after_one_second() -> None:
    bench = Bench(Role.INSTRUMENT)
    bench.send(RESULT)
    assert bench.feed(ENQ) == b""
    assert bench.wait(0.9) == b""
    assert bench.wait(0.1) == ENQ


def test_L1_07_contention_is_not_counted_as_refusal() -> None:
    bench = Bench(Role.INSTRUMENT)
    bench.send(RESULT)
    for _ in range(20):
        bench.feed(ENQ)
        assert bench.wait(1.0) == ENQ
    assert failed(bench) == []


def test_L1_07_a_busy_host_yields_too() -> None:
    bench = asking()
    bench.link.busy = True
    assert bench.feed(ENQ) == b""
    assert bench.wait(20.0) == ENQ


def test_L1_09_numbers_count_on_over_the_messages_of_a_session() -> None:
    bench = Bench(settings=LinkSettings(messages_per_session=2))
    bench.send(ORDER)
    bench.send(ORDER)
    bench.send(SHORT)
    sent = [bench.feed(ACK) for _ in range(9)]
    assert sent == [*blocks(ORDER), *blocks(ORDER, start=5), EOT + ENQ]
    assert bench.feed(ACK) == blocks(SHORT)[0]
    assert bench.of(MessageSent) == [MessageSent(records=ORDER)] * 2


def test_L1_09_numbers_wrap_from_7_to_0() -> None:
    bench = Bench()
    records = (b"H|\\^&", *(b"C|%d" % n for n in range(18)), b"L|1")
    bench.send(records)
    assert [bench.feed(ACK) for _ in range(21)] == [*blocks(records), EOT]


def test_by_default_each_message_has_its_own_session() -> None:
    bench = Bench()
    bench.send(SHORT)
    bench.send(SHORT)
    sent = [bench.feed(ACK) for _ in range(6)]
    assert sent == [*blocks(SHORT), EOT + ENQ, *blocks(SHORT), EOT]


def test_L1_10_long_records_are_cut_with_etb() -> None:
    bench = Bench()
    long = b"C|1|I|" + b"x" * 500
    bench.send((long,))
    text = long + b"\r"
    first = [bench.feed(ACK) for _ in range(4)]
    assert first == [
        block(1, text[:240], ETB),
        block(2, text[240:480], ETB),
        block(3, text[480:]),
        EOT,
    ]


def test_L1_11_each_record_starts_a_frame_or_all_are_one_stream() -> None:
    bench = asking(record_per_frame=False)
    assert bench.feed(ACK) == block(1, b"\r".join(ORDER) + b"\r")
    assert bench.feed(ACK) == EOT


@pytest.mark.parametrize("answer", [NAK, b"?", b"\x00?", ENQ])
def test_L1_18_what_is_no_ack_brings_the_same_frame_again(answer: bytes) -> None:
    bench = sending()
    assert bench.feed(answer) + bench.wait(0.2) == blocks(ORDER)[0]
    assert bench.feed(ACK) + bench.wait(0.2) == blocks(ORDER)[1]


def test_L1_18_a_burst_of_noise_is_one_bad_answer() -> None:
    bench = sending()
    assert bench.feed(b"?", b"??", b"\x80") == b""
    assert bench.wait(0.2) == blocks(ORDER)[0]
    assert bench.wait(1.0) == b""


def test_L1_18_noise_before_the_real_answer_does_not_hide_it() -> None:
    bench = sending()
    assert bench.feed(b"?" + ACK) == blocks(ORDER)[1]
    assert bench.wait(1.0) == b""
    assert bench.of(Noise) == [Noise(data=b"?", where="instead of a reply")]


def test_a_doubled_ack_does_not_answer_the_next_frame() -> None:
    bench = sending()
    assert bench.feed(ACK + ACK) == blocks(ORDER)[1]
    assert bench.of(Noise) == [Noise(data=ACK, where="before it was asked for")]
    assert bench.feed(NAK + ACK) == blocks(ORDER)[1]


def test_a_frame_repeated_because_of_noise_may_get_two_acks() -> None:
    bench = sending()
    bench.feed(b"?")
    assert bench.wait(0.2) == blocks(ORDER)[0]
    assert bench.feed(ACK) + bench.wait(0.1) + bench.feed(ACK) == b""
    assert bench.wait(0.15) == blocks(ORDER)[1]
    assert bench.feed(ACK) == blocks(ORDER)[2]


def test_line_ends_after_an_answer_mean_nothing() -> None:
    bench = sending()
    assert bench.feed(ACK + b"\r\n") == blocks(ORDER)[1]
    assert bench.wait(1.0) == b""


def test_L1_19_after_six_sends_the_message_is_given_up_and_handed_back() -> None:
    bench = sending()
    for _ in range(5):
        assert bench.feed(NAK) == blocks(ORDER)[0]
    assert bench.feed(NAK) == EOT
    assert bench.of(SendFailed) == [SendFailed(records=ORDER, reason=SendFailure.REFUSED)]


def test_L1_19_figure_a1_counts_seven() -> None:
    bench = sending(sends_max=7)
    for _ in range(6):
        assert bench.feed(NAK) == blocks(ORDER)[0]
    assert bench.feed(NAK) == EOT


def test_L1_19_each_frame_has_its_own_count() -> None:
    bench = sending()
    for made in blocks(ORDER)[:3]:
        for _ in range(5):
            assert bench.feed(NAK) == made
        bench.feed(ACK)
    assert failed(bench) == []


def test_L1_20_a_frame_unanswered_for_15_seconds_ends_the_session() -> None:
    bench = sending()
    assert bench.wait(14.9) == b""
    assert bench.wait(0.1) == EOT
    assert failed(bench) == [SendFailure.UNANSWERED]
    assert bench.link.state is State.NEUTRAL


def test_L1_20_the_timer_starts_with_the_last_character_on_a_slow_line() -> None:
    bench = sending(line_rate_bytes_s=1.0)
    line_s = len(blocks(ORDER)[0])
    assert bench.wait(line_s + 14.9) == b""
    assert bench.wait(0.1) == EOT


def test_L1_22_eot_as_a_reply_stops_us_for_15_seconds() -> None:
    bench = sending()
    assert bench.feed(EOT) == EOT
    assert failed(bench) == [SendFailure.INTERRUPTED]
    assert bench.send(ORDER) == b""
    assert bench.wait(14.9) == b""
    assert bench.wait(0.1) == ENQ


def test_L1_22_the_pause_ends_with_the_session_of_the_peer() -> None:
    bench = sending()
    bench.feed(EOT)
    bench.send(ORDER)
    assert bench.feed(session()) == ACK * 6 + ENQ


def test_L1_22_eot_to_the_last_frame_has_taken_the_message() -> None:
    bench = Bench()
    bench.send(SHORT)
    bench.feed(ACK, ACK)
    assert bench.feed(EOT) == EOT
    assert bench.of(MessageSent) == [MessageSent(records=SHORT)]
    assert bench.send(SHORT) == b""
    assert bench.wait(15.0) == ENQ


def test_L1_22_not_honoured_it_is_an_ack() -> None:
    bench = sending(honours_interrupt=False)
    assert bench.feed(EOT) == blocks(ORDER)[1]
    assert failed(bench) == []


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 10, 13, 16, 17, 18, 19, 20, 21, 22, 23])
def test_L1_25_line_control_characters_never_go_into_a_text(code: int) -> None:
    bench = Bench()
    with pytest.raises(LocalProtocolError, match="control character"):
        bench.link.send_message([b"C|1|I|a" + bytes([code]) + b"b"])
    assert bench.wait(1.0) == b""


def test_L1_27_a_link_that_cannot_send_never_enquires() -> None:
    bench = Bench(settings=LinkSettings(can_send=False))
    with pytest.raises(LocalProtocolError, match="cannot send"):
        bench.link.send_message(ORDER)


def test_an_empty_message_is_our_defect() -> None:
    with pytest.raises(LocalProtocolError, match="without records"):
        Bench().link.send_message(())


def test_the_queue_is_bounded() -> None:
    bench = Bench()
    for _ in range(1_000):
        bench.link.send_message(SHORT)
    with pytest.raises(LocalProtocolError, match="1000 messages wait"):
        bench.link.send_message(SHORT)


def test_nothing_is_sent_while_the_peer_has_the_line() -> None:
    bench = Bench()
    bench.feed(ENQ)
    assert bench.send(ORDER) == b""
    assert bench.feed(*blocks()) == ACK * 5
    assert bench.feed(EOT) == ENQ


def test_nothing_is_sent_into_the_middle_of_records_without_frames() -> None:
    bench = Bench()
    bench.feed(b"H|\\^&\rP|1\r")
    assert bench.send(ORDER) == b""
    assert bench.feed(b"L|1\r") == ENQ


@pytest.mark.parametrize("stage", [asking, sending])
def test_a_lost_link_hands_the_message_back_and_keeps_the_queue(stage: type) -> None:
    bench = stage()
    bench.send(SHORT)
    bench.lose()
    assert bench.of(SendFailed) == [SendFailed(records=ORDER, reason=SendFailure.LINK_LOST)]
    assert bench.link.data_to_send() == b""
    assert bench.wait(0) == ENQ
    assert bench.feed(ACK) == blocks(SHORT)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"text_limit_bytes": 0},
        {"text_limit_bytes": 63_994},
        {"sends_max": 0},
        {"messages_per_session": 0},
        {"enquiries_max": 0},
    ],
)
def test_settings_that_could_not_work_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        LinkSettings(**wrong)  # type: ignore[arg-type]
