"""From frame texts to records and messages, and from kept bytes back to records.

Rules of this file:
- Texts are joined before they are cut: ETB ends a frame, not a record. CR ends a record; ETX ends
  one too, for the analyzers that forget the CR.
- A message runs from H to L and is finished in the very frame that carries its L, so that keeping
  it and acknowledging it are one step. An H while a message is open leaves that one incomplete.
- `plan` changes nothing; `commit` takes over what was planned. A frame that could not be kept
  leaves no trace and can come again.
- The bytes of an open message are held once: they grow in one buffer, which `BytesIO` hands out without
  a copy. What a plan wrote behind them does not count before its commit. A list of frames joined at the
  end would need the size of the message twice, beside its records.
- `decode_raw` is the inverse: what was kept, framed or not, gives the same records again. It does
  not judge the checksums of accepted frames; the link did that before the bytes were kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, pairwise

from lis.wire.astm_events import AstmMessage
from lis.wire.astm_frame import CR, ETB, ETX, Frame, checksum, framed
from lis.wire.astm_unframed import split_unframed

__all__ = ["Assembly", "Plan", "decode_messages", "decode_raw", "is_header"]

_HEADER = re.compile(rb"[Hh][!-/:-@\[-`{-~]")
_FRAME = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2})\r?\n?|[\x04\x05]")
_PLAIN_RECORD = re.compile(rb"[^HhLl\r\n][^\r\n]*\r")  # ends nothing, starts nothing
_BLANK = b"\r\n\0 "


def is_header(record: bytes) -> bool:
    """Whether it begins like an H record: the letter and a delimiter."""
    return _HEADER.match(record) is not None


def _is_terminator(record: bytes, mark: bytes) -> bool:
    return record[:1] in {b"L", b"l"} and record[1:2] in {mark, b""}


@dataclass(slots=True)
class _Open:
    """A message not ended yet. `parts` are the pieces of a record not ended yet."""

    records: list[bytes]
    parts: list[bytes]
    raw: BytesIO
    mark: bytes = b"|"


@dataclass(slots=True)
class Plan:
    """What a frame would do. Without `rest` it adds to the open message; with it, that is next."""

    records: tuple[bytes, ...]
    raw: bytes
    mark: bytes
    parts: tuple[bytes, ...] = ()
    has_cut: bool = True  # the text held the end of a record
    messages: tuple[AstmMessage, ...] = ()
    rest: _Open | None = None
    misses_cr: bool = False
    has_lf: bool = False


@dataclass(slots=True)
class _Segment:
    """What one ended message has in a text: its records, and from where to where."""

    records: list[bytes]
    begin: int
    stop: int


@dataclass(slots=True)
class _Cut:
    """A text cut into records, and these shared out to messages."""

    ended: list[_Segment]
    left: list[bytes]  # records after the last end
    tail: bytes  # a record that goes on in the next frame
    begin: int  # where the part of the open message begins
    mark: bytes
    misses_cr: bool


class Assembly:
    """Collects frame texts until messages are whole."""

    __slots__ = ("_open", "size_bytes")

    def __init__(self) -> None:
        self._open = _Open([], [], BytesIO())
        self.size_bytes = 0  # of the raw bytes of the open message that count

    @property
    def is_inside_record(self) -> bool:
        """Whether the last frame was cut in the middle of a record."""
        return bool(self._open.parts)

    @property
    def mark(self) -> bytes:
        """The field delimiter of the open message."""
        return self._open.mark

    def plan(self, frame: Frame, raw: bytes) -> Plan:
        """What this frame, received as `raw`, would complete; nothing is changed yet."""
        text, open_ = frame.text, self._open
        is_plain = _PLAIN_RECORD.fullmatch(text) is not None
        if is_plain and not open_.parts:  # the standard's way: one record, one frame
            return Plan((text[:-1],), raw, open_.mark)
        if not frame.is_last and CR not in text:
            return Plan((), raw, open_.mark, (text,), has_cut=False)
        carried = b"".join(open_.parts)
        cut = self._cut(carried + text, is_last=frame.is_last)
        plan = Plan(tuple(cut.left), raw, cut.mark, (cut.tail,) if cut.tail else ())
        plan.misses_cr = cut.misses_cr
        plan.has_lf = b"\n" in text
        if cut.ended:
            plan.messages, plan.rest = self._share(cut, carried, frame, raw)
            ended = (record for segment in cut.ended for record in segment.records)
            plan.records = (*ended, *cut.left)
        return plan

    def _cut(self, full: bytes, *, is_last: bool) -> _Cut:
        pieces = full.split(CR)
        tail = pieces.pop()
        misses_cr = is_last and bool(tail.strip(_BLANK))
        if misses_cr:
            pieces.append(tail)
        if is_last:
            tail = b""
        cut = _Cut([], [], tail, 0, self._open.mark, misses_cr)
        is_open = bool(self._open.records)
        position = 0
        for piece in pieces:
            record = piece.strip(b"\n")
            if record[:1] in b"Hh" and is_header(record):
                if is_open or cut.left:
                    cut.ended.append(_Segment(cut.left, cut.begin, position))
                    cut.left, cut.begin, is_open = [], position, False
                cut.mark = record[1:2]
            position = min(position + len(piece) + 1, len(full))
            if record:
                cut.left.append(record)
                if record[:1] in b"Ll" and _is_terminator(record, cut.mark):
                    cut.ended.append(_Segment(cut.left, cut.begin, position))
                    cut.left, cut.begin, is_open = [], position, False
        if is_header(tail) and (is_open or cut.left):
            cut.ended.append(_Segment(cut.left, cut.begin, position))
            cut.left, cut.begin = [], position
        return cut

    def _share(
        self, cut: _Cut, carried: bytes, frame: Frame, raw: bytes
    ) -> tuple[tuple[AstmMessage, ...], _Open]:
        """Give each message its records and its part of the frame."""
        full = carried + frame.text
        is_done = not cut.left and not cut.tail.strip(_BLANK)
        if is_done:
            cut.ended[-1].stop = len(full)  # blanks and line ends after an L are no message

        def part(begin: int, stop: int, mark: bytes) -> bytes:
            own = full[begin:stop]
            if not own:
                return b""
            return raw if own == frame.text else framed(frame.number, own, mark)

        first, *others = cut.ended
        shared = part(min(len(carried), first.stop), first.stop, ETX)
        whole = self._write(shared).getvalue() if self.size_bytes else shared
        messages = [_message([*self._open.records, *first.records], whole)]
        messages += [
            _message(segment.records, part(segment.begin, segment.stop, ETX)) for segment in others
        ]
        if is_done:
            return tuple(messages), _Open([], [], BytesIO())
        rest_raw = part(cut.begin, len(full), ETX if frame.is_last else ETB)
        rest = _Open(cut.left, [cut.tail] if cut.tail else [], BytesIO(), cut.mark)
        rest.raw.write(rest_raw)
        return tuple(messages), rest

    def _write(self, raw: bytes) -> BytesIO:
        """The open message's bytes and these behind them; they count when `size_bytes` says so."""
        buffer = self._open.raw
        if buffer.tell() != self.size_bytes:  # a plan that was not committed
            buffer.seek(self.size_bytes)
            buffer.truncate()
        buffer.write(raw)
        return buffer

    def commit(self, plan: Plan) -> None:
        """Take over a plan made since the last commit."""
        open_ = self._open
        if plan.rest is not None:
            self._open = plan.rest
            self.size_bytes = plan.rest.raw.tell()
            return
        if plan.has_cut:
            open_.parts.clear()
        open_.parts += plan.parts
        open_.records += plan.records
        self._write(plan.raw)
        open_.mark = plan.mark
        self.size_bytes += len(plan.raw)

    def take_incomplete(self) -> AstmMessage | None:
        """The open message as evidence: its whole records, all its bytes. Then start afresh."""
        open_, raw = self._open, self._write(b"").getvalue()
        self._open = _Open([], [], BytesIO())
        self.size_bytes = 0
        return _message(open_.records, raw) if raw else None


