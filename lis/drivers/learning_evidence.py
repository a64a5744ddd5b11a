"""Rows of captures, and what speaks for a place: the ground on which `learning` proposes.

The records of all captures are walked once; every row that may be a result (R, OBX) keeps what stands above it. A
*choice* is one place tried on all rows, with the records and texts that speak for it and how many rows do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lis.domain.messages import Protocol
from lis.drivers.taking_apart import Context, cells_of, contexts_of
from lis.wire.path import FieldPath

ROWS_MAX: Final = 5_000  # results that are looked at; a layout shows long before
EVIDENCE_MAX: Final = 3  # records shown for one choice
CHOICES_MAX: Final = 6
ROW: Final = {Protocol.ASTM: "R", Protocol.HL7: "OBX"}


class Confidence(StrEnum):
    """How much speaks for a choice."""

    EVERY = "every"  # every row that was seen has it
    SOME = "some"  # some rows have it
    STANDARD = "standard"  # none has it; it is what the standard says
    HINT = "hint"  # a text that looks like it; only a person can tell


@dataclass(frozen=True, slots=True)
class Seen:
    """One text that speaks for a choice, and the record in which it stands."""

    record: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One possible answer."""

    answer: str
    confidence: Confidence
    seen: tuple[Seen, ...] = ()
    count: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to confirm. `name` is a field of `FieldMap`, or one of `learned_profile.ANSWERS`."""

    name: str
    answer: str
    choices: tuple[Choice, ...] = ()
    options: tuple[str, ...] = ()  # the only answers there are; () = free


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSeen:
    """One test code, with the units and the number of times it was seen: what the catalog must know."""

    code: str
    units: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Samples:
    """Everything the captures hold, ready to be asked."""

    protocol: Protocol
    rows: tuple[Context, ...]  # may be results
    headers: tuple[Context, ...]
    queries: tuple[Context, ...] = ()
    raw: bytes = field(default=b"", repr=False)


def samples_of(protocol: Protocol, units: Sequence[bytes]) -> Samples:
    """Walk all messages of all captures once."""
    rows: list[Context] = []
    headers: list[Context] = []
    queries: list[Context] = []
    for number, unit in enumerate(units, 1):
        for context in contexts_of(protocol, unit):
            kind = context.kind
            named = Context(
                f"{number}: {context.name}" if number > 1 else context.name, context.records
            )
            if kind == ROW[protocol] and len(rows) < ROWS_MAX and not _is_picture(named):
                rows.append(named)
            elif kind in {"H", "MSH"}:
                headers.append(named)
            elif kind == "Q":
                queries.append(named)
    return Samples(protocol, tuple(rows), tuple(headers), tuple(queries), b"".join(units))


def _is_picture(context: Context) -> bool:
    """HL7 rows that carry bytes say so in OBX-2."""
    return "OBX" in context.records and context.text(FieldPath("OBX", 2)) in {"ED", "RP"}


# ------------------------------------------------------------------------- trying places


def choice(
    contexts: Sequence[Context],
    place: str,
    fits: Callable[[str], bool] = bool,
    answer: str = "",
) -> Choice | None:
    """What speaks for one place; None if no row fits."""
    path = FieldPath.parse(place)
    seen: list[Seen] = []
    count = 0
    for context in contexts:
        text = context.text(path)
        if text.strip() and fits(text.strip()):
            count += 1
            if len(seen) < EVIDENCE_MAX and all(text != one.text for one in seen):
                seen.append(Seen(record_of(context, path), text))
    if not count:
        return None
    whole = count == len(contexts)
    confidence = Confidence.EVERY if whole else Confidence.SOME
    return Choice(
        answer=answer or place,
        confidence=confidence,
        seen=tuple(seen),
        count=count,
        rows=len(contexts),
    )


def record_of(context: Context, path: FieldPath) -> str:
    """The row itself, or the letter of what stands above it."""
    own = context.name.rsplit(" ", 1)[-1].rsplit("/", 1)[-1].split("|", 1)[0]
    return context.name if own == path.record else f"{path.record} > {context.name}"


def places(contexts: Sequence[Context], record: str, numbers: Sequence[int] = ()) -> list[str]:
    """Where the contexts hold text in that record: components where a field is ever cut, else the field."""
    whole: dict[str, None] = {}
    parts: dict[str, list[str]] = {}
    seen: set[int] = set()
    for context in contexts:
        above = context.records.get(record)
        if above is None or id(above) in seen:
            continue
        seen.add(id(above))
        for cell in cells_of(above):
            if not numbers or FieldPath.parse(cell.place).field in numbers:
                whole[cell.place] = None
                parts.setdefault(cell.place, []).extend(part.place for part in cell.parts)
    found: dict[str, None] = {}
    for place in whole:
        found.update(dict.fromkeys([f"{place}.1", *parts[place]] if parts[place] else [place]))
    return sorted(found, key=order_of)


def order_of(place: str) -> tuple[str, int, int]:
    path = FieldPath.parse(place)
    return path.record, path.field, path.component or 0


def question(
    name: str, standard: str, found: Sequence[Choice | None], *, takes_hint: bool = False
) -> Question:
    """The best choice first; where none was seen, what the standard says."""
    choices = [one for one in found if one is not None]
    choices.sort(key=lambda one: one.confidence is not Confidence.EVERY)  # stable: preference stays
    usable = takes_hint or any(one.confidence is not Confidence.HINT for one in choices)
    answer = choices[0].answer if choices and usable else standard
    if standard and all(one.answer != standard for one in choices):
        choices.append(Choice(answer=standard, confidence=Confidence.STANDARD))
    return Question(name=name, answer=answer, choices=tuple(choices[:CHOICES_MAX]))
