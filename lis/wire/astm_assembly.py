"""From frame texts to records and messages, and from kept bytes back to records.

Rules of this file:
- Texts are joined before they are cut: ETB ends a frame, not a record. CR ends a record; ETX ends
  one too, for the analyzers that forget the CR.
- A message runs from H to L and is finished in the very frame that carries its L, so that keeping
  it and acknowledging it are one step. An H while a message is open leaves that one incomplete.
- `plan` changes nothing; `commit` takes over what was planned. A frame that could not be kept
  leaves no trace and can come again.
- The bytes of a message are held once, its records not at all: they are cut from the bytes for whoever
  asks. The bytes grow in one buffer, which `BytesIO` hands out without a copy; what a plan wrote behind
  them does not count before its commit.
- `decode_raw` is the inverse: what was kept, framed or not, gives the same records again. It does
  not judge the checksums of accepted frames; the link did that before the bytes were kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain, pairwise

from lis.wire.astm_events import AstmMessage
from lis.wire.astm_frame import CR, ETB, ETX, Frame, checksum, framed
from lis.wire.astm_texts import BLANK, FRAME, records_of_frames
from lis.wire.astm_unframed import split_unframed

__all__ = ["Assembly", "Plan", "decode_messages", "decode_raw", "is_header"]

_HEADER = re.compile(rb"[Hh][!-/:-@\[-`{-~]")
_PLAIN_RECORD = re.compile(rb"[^HhLl\r\n][^\r\n]*\r")  # ends nothing, starts nothing
_EDGE = re.compile(rb"(?:\A|(?<=\r))\n*[HhLl]")  # where a message may begin or end
_CONTENT = re.compile(rb"[^\r\n]")


def is_header(record: bytes) -> bool:
    """Whether it begins like an H record: the letter and a delimiter."""
    return _HEADER.match(record) is not None


@dataclass(slots=True)
class _Open:
    """A message not ended yet. `parts` are the pieces of a record not ended yet."""

    parts: list[bytes]
    raw: BytesIO
    mark: bytes = b"|"
    has_record: bool = False
    has_header: bool = False  # it is the first record: a later one begins another message


@dataclass(slots=True)
class Plan:
    """What a frame would do. Without `rest` it adds to the open message; with it, that is next."""

    raw: bytes
    mark: bytes
    has_record: bool
    has_header: bool
    parts: tuple[bytes, ...] = ()
    has_cut: bool = True  # the text held the end of a record
    messages: tuple[AstmMessage, ...] = ()
    rest: _Open | None = None
    misses_cr: bool = False
    has_lf: bool = False
    headers: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Segment:
    """What one ended message has in a text: from where to where."""

    begin: int
    stop: int
    complete: bool


@dataclass(slots=True)
class _Cut:
    """A text shared out to messages. All but `ended` is about the one that stays open."""

    mark: bytes
    has_record: bool
    has_header: bool
    ended: list[_Segment] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)
    begin: int = 0
    tail: bytes = b""  # a record that goes on in the next frame
    misses_cr: bool = False

    def end(self, stop: int, *, complete: bool = False) -> None:
        """A message ends here, and the next begins."""
        self.ended.append(_Segment(self.begin, stop, complete))
        self.begin, self.has_record, self.has_header = stop, False, False


class Assembly:
    """Collects frame texts until messages are whole."""

    __slots__ = ("_open", "size_bytes")

    def __init__(self) -> None:
        self._open = _Open([], BytesIO())
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
        open_, text, is_last = self._open, frame.text, frame.is_last
        if not open_.parts and _PLAIN_RECORD.fullmatch(text) is not None:
            return Plan(
                raw, open_.mark, has_record=True, has_header=open_.has_header
            )  # the standard's way
        if not is_last and CR not in text:
            return Plan(raw, open_.mark, open_.has_record, open_.has_header, (text,), has_cut=False)
        carried = b"".join(open_.parts)
        cut = self._cut(carried + text, is_last=is_last)
        plan = Plan(raw, cut.mark, cut.has_record, cut.has_header)
        plan.parts = (cut.tail,) if cut.tail else ()
        plan.misses_cr = cut.misses_cr
        plan.has_lf = b"\n" in text
        plan.headers = tuple(cut.headers)
        if cut.ended:
            plan.messages, plan.rest = self._share(cut, carried, frame, raw)
        return plan

    def _cut(self, full: bytes, *, is_last: bool) -> _Cut:
        """Where messages end in a text. Only records that begin with H or L are looked at."""
        open_ = self._open
        cut = _Cut(open_.mark, open_.has_record, open_.has_header)
        stop = full.rfind(CR) + 1  # of the records that ended
        tail = full[stop:]
        cut.misses_cr = is_last and bool(tail.strip(BLANK))
        if cut.misses_cr:
            stop = len(full)
        seen = 0
        for edge in _EDGE.finditer(full, 0, stop):
            begin, end = edge.start(), full.find(CR, edge.end(), stop)
            position = end + 1 if end >= 0 else stop
            record = full[edge.end() - 1 : position].rstrip(b"\r").strip(b"\n")
            cut.has_record = cut.has_record or _CONTENT.search(full, seen, begin) is not None
            seen = begin
            if is_header(record):
                if cut.has_record:
                    cut.end(begin)
                cut.mark, cut.has_header = record[1:2], True
                cut.headers.append(record)
            elif record[:1] in b"Ll" and record[1:2] in {cut.mark, b""}:
                cut.end(position, complete=cut.has_header)
                seen = position
        cut.has_record = cut.has_record or _CONTENT.search(full, seen, stop) is not None
        if is_last:
            return cut
        cut.tail = tail
        if is_header(tail) and cut.has_record:
            cut.end(stop)
        return cut

    def _share(
        self, cut: _Cut, carried: bytes, frame: Frame, raw: bytes
    ) -> tuple[tuple[AstmMessage, ...], _Open]:
        """Give each message its part of the frame."""
        full = carried + frame.text
        is_done = not cut.has_record and not cut.tail.strip(BLANK)
        if is_done:
            cut.ended[-1].stop = len(full)  # blanks and line ends after an L are no message

        def part(begin: int, stop: int, mark: bytes) -> bytes:
            if stop - begin == len(frame.text) and stop == len(full):
                return raw
            own = full[begin:stop]
            return framed(frame.number, own, mark) if own else b""

        first, *others = cut.ended
        shared = part(min(len(carried), first.stop), first.stop, ETX)
        whole = self._write(shared).getvalue() if self.size_bytes else shared
        messages = [AstmMessage(raw=whole, complete=first.complete)]
        messages += [
            AstmMessage(raw=part(one.begin, one.stop, ETX), complete=one.complete) for one in others
        ]
        if is_done:
            return tuple(messages), _Open([], BytesIO())
        rest = _Open(
            [cut.tail] if cut.tail else [], BytesIO(), cut.mark, cut.has_record, cut.has_header
        )
        rest.raw.write(part(cut.begin, len(full), ETX if frame.is_last else ETB))
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
        self._write(plan.raw)
        open_.mark, open_.has_record, open_.has_header = plan.mark, plan.has_record, plan.has_header
        self.size_bytes += len(plan.raw)

    def take_incomplete(self) -> AstmMessage | None:
        """The open message as evidence: its whole records, all its bytes. Then start afresh."""
        raw = self._write(b"").getvalue()
        self._open = _Open([], BytesIO())
        self.size_bytes = 0
        return AstmMessage(raw=raw, complete=False) if raw else None


def _of_lines(records: list[bytes]) -> AstmMessage:
    first, last = records[0], records[-1]
    is_ended = last[:1] in {b"L", b"l"} and last[1:2] in {first[1:2], b""}
    return AstmMessage(
        raw=CR.join([*records, b""]),
        complete=is_header(first) and is_ended,
        lines=tuple(records),
    )


# ------------------------------------------------------------------------- kept bytes, files


def decode_raw(raw: bytes) -> tuple[bytes, ...]:
    """The records in kept bytes or in a file: frames, or lines. Nothing recognised gives ()."""
    if _is_framed(raw):
        return tuple(records_of_frames(_kept(FRAME.finditer(raw))))
    return tuple(record for records in split_unframed(raw) for record in records)


def decode_messages(raw: bytes) -> tuple[AstmMessage, ...]:
    """The same, message by message. What stands between frames is passed over."""
    if _is_framed(raw):
        return tuple(_framed_messages(_kept(FRAME.finditer(raw))))
    return tuple(_of_lines(records) for records in split_unframed(raw))


def _is_framed(raw: bytes) -> bool:
    return any(match[1] is not None for match in FRAME.finditer(raw))


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
