"""Does a message keep to IHE LAW? Every finding says what was expected, what came, and where.

    check(message)  ->  findings; none = it does
    errors(message) ->  those the framework forbids

Theory of operation. MSH-9.3 names the structure; `lis.wire.law_tables` has its segments and their fields. The
order of segments is read once from front to back: after the first segment out of place nothing certain can be
said about the rest, so that one is told and the walk ends. The fields of every segment are judged in any case.
Last come the few rules that look at more than one segment: what a query asks for, what "nothing to do" may hold.

What we send must have no error (tests). What we receive is only advised: a maker's slip is no reason to lose a
result. Findings never quote free text, because it may name a patient: only codes of tables, names of segments,
numbers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lis.wire.hl7 import DELETED, Message, Segment
from lis.wire.hl7_ack import ErrorCode, ErrorPlace, Hl7Error, Severity
from lis.wire.law_tables import (
    FIELDS,
    QUERY_SHAPES,
    STRUCTURES,
    Group,
    Need,
    One,
    Rule,
    Weight,
)

__all__ = ["Finding", "check", "errors", "is_law"]

_OWN = re.compile(r"Z[A-Z0-9]{2}")  # segments that two parties agreed on may stand anywhere
_CODE = re.compile(r"[A-Za-z0-9_.]{1,12}")
_STRUCTURE_OF = {"ACK": "ACK", "ORL_O34": "ORL_O42"}  # BioSystems names the older structure
_NOT_IN_A_NEGATIVE = frozenset({"PID", "PV1", "TQ1", "OBR", "TCD", "OBX", "NTE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as the framework has it."""

    segment: str
    sequence: int  # counted among the segments of that name
    field: int | None = None
    component: int = 1
    expected: str
    got: str
    code: ErrorCode
    weight: Weight = Weight.ERROR

    @property
    def place(self) -> str:
        """`SPM|2-11`: field 11 of the second SPM."""
        place = f"{self.segment}|{self.sequence}"
        if self.field is None:
            return place
        part = f".{self.component}" if self.component > 1 else ""
        return f"{place}-{self.field}{part}"

    @property
    def text(self) -> str:
        return f"{self.place}: expected {self.expected}, got {self.got}"

    def as_error(self) -> Hl7Error:
        """The same as an ERR segment says it."""
        return Hl7Error(
            code=self.code,
            text=self.text,
            place=ErrorPlace(
                segment=self.segment,
                sequence=self.sequence,
                field=self.field,
                component=self.component if self.field else None,
            ),
            severity=Severity.ERROR if self.weight is Weight.ERROR else Severity.WARNING,
        )


def is_law(message: Message) -> bool:
    """Whether the message has a structure of LAW; what it must hold is `check`'s affair."""
    return _structure_of(message) in STRUCTURES


def errors(message: Message) -> tuple[Finding, ...]:
    """What the framework forbids in it."""
    return tuple(finding for finding in check(message) if finding.weight is Weight.ERROR)


def check(message: Message) -> tuple[Finding, ...]:
    """Everything that is not as the framework has it, in the order of the message's parts."""
    structure = _structure_of(message)
    if structure not in STRUCTURES:
        return (
            Finding(
                segment="MSH",
                sequence=1,
                field=9,
                component=3,
                expected=_listed(STRUCTURES),
                got=_told(message.structure or message.code),
                code=ErrorCode.UNSUPPORTED_MESSAGE_TYPE,
            ),
        )
    counted = _counted(message.segments)
    return (
        *_order(STRUCTURES[structure], counted),
        *_fields(structure, counted),
        *_between(structure, message, counted),
    )


# ---- the order of segments


_Counted = tuple[tuple[int, Segment], ...]


def _counted(segments: Sequence[Segment]) -> _Counted:
    """Each segment with its number among those of its name."""
    counts: dict[str, int] = {}
    numbered = []
    for segment in segments:
        counts[segment.name] = counts.get(segment.name, 0) + 1
        numbered.append((counts[segment.name], segment))
    return tuple(numbered)


class _Walk:
    """One pass over the names of the segments; `fault` is the first thing out of place."""

    def __init__(self, counted: _Counted) -> None:
        self._rest = [entry for entry in counted if not _OWN.fullmatch(entry[1].name)]
        self._at = 0
        self.fault: Finding | None = None

    def run(self, items: Sequence[One | Group]) -> None:
        self._items(items)
        if self.fault is None and self._at < len(self._rest):
            last = items[-1]
            may = f"{last.name} or " if isinstance(last, Group) else ""
            self._refuse(f"{may}the end of the message")

    def _items(self, items: Sequence[One | Group]) -> None:
        for item in items:
            count = 0
            while (
                self.fault is None and self._begins(item) and (not item.most or count < item.most)
            ):
                count += 1
                if isinstance(item, Group):
                    self._items(item.items)
                else:
                    self._at += 1
            if self.fault is None and count < item.least:
                self._refuse(item.name)

    def _begins(self, item: One | Group) -> bool:
        if self._at >= len(self._rest):
            return False
        name = self._rest[self._at][1].name
        return name in item.first if isinstance(item, Group) else name == item.name

    def _refuse(self, expected: str) -> None:
        is_over = self._at >= len(self._rest)
        sequence, segment = self._rest[-1] if is_over else self._rest[self._at]
        after = " after it" if is_over else ""
        self.fault = Finding(
            segment=_told(segment.name),
            sequence=sequence,
            expected=expected + after,
            got="the end of the message" if is_over else _told(segment.name),
            code=ErrorCode.SEGMENT_SEQUENCE,
        )


def _order(items: Sequence[One | Group], counted: _Counted) -> Iterator[Finding]:
    walk = _Walk(counted)
    walk.run(items)
    if walk.fault is not None:
        yield walk.fault


