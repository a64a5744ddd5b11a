"""Records without frames: some analyzers send plain lines, and most files hold nothing else.

    H|\\^&|||Sender CR  P|1 CR  O|1|... CR  R|1|... CR  L|1|N CR

Lines end with CR, LF or both. A message begins with a line H and two signs, which also names its
field delimiter, and ends with its L line. What stands before the first line that looks like a
record (a comment, a blank line) is no record.

A line that does not begin like a record - a letter and the field delimiter, or a lone record
letter - continues the record before it: Celltak MEK-1305 breaks base64 inside a field. The line end
stays in the record, so that a number broken in two does not become another number.

In files a stray frame number may be left before the H (a Vital Selectra capture has one).
"""

import re
from functools import lru_cache
from itertools import pairwise

__all__ = ["HEADER_START", "is_unframed_end", "split_unframed"]

_SIGN = rb"[!-/:-@\[-`{-~]"
HEADER_START = re.compile(rb"(?:\A|(?<=[\r\n]))[0-7]?(?=[Hh]" + _SIGN + _SIGN + rb")")
_LINE_END = re.compile(rb"[\r\n]")


def split_unframed(raw: bytes) -> list[list[bytes]]:
    """The records of each message; a message is never empty."""
    starts = [match.start() for match in HEADER_START.finditer(raw)]
    bounds = [0, *starts, len(raw)]
    chunks = (raw[a:b] for a, b in pairwise(bounds) if a < b)
    return [message for chunk in chunks for message in _messages(chunk)]


def is_unframed_end(line: bytes, mark: bytes) -> bool:
    """Whether the line is an L record."""
    return line[:1] in {b"L", b"l"} and (line[1:2] == mark or not line[1:].strip())


def _messages(chunk: bytes) -> list[list[bytes]]:
    """Messages of a chunk that holds at most one H, at its beginning."""
    header = HEADER_START.match(chunk)
    mark = chunk[header.end() + 1 : header.end() + 2] if header else b"|"
    starts = [match.end() for match in _record_start(mark).finditer(chunk)]
    if header is not None and starts[:1] != [header.end()]:
        starts.insert(0, header.end())
    messages: list[list[bytes]] = [[]]
    for begin, stop in pairwise([*starts, len(chunk)]):
        record = chunk[begin:stop].rstrip(b"\r\n\0")
        line = _LINE_END.split(record, maxsplit=1)[0]
        if is_unframed_end(line, mark):
            messages[-1].append(line)
            messages.append([])
        else:
            messages[-1].append(record)
    return [message for message in messages if message]


@lru_cache(maxsize=64)
def _record_start(mark: bytes) -> re.Pattern[bytes]:
    """The place where a record begins: right after a line end."""
    known = rb"[HPORCLMQShporclmqs][ \t]*(?:[\r\n]|\Z)"
    return re.compile(rb"(?:\A|(?<=[\r\n]))(?=[A-Za-z]" + re.escape(mark) + rb"|" + known + rb")")
