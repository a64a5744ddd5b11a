"""Put another text where a profile says that a value stands, in the bytes of one message.

The way is the profile's own field map: a path of it is looked up from the row of one result upwards, as the
driver reads it, and only the text there is replaced. Bytes stay bytes: Latin-1 both ways.
"""

from lis.domain.messages import Protocol
from lis.drivers.profile import Profile
from lis.wire.path import PIECE_MARK, FieldPath

OPENERS = {Protocol.ASTM: "H", Protocol.HL7: "MSH"}


class NoPlaceError(Exception):
    """The message has no record in which this path could stand."""


def paths_of(expression: str) -> list[FieldPath]:
    """Every path of an expression, in order of preference."""
    return [
        FieldPath.parse(part)
        for alternative in expression.split()
        for part in alternative.split("+")
    ]


class Mutable:
    """The records of one message as lists of fields."""

    def __init__(self, profile: Profile, raw: bytes) -> None:
        self.is_hl7 = profile.protocol is Protocol.HL7
        text = raw.decode("latin-1").strip("\x0b\x1c\r\n")
        self._records = [line for line in text.replace("\n", "\r").split("\r") if line]
        opener = OPENERS[profile.protocol]
        head = next(line for line in self._records if line.startswith(opener))
        mark = head[len(opener) :]
        self._field = mark[0]
        if self.is_hl7:
            self._component, self._repeat, self._sub = mark[1], mark[2], mark[4]
        else:
            self._repeat, self._component, self._sub = mark[1], mark[2], ""

    def raw(self) -> bytes:
        return ("\r".join(self._records) + "\r").encode("latin-1")

    def read(self, path: FieldPath, record: str) -> str:
        """The text at a path, seen from a row such as `R|3`."""
        found = self._place(path, record)
        return "" if found is None else self._text(found, path)

    def write(self, path: FieldPath, record: str, text: str) -> None:
        """Replace the text at a path, seen from a row."""
        found = self._place(path, record)
        if found is None:
            raise NoPlaceError(str(path))
        fields = self._records[found].split(self._field)
        place = self._index(path)
        fields += [""] * (place + 1 - len(fields))
        marks = self._marks(path)
        fields[place] = _replaced(fields[place], marks, text)
        self._records[found] = self._field.join(fields)

    def _name(self, line: str) -> str:
        return line[:3] if self.is_hl7 else line[:1].upper()

    def _place(self, path: FieldPath, record: str) -> int | None:
        letter, number = record.split("|")[:2]
        rows = [index for index, line in enumerate(self._records) if self._name(line) == letter]
        row = rows[int(number) - 1]
        if path.record == letter:
            return row
        same = [
            index for index, line in enumerate(self._records) if self._name(line) == path.record
        ]
        above = [index for index in same if index < row]
        return above[-1] if above else next(iter(same), None)

    def _index(self, path: FieldPath) -> int:
        has_mark_as_field = self.is_hl7 and path.record != "MSH"
        return path.field if has_mark_as_field else path.field - 1

    def _marks(self, path: FieldPath) -> list[tuple[str, int]]:
        """How to cut a field down to the path: (delimiter, place counted from 0)."""
        marks = [(self._repeat, path.repeat - 1)]
        if path.component is not None:
            marks.append((self._component, path.component - 1))
        if path.component is not None and self.is_hl7:
            marks.append((self._sub, (path.subcomponent or 1) - 1))
        if path.piece is not None:
            marks.append((PIECE_MARK, path.piece - 1))
        return marks

    def _text(self, found: int, path: FieldPath) -> str:
        fields = self._records[found].split(self._field)
        place = self._index(path)
        text = fields[place] if place < len(fields) else ""
        for mark, index in self._marks(path):
            cut = text.split(mark)
            text = cut[index] if index < len(cut) else ""
        return text


def _replaced(text: str, marks: list[tuple[str, int]], new: str) -> str:
    if not marks:
        return new
    (mark, index), *deeper = marks
    parts = text.split(mark)
    parts += [""] * (index + 1 - len(parts))
    parts[index] = _replaced(parts[index], deeper, new)
    return mark.join(parts)
