r"""Separators of a message, and what the escape sequences in its text mean.

MSH-1 and MSH-2 name the separators: any printable ASCII character that is not a letter, digit
or blank, each different. MSH-2 may be short (a sender without subcomponents leaves `&` out)
or have a fifth, the truncation character, which CDC's STARLIMS sends at 2.5.1 already. A
separator that is absent is held as CR, which no segment can contain, so it never splits.
One fault is mended: `^~\\&`, an MSH-2 that went through a string literal, means `^~\&`.

A message is split first and unescaped after, so `\S\` can never become a component.

    \F\ \S\ \T\ \R\ \E\ \P\        the separator itself; \P\ only if MSH-2 has a fifth character
    \.br\ \.sp\ \.sp+n\ \.ce\      line breaks
    \.sk+n\                        blanks
    \H\ \N\ \.in\ \.ti\ \.fi\ \.nf\    looks only: no text
    \X0D0A\                        bytes in the character set of the message, else UTF-8
    \C2842\ \M2442\                ISO 2022 switches for the text that follows
    \Z03BC\                        U+03BC, only when the driver says so (BioSystems BA200/BA400)

Anything else between two escape characters is kept as it came, the escape characters too: a
sequence we do not know may mean something to a person. An escape character that begins
nothing sensible (`C:\data`) is text.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from lis.wire.errors import RemoteProtocolError

__all__ = ["ABSENT", "EscapeReader", "Separators", "read_separators"]

ABSENT = "\r"
SEPARATOR_SETS_REMEMBERED = 64  # a laboratory sees two or three; bounds what hostile peers store
LAYOUT_COUNT_MAX = 100  # \.sp999999999\ must not make a gigabyte of line breaks

_LAYOUT = re.compile(r"\.(br|sp|ce|sk|in|ti|fi|nf)\+?([0-9]{0,3})|\.(in|ti)-[0-9]{1,3}")
_LAYOUT_TEXT = {
    "br": "\n",
    "sp": "\n",
    "ce": "\n",
    "sk": " ",
    "in": "",
    "ti": "",
    "fi": "",
    "nf": "",
}
_REPEATED_LAYOUT = frozenset({"sp", "sk"})
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
_CODE_POINT = re.compile(r"Z([0-9A-Fa-f]{4,6})")
_LOOKS_LIKE_A_SEQUENCE = re.compile(r"[A-Z.][A-Za-z0-9.+-]*")
_ISO_2022_CODECS = ("iso2022_jp_2", "iso2022_jp_ext")  # Japanese, Korean and Chinese sets
_ASCII_AGAIN = b"(B"


@dataclass(frozen=True, slots=True)
class Separators:
    """The special characters of one message; `ABSENT` where MSH-2 names none."""

    field: str
    component: str
    repetition: str = ABSENT
    escape: str = ABSENT
    subcomponent: str = ABSENT
    truncation: str = ABSENT


@lru_cache(maxsize=SEPARATOR_SETS_REMEMBERED)
def read_separators(field: bytes, encoding: bytes) -> Separators:
    """Check MSH-1 and MSH-2; raises `RemoteProtocolError` saying what was expected."""
    characters = field + encoding
    if not 1 <= len(encoding) <= 5:
        raise RemoteProtocolError(
            f"expected 1 to 5 encoding characters in MSH-2, got {len(encoding)}"
        )
    for byte in characters:
        if not 0x21 <= byte <= 0x7E or bytes([byte]).isalnum():
            raise RemoteProtocolError(
                f"expected punctuation as separators in MSH-1 and MSH-2, got {characters!r}"
            )
    if len(encoding) == 5 and encoding[2] == encoding[3]:
        encoding = encoding[:3] + encoding[4:]
    if len(set(field + encoding)) != 1 + len(encoding):
        raise RemoteProtocolError(f"expected different separators, got {characters!r}")
    return Separators(field.decode("ascii"), *encoding.decode("ascii"))


class EscapeReader:
    """Resolves the escape sequences of one message."""

    __slots__ = ("_codec", "_escape", "_is_vendor_unicode", "_simple")

    def __init__(self, separators: Separators, codec: str, *, is_vendor_unicode: bool) -> None:
        self._escape = separators.escape
        self._codec = codec
        self._is_vendor_unicode = is_vendor_unicode
        self._simple = {
            "F": separators.field,
            "S": separators.component,
            "R": separators.repetition,
            "E": separators.escape,
            "T": separators.subcomponent,
            "P": separators.truncation,
            "H": "",
            "N": "",
        }

    def resolve(self, text: str) -> str:
        """Text as a person should read it. Takes one part: split before calling."""
        escape = self._escape
        if escape + "C" in text or escape + "M" in text:
            text = self._decode_switched(text)
        pieces: list[str] = []
        position = 0
        start = text.find(escape)
        while start >= 0:
            stop = text.find(escape, start + 1)
            if stop < 0:
                break
            sequence = text[start + 1 : stop]
            meaning = self._meaning(sequence)
            if meaning is None and not _LOOKS_LIKE_A_SEQUENCE.fullmatch(sequence):
                start = stop  # the first was only a character; the second may begin a sequence
                continue
            pieces.append(text[position:start])
            pieces.append(text[start : stop + 1] if meaning is None else meaning)
            position = stop + 1
            start = text.find(escape, position)
        pieces.append(text[position:])
        return "".join(pieces)

    def _meaning(self, sequence: str) -> str | None:
        simple = self._simple.get(sequence)
        if simple is not None:
            return None if simple == ABSENT else simple
        kind = sequence[:1]
        if kind == "X":
            return self._bytes(sequence)
        if kind == ".":
            return _layout(sequence)
        if kind == "Z" and self._is_vendor_unicode:
            return _code_point(sequence)
        return None

    def _bytes(self, sequence: str) -> str | None:
        match = _HEX.fullmatch(sequence)
        if match is None:
            return None
        data = bytes.fromhex(match[1])
        for codec in (self._codec, "utf-8"):
            try:
                return data.decode(codec)
            except UnicodeDecodeError:
                continue
        return None

    def _decode_switched(self, text: str) -> str:
        escape = re.escape(self._escape)
        switch = rf"{escape}[CM]([0-9A-Fa-f]{{4}}|[0-9A-Fa-f]{{6}}){escape}([^{escape}]*)"
        return re.sub(switch, _in_switched_set, text)


def _in_switched_set(match: re.Match[str]) -> str:
    designation, run = bytes.fromhex(match[1]), match[2]
    if designation == _ASCII_AGAIN:
        return run
    if run.isascii():
        data = b"\x1b" + designation + run.encode("ascii") + b"\x1b" + _ASCII_AGAIN
        for codec in _ISO_2022_CODECS:
            try:
                text = data.decode(codec)
            except UnicodeDecodeError:
                continue
            if "\x1b" not in text:  # Python lets a designation it does not know through
                return text
    return match[0]


def _layout(sequence: str) -> str | None:
    match = _LAYOUT.fullmatch(sequence)
    if match is None:
        return None
    name = match[1] or match[3]
    count = int(match[2]) if match[2] and name in _REPEATED_LAYOUT else 1
    return _LAYOUT_TEXT[name] * count if count <= LAYOUT_COUNT_MAX else None


def _code_point(sequence: str) -> str | None:
    match = _CODE_POINT.fullmatch(sequence)
    if match is None:
        return None
    number = int(match[1], 16)
    is_character = number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_character else None
