"""One file or frame that holds several messages.

Messages travel alone, one after another in one frame, or in files with envelopes:

    [FHS [BHS MSH... MSH... BTS] [BHS MSH... BTS] FTS]

where either level of the envelope, and any trailer, may be missing. A message begins where a
line begins with MSH and ends where the next MSH or envelope line begins. Nothing is decoded
or changed: the pieces are the bytes that came, line ends included, and `outside` keeps every
byte that belongs to no message, so joining all pieces gives the input again.

A trailer may count: BTS-1 the messages of its batch, FTS-1 the batches of its file. A count
that does not fit is reported, never repaired: something was lost on the way, or added.

Beyond `LINE_COUNT_MAX` the rest stays in the last piece, which the reader then refuses for its
second MSH: bounded, and visible.
"""

import re
from dataclasses import dataclass
from itertools import islice

__all__ = ["Batch", "CountFault", "read_batch", "split_messages", "stray_segments"]

LINE_COUNT_MAX = 20_000  # headers and trailers of one input; a hospital's day is about 1,000

# A byte that no separator can be must not follow, or `MSHX` in a comment would begin a message.
_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]))(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9 \t])")
# A faster first look that finds the same lines and more: beginning with a byte that must be there.
_MORE_LINES = re.compile(rb"[\r\n](?:MSH|FHS|BHS|BTS|FTS)")
_ENVELOPES = (b"FHS", b"BHS", b"BTS", b"FTS")
_BLANKS = bytes(range(0x21)) + b"\xef\xbb\xbf"  # padding, line ends, a byte order mark
_DIGITS = re.compile(rb"\s*([0-9]{1,9})\s*")
_LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CountFault:
    """A trailer promised another number of parts than came."""

    trailer: str
    declared: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The parts of one input, in order."""

    messages: tuple[bytes, ...]
    outside: tuple[bytes, ...]
    count_faults: tuple[CountFault, ...]


def split_messages(raw: bytes) -> tuple[bytes, ...]:
    """One payload per message; input without any MSH comes back whole, to be refused by name."""
    if raw.startswith(b"MSH") and not _MORE_LINES.search(raw, 1):
        return (raw,)  # nearly every payload: one message and nothing around it
    messages = read_batch(raw).messages
    return messages or (raw,)


def stray_segments(raw: bytes) -> bytes:
    """What stands beside the messages and is no envelope: a message, perhaps, whose own MSH was damaged.

    Without a message in the input there is nothing beside it, and b"" comes back.
    """
    if raw.startswith(b"MSH") and not _MORE_LINES.search(raw, 1):
        return b""
    batch = read_batch(raw)
    found = (piece for piece in batch.outside if batch.messages and _has_stray_line(piece))
    return b"".join(found)


def _has_stray_line(piece: bytes) -> bool:
    lines = _LINE_END.split(piece)
    return any(
        line.strip(_BLANKS) and not line.lstrip(_BLANKS).startswith(_ENVELOPES) for line in lines
    )


def read_batch(raw: bytes) -> Batch:
    """Messages, what stood around them, and trailers whose counts do not fit."""
    found = islice(_LINE.finditer(raw), LINE_COUNT_MAX)
    starts = [(match.start(), match[1]) for match in found]
    ends = [position for position, _ in starts[1:]] + [len(raw)]
    parts = [(name, raw[a:b]) for (a, name), b in zip(starts, ends, strict=False)]
    before = raw[: starts[0][0]] if starts else raw
    outside = [before] if before else []
    return Batch(
        messages=tuple(part for name, part in parts if name == b"MSH"),
        outside=(*outside, *(part for name, part in parts if name != b"MSH")),
        count_faults=_count_faults(parts),
    )


def _count_faults(parts: list[tuple[bytes, bytes]]) -> tuple[CountFault, ...]:
    faults = []
    messages = batches = 0
    for name, part in parts:
        if name == b"MSH":
            messages += 1
        elif name == b"BHS":
            messages, batches = 0, batches + 1
        elif name == b"FHS":
            messages = batches = 0
        else:
            # Without BHS lines some senders count messages in FTS-1, others one batch: no judgement.
            counted = messages if name == b"BTS" else batches
            is_countable = name == b"BTS" or batches > 0
            declared = _declared_count(part)
            if is_countable and declared is not None and declared != counted:
                faults.append(
                    CountFault(trailer=name.decode("ascii"), declared=declared, counted=counted)
                )
    return tuple(faults)


def _declared_count(trailer: bytes) -> int | None:
    line = _LINE_END.split(trailer, maxsplit=1)[0]
    fields = line.split(line[3:4]) if len(line) > 3 else []
    match = _DIGITS.fullmatch(fields[1]) if len(fields) > 1 else None
    return int(match[1]) if match else None
