"""What must hold for the receiving link whatever comes, however it is cut; and the corpus."""

import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lis.wire.astm_assembly import decode_messages, decode_raw
from lis.wire.astm_link import (
    AstmMessage,
    Event,
    FrameReceived,
    LinkSettings,
    Role,
    SessionEnded,
)
from lis.wire.astm_unframed import split_unframed
from lis.wire.errors import ProtocolError
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

MULTI = b"\r".join((*RESULT, *RESULT)) + b"\r"

# Pieces that streams are made of, so that random streams reach every corner.
PIECE = st.sampled_from(
    [
        *(ENQ, EOT, ACK, NAK, STX, ETX, ETB, b"\r", b"\n", b"\x00", b"\xff", b"x", b"H", b"H|\\^&"),
        *(b"|", b"L|1|N\r", b"L", b"\rL|1\n", b"1", b"00\r\n", b"H|\\^&\r"),
        *blocks(),
        *blocks((b"H|\\^&", b"L|1")),
        block(1, MULTI),
        block(2, b"P|1|ha", ETB),
        block(3, b"lf\rO|1\r", ETB),
        block(1, b"H|\\^&\rL|1\rH|\\", ETB),
        block(2, b"^&\rL|1\rQ|1\r"),
        block(1, RESULT[0] + b"\r", tail=b"\r"),
        block(2, b"P|1\r", tail=b"\n"),
        block(2, b"L|1"),
        b"\r".join(RESULT) + b"\r",
        session((b"H|\\^&", b"L|1")),
    ]
)
STREAM = st.lists(PIECE, max_size=12).map(b"".join) | st.binary(max_size=80)


def told(stream: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    """All events and answers for a stream cut at these places."""
    bench = Bench()
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    answers = bench.feed(*(stream[a:b] for a, b in pairwise(places)))
    answers += bench.wait(1.0)
    answers += bench.wait(60.0)
    bench.lose()
    return bench.story(), answers


@given(STREAM, st.lists(st.integers(0, 10_000), max_size=10))
def test_any_cutting_of_the_stream_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert told(stream, cuts) == told(stream, [])


@given(STREAM)
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    assert told(stream, list(range(len(stream)))) == told(stream, [])


@given(STREAM)
def test_kept_bytes_give_the_delivered_records_again(stream: bytes) -> None:
    events, _ = told(stream, [])
    messages: list[AstmMessage] = []
    for event in events:
        if isinstance(event, FrameReceived):
            messages += event.messages
        elif isinstance(event, SessionEnded) and event.incomplete and STX in event.incomplete.raw:
            messages.append(event.incomplete)
    for message in messages:
        assert decode_raw(message.raw) == message.records


def accepted(events: list[Event]) -> Iterator[bytes]:
    """The bytes of each session that were handed over."""
    raw = b""
    for event in events:
        if isinstance(event, FrameReceived) and event.is_framed:
            raw += event.raw
        elif isinstance(event, FrameReceived):
            yield event.raw
        elif isinstance(event, SessionEnded):
            yield raw
            raw = b""
    yield raw


@given(STREAM)
def test_frames_delivered_are_accounted_for(stream: bytes) -> None:
    """Every record of every accepted frame is in a message, or in the evidence."""
    events, _ = told(stream, [])
    received = [event for event in events if isinstance(event, FrameReceived)]
    records = [record for raw in accepted(events) for record in decode_raw(raw)]
    messages = [message for event in received for message in event.messages]
    ended = [event.incomplete for event in events if isinstance(event, SessionEnded)]
    cut = [item for item in ended if item is not None and (STX in item.raw or not item.raw)]
    found = [record for item in messages + cut for record in item.records]
    assert sorted(found) == sorted(records)


@given(STREAM, st.lists(st.binary(max_size=10), max_size=3))
def test_whatever_comes_and_whoever_sends_only_events_come_out(
    stream: bytes, later: list[bytes]
) -> None:
    bench = Bench(Role.INSTRUMENT, LinkSettings(messages_per_session=3))
    bench.send(RESULT)
    bench.send(RESULT)
    for piece in [stream, *later]:
        bench.feed(piece)
        bench.wait(16.0)
    bench.wait(200.0)
    bench.lose()


@given(st.binary(max_size=200))
def test_decoding_any_bytes_raises_nothing_but_ours(raw: bytes) -> None:
    try:
        records = decode_raw(raw)
    except ProtocolError:
        return
    assert all(records)


def whole_in(stream: bytes) -> list[tuple[bytes, ...]]:
    bench = Bench()
    bench.feed(stream)
    bench.wait(1.0)
    bench.lose()
    return bench.whole


RECORD = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40).map(
    lambda text: b"R|1|" + text.encode("latin-1")
)


@given(
    st.lists(RECORD, max_size=5),
    st.sampled_from([20, 33, 240]),
    st.booleans(),
    st.integers(0, 10_000),
    st.integers(1, 255),
)
def test_one_damaged_byte_never_changes_a_delivered_record(
    records: list[bytes], limit: int, per_frame: bool, place: int, flip: int
) -> None:
    message = (b"H|\\^&", *records, b"L|1|N")
    texts = (
        [record + b"\r" for record in message]
        if per_frame
        else [b"".join(r + b"\r" for r in message)]
    )
    parts = []
    for text in texts:
        chunks = [text[n : n + limit] for n in range(0, len(text), limit)]
        parts += [(chunk, ETB) for chunk in chunks[:-1]] + [(chunks[-1], ETX)]
    stream = ENQ + b"".join(block((n + 1) % 8, *part) for n, part in enumerate(parts)) + EOT
    assert whole_in(stream) == [message]
    place %= len(stream)
    damaged = stream[:place] + bytes([stream[place] ^ flip]) + stream[place + 1 :]
    assert whole_in(damaged) in ([message], [])


