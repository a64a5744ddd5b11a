r"""Delimiters and escape sequences of ASTM records (LIS02-A2 5.4).

    H|\^&|          field |   repeat \   component ^   escape &

Rules of this file:
- The four delimiters are ASCII signs and different from each other. Headers that name none, or
  the same one twice, exist; then the usual four hold and `is_guess` says so.
- `unescape` never loses anything: what is no known sequence stays as it stands.
- `unescape(escape(text)) == text`, and `escape(text)` holds no delimiter and no control
  character, whatever a person typed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from lis.wire.errors import LocalProtocolError

__all__ = ["DEFAULT_DELIMITERS", "Delimiters", "check_charset", "cut", "escape", "unescape"]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters 2 to 5 of a header. `escape` is empty if the header names none."""

    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"
    is_guess: bool = False

    def __post_init__(self) -> None:
        marks = self.field + self.repeat + self.component + self.escape
        if not 3 <= len(marks) == len(set(marks)) or not _can_delimit(marks):
            raise LocalProtocolError(f"delimiters {marks!r}, expected 3 or 4 different signs")

    @classmethod
    def from_header(cls, record: bytes) -> Self:
        r"""Read `H|\^&`. A header that makes no sense gives the usual four, marked as a guess."""
        head = record[:16].decode("latin-1")
        field = head[1:2]
        named = head[2:].split(field, 1)[0] if field else ""
        if named.startswith("\\\\") and len(named) == 4:
            named = named[1:]  # a backslash doubled by the storage of a file (Yumizen capture)
        marks = field + named[:3]
        if 3 <= len(marks) == len(set(marks)) and len(named) <= 4 and _can_delimit(marks):
            return cls(field, named[0], named[1], named[2:3])
        if field in {"", "\\", "^", "&"} or not _can_delimit(field):
            field = "|"
        return cls(field=field, is_guess=True)

    def to_text(self) -> str:
        """H.2 as we send it."""
        return self.repeat + self.component + self.escape


def _can_delimit(marks: str) -> bool:
    """ASCII signs only: no letter, digit, blank or control character (5.4)."""
    return all("!" <= mark <= "~" and not mark.isalnum() for mark in marks)


DEFAULT_DELIMITERS = Delimiters()


@lru_cache(maxsize=64)
def _sequences(delimiters: Delimiters) -> re.Pattern[str]:
    """One escape sequence. `&|&` (a delimiter between escapes) is Beckman Coulter's own form."""
    mark = re.escape(delimiters.escape)
    own = re.escape(delimiters.field + delimiters.repeat + delimiters.component + delimiters.escape)
    return re.compile(f"{mark}([HNFSRE]|X[0-9A-Fa-f]*|[{own}]){mark}")


@lru_cache(maxsize=64)
def _meanings(delimiters: Delimiters) -> dict[str, str]:
    d = delimiters
    meanings = {"F": d.field, "R": d.repeat, "S": d.component, "E": d.escape}
    meanings |= {"H": "", "N": ""}  # highlighting on and off: not part of a value
    return meanings | {mark: mark for mark in (d.field, d.repeat, d.component, d.escape)}


def unescape(text: str, delimiters: Delimiters, charset: str = "latin-1") -> str:
    """Resolve escape sequences. What is none, or is a maker's own (`&Z..&`), stays as it is."""
    if not delimiters.escape or delimiters.escape not in text:
        return text
    meanings = _meanings(delimiters)

    def resolve(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "X" and code not in meanings:
            return _from_hex(code[1:], charset) or match[0]
        return meanings[code]

    return _sequences(delimiters).sub(resolve, text)


def _from_hex(digits: str, charset: str) -> str:
    if len(digits) % 2:
        return ""
    try:
        return bytes.fromhex(digits).decode(charset)
    except UnicodeDecodeError:
        return ""


@lru_cache(maxsize=64)
def _screen(delimiters: Delimiters) -> dict[int, str]:
    d = delimiters
    blank = not d.escape
    table = {code: " " if blank else f"{d.escape}X{code:02X}{d.escape}" for code in _CONTROLS}
    named = {d.field: "F", d.repeat: "R", d.component: "S", d.escape: "E"}
    for mark, letter in named.items():
        if mark:
            table[ord(mark)] = " " if blank else d.escape + letter + d.escape
    return table


# Everything below the blank but TAB, and DEL: CR would forge a record, the others the line.
_CONTROLS = (*range(0x09), *range(0x0A, 0x20), 0x7F)


def escape(text: str, delimiters: Delimiters = DEFAULT_DELIMITERS) -> str:
    """Text that cannot be mistaken for structure.

    Without an escape delimiter (Immulite) there is no way to write such a character: it becomes
    a blank. With one, `unescape(escape(text)) == text` for every text.
    """
    return text.translate(_screen(delimiters))


def cut(text: str, mark: str, delimiters: Delimiters) -> list[str]:
    """Split at `mark`, but not inside a maker's `&|&`, which hides a delimiter in plain sight."""
    guard = delimiters.escape
    if not guard or guard + mark + guard not in text:
        return text.split(mark)
    pieces, begin = [], 0
    for found in _marks(delimiters, mark).finditer(text):
        if found[0] == mark:
            pieces.append(text[begin : found.start()])
            begin = found.end()
    return [*pieces, text[begin:]]


@lru_cache(maxsize=64)
def _marks(delimiters: Delimiters, mark: str) -> re.Pattern[str]:
    """One escape sequence, which hides what is in it, or the delimiter: each text is searched once."""
    return re.compile(f"{_sequences(delimiters).pattern}|{re.escape(mark)}")


@lru_cache(maxsize=64)
def check_charset(charset: str) -> None:
    """Raise LocalProtocolError unless ASCII text looks the same in `charset`.

    Delimiters, CR and the line control characters are bytes to the link; a charset that writes
    them otherwise (UTF-16, EBCDIC) or that shifts (ISO-2022) could forge them.
    """
    ascii_text = "".join(chr(code) for code in range(0x20, 0x7F)) + "\r"
    try:
        is_superset = ascii_text.encode(charset) == ascii_text.encode("ascii")
    except (LookupError, UnicodeError):
        is_superset = False
    if not is_superset or charset.lower().replace("_", "-").startswith(("iso-2022", "iso2022")):
        raise LocalProtocolError(f"charset {charset!r}, expected one that contains ASCII")
