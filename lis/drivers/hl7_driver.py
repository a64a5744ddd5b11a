"""HL7 v2 messages of instruments to observations and queries, and the answers to queries.

Theory of operation. A payload may hold several messages (hl7.md, B2); each is read on its own. OBR opens an
order, each OBX under it is a row whose kind the profile knows: a result, an alarm that stands behind all
results of its order, a setting of the run, an image. NTE belongs to what stands before it. Rows are named by
segment and count, `OBX|3` is the third OBX of its message; from the second message of a payload on, the number
of the message stands before it: `2/OBX|3`.

Where the profile's dialect says so, SPM is taken before the rows it follows, an OBR is a row itself
(`OBR|2`), and a message whose header nobody explained to us is one unreadable entry, rows and all.

A payload without a readable MSH is one unreadable entry; it was kept, and never answered AA.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from lis.domain.messages import (
    Attachment,
    HostQuery,
    Lane,
    Protocol,
    Reason,
    ReportedControl,
    ReportedObservation,
    Sender,
    Translation,
    Unreadable,
)
from lis.drivers.expressions import holds_true
from lis.drivers.hl7_orders import asked_of
from lis.drivers.observing import Reader, joined_sender
from lis.drivers.profile import Profile, RowKind
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, Segment, split_messages
from lis.wire.hl7_batch import stray_segments
from lis.wire.hl7_charset import DEFAULT_FALLBACK, LAST_RESORT
from lis.wire.path import FieldPath

SHOWN_CHARACTERS_MAX = 2_000
MESSAGES_MAX = 1_000  # in one payload: a day's upload of a busy analyzer in one frame is smaller
REQUEST_CODES = frozenset({"QBP", "QRY", "QCN", "ORM", "OML", "OMG", "QSB"})
"""MSH-9.1 of messages whose answer must be computed."""
RESULT_CODES = frozenset({"ORU", "OUL", "NMD", "ESU", "SSU", "INU", "TCU", "EAC", "EAR"})
"""MSH-9.1 of messages that an acknowledgement answers: results, and what instruments say of themselves."""
REPLY_CODES = frozenset({"ACK", "MCF", "ORL", "ORR", "RSP", "QCK", "DSR", "INR"})
"""MSH-9.1 of what answers us. It is never answered again."""
_CLOSES = {
    "PID": ("PV1", "ORC", "OBR", "OBX", "NTE", "TQ1"),
    "OBR": ("OBX", "NTE", "TQ1"),
    "OBX": ("NTE",),
}


class Hl7Scope:
    """The open segments around the one being read."""

    def __init__(self) -> None:
        self._open: dict[str, Segment] = {}

    def enter(self, segment: Segment) -> None:
        for closed in _CLOSES.get(segment.name, ()):
            self._open.pop(closed, None)
        self._open[segment.name] = segment

    def leave(self, name: str) -> None:
        """Forget a segment that speaks for the group before this one."""
        self._open.pop(name, None)

    def has(self, name: str) -> bool:
        return name in self._open

    def text(self, path: FieldPath) -> str:
        segment = self._open.get(path.record)
        if segment is None:
            return ""
        if path.component is None and path.repeat == 1:
            return segment.field(path.field)
        component = path.component or 1
        return segment.component(path.field, component, repeat=path.repeat, sub=path.subcomponent)

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        segment = self._open.get(path.record)
        if segment is None:
            return ()
        return tuple(part.component(1) for part in segment.repeats(path.field))


def translate(
    profile: Profile, raw: bytes, *, zone: tzinfo, charset: str, received_at: datetime
) -> Translation:
    """Everything one kept payload says. Pure; raises nothing for any bytes."""
    reader = Reader.of(profile, zone, received_at)
    fallback = fallback_of(profile, charset)
    parts: list[Translation] = []
    for number, payload in enumerate(split_messages(raw)[:MESSAGES_MAX], 1):
        prefix = "" if number == 1 else f"{number}/"
        try:
            is_unicode = profile.hl7.has_vendor_unicode
            message = Message.parse(payload, fallback=fallback, is_vendor_unicode=is_unicode)
        except RemoteProtocolError:
            parts.append(_unreadable(profile, payload, prefix))
        else:
            parts.append(_Walk(reader, prefix).run(message))
    if stray := stray_segments(raw):
        parts.append(_unreadable(profile, stray, "0/"))
    return _together(parts)


def fallback_of(profile: Profile, charset: str) -> tuple[str, ...]:
    """The codecs to try where MSH-18 is silent or wrong: the link's, the instrument's, the usual (C2).

    A profile that says no more than the last resort says nothing: Latin-1 reads anything, so the usual come first.
    """
    own = tuple(codec for codec in profile.charsets if codec != LAST_RESORT)
    return (*((charset,) if charset else ()), *own, *DEFAULT_FALLBACK)


def _unreadable(profile: Profile, payload: bytes, prefix: str, place: str = "") -> Translation:
    raw = payload[:SHOWN_CHARACTERS_MAX].decode("latin-1")
    entry = Unreadable(
        record=f"{prefix}MSH|1", field=place, raw=raw, reason=Reason.UNREADABLE_RECORD
    )
    return Translation(
        driver=profile.key,
        driver_version=profile.version,
        protocol=Protocol.HL7,
        unreadable=(entry,),
    )


def _together(parts: Sequence[Translation]) -> Translation:
    """One translation of a payload; what stands once is taken from its first message."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(
        first,
        observations=tuple(entry for part in parts for entry in part.observations),
        unreadable=tuple(entry for part in parts for entry in part.unreadable),
        queries=tuple(entry for part in parts for entry in part.queries),
    )


