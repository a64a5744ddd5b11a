"""The records in framed bytes that were accepted, cut when somebody asks for them.

A message is held once, as its frames exactly as received: of a frame of 64 kB with small records, the records as
objects of their own would need two and a half times as much again.
"""

import re
from collections.abc import Iterable, Iterator

from lis.wire.astm_frame import CR, ETX

__all__ = ["BLANK", "FRAME", "records_in", "records_of_frames"]

FRAME = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2})\r?\n?|[\x04\x05]")
BLANK = b"\r\n\0 "  # after the last CR of a text it is no record
_ENDED = re.compile(rb"([^\r]+)\r")


def records_in(raw: bytes) -> Iterator[bytes]:
    """The whole records in frames, one by one, without CR. A record that never ended is none."""
    return records_of_frames(FRAME.finditer(raw))


def records_of_frames(frames: Iterable[re.Match[bytes]]) -> Iterator[bytes]:
    """The same of frames already found; between sessions a record does not go on."""
    carried: list[bytes] = []
    for match in frames:
        if match[1] is None:
            carried.clear()
            continue
        raw, (begin, stop) = match.string, match.span(2)
        last_end = raw.rfind(CR, begin, stop)
        if not carried and last_end == stop - 1 and raw.find(CR, begin, stop) == last_end:
            if record := raw[begin:last_end].strip(b"\n"):  # the standard's way: one in one frame
                yield record
            continue
        if carried and last_end >= 0:
            end = raw.find(CR, begin, stop)
            yield from _whole(carried, raw[begin:end])
            begin = end + 1
        if last_end >= begin:
            for ended in _ENDED.finditer(raw, begin, last_end + 1):
                if record := ended[1].strip(b"\n"):
                    yield record
            begin = last_end + 1
        if begin < stop:
            carried.append(raw[begin:stop])
        if match[3] == ETX and carried:
            (record,) = _whole(carried, b"") or (b"",)
            if record.strip(BLANK):
                yield record


def _whole(carried: list[bytes], end: bytes) -> tuple[bytes, ...]:
    """The record of these pieces, which are forgotten; none if it is empty."""
    record = b"".join([*carried, end]).strip(b"\n")
    carried.clear()
    return (record,) if record else ()
