r"""ASTM records taken apart for good, and put together again byte for byte.

`decoded` gives what a record says without its bytes: letter, fields, repeats, components, escape sequences
resolved. `encoded` writes the very same bytes from that. So a record that was edited, redacted or stored in
parts differs from the original only where somebody changed it.

    O|1|a\b^c|  ->  letter "O", fields (("1",),), (("a",), ("b", "c")), ()

Most texts have one spelling only: the one `escape` gives them. Instruments leave `&` alone, write `&X0A&` for a
line end or `&|&` for a delimiter; such a text comes back as `Spelled` and remembers how it stood.
"""

from dataclasses import dataclass

from lis.wire.astm_delimiters import Delimiters, cut, escape, unescape
from lis.wire.astm_record import Record

__all__ = ["DecodedField", "DecodedRecord", "Spelled", "decoded", "encoded"]


@dataclass(frozen=True, slots=True)
class Spelled:
    """A text that was not sent as we would write it."""

    text: str
    sent: str


DecodedField = tuple[tuple[str | Spelled, ...], ...]
"""Repeats of components; () = an empty field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedRecord:
    """A record without its bytes. `letter` is field 1, as it stands; `fields` begin with field 2."""

    letter: str
    fields: tuple[DecodedField, ...]


def decoded(record: Record) -> DecodedRecord:
    """What `record` says; its own delimiters and charset are needed to write it again."""
    letter, *texts = record.fields
    fields = [_field(text, record.delimiters, record.charset) for text in texts]
    if letter.upper() == "H" and texts:
        fields[0] = ((texts[0],),)  # H.2 names the delimiters and is not parsed (6.2)
    return DecodedRecord(letter=letter, fields=tuple(fields))


def encoded(record: DecodedRecord, *, delimiters: Delimiters, charset: str) -> bytes:
    """The bytes of the record, without its CR; a header's field 2 stands as it is."""
    texts = [_text_of(field, delimiters) for field in record.fields]
    if record.letter.upper() == "H" and record.fields:
        [[definition]] = record.fields[0]
        texts[0] = _sent(definition)
    text = delimiters.field.join([record.letter, *texts])
    return text.encode(charset, errors="surrogateescape")


def _field(text: str, delimiters: Delimiters, charset: str) -> DecodedField:
    if not text:
        return ()
    return tuple(
        tuple(
            _part(part, delimiters, charset)
            for part in cut(repeat, delimiters.component, delimiters)
        )
        for repeat in cut(text, delimiters.repeat, delimiters)
    )


def _part(sent: str, delimiters: Delimiters, charset: str) -> str | Spelled:
    text = unescape(sent, delimiters, charset)
    return text if escape(text, delimiters) == sent else Spelled(text, sent)


def _text_of(field: DecodedField, delimiters: Delimiters) -> str:
    return delimiters.repeat.join(
        delimiters.component.join(
            part.sent if isinstance(part, Spelled) else escape(part, delimiters) for part in repeat
        )
        for repeat in field
    )


def _sent(part: str | Spelled) -> str:
    return part.sent if isinstance(part, Spelled) else part