@dataclass(slots=True)
class _Order:
    """What the rows under one OBR have said."""

    results: list[ReportedObservation] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    attached: list[Attachment] = field(default_factory=list)
    level: str = ""
    is_flagged: bool = False  # a note of the order is an instrument flag
    rows: int = 0  # OBX segments, whatever they are


class _Walk:
    """One pass over the segments of a message."""

    def __init__(self, reader: Reader, prefix: str) -> None:
        self._reader = reader
        self._prefix = prefix
        self._scope = Hl7Scope()
        self._order = _Order()
        self._dialect = reader.profile.hl7
        self._order_reader = _reader_of_orders(reader)
        self._observations: list[ReportedObservation] = []
        self._unreadable: list[Unreadable] = []
        self._orders = 0
        self._newest = 0  # results of the open order before this index are not of the open OBX
        self._rows = 0
        self._senders: list[Sender] = []  # of the rows, where each names its instrument
        self._steps: dict[RowKind, Callable[[str], None]] = {
            RowKind.RESULT: self._read_result,
            RowKind.SUPPLEMENT: self._read_behind,
            RowKind.INTERPRETATION: self._read_behind,
            RowKind.FLAG: self._read_flag,
            RowKind.COMMENT: self._read_remark,
            RowKind.LEVEL: self._read_level,
            RowKind.SETTING: self._skip,
            RowKind.ATTACHMENT: self._attach,
        }

    def run(self, message: Message) -> Translation:
        profile = self._reader.profile
        self._scope.enter(message.header)
        for rule in self._dialect.known:
            if not holds_true(rule, self._scope):
                return _unreadable(profile, message.raw, self._prefix, rule.path)
        behind = self._dialect.is_specimen_behind
        for segment in specimens_first(message.segments) if behind else message.segments:
            self._visit(segment)
        self._close_order()
        return Translation(
            driver=profile.key,
            driver_version=profile.version,
            protocol=Protocol.HL7,
            sender=joined_sender(self._senders or [self._reader.sender(self._scope)]),
            control_id=message.control_id,
            processing_id=self._reader.fields["processing_id"].read(self._scope).strip() or "P",
            sent_at=self._reader.sent_at(self._scope),
            observations=tuple(self._observations),
            unreadable=tuple(self._unreadable),
            queries=self._queries(message),
            foreign_driver=self._reader.foreign_driver(self._scope),
        )

    def _visit(self, segment: Segment) -> None:
        if segment.name in {"OBR", "PID"}:
            self._close_order()
        self._scope.enter(segment)
        match segment.name:
            case "OBR":
                self._open_order()
            case "OBX":
                self._rows += 1
                self._order.rows += 1
                if self._reader.has_sender_in_rows:
                    self._senders.append(self._reader.sender(self._scope))
                self._newest = len(self._order.results)
                name = f"{self._prefix}OBX|{self._rows}"
                self._steps[self._reader.row_kind(self._scope)](name)
            case "NTE":
                self._read_note()
            case _:
                pass  # MSH, PID, PV1 open a scope; others say nothing that a result needs

    def _open_order(self) -> None:
        self._orders += 1
        if self._dialect.is_specimen_behind:
            self._scope.leave("SPM")
        if self._order_reader is not None and self._is_row():
            name = f"{self._prefix}OBR|{self._orders}"
            self._order.results.extend(self._order_reader.observe(self._scope, name))

    def _is_row(self) -> bool:
        row = self._dialect.order_row
        return row is not None and all(holds_true(rule, self._scope) for rule in row.when)

    def _read_result(self, name: str) -> None:
        self._order.results.extend(self._reader.observe(self._scope, name))

    def _read_behind(self, name: str) -> None:
        """A row behind the result before it; without one it stays a row that no test claims by luck."""
        results = self._order.results
        result = next((entry for entry in reversed(results) if not entry.part_of), None)
        if result is None:
            results.append(self._reader.stray(self._scope, name))
        else:
            results.append(self._reader.support(self._scope, name, result))

    def _read_flag(self, name: str) -> None:  # noqa: ARG002  # same shape as every step
        if self._value() not in {"", "F", "N", "0"}:
            self._order.flags.append(self._reader.code(self._scope))

    def _read_remark(self, name: str) -> None:  # noqa: ARG002
        if text := self._value():
            self._order.comments.append(text)

    def _read_level(self, name: str) -> None:  # noqa: ARG002
        self._order.level = self._value()

    def _skip(self, name: str) -> None:
        pass

    def _attach(self, name: str) -> None:
        self._order.attached.append(self._reader.attachment(self._scope, name))

    def _value(self) -> str:
        return self._reader.fields["value"].read(self._scope).strip()

    def _read_note(self) -> None:
        text = self._reader.fields["comment"].read(self._scope).strip()
        if not text:
            return
        is_flag = any(holds_true(rule, self._scope) for rule in self._dialect.flag_notes)
        order, results = self._order, self._order.results
        if not self._scope.has("OBX"):
            order.comments.append(text)
            order.is_flagged = order.is_flagged or is_flag
        for index in range(self._newest, len(results) if self._scope.has("OBX") else 0):
            entry = results[index]
            results[index] = replace(
                entry,
                comment="\n".join(part for part in (entry.comment, text) if part),
                is_abnormal_flagged=entry.is_abnormal_flagged or is_flag,
            )

    def _close_order(self) -> None:
        """Alarms, remarks and images of an order go to its results."""
        order, self._order = self._order, _Order()
        self._newest = 0
        self._note_refusal(order)
        for number, result in enumerate(order.results):
            comments = [*order.comments, result.comment]
            self._observations.append(
                replace(
                    result,
                    flags=(*result.flags, *order.flags),
                    is_abnormal_flagged=(
                        result.is_abnormal_flagged or bool(order.flags) or order.is_flagged
                    ),
                    comment="\n".join(text for text in comments if text),
                    attached=tuple(order.attached) if number == 0 else (),
                    control=_leveled(result.control, order.level),
                )
            )

    def _note_refusal(self, order: _Order) -> None:
        """An order that the instrument does not take has no rows; a person must hear of it."""
        rules = self._dialect.refusal
        if not rules or order.rows or not self._scope.has("OBR"):
            return
        if all(holds_true(rule, self._scope) for rule in rules):
            specimen = self._reader.fields["specimen"].read(self._scope)
            test = self._scope.text(_ORDERED_TEST)
            said = " | ".join(text for text in (specimen, test, *order.comments) if text)
            self._unreadable.append(
                Unreadable(
                    record=f"{self._prefix}OBR|{self._orders}",
                    field=rules[0].path,
                    raw=said[:SHOWN_CHARACTERS_MAX],
                    reason=Reason.REFUSED_BY_ANALYZER,
                )
            )

    def _queries(self, message: Message) -> tuple[HostQuery, ...]:
        rule = self._reader.profile.query
        if not rule.match or not all(holds_true(match, self._scope) for match in rule.match):
            return ()
        path = FieldPath.parse(rule.specimen)
        specimen = self._scope.text(path).strip()
        is_cancel = path.record != "Q" and holds_true(rule.cancel, self._scope)
        wants_all = rule.everything is not None and holds_true(rule.everything, self._scope)
        return (
            HostQuery(
                specimens=(specimen,) if specimen and not wants_all else (),
                wants_all=wants_all and not is_cancel,
                is_cancel=is_cancel,
                echo=asked_of(message).echo(),
                record=f"{self._prefix}{path.record}|1",
            ),
        )


