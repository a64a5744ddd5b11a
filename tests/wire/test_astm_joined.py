"""Two links joined by a wire that may do what wires do."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_link import (
    AstmLink,
    Event,
    FrameReceived,
    LinkSettings,
    MessageSent,
    Role,
    SendFailed,
    SendFailure,
    SessionEnded,
)
from tests.wire.astm_harness import ACK, RESULT

ORDER = (b"H|\\^&|||LIS", b"P|1", b"O|1|4711||^^^413|R", b"L|1|N")
Wire = Callable[[bytes], bytes]


class Pair:
    """An instrument and a host; `to_host` and `to_instrument` may damage what passes."""

    def __init__(
        self,
        to_host: Wire = bytes,
        to_instrument: Wire = bytes,
        settings: LinkSettings | None = None,
    ) -> None:
        self.now = 0.0
        self.host = AstmLink(Role.HOST, settings)
        self.instrument = AstmLink(Role.INSTRUMENT, settings)
        self.wires = {id(self.host): to_host, id(self.instrument): to_instrument}
        self.heard: dict[int, list[Event]] = {id(self.host): [], id(self.instrument): []}

    def run(self, seconds: float = 300.0) -> None:
        """Let both talk until nothing is left to do, or the time is over."""
        end = self.now + seconds
        for _ in range(5_000):
            if self._pass(self.host, self.instrument) | self._pass(self.instrument, self.host):
                continue
            deadlines = (self.host.next_deadline(), self.instrument.next_deadline())
            known = [deadline for deadline in deadlines if deadline is not None]
            if not known or min(known) > end:
                return
            self.now = max(self.now, min(known))
            for link in (self.host, self.instrument):
                self._listen(link, link.tick(self.now))
        raise AssertionError("the two never come to rest")

    def _pass(self, sender: AstmLink, receiver: AstmLink) -> bool:
        data = sender.data_to_send()
        if not data:
            return False
        passed = self.wires[id(receiver)](data)
        if passed:
            self._listen(receiver, receiver.receive_bytes(passed, self.now))
        return True

    def _listen(self, link: AstmLink, events: list[Event]) -> None:
        for event in events:
            self.heard[id(link)].append(event)
            if isinstance(event, FrameReceived):
                link.accept(self.now)

    def delivered(self, link: AstmLink) -> list[tuple[bytes, ...]]:
        received = (event for event in self.heard[id(link)] if isinstance(event, FrameReceived))
        return [message.records for event in received for message in event.messages]

    def of(self, link: AstmLink, kind: type) -> list:
        return [event for event in self.heard[id(link)] if isinstance(event, kind)]


class Once:
    """A wire that does something to the n-th block of bytes, once."""

    def __init__(self, n: int, change: Wire) -> None:
        self.left = n
        self.change = change

    def __call__(self, data: bytes) -> bytes:
        self.left -= 1
        return self.change(data) if self.left == 0 else data


def test_a_result_goes_up_and_an_order_comes_down() -> None:
    pair = Pair()
    pair.instrument.send_message(RESULT)
    pair.run()
    pair.host.send_message(ORDER)
    pair.run()
    assert pair.delivered(pair.host) == [RESULT]
    assert pair.delivered(pair.instrument) == [ORDER]
    assert pair.now < 1.0


def test_in_contention_the_instrument_goes_first_and_both_arrive() -> None:
    pair = Pair()
    pair.host.send_message(ORDER, 0.0)
    pair.instrument.send_message(RESULT, 0.0)
    pair.run()
    assert pair.delivered(pair.host) == [RESULT]
    assert pair.delivered(pair.instrument) == [ORDER]
    assert pair.now == pytest.approx(1.0)


@pytest.mark.parametrize("n", range(2, 7))
def test_a_bad_checksum_is_sent_again_and_delivered_once(n: int) -> None:
    damage = Once(n, lambda data: data.replace(b"|", b"!", 1))
    pair = Pair(to_host=damage)
    pair.instrument.send_message(RESULT)
    pair.run()
    assert damage.left <= 0
    assert pair.delivered(pair.host) == [RESULT]
    assert pair.of(pair.instrument, MessageSent) == [MessageSent(records=RESULT)]


@pytest.mark.parametrize("n", range(2, 7))
def test_a_damaged_ack_brings_the_frame_again_and_it_is_delivered_once(n: int) -> None:
    pair = Pair(to_instrument=Once(n, lambda _: b"\x46"))
    pair.instrument.send_message(RESULT)
    pair.run()
    assert pair.delivered(pair.host) == [RESULT]
    assert pair.of(pair.instrument, MessageSent) == [MessageSent(records=RESULT)]


@pytest.mark.parametrize("n", range(2, 7))
def test_a_lost_ack_ends_the_session_and_the_repeat_is_harmless(n: int) -> None:
    pair = Pair(to_instrument=Once(n, lambda _: b""))
    pair.instrument.send_message(RESULT)
    pair.run()
    assert [event.reason for event in pair.of(pair.instrument, SendFailed)] == [
        SendFailure.UNANSWERED
    ]
    pair.instrument.send_message(RESULT)
    pair.run()
    assert set(pair.delivered(pair.host)) == {RESULT}
    assert len(pair.delivered(pair.host)) == (2 if n == 6 else 1)


def test_a_lost_frame_ends_the_session_with_evidence() -> None:
    pair = Pair(to_host=Once(4, lambda _: b""))
    pair.instrument.send_message(RESULT)
    pair.run()
    ended = pair.of(pair.host, SessionEnded)[0]
    assert ended.incomplete is not None
    assert ended.incomplete.records == RESULT[:2]
    assert pair.delivered(pair.host) == []


def test_a_line_that_damages_everything_gives_up_after_six_sends() -> None:
    pair = Pair(to_host=lambda data: data.replace(b"|", b"!"))
    pair.instrument.send_message(RESULT)
    pair.run()
    assert [event.reason for event in pair.of(pair.instrument, SendFailed)] == [SendFailure.REFUSED]
    assert pair.delivered(pair.host) == []


def test_an_urgent_order_interrupts_a_long_upload() -> None:
    upload = (RESULT[0], *(b"C|%d|I|x" % n for n in range(50)), RESULT[-1])
    pair = Pair()
    pair.instrument.send_message(upload, 0.0)
    pair.host.receive_bytes(pair.instrument.data_to_send(), 0.0)
    pair.host.interrupt()
    pair.host.send_message(ORDER)
    pair.run()
    assert [event.reason for event in pair.of(pair.instrument, SendFailed)] == [
        SendFailure.INTERRUPTED
    ]
    assert pair.delivered(pair.instrument) == [ORDER]


@pytest.mark.parametrize("stream", [True, False])
def test_long_messages_in_both_framings(*, stream: bool) -> None:
    pair = Pair(settings=LinkSettings(record_per_frame=not stream))
    image = (RESULT[0], b"M|1|" + b"QUJD" * 7_000, *RESULT[1:])
    pair.instrument.send_message(image)
    pair.run()
    assert pair.delivered(pair.host) == [image]


@pytest.mark.parametrize("value", [0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x0D, 0x15, 0x17, 0x31])
def test_wherever_a_byte_becomes_a_control_character_no_message_is_believed_lost(
    value: int,
) -> None:
    for n in range(2, 7):
        for place in range(30):
            pair = Pair(to_host=Once(n, lambda data, at=place: becoming(data, at, value)))
            for _ in range(3):
                if not pair.of(pair.instrument, MessageSent):
                    pair.instrument.send_message(RESULT)
                    pair.run()
            assert pair.of(pair.instrument, MessageSent)
            assert RESULT in pair.delivered(pair.host), (n, place)


def becoming(data: bytes, place: int, value: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([value]) + data[place + 1 :]


def damaging(rolls: list[int]) -> Wire:
    """A wire that now and then drops, doubles or damages, as the rolls say."""
    left = list(rolls)

    def wire(data: bytes) -> bytes:
        roll = left.pop() if left else 255
        if roll < 20:
            return b""
        if roll < 40 and len(data) == 1:
            return data + data  # an answer; a line that doubles frames does not exist
        if roll < 60:
            place = roll % len(data)
            return data[:place] + bytes([data[place] ^ 0x08]) + data[place + 1 :]
        if roll < 70:
            return data[: len(data) // 2]
        return b"\xff" + data if roll < 80 else data

    return wire


@given(st.lists(st.integers(0, 255), max_size=40), st.lists(st.integers(0, 255), max_size=40))
def test_on_any_wire_only_what_was_sent_is_delivered(up: list[int], down: list[int]) -> None:
    """It may come twice (the repeat is the caller's), never changed, never in part.

    And what the sender believes to have arrived is there.
    """
    pair = Pair(to_host=damaging(up), to_instrument=damaging(down))
    for _ in range(6):
        if pair.of(pair.instrument, MessageSent):
            break
        pair.instrument.send_message(RESULT)
        pair.run()
    received = pair.of(pair.host, FrameReceived)
    whole = [item for event in received for item in event.messages if item.complete]
    assert {message.records for message in whole} <= {RESULT}
    assert whole or not pair.of(pair.instrument, MessageSent)


def test_the_answer_to_enq_is_the_only_thing_sent_unasked() -> None:
    pair = Pair()
    pair.instrument.send_message(RESULT, 0.0)
    assert pair.host.receive_bytes(pair.instrument.data_to_send(), 0.0)
    assert pair.host.data_to_send() == ACK