def _message(records: list[bytes], raw: bytes) -> AstmMessage:
    is_whole = bool(records) and is_header(records[0])
    return AstmMessage(
        records=tuple(records),
        raw=raw,
        complete=is_whole and _is_terminator(records[-1], records[0][1:2]),
    )


# ------------------------------------------------------------------------- kept bytes, files


def decode_raw(raw: bytes) -> tuple[bytes, ...]:
    """The records in kept bytes or in a file: frames, or lines. Nothing recognised gives ()."""
    return tuple(record for message in decode_messages(raw) for record in message.records)


def decode_messages(raw: bytes) -> tuple[AstmMessage, ...]:
    """The same, message by message. What stands between frames is passed over."""
    found = _FRAME.finditer(raw)
    if any(match[1] is not None for match in found):
        return tuple(_framed_messages(_kept(_FRAME.finditer(raw))))
    return tuple(_message(records, CR.join([*records, b""])) for records in split_unframed(raw))


def _framed_messages(frames: Iterator[re.Match[bytes]]) -> Iterator[AstmMessage]:
    assembly = Assembly()
    for match in frames:
        number, text, end = match.group(1, 2, 3)
        if number is None:
            plan = None
        else:
            frame = Frame(number=int(number), text=text, is_last=end == ETX)
            plan = assembly.plan(frame, match[0])
            assembly.commit(plan)
            yield from plan.messages
        if plan is None and (cut := assembly.take_incomplete()) is not None:
            yield cut
    if (cut := assembly.take_incomplete()) is not None:
        yield cut


def _kept(matches: Iterator[re.Match[bytes]]) -> Iterator[re.Match[bytes]]:
    """Without what a receiver had refused or recognised as repeated, for captures of a line."""
    last: tuple[bytes, bytes] | None = None
    for match, follower in pairwise(chain(matches, (None,))):
        assert match is not None  # only the last one has nothing behind it
        if match[1] is None:
            last = None
            yield match
            continue
        is_sent_again = (
            follower is not None
            and follower[1] == match[1]
            and not _is_right(match)
            and _is_right(follower)
            and len(follower[2]) == len(match[2])
        )
        if not is_sent_again and last != (match[1], match[2]):
            last = (match[1], match[2])
            yield match


def _is_right(match: re.Match[bytes]) -> bool:
    number, text, end, sent = match.groups()
    return bool(checksum(number + text + end) == sent.upper())
