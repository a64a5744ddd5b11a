"""HL7 v2 messages, read lazily and never rewritten.

Theory of operation. `Message.parse` looks at MSH only: separators, character set, then it
decodes and cuts the text into segments. Fields are split when a segment is first asked,
components when a field is asked, escapes resolved last and only where an escape character
stands. What ends a segment is in `hl7_lines`. `raw` is the payload as it came; nothing here can write it back changed.

Position is everything. Segments are kept in the order they came, unknown, lower-case and Z
segments too; fields and components beyond the declared version are read by number (LAW marks
results in OBX-29 at version 2.5.1). Numbers and dates stay text.

How a field is named, for OBX-5 of `OBX|1|ST|||a^b~c&d^e`:

    raw_field(5)                      a^b~c&d^e   as it came
    field(5)                          a^b~c&d^e   as it came, escapes resolved
    component(5)                      a           first component of the first repetition
    component(5, 2)                   b
    component(5, 1, repeat=2)         c&d         whole component, subcomponents as they came
    component(5, 1, repeat=2, sub=2)  d

What is not there is `""`; a field sent as two quotation marks ("delete what you know") reads
as `'""'` and `is_deleted` says so. MSH-1 is the separator itself, so MSH-9 is the type.
"""

import re
from functools import lru_cache
from typing import Self

from lis.wire.errors import LocalProtocolError, RemoteProtocolError
from lis.wire.hl7_batch import Batch, CountFault, read_batch, split_messages
from lis.wire.hl7_charset import DEFAULT_FALLBACK, Decoded, decode
from lis.wire.hl7_escape import ABSENT, EscapeReader, Separators, read_separators
from lis.wire.hl7_lines import check_lines, first_line, segment_lines

__all__ = [
    "ABSENT",
    "DELETED",
    "Batch",
    "CountFault",
    "Message",
    "Repeat",
    "Segment",
    "Separators",
    "is_number",
    "read_batch",
    "split_messages",
]

DELETED = '""'
FIELD_COUNT_MAX = 10_000  # what follows stays together in the last field: nothing is lost
PART_COUNT_MAX = 10_000  # the same for repetitions, components and subcomponents
GRAMMARS_REMEMBERED = 64  # separators x character sets: a laboratory sees a handful
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEADERS = frozenset({"MSH", "FHS", "BHS"})  # their first field is the separator itself
CHARACTER_SET_FIELD = 18

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


class _Grammar:
    """What every part of one message needs to be read: four separators and the escapes."""

    __slots__ = ("component", "escape", "escapes", "field", "repetition", "subcomponent")

    def __init__(self, separators: Separators, codec: str, *, is_vendor_unicode: bool) -> None:
        self.field = separators.field
        self.repetition = separators.repetition
        self.component = separators.component
        self.subcomponent = separators.subcomponent
        self.escape = separators.escape
        self.escapes = EscapeReader(separators, codec, is_vendor_unicode=is_vendor_unicode)

    def text(self, raw: str) -> str:
        return self.escapes.resolve(raw) if self.escape in raw else raw

    def part(self, repetition: str, c: int, sub: int | None) -> str:
        raw = _nth(repetition, self.component, c)
        return self.text(raw if sub is None else _nth(raw, self.subcomponent, sub))


class Repeat:
    """One repetition of a field."""

    __slots__ = ("_grammar", "raw")

    def __init__(self, raw: str, grammar: _Grammar) -> None:
        self.raw = raw
        self._grammar = grammar

    @property
    def text(self) -> str:
        """The whole repetition, separators as they came, escapes resolved."""
        return self._grammar.text(self.raw)

    def component(self, c: int = 1, *, sub: int | None = None) -> str:
        _check_positions(1, c, 1, sub)
        return self._grammar.part(self.raw, c, sub)

    def parts(self) -> tuple[tuple[str, ...], ...]:
        """All components, each as the tuple of its subcomponents, unescaped."""
        grammar = self._grammar
        return tuple(
            tuple(
                grammar.text(sub) for sub in component.split(grammar.subcomponent, PART_COUNT_MAX)
            )
            for component in self.raw.split(grammar.component, PART_COUNT_MAX)
        )

    def __repr__(self) -> str:
        return f"<Repeat of {len(self.raw)} characters>"  # the text may name a patient


