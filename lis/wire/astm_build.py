r"""Writing ASTM records: whatever a person typed cannot forge a field or a record.

`record` takes the parts of a record apart (texts, components, repeats), screens delimiters and
control characters out of every text and joins them. CR would start a forged record, `|` a
forged field, the control characters of LIS01-A2 6.6 would steer the line.

The fast way joins first and counts afterwards: if delimiters and control characters together are
as many as the delimiters the structure put there, no text held one. Nearly every record goes
this way. `records` does the same for all records of a message at once, which halves the work.
"""

from collections.abc import Sequence
from functools import lru_cache
from string import ascii_uppercase

from lis.wire.astm_delimiters import DEFAULT_DELIMITERS, Delimiters, check_charset, escape
from lis.wire.errors import LocalProtocolError

__all__ = ["Field", "RecordWriter", "Row", "record"]

Text = str | None
Components = tuple[Text, ...]
Repeats = list[Text | Components]
Field = Text | Components | Repeats
Row = tuple[str, *tuple[Field, ...]]

_CR = b"\r"
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # all but TAB


class RecordWriter:
    """Writes the records of one message: its delimiters, its charset."""

    __slots__ = ("_charset", "_delimiters", "_harmless", "_heads", "_join", "_mark")

    def __init__(
        self, delimiters: Delimiters = DEFAULT_DELIMITERS, charset: str = "latin-1"
    ) -> None:
        check_charset(charset)
        self._delimiters = delimiters
        self._charset = charset
        self._mark = delimiters.field
        self._join = delimiters.component.join
        self._harmless, self._heads = _tables(delimiters)

    def record(self, letter: str, *fields: Field) -> bytes:
        """One record without its CR; see `record` below."""
        head = self._heads.get(letter)
        if head is None:
            raise LocalProtocolError(f"record letter {letter!r}, expected one of A to Z")
        if letter == "H":
            fields = fields[1:]
        if not fields:
            return head[:-1]
        raw = self._joined_plainly(fields)
        return head + (self._joined_screened(fields) if raw is None else raw)

    def records(self, rows: Sequence[Row]) -> list[bytes]:
        """Many records, each `(letter, field 2, ...)`, without their CRs: as `record` for each, but faster."""
        raw = self._stream(rows)
        if raw is not None:
            return raw.split(_CR)
        return [self.record(letter, *fields) for letter, *fields in rows]

    def _stream(self, rows: Sequence[tuple[Field, ...]]) -> bytes | None:
        """All records joined by CR; None if one of them needs more than joining."""
        join, mark, heads = self._join, self._mark, self._heads
        lines: list[str] = []
        marks = len(rows) - 1  # the CRs
        for row in rows:
            if row[0] not in heads or row[0] == "H" or len(row) == 1:
                return None
            marks += len(row) - 1
            texts = []
            for field in row:
                if field.__class__ is tuple and field:
                    marks += len(field) - 1
                    field = join(field) if None not in field else None  # type: ignore[arg-type]  # noqa: PLW2901
                texts.append(field)
            try:
                lines.append(mark.join(texts))  # type: ignore[arg-type]  # others raise
            except TypeError:
                return None  # null fields and repeats take the long way
        try:
            raw = "\r".join(lines).encode(self._charset)
        except UnicodeEncodeError:
            return None
        return raw if len(raw.translate(None, self._harmless)) == marks else None

    def _joined_plainly(self, fields: tuple[Field, ...]) -> bytes | None:
        """The fast way; None if some text needs screening."""
        marks = len(fields) - 1
        texts: list[str] = []
        for field in fields:
            if field.__class__ is str:
                texts.append(field)
            elif not field:
                texts.append("")
            elif field.__class__ is tuple and None not in field:
                marks += len(field) - 1
                texts.append(self._join(field))  # type: ignore[arg-type]  # None was ruled out
            else:
                return None  # repeats are rare in what a host sends
        try:
            raw = self._mark.join(texts).encode(self._charset)
        except UnicodeEncodeError:
            return None
        return raw if len(raw.translate(None, self._harmless)) == marks else None

    def _joined_screened(self, fields: tuple[Field, ...]) -> bytes:
        text = self._mark.join([_screened(field, self._delimiters) for field in fields])
        try:
            return text.encode(self._charset)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(
                f"character {error.start} of a record cannot be written in {self._charset}"
            ) from None


def _screened(field: Field, delimiters: Delimiters) -> str:
    if field is None:
        return ""
    if isinstance(field, str):
        return escape(field, delimiters)
    if isinstance(field, list):
        return delimiters.repeat.join(_screened(item, delimiters) for item in field)
    return delimiters.component.join([escape(part, delimiters) if part else "" for part in field])


def record(
    letter: str,
    *fields: Field,
    delimiters: Delimiters = DEFAULT_DELIMITERS,
    charset: str = "latin-1",
) -> bytes:
    """The bytes of one record, without its CR. The first of `fields` is field 2.

    A field is text, None (null), a tuple of components, or a list of repeats (texts or tuples).
    For the H record give None as field 2: H.2 is written from `delimiters`. Raises
    LocalProtocolError for text that `charset` cannot write.
    """
    return _writer(delimiters, charset).record(letter, *fields)


@lru_cache(maxsize=16)
def _tables(delimiters: Delimiters) -> tuple[bytes, dict[str, bytes]]:
    """The bytes that need no screening, and the beginning of each record by its letter."""
    marks = delimiters.field + delimiters.to_text()
    harmless = bytes(set(range(0x100)) - {*_CONTROLS, *marks.encode("ascii")})
    field = delimiters.field.encode("ascii")
    heads = {letter: letter.encode("ascii") + field for letter in ascii_uppercase}
    heads["H"] += delimiters.to_text().encode("ascii") + field
    return harmless, heads


@lru_cache(maxsize=16)
def _writer(delimiters: Delimiters, charset: str) -> RecordWriter:
    return RecordWriter(delimiters, charset)