@pytest.mark.parametrize("flip", [1, 2, 4, 8, 16, 32, 64, 128])
def test_every_single_bit_of_a_session(flip: int) -> None:
    """The peer goes on as if nothing had happened, which is worse than a real one."""
    for stream in (session(), ENQ + block(1, MULTI) + EOT):
        for place in range(len(stream)):
            damaged = stream[:place] + bytes([stream[place] ^ flip]) + stream[place + 1 :]
            assert set(whole_in(damaged)) <= {RESULT}, (place, flip)


# --- the corpus, through the link ---------------------------------------------------------------


def framed_files(corpus: Path) -> list[Path]:
    folder = corpus / "astm/senaite.astm"
    return [path for path in sorted(folder.glob("*.txt")) if path.name != "spotchem_el.txt"]


def as_sent(data: bytes) -> bytes:
    """The wire bytes of a stored session: its line feeds between frames are those of the frames."""
    return ENQ + data


@pytest.mark.parametrize("cutting", ["whole", "byte by byte", "random"])
def test_framed_captures_through_the_link(corpus: Path, cutting: str) -> None:
    for path in framed_files(corpus):
        data = path.read_bytes()
        expected = decode_messages(data)
        cuts = {
            "whole": [],
            "byte by byte": list(range(len(data) + 2)),
            "random": random.Random(path.name).sample(range(len(data)), 40),
        }[cutting]
        events, answers = told(as_sent(data), cuts)
        received = [event for event in events if isinstance(event, FrameReceived)]
        messages = [message for event in received for message in event.messages]
        assert [item.records for item in messages] == [item.records for item in expected]
        assert all(item.complete for item in messages), path.name
        assert answers == ACK * (len(received) + 1)


def test_L1_12_every_checksum_of_the_framed_captures_is_right(corpus: Path) -> None:
    for path in framed_files(corpus):
        frames = re.findall(rb"\x02([^\x02]*[\x03\x17])([0-9A-F]{2})[\r\n]", path.read_bytes())
        assert frames
        assert all(b"%02X" % (sum(body) % 256) == sent for body, sent in frames)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_unframed_captures_through_the_link(corpus: Path, end: bytes) -> None:
    files = [*(corpus / "astm/go-astm").rglob("*.astm"), *(corpus / "astm").glob("*lis2a/*.txt")]
    assert len(files) >= 6
    for path in files:
        records = decode_raw(path.read_bytes())
        stream = end.join(records) + end
        for cuts in ([], list(range(len(stream)))):
            events, _ = told(stream, cuts)
            received = [event for event in events if isinstance(event, FrameReceived)]
            assert [sum((m.records for m in event.messages), ()) for event in received] == [
                records
            ], path.name


def test_captures_survive_every_cut_of_the_line(corpus: Path) -> None:
    """Wherever the line breaks: a whole message or none, and the rest is evidence."""
    data = (corpus / "astm/senaite.astm/cobas_c111.txt").read_bytes()
    records = decode_raw(data)
    for place in range(len(data) + 1):
        whole = whole_in(ENQ + data[:place])
        assert whole in ([], [records])
    assert whole == [records]


# --- records without frames ---------------------------------------------------------------------


@given(st.binary(max_size=120))
@example(b"H|\\^&\nP|1\n\n#x\nL\n")
@example(b"x\r3H|\\^&\rP\r h\rL|1")
def test_plain_records_keep_every_byte_but_line_ends_around_them(raw: bytes) -> None:
    for message in split_unframed(raw):
        assert message
        assert all(record in raw for record in message)


def test_a_stray_frame_number_in_a_file_is_passed_over() -> None:
    assert decode_raw(b"1H|\\^&\rP|1\rL|1\r") == (b"H|\\^&", b"P|1", b"L|1")


def test_records_after_l_without_a_header_are_a_message_of_their_own() -> None:
    messages = decode_messages(b"H|\\^&\nL|1\nnothing\nO|1|x\n")
    assert [message.records for message in messages] == [(b"H|\\^&", b"L|1"), (b"O|1|x",)]
    assert [message.complete for message in messages] == [True, False]


def test_another_delimiter_than_the_usual_one() -> None:
    assert decode_raw(b"H!~^&\rP!1\rP|2\rL!1\r") == (b"H!~^&", b"P!1\rP|2", b"L!1")


# --- memory -------------------------------------------------------------------------------------


@settings(max_examples=5)
@given(st.integers(1, 4_000))
def test_a_slow_large_frame_is_searched_once(step: int) -> None:
    """64 kB in small pieces; a quadratic search would run into the time-out."""
    stream = ENQ + block(1, b"H|\\^&\rC|1|I|" + b"x" * 63_000 + b"\r") + block(2, b"L|1\r")
    bench = Bench()
    bench.feed(*(stream[n : n + step] for n in range(0, len(stream), step)))
    assert len(bench.whole) == 1


def test_an_image_in_seventy_thousand_frames() -> None:
    image = b"M|1|IMG|" + b"QUJD" * 250_000
    text = b"H|\\^&\r" + image + b"\rL|1\r"
    bench = Bench()
    bench.feed(ENQ)
    parts = [text[n : n + 240] for n in range(0, len(text), 240)]
    ends = [ETB] * (len(parts) - 1) + [ETX]
    for n, (part, end) in enumerate(zip(parts, ends, strict=True), start=1):
        bench.feed(block(n % 8, part, end))
    assert bench.whole == [(b"H|\\^&", image, b"L|1")]