class Segment:
    """One line of a message; fields are split when first asked for."""

    __slots__ = ("_fields", "_grammar", "name", "raw")

    def __init__(self, raw: str, grammar: _Grammar) -> None:
        self.raw = raw
        self.name = raw.split(grammar.field, 1)[0]
        self._grammar = grammar
        self._fields: list[str] | None = None

    @property
    def field_count(self) -> int:
        """The number of the last field that was sent."""
        return len(self._split()) - 1

    def raw_field(self, n: int) -> str:
        """The field as it came: all repetitions, separators and escape sequences."""
        _check_positions(n, 1, 1, None)
        fields = self._split()
        return fields[n] if n < len(fields) else ""

    def field(self, n: int) -> str:
        """The field as it came, but with escape sequences resolved."""
        raw = self.raw_field(n)
        return raw if self._is_literal(n) else self._grammar.text(raw)

    def component(self, n: int, c: int = 1, *, repeat: int = 1, sub: int | None = None) -> str:
        """One component of one repetition, unescaped; `""` when it was not sent."""
        fields = self._fields or self._split()
        grammar = self._grammar
        if n < 3 or c < 1 or repeat != 1 or sub is not None:
            return self._component_anywhere(n, c, repeat, sub)
        if n >= len(fields):
            return ""
        text = fields[n]
        if grammar.repetition in text:
            text = text.split(grammar.repetition, 1)[0]
        if grammar.component in text:
            components = text.split(grammar.component, c)
            text = components[c - 1] if c <= len(components) else ""
        elif c != 1:
            return ""
        return grammar.escapes.resolve(text) if grammar.escape in text else text

    def repeats(self, n: int) -> tuple[Repeat, ...]:
        """The repetitions of a field; none for an empty field, an empty one for each `~~`."""
        raw = self.raw_field(n)
        if not raw:
            return ()
        separator = ABSENT if self._is_literal(n) else self._grammar.repetition
        return tuple(Repeat(part, self._grammar) for part in raw.split(separator, PART_COUNT_MAX))

    def is_deleted(self, n: int, c: int | None = None) -> bool:
        """Whether the sender says "delete": two quotation marks, unlike an empty field."""
        return (self.raw_field(n) if c is None else self.component(n, c)) == DELETED

    def _component_anywhere(self, n: int, c: int, repeat: int, sub: int | None) -> str:
        """The rare cases of `component`, checked and unhurried."""
        _check_positions(n, c, repeat, sub)
        raw = self.raw_field(n)
        if self._is_literal(n):
            return raw if c == repeat == (sub or 1) == 1 else ""
        grammar = self._grammar
        return grammar.part(_nth(raw, grammar.repetition, repeat), c, sub)

    def _is_literal(self, n: int) -> bool:
        return n < 3 and self.name in HEADERS

    def _split(self) -> list[str]:
        fields = self._fields
        if fields is None:
            separator = self._grammar.field
            fields = self.raw.split(separator, FIELD_COUNT_MAX)
            if self.name in HEADERS:
                fields.insert(1, separator)
            self._fields = fields
        return fields

    def __repr__(self) -> str:
        return f"<Segment {self.name[:3]} of {len(self.raw)} characters>"


