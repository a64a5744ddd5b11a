"""Records that are filled in by path, as a profile names places: `R.3.4`, `OBX-5`, `O.5[2].4`.

A driver reads a text at a path; a simulator writes it there. `Sheets` holds the records that are open while a
message is written (its header, its patient, its order, its row), so that any of them may be filled at any
time, as the instrument's own memory would.
"""

from lis.drivers.expressions import Expression
from lis.drivers.profile import CODE_JOINT
from lis.wire.astm_build import Field
from lis.wire.path import PIECE_MARK, FieldPath

__all__ = ["Sheet", "Sheets"]

_WHOLE = 1  # a text put on a whole field stands in its first component
_Places = dict[int, dict[int, str]]  # component -> subcomponent -> text


class Sheet:
    """One record or segment: texts by field, repeat and component, all counted from 1."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._texts: dict[int, dict[int, _Places]] = {}

    def put(self, path: FieldPath, text: str) -> None:
        """Write `text` at `path`; an empty text leaves the place as it is."""
        if text:
            repeats = self._texts.setdefault(path.field, {})
            texts = repeats.setdefault(path.repeat, {}).setdefault(path.component or _WHOLE, {})
            place = path.subcomponent or _WHOLE
            texts[place] = _with_piece(texts.get(place, ""), path.piece, text)

    def fields(self, first: int) -> list[Field]:
        """All fields from number `first` on, in the shape the record and segment writers take."""
        last = max(self._texts, default=0)
        return [self._field(number) for number in range(first, last + 1)]

    def _field(self, number: int) -> Field:
        repeats = self._texts.get(number, {})
        if not repeats:
            return None
        if max(repeats) == 1:
            return _components(repeats[1])
        return [_components(repeats.get(repeat, {})) for repeat in range(1, max(repeats) + 1)]


def _with_piece(whole: str, piece: int | None, text: str) -> str:
    """The text of a place after one of its pieces, which slashes divide, was written."""
    if piece is None:
        return text
    pieces = whole.split(PIECE_MARK)
    pieces += [""] * (piece - len(pieces))
    pieces[piece - 1] = text
    return PIECE_MARK.join(pieces)


def _components(texts: _Places) -> str | tuple[str | None, ...] | None:
    last = max(texts, default=0)
    if last <= 1 and max(texts.get(1, {}), default=0) <= 1:
        return texts.get(1, {}).get(1)
    parts = (_subcomponents(texts.get(component, {})) for component in range(1, last + 1))
    return tuple(parts)  # type: ignore[arg-type]  # HL7 alone has subcomponents, and its writer takes them


def _subcomponents(texts: dict[int, str]) -> str | tuple[str, ...]:
    last = max(texts, default=0)
    if last <= 1:
        return texts.get(1, "")
    return tuple(texts.get(place, "") for place in range(1, last + 1))


class Sheets:
    """The records that are open, by letter or segment name."""

    def __init__(self) -> None:
        self._open: dict[str, Sheet] = {}

    def new(self, name: str) -> Sheet:
        """Begin a record; the one of the same name before it is finished."""
        self._open[name] = sheet = Sheet(name)
        return sheet

    def __getitem__(self, name: str) -> Sheet:
        return self._open[name]

    def put(self, path: str, text: str) -> None:
        """Write at one path; records that are not open are passed over."""
        place = FieldPath.parse(path)
        if (sheet := self._open.get(place.record)) is not None:
            sheet.put(place, text)

    def put_by(self, expression: str, text: str) -> None:
        """Write where a profile's expression reads first: `R.3.4 R.3.5`, `R.3.2+R.3.4`.

        Parts are filled from the end, because a driver leaves out empty parts at the start.
        """
        alternatives = Expression.parse(expression).alternatives
        if not alternatives:
            return
        parts = alternatives[0]
        texts = text.split(CODE_JOINT, len(parts) - 1) if len(parts) > 1 else [text]
        for place, piece in zip(parts[len(parts) - len(texts) :], texts, strict=True):
            if (sheet := self._open.get(place.record)) is not None:
                sheet.put(place, piece)

    def put_repeats(self, expression: str, texts: tuple[str, ...], *, choice: int = 0) -> None:
        """Write several texts as repeats of the whole field that an alternative names."""
        alternatives = Expression.parse(expression).alternatives
        if not alternatives:
            return
        place = alternatives[min(choice, len(alternatives) - 1)][0]
        for number, text in enumerate(texts, 1):
            repeat = f"[{number}]" if number > 1 else ""
            mark = "." if len(place.record) == 1 else "-"
            self.put(f"{place.record}{mark}{place.field}{repeat}", text)
