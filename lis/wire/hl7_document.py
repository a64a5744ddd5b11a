r"""One message as a document of decoded fields, and back to the same bytes.

`Message` reads what is asked and keeps the raw payload. A document keeps no raw bytes: it is the tree of segments,
fields, repetitions, components and subcomponents, each a row of pieces, and what the sender chose: separators,
character set, line ends. `encoded` writes it, and gives the bytes that came, to the last one. So a tool may change one
field of somebody else's message (redaction, a mutant for a test) and leave every other byte alone.

    `a\T\b`     ("a", Escaped("T"), "b")      an escape is a piece of its own, known by its body
    `C:\data`   ("C:\\data",)                 an escape character that begins nothing is text

What cannot be written back is refused by name when it is read, not found out later: a message whose character set
does not give its own bytes back (ISO 2022 may be written in several ways).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import BYTE_ORDER_MARK, HEADERS, Message
from lis.wire.hl7_escape import ABSENT, Separators

__all__ = ["Document", "DocumentSegment", "Escaped", "Leaf"]

_SEQUENCE = r"[A-Z.][A-Za-z0-9.+-]*"  # as `lis.wire.hl7_escape` tells a sequence from text


@dataclass(frozen=True, slots=True)
class Escaped:
    """An escape sequence without its escape characters: `T`, `X0A`, `.br`."""

    body: str


Leaf = tuple[str | Escaped, ...]
"""The text of one subcomponent; empty = it was not sent."""
Component = tuple[Leaf, ...]
Repetition = tuple[Component, ...]
Field = tuple[Repetition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSegment:
    """One segment: its name, its fields from number 1 (MSH: from 3) and what ended its line."""

    name: str
    fields: tuple[Field, ...]
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One message; `before` is what stood before MSH: a byte order mark, empty lines."""

    separators: Separators
    encoding_characters: str
    codec: str
    before: bytes
    segments: tuple[DocumentSegment, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Raises `RemoteProtocolError` as `Message.parse` does, and where the bytes would not come back."""
        message = Message.parse(raw)
        body = raw.removeprefix(BYTE_ORDER_MARK).lstrip(b"\r\n")
        reader = _Reader(message.separators)
        texts = [segment.raw for segment in message.segments]
        document = cls(
            separators=message.separators,
            encoding_characters=message.header.raw_field(2),
            codec=message.charset,
            before=raw[: len(raw) - len(body)],
            segments=tuple(reader.segments(body.decode(message.charset), texts)),
        )
        if document.encoded() != raw:
            raise RemoteProtocolError(f"expected text that {message.charset} writes back as it was")
        return document

    def encoded(self) -> bytes:
        """The bytes of the message."""
        writer = _Writer(self.separators, self.encoding_characters)
        text = "".join(writer.line(segment) for segment in self.segments)
        return self.before + text.encode(self.codec)


class _Reader:
    """Text to pieces."""

    def __init__(self, separators: Separators) -> None:
        self._separators = separators
        escape = re.escape(separators.escape)
        self._escapes = re.compile(rf"{escape}({_SEQUENCE}){escape}")

    def segments(self, text: str, lines: list[str]) -> Iterator[DocumentSegment]:
        position = 0
        for number, line in enumerate(lines):
            start = text.index(line, position)
            position = start + len(line)
            after = (
                text.index(lines[number + 1], position) if number + 1 < len(lines) else len(text)
            )
            yield self._segment(line, text[position:after])
            position = after

    def _segment(self, line: str, end: str) -> DocumentSegment:
        name, *fields = line.split(self._separators.field)
        kept = fields[1:] if name in HEADERS else fields
        return DocumentSegment(name=name, fields=tuple(map(self._field, kept)), end=end)

    def _field(self, text: str) -> Field:
        marks = self._separators
        return tuple(
            tuple(
                tuple(self._leaf(leaf) for leaf in component.split(marks.subcomponent))
                for component in repetition.split(marks.component)
            )
            for repetition in text.split(marks.repetition)
        )

    def _leaf(self, text: str) -> Leaf:
        if self._separators.escape == ABSENT or self._separators.escape not in text:
            return (text,) if text else ()
        pieces: list[str | Escaped] = []
        position = 0
        for match in self._escapes.finditer(text):
            if match.start() > position:
                pieces.append(text[position : match.start()])
            pieces.append(Escaped(match[1]))
            position = match.end()
        if position < len(text):
            pieces.append(text[position:])
        return tuple(pieces)


class _Writer:
    """Pieces to text."""

    def __init__(self, separators: Separators, encoding_characters: str) -> None:
        self._separators = separators
        self._encoding_characters = encoding_characters

    def line(self, segment: DocumentSegment) -> str:
        start = [segment.name]
        if segment.name in HEADERS:
            start.append(self._encoding_characters)
        fields = map(self._field, segment.fields)
        return self._separators.field.join([*start, *fields]) + segment.end

    def _field(self, field: Field) -> str:
        marks = self._separators
        return marks.repetition.join(
            marks.component.join(
                marks.subcomponent.join(map(self._leaf, component)) for component in repetition
            )
            for repetition in field
        )

    def _leaf(self, leaf: Leaf) -> str:
        escape = self._separators.escape
        return "".join(
            f"{escape}{piece.body}{escape}" if isinstance(piece, Escaped) else piece
            for piece in leaf
        )