class Message:
    """One message; `raw` is what came, byte for byte."""

    __slots__ = (
        "_by_name",
        "_grammar",
        "_lines",
        "_segments",
        "_text",
        "charset",
        "charset_is_declared_wrong",
        "header",
        "raw",
        "separators",
    )

    def __init__(
        self, raw: bytes, separators: Separators, decoded: Decoded, grammar: _Grammar
    ) -> None:
        self.raw = raw
        self.separators = separators
        self.charset = decoded.codec
        self.charset_is_declared_wrong = decoded.is_declared_wrong
        self._grammar = grammar
        self._text = text = (
            decoded.text
        )  # cut when somebody asks: an acknowledgement needs the header only
        self._lines: list[str] | None = None
        self._segments: tuple[Segment, ...] | None = None
        self._by_name: dict[str, list[Segment]] | None = None
        check_lines(text, separators.field)
        first = self._cut_lines()[0] if "\n" in text else first_line(text)
        self.header = Segment(first, grammar)

    @classmethod
    def parse(
        cls,
        raw: bytes,
        *,
        fallback: tuple[str, ...] = DEFAULT_FALLBACK,
        is_vendor_unicode: bool = False,
    ) -> Self:
        r"""Read MSH and find the segments of one message; split several with `split_messages`.

        Raises `RemoteProtocolError` if MSH is unreadable or there is a second one.

        `fallback` are the codecs to try when MSH-18 is empty or wrong; `is_vendor_unicode`
        reads `\Z03BC\` as U+03BC.
        """
        body = raw.removeprefix(BYTE_ORDER_MARK).lstrip(b"\r\n")
        header = _header_line(body)
        separators = _header_separators(header)
        decoded = decode(body, _declared_charsets(header, separators), fallback)
        grammar = _grammar(separators, decoded.codec, is_vendor_unicode=is_vendor_unicode)
        return cls(raw, separators, decoded, grammar)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Every segment, in the order it came; the first is MSH."""
        segments = self._segments
        if segments is None:
            grammar = self._grammar
            rest = [Segment(line, grammar) for line in self._cut_lines()[1:]]
            segments = self._segments = (self.header, *rest)
        return segments

    def first(self, name: str) -> Segment | None:
        """The first segment of that exact name."""
        found = self._named().get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[Segment, ...]:
        """All segments of that exact name, in order."""
        return tuple(self._named().get(name, ()))

    @property
    def code(self) -> str:
        """MSH-9.1, `ORU`."""
        return self.header.component(9)

    @property
    def event(self) -> str:
        """MSH-9.2, `R01`."""
        return self.header.component(9, 2)

    @property
    def structure(self) -> str:
        """MSH-9.3, `ORU_R01`; empty in old versions."""
        return self.header.component(9, 3)

    @property
    def control_id(self) -> str:
        """MSH-10 whole, as an acknowledgement must echo it."""
        return self.header.field(10)

    @property
    def processing_id(self) -> str:
        """MSH-11.1: P production, T training, D debugging, Q control on Mindray BC."""
        return self.header.component(11)

    @property
    def version(self) -> str:
        """MSH-12.1, `2.5.1`; empty when the sender left it out."""
        return self.header.component(12)

    def _named(self) -> dict[str, list[Segment]]:
        by_name = self._by_name
        if by_name is None:
            by_name = self._by_name = {}
            for segment in self.segments:
                by_name.setdefault(segment.name, []).append(segment)
        return by_name

    def __repr__(self) -> str:
        return f"<Message of {len(self.raw)} bytes, {len(self._cut_lines())} segments>"

    def _cut_lines(self) -> list[str]:
        if self._lines is None:
            self._lines = segment_lines(self._text, self.separators.field)
            self._text = ""
        return self._lines


def is_number(text: str) -> bool:
    """Whether text is a number as the NM type writes it: no comparator, exponent or blank."""
    return _NUMBER.fullmatch(text) is not None


@lru_cache(maxsize=GRAMMARS_REMEMBERED)
def _grammar(separators: Separators, codec: str, *, is_vendor_unicode: bool) -> _Grammar:
    return _Grammar(separators, codec, is_vendor_unicode=is_vendor_unicode)


def _header_line(body: bytes) -> bytes:
    end = body.find(b"\r")
    line_feed = body.find(b"\n", 0, end if end >= 0 else len(body))
    if line_feed >= 0:
        end = line_feed
    return body if end < 0 else body[:end]


def _header_separators(header: bytes) -> Separators:
    if not header.startswith(b"MSH"):
        raise RemoteProtocolError(f"expected a message that begins with MSH, got {header[:3]!r}")
    field = header[3:4]
    end = header.find(field, 4) if field else -1
    if end < 0:
        raise RemoteProtocolError(
            f"expected MSH-1, MSH-2 and a separator after them, got {header[3:10]!r}"
        )
    return read_separators(field, header[4:end])


def _declared_charsets(header: bytes, separators: Separators) -> list[str]:
    fields = header.split(separators.field.encode("ascii"), CHARACTER_SET_FIELD)
    if len(fields) < CHARACTER_SET_FIELD:
        return []
    return fields[CHARACTER_SET_FIELD - 1].decode("latin-1").split(separators.repetition)


def _nth(text: str, separator: str, n: int) -> str:
    parts = text.split(separator, n)
    return parts[n - 1] if n <= len(parts) else ""


def _check_positions(n: int, c: int, repeat: int, sub: int | None) -> None:
    if n < 1 or c < 1 or repeat < 1 or (sub is not None and sub < 1):
        raise LocalProtocolError(
            f"expected positions from 1, got field {n}, component {c}, repeat {repeat}, sub {sub}"
        )
