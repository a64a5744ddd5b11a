"""Slips on a line: blocks whatever the cutting, and texts taken apart to the last character."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.printout import (
    BLOCK_LIMIT_BYTES,
    HALF_BLOCK_TIMEOUT_S,
    BlockCut,
    BlockReceived,
    Event,
    NoiseReceived,
    Printout,
    PrintoutFramer,
    PrintoutLayout,
    block_of,
    blocks_in,
    is_printout,
    text_in,
)

LAYOUT = PrintoutLayout(head=r"ID (\w*)", row=r"([A-Z][a-z]?)\s+(\d+)\s+(mmol/L)")
BLOCK = block_of(b"ID 17 Na 141 mmol/L")
TEXTS = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\x02\x03"))


def received(pieces: list[bytes]) -> list[Event]:
    framer = PrintoutFramer()
    events = [event for piece in pieces for event in framer.receive_bytes(piece, 0.0)]
    return [*events, *framer.connection_lost()]


def blocks(events: list[Event]) -> list[bytes]:
    return [event.raw for event in events if isinstance(event, BlockReceived)]


@given(st.lists(TEXTS, max_size=5), st.lists(st.integers(0, 150), max_size=6))
def test_any_cutting_gives_the_same_blocks(texts: list[bytes], places: list[int]) -> None:
    stream = b"".join(block_of(text) for text in texts)
    cuts = sorted({0, len(stream), *(place for place in places if place < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(cuts)]

    assert blocks(received(pieces)) == [block_of(text) for text in texts]


@given(st.binary(max_size=200))
def test_any_bytes_give_events_and_no_exception(data: bytes) -> None:
    whole = received([data])
    single = received([data[place : place + 1] for place in range(len(data))])

    assert blocks(whole) == blocks(single)
    cut = [event for event in whole if isinstance(event, BlockCut)]
    assert cut == [event for event in single if isinstance(event, BlockCut)]


def test_a_new_block_ends_the_one_before_it() -> None:
    assert received([BLOCK[:9] + BLOCK]) == [
        BlockCut(BLOCK[:9], "a new block began"),
        BlockReceived(BLOCK),
    ]


def test_half_a_block_is_given_up_after_silence_and_not_before() -> None:
    framer = PrintoutFramer()
    assert framer.next_deadline() is None
    framer.receive_bytes(BLOCK[:5], 100.0)
    assert framer.next_deadline() == 100.0 + HALF_BLOCK_TIMEOUT_S
    assert framer.tick(100.0 + HALF_BLOCK_TIMEOUT_S - 0.1) == []
    assert framer.tick(100.0 + HALF_BLOCK_TIMEOUT_S) == [
        BlockCut(BLOCK[:5], "half a block, then silence")
    ]
    assert framer.receive_bytes(BLOCK, 200.0) == [BlockReceived(BLOCK)]


def test_a_block_without_end_is_bounded() -> None:
    events = received([b"\x02", *[b"9" * 4096] * 40, BLOCK])
    cut, *rest = [event for event in events if not isinstance(event, NoiseReceived)]

    assert cut == BlockCut(
        b"\x02" + b"9" * (BLOCK_LIMIT_BYTES - 1), f"a block over {BLOCK_LIMIT_BYTES} bytes"
    )
    assert rest == [BlockReceived(BLOCK)]


def test_line_ends_between_blocks_are_no_noise() -> None:
    assert received([BLOCK + b"\r\n\x00" + BLOCK]) == [BlockReceived(BLOCK)] * 2
    assert received([b"xyz" + BLOCK]) == [NoiseReceived(3, b"xyz"), BlockReceived(BLOCK)]


def test_a_block_is_told_from_a_frame() -> None:
    assert is_printout(BLOCK)
    assert is_printout(BLOCK + b"\r\n")
    assert not is_printout(b"\x021H|\\^&\r\x03E5\r\n")
    assert not is_printout(b"")
    assert blocks_in(b"x" + BLOCK + b"\r\n" + BLOCK) == (BLOCK, BLOCK)


@given(TEXTS)
def test_a_text_comes_out_of_its_block(text: bytes) -> None:
    assert text_in(block_of(text)) == text


# ------------------------------------------------------------------------- layouts


def test_a_text_is_taken_apart() -> None:
    assert LAYOUT.read("ID 17  Na 141 mmol/L\r\nK  4 mmol/L  ") == Printout(
        head=("17",), rows=(("Na", "141", "mmol/L"), ("K", "4", "mmol/L")), remnants=()
    )


@pytest.mark.parametrize(
    ("text", "remnants"),
    [
        ("ID 17 Na 141 mmol/L H K 4 mmol/L", ("H",)),
        ("ID 17 * Na 141 mmol/L", ("*",)),
        ("ID 17 Na 141 mmol/L Error 5", ("Error 5",)),
        ("ID 17 Na 14x mmol/L", ("Na 14x mmol/L",)),
        ("ID 17 Na 141 mmol/Lx", ("Na 141 mmol/Lx",)),
        ("ID 17 XNa 141 mmol/L", ("XNa 141 mmol/L",)),
    ],
)
def test_what_does_not_fit_is_named(text: str, remnants: tuple[str, ...]) -> None:
    printout = LAYOUT.read(text)
    assert printout is not None
    assert printout.remnants == remnants


def test_another_text_is_not_read_at_all() -> None:
    assert LAYOUT.read("Na 141 mmol/L") is None
    assert LAYOUT.read("") is None


def test_a_run_of_blanks_is_one_blank_however_long() -> None:
    layout = PrintoutLayout(head=r"ID (\w*)", row=r"(Na)\s+([<>]?\s*\d+)\s+(mmol/L)")
    wide = " " * (BLOCK_LIMIT_BYTES // 2)  # two patterns for blanks side by side would never end

    printout = layout.read(f"ID 17{wide}Na{wide}x")
    assert printout == Printout(head=("17",), rows=(), remnants=("Na x",))


@given(st.text(alphabet="ID 17Nak4mol/L*", max_size=60))
def test_no_character_is_lost(body: str) -> None:
    printout = LAYOUT.read("ID 17 " + body)
    assert printout is not None
    head = "".join(printout.head)
    rows = "".join(text for row in printout.rows for text in row)
    said = "ID" + head + rows + "".join(printout.remnants)
    assert sorted(said.replace(" ", "")) == sorted(("ID 17 " + body).replace(" ", ""))