# ---- the fields of segments


def _fields(structure: str, counted: _Counted) -> Iterator[Finding]:
    rules = FIELDS[structure]
    for sequence, segment in counted:
        for rule in rules.get(segment.name, ()):
            if (finding := _judge(rule, segment, sequence)) is not None:
                yield finding


def _judge(rule: Rule, segment: Segment, sequence: int) -> Finding | None:
    text = segment.component(rule.field, rule.component)
    given = text if rule.component > 1 or rule.values else segment.raw_field(rule.field)
    if rule.need is Need.EMPTY:
        return _finding(rule, segment, sequence, "nothing", "something") if given else None
    if not given:
        if rule.need is Need.CODED:
            return None
        return _finding(rule, segment, sequence, _listed(rule.values) or "something", "nothing")
    if rule.values and text not in rule.values:
        return _finding(rule, segment, sequence, _listed(rule.values), _told(text))
    return None


def _finding(rule: Rule, segment: Segment, sequence: int, expected: str, got: str) -> Finding:
    is_missing = got == "nothing"
    return Finding(
        segment=segment.name,
        sequence=sequence,
        field=rule.field,
        component=rule.component,
        expected=expected,
        got=got,
        code=ErrorCode.REQUIRED_FIELD_MISSING if is_missing else ErrorCode.TABLE_VALUE_NOT_FOUND,
        weight=rule.weight,
    )


# ---- rules over more than one segment


def _between(structure: str, message: Message, counted: _Counted) -> Iterator[Finding]:
    if structure == "QBP_Q11":
        yield from _query(message)
    if structure in {"OML_O33", "OUL_R22"}:
        yield from _nameless(counted)
    if structure == "OML_O33":
        yield from _negative(counted)
    if structure in {"RSP_K11", "ORL_O42", "ACK"}:
        yield from _refusal(message)
    if structure == "RSP_K11":
        yield from _echo(message)


def _query(message: Message) -> Iterator[Finding]:
    """What QPD fills follows from what it asks for."""
    qpd = message.first("QPD")
    shape = QUERY_SHAPES.get(qpd.component(1)) if qpd is not None else None
    if qpd is None or shape is None:
        return
    for field in shape.needed:
        if (found := _judge(Rule(field=field), qpd, 1)) is not None:
            yield found
    for field in shape.empty:
        if (found := _judge(Rule(field=field, need=Need.EMPTY), qpd, 1)) is not None:
            yield found


def _nameless(counted: _Counted) -> Iterator[Finding]:
    """A specimen is named in SPM-2 or in SAC-3; some makers leave one of them empty."""
    open_at: tuple[int, Segment] | None = None
    for sequence, segment in (*counted, (0, None)):
        if segment is None or segment.name == "SPM":
            if open_at is not None:
                yield _finding(
                    Rule(field=2), open_at[1], open_at[0], "an id here or in SAC-3", "nothing"
                )
            if segment is not None:
                is_named = _is_given(segment.component(2, 1, sub=1)) or _is_given(
                    segment.component(2, 2)
                )
                open_at = None if is_named else (sequence, segment)
        elif segment.name == "SAC" and _is_given(segment.component(3)):
            open_at = None


def _is_given(text: str) -> bool:
    return text not in {"", DELETED}


def _negative(counted: _Counted) -> Iterator[Finding]:
    """ "Nothing to do" has MSH, SPM, SAC and ORC only, with role U; a step needs its OBR."""
    controls = [(number, one) for number, one in counted if one.name == "ORC"]
    is_negative = any(one.component(1) == "DC" for _, one in controls)
    for sequence, segment in counted:
        if is_negative and segment.name in _NOT_IN_A_NEGATIVE:
            yield _misplaced(segment, sequence, "no such segment in a negative answer")
        if segment.name == "SPM" and segment.component(11):
            is_unknown = segment.component(11) == "U"
            if is_unknown != is_negative:
                rule = Rule(field=11)
                wanted = "U" if is_negative else "P, Q or L"
                yield _finding(rule, segment, sequence, wanted, _told(segment.component(11)))
    if is_negative:
        return
    steps = sum(segment.name == "OBR" for _, segment in counted)
    if controls and steps < len(controls):
        number, control = controls[-1]
        yield _misplaced(control, number, "an OBR for each ORC")


def _refusal(message: Message) -> Iterator[Finding]:
    """AE and AR say in ERR what was wrong."""
    msa = message.first("MSA")
    if msa is not None and msa.component(1) in {"AE", "AR"} and message.first("ERR") is None:
        yield _misplaced(msa, 1, "an ERR segment beside AE or AR")


def _echo(message: Message) -> Iterator[Finding]:
    qak, qpd = message.first("QAK"), message.first("QPD")
    if qak is not None and qpd is not None and qak.raw_field(1) != qpd.raw_field(2):
        yield _finding(Rule(field=1), qak, 1, "the tag that QPD-2 repeats", "another")


def _misplaced(segment: Segment, sequence: int, expected: str) -> Finding:
    return Finding(
        segment=segment.name,
        sequence=sequence,
        expected=expected,
        got=segment.name,
        code=ErrorCode.SEGMENT_SEQUENCE,
    )


# ---- words


def _structure_of(message: Message) -> str:
    structure = message.structure
    if not structure:
        structure = f"{message.code}_{message.event}" if message.code != "ACK" else "ACK"
    return _STRUCTURE_OF.get(structure, structure)


def _listed(values: object) -> str:
    names = sorted(values) if isinstance(values, frozenset) else list(values)  # type: ignore[call-overload]
    return " or ".join(str(name) for name in names)


def _told(text: str) -> str:
    """A code as it came; anything that may be free text only as such."""
    return text if _CODE.fullmatch(text) else f"{len(text)} characters"