_ORDERED_TEST = FieldPath.parse("OBR-4.1")


def _reader_of_orders(reader: Reader) -> Reader | None:
    """Reads an OBR that is a result itself; None where no such thing exists."""
    profile, row = reader.profile, reader.profile.hl7.order_row
    if row is None:
        return None
    fields = replace(profile.fields, **row.fields)
    quirks = replace(profile.quirks, status_missing=row.status)
    own = replace(profile, fields=fields, quirks=quirks)
    return Reader.of(own, reader.zone, reader.received_at)


def specimens_first(segments: Sequence[Segment]) -> Iterator[Segment]:
    """The segments with each SPM right behind the OBR whose rows it follows."""
    held: list[Segment] = []  # an OBR, and what came under it
    for segment in segments:
        if segment.name == "SPM" and held:
            yield from (held[0], segment, *held[1:])
            held = []
            continue
        if segment.name in {"PID", "ORC", "OBR"}:
            yield from held
            held = []
        if held or segment.name == "OBR":
            held.append(segment)
        else:
            yield segment
    yield from held


def _leveled(control: ReportedControl | None, level: str) -> ReportedControl | None:
    return replace(control, level=level) if control is not None and level else control


def lane_of(message: Message) -> Lane:
    """Whether the answer can be an acknowledgement, or must be computed."""
    return Lane.REQUEST if message.code.upper() in REQUEST_CODES else Lane.RESULT
