"""ASTM records to observations and queries.

Theory of operation. `translate` walks the records once and remembers which header, patient, order, result
and comment are open (LIS02-A2 4.1); the profile's expressions read from those. A result becomes an
observation. A comment belongs to the record before it, a manufacturer's record (curve, image, absorbances)
becomes a reference on the result before it; one that stands before the first result of its order belongs to
that (Yumizen H550). Records are named by letter and count, `R|3` is the third R of the
message whatever number it carries, so a reference is never ambiguous.

Supplements (GeneXpert). Rows that stand behind a result are kept as observations with `part_of`, when the
result of the same code is open. A supplement whose result is not there, because its code is misspelt, is a
result of its own: then a person sees an unknown test, and nothing is filed under a neighbour. A supplement
that comes before its result waits for it until the order ends.

Delimiters and codes mean nothing without a header. What comes before the first H is unreadable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from lis.domain.messages import (
    Attachment,
    HostQuery,
    Protocol,
    Reason,
    ReportedObservation,
    Sender,
    Translation,
    Unreadable,
)
from lis.drivers.expressions import holds_true
from lis.drivers.observing import Reader
from lis.drivers.profile import FlagMeaning, Profile, RowKind
from lis.wire.astm_assembly import decode_raw
from lis.wire.astm_record import Message, Record
from lis.wire.path import FieldPath

RECORD_TYPES = frozenset("HPOQRCMSL")
SHOWN_CHARACTERS_MAX = 2_000  # of an unreadable record; the raw message has all of it
UNREADABLE_MAX = 1_000  # rows one message may leave on the list; more of the same help nobody
_TOLD = (FieldPath.parse("H.3"), FieldPath.parse("H.10"))
"""The message id, and how the instrument calls us: some want both back."""
_CLOSES = {"H": "POQRCM", "P": "OQRCM", "O": "RCM", "Q": "RCM", "R": "CM", "L": "POQRCM"}


class AstmScope:
    """The open records around the one being read."""

    def __init__(self) -> None:
        self._open: dict[str, Record] = {}

    def enter(self, record: Record, letter: str) -> None:
        for closed in _CLOSES.get(letter, ""):
            self._open.pop(closed, None)
        self._open[letter] = record

    def has(self, letter: str) -> bool:
        return letter in self._open

    def text(self, path: FieldPath) -> str:
        record = self._open.get(path.record)
        return path.read(record) if record is not None else ""

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        record = self._open.get(path.record)
        if record is None:
            return ()
        whole = record.repeats(path.field)
        if path.component is None:
            return whole
        return tuple(
            record.component(path.field, path.component, repeat)
            for repeat in range(1, len(whole) + 1)
        )

    def copy(self) -> "AstmScope":
        """The records that are open now."""
        scope = AstmScope()
        scope._open = dict(self._open)
        return scope


def translate(
    profile: Profile, raw: bytes, *, zone: tzinfo, charset: str, received_at: datetime
) -> Translation:
    """Everything one kept message says. Pure; raises nothing for any bytes."""
    records = decode_raw(raw)
    charsets = (charset,) if charset else profile.charsets
    message = Message.parse(records, _fitting(records, charsets))
    walk = _Walk(Reader.of(profile, zone, received_at))
    for record in message.records:
        walk.visit(record)
    return walk.translation()


def _fitting(records: Sequence[bytes], charsets: Sequence[str]) -> str:
    """The first charset that can read every record; Latin-1 can always."""
    text = b"\r".join(records)
    for charset in charsets:
        try:
            text.decode(charset)
        except UnicodeDecodeError:
            continue
        return charset
    return "latin-1"


@dataclass(slots=True)
class _Order:
    """What was said of the open order before, between and behind its results."""

    results: dict[str, int] = field(default_factory=dict)  # code -> place in the observations
    waiting: list[tuple[int, AstmScope, RowKind]] = field(default_factory=list)
    attached: list[Attachment] = field(default_factory=list)  # before the first result
    flags: tuple[str, ...] = ()  # alarms of the whole order
    comment: str = ""
    is_flagged: bool = False
    reagents: str = ""
    start: int = 0  # its first place in the observations


class _Walk:
    """One pass over the records of a message."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._scope = AstmScope()
        self._counts: dict[str, int] = {}
        self._observations: list[ReportedObservation] = []
        self._unreadable: list[Unreadable] = []
        self._queries: list[HostQuery] = []
        self._order = _Order()
        self._newest = range(0)  # the observations of the open R; a supplement behind it is none
        self._sender = Sender()
        self._sent_at: datetime | None = None
        self._processing_id = ""
        self._foreign_driver = ""

    def translation(self) -> Translation:
        profile = self._reader.profile
        return Translation(
            driver=profile.key,
            driver_version=profile.version,
            protocol=Protocol.ASTM,
            sender=self._sender,
            processing_id=self._processing_id or "P",
            sent_at=self._sent_at,
            observations=tuple(self._observations),
            unreadable=tuple(self._unreadable),
            queries=tuple(self._queries),
            foreign_driver=self._foreign_driver,
        )

    def visit(self, record: Record) -> None:
        letter = record.type
        name = self._named(letter)
        if not record.raw.strip():
            return
        is_known = letter in RECORD_TYPES and (letter == "H" or self._scope.has("H"))
        if not is_known or record.raw[1:2] not in (record.delimiters.field.encode(), b""):
            self._refuse(record, name)
            return
        self._scope.enter(record, letter)
        match letter:
            case "H":
                self._open_header()
            case "P" | "O":
                self._open_order()
            case "R":
                self._read_result(name)
            case "C":
                self._read_comment()
            case "M":
                self._attach(name)
            case "Q":
                self._queries.append(self._query(record, name))
            case _:
                pass  # S and L say nothing that a result needs

    def _named(self, letter: str) -> str:
        self._counts[letter] = self._counts.get(letter, 0) + 1
        return f"{letter}|{self._counts[letter]}"

    def _refuse(self, record: Record, name: str) -> None:
        if len(self._unreadable) < UNREADABLE_MAX:
            raw = record.raw[:SHOWN_CHARACTERS_MAX].decode("latin-1")
            self._unreadable.append(
                Unreadable(record=name, field="", raw=raw, reason=Reason.UNREADABLE_RECORD)
            )

    def _open_header(self) -> None:
        self._open_order()
        self._sender = self._reader.sender(self._scope)
        self._foreign_driver = self._reader.foreign_driver(self._scope)
        self._sent_at = self._reader.sent_at(self._scope)
        self._processing_id = self._reader.fields["processing_id"].read(self._scope).strip()

    def _open_order(self) -> None:
        self._order = _Order(start=len(self._observations))
        self._newest = range(0)

    def _read_result(self, name: str) -> None:
        kind = self._reader.row_kind(self._scope)
        start = len(self._observations)
        match kind:
            case RowKind.SUPPLEMENT | RowKind.INTERPRETATION:
                self._read_behind(kind, name)
            case RowKind.FLAG:
                self._read_alarm()
            case RowKind.ATTACHMENT:
                self._refer(name)
            case RowKind.COMMENT:
                self._remark(self._reader.fields["value"].read(self._scope).strip())
            case RowKind.SETTING | RowKind.LEVEL:
                pass  # stays in the raw message
            case RowKind.RESULT:
                self._observe(name)
        self._newest = range(start, len(self._observations))

    def _read_alarm(self) -> None:
        """A row that is an alarm of the whole order, if it is raised: then it carries a flag (Sysmex XN)."""
        flags = self._reader.fields["flags"].read_repeats(self._scope)
        meanings = {self._reader.profile.flags.get(flag.strip()) for flag in flags}
        if not meanings - {FlagMeaning.NORMAL}:
            return
        alarm = self._reader.code(self._scope)
        self._order.flags = (*self._order.flags, alarm)
        self._order.is_flagged = True
        for index in range(self._order.start, len(self._observations)):
            entry = self._observations[index]
            self._observations[index] = replace(
                entry, flags=(*entry.flags, alarm), is_abnormal_flagged=True
            )

    def _refer(self, name: str) -> None:
        """A row that names an image: a reference on the first result of its order."""
        attachment = self._reader.attachment(self._scope, name)
        if self._order.start == len(self._observations):
            self._order.attached.append(attachment)
            return
        first = self._observations[self._order.start]
        self._observations[self._order.start] = replace(
            first, attached=(*first.attached, attachment)
        )

    def _remark(self, text: str) -> None:
        """A comment on the order: on the results that stand there already and on those to come."""
        self._order.comment = _joined(self._order.comment, text)
        for index in range(self._order.start, len(self._observations)):
            entry = self._observations[index]
            self._observations[index] = replace(entry, comment=_joined(entry.comment, text))

    def _read_behind(self, kind: RowKind, name: str) -> None:
        """A row behind a result: it goes there, or waits, and is seen for itself until then."""
        place = self._order.results.get(self._reader.code(self._scope))
        self._observations.append(self._reader.stray(self._scope, name))
        here = len(self._observations) - 1
        if place is None:
            self._order.waiting.append((here, self._scope.copy(), kind))
        else:
            self._put_behind(place, here, self._scope, kind)

    def _put_behind(self, place: int, here: int, scope: AstmScope, kind: RowKind) -> None:
        result, row = self._observations[place], self._observations[here]
        behind = self._reader.support(scope, row.record, result)
        self._observations[here] = replace(behind, comment=row.comment, attached=row.attached)
        if kind is RowKind.INTERPRETATION and (words := behind.value.text.strip()):
            comment = _joined(result.comment, words)
            self._observations[place] = replace(result, comment=comment)

    def _observe(self, name: str) -> None:
        order, start = self._order, len(self._observations)
        for entry in self._reader.observe(self._scope, name):
            self._observations.append(
                replace(
                    entry,
                    comment=order.comment,
                    flags=(*entry.flags, *order.flags),
                    is_abnormal_flagged=entry.is_abnormal_flagged or order.is_flagged,
                    reagent_lot=entry.reagent_lot or order.reagents,
                )
            )
        first = self._observations[start]
        self._observations[start] = replace(first, attached=tuple(order.attached))
        order.attached.clear()
        code = self._reader.code(self._scope)
        order.results[code] = start
        ready = [row for row in order.waiting if self._reader.code(row[1]) == code]
        for row in ready:
            order.waiting.remove(row)
            self._put_behind(start, row[0], *row[1:])

    def _read_comment(self) -> None:
        text = self._reader.fields["comment"].read(self._scope).strip()
        quirks = self._reader.profile.quirks
        if not text or any(holds_true(rule, self._scope) for rule in quirks.silent_comments):
            return
        rules = quirks.flag_comments
        is_flag = any(holds_true(rule, self._scope) for rule in rules)
        if not self._scope.has("R"):
            self._order.comment = _joined(self._order.comment, text)
            self._order.is_flagged = self._order.is_flagged or is_flag
            return
        if not self._newest:  # behind a row that is no result
            self._remark(text)
            return
        for index in self._newest:
            entry = self._observations[index]
            self._observations[index] = replace(
                entry,
                comment=_joined(entry.comment, text),
                is_abnormal_flagged=entry.is_abnormal_flagged or is_flag,
            )

    def _attach(self, name: str) -> None:
        if lots := self._reader.reagents(self._scope):
            self._order.reagents = _joined(self._order.reagents, lots)
            return
        attachment = self._reader.attachment(self._scope, name)
        if not self._newest:
            self._order.attached.append(attachment)
            return
        result = self._observations[self._newest[0]]
        detail = self._reader.detail(self._scope, name, result)
        if detail is not None:
            self._observations.append(detail)
        for index in self._newest:
            entry = self._observations[index]
            self._observations[index] = replace(entry, attached=(*entry.attached, attachment))

    def _query(self, record: Record, name: str) -> HostQuery:
        rule = self._reader.profile.query
        padding = self._reader.profile.quirks.padding
        count = len(record.repeats(3))
        asked = [_asked(record, repeat, rule.component) for repeat in range(1, count + 1)]
        specimens = tuple(text.strip(padding) if padding else text for text in asked)
        is_cancel = holds_true(rule.cancel, self._scope)
        wants_all = not record.field(3).strip() or "ALL" in specimens  # a blank number is not ALL
        range_end = _asked(record, 1, rule.component, field=4).strip(padding or None)
        return HostQuery(
            specimens=() if wants_all else specimens,
            wants_all=wants_all and not is_cancel,
            is_cancel=is_cancel,
            echo=(
                self._sender.serial or self._sender.name,
                record.verbatim(3),
                *(self._scope.text(path).strip() for path in _TOLD),
                self._sender.name,
            ),
            record=name,
            range_end=range_end if len(specimens) == 1 and range_end != specimens[0] else "",
        )


def _asked(record: Record, repeat: int, component: int, *, field: int = 3) -> str:
    """The specimen in one repeat of Q.3 or Q.4; one text alone is the specimen, wherever it should stand."""
    parts = record.components(field, repeat)
    return parts[0] if len(parts) == 1 else record.component(field, component, repeat)


def _joined(before: str, text: str) -> str:
    return f"{before}\n{text}" if before else text


def is_request(records: Iterable[bytes]) -> bool:
    """Whether a message asks for an answer: it holds a Q record."""
    return any(record[:1] in (b"Q", b"q") for record in records)
