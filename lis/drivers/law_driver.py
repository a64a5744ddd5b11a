r"""LAW messages of analyzers to observations, questions, and news of steps.

Theory of operation. One pass over the segments. SPM and SAC open a container, OBR a step, OBX a row under it.
TCD behind rows belongs to the results since the last TCD, INV to those of its step that have no lot yet, NTE to the
result before it, or to all of its step where that row is none. INV before the first OBR says which control is in
the container.

Rows (LAW-R13, R14). The row whose code the profile knows as a RESULT is the result. Others share its OBX-4:

    FLAG         the same code and OBX-4 once more; its value is a data alarm of that result (cobas)
    SUPPLEMENT   times, limits, states of the measurement: kept behind the result as `part_of`
    SETTING      of the run; stays in the raw message

A supplement without OBX-4 of its own belongs to the only result of its step; where there are several, or
none, it is a row of its own that a person sees. Two quotation marks mean "not known", which is nothing.

News of steps (ORC-5 with the AWOS id in OBR-2): IP started, CM completed, CA stopped. A step nobody ordered has
`""` in OBR-2 (LAW-R08); its results are read like all others.

OUL^R23 and its like carry calibrations: they are kept and acknowledged, and no row of theirs is a result.

Dilutions. TCD-2 and SAC-29 are ratios, `^1^:^10`. 1:1 is undiluted. What else they say is the factor; whether
the value is already multiplied stands in the profile, and where it does not, the result waits (S25). A
specimen that was diluted before it was put on the analyzer is never known to be multiplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from lis.domain.messages import (
    OrderProgress,
    ProgressKind,
    Protocol,
    Reason,
    ReportedObservation,
    Sender,
    Translation,
    Unreadable,
    ValueBasis,
)
from lis.domain.quantity import ReportedValue
from lis.drivers.expressions import holds_true
from lis.drivers.hl7_driver import Hl7Scope
from lis.drivers.law_numbers import plain_number, ratio
from lis.drivers.law_queries import query_of
from lis.drivers.law_style import LawStyle
from lis.drivers.observing import Reader, joined_sender
from lis.drivers.profile import Profile, RowKind
from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import DELETED, Message, Segment, split_messages
from lis.wire.hl7_batch import stray_segments
from lis.wire.hl7_charset import DEFAULT_FALLBACK
from lis.wire.path import FieldPath

MESSAGES_MAX = 1_000  # in one payload
SHOWN_CHARACTERS_MAX = 2_000  # of an unreadable message
_PROGRESS = {
    "IP": ProgressKind.STARTED,
    "CM": ProgressKind.COMPLETED,
    "CA": ProgressKind.STOPPED,
}
_STEP = ("OBR", "ORC", "TQ1", "NTE", "OBX", "TCD")
_CLOSES = {
    "PID": ("PV1", "SPM", "SAC", "INV", *_STEP),
    "SPM": ("SAC", "INV", *_STEP),
    "OBR": _STEP,
    "OBX": ("TCD", "NTE"),
}


class LawScope(Hl7Scope):
    """The open segments; two quotation marks read as nothing."""

    def enter(self, segment: Segment) -> None:
        for closed in _CLOSES.get(segment.name, ()):
            self._open.pop(closed, None)
        self._open[segment.name] = segment

    def copy(self) -> "LawScope":
        """The segments that are open now."""
        scope = LawScope()
        scope._open = dict(self._open)
        return scope

    def text(self, path: FieldPath) -> str:
        text = super().text(path)
        return "" if text == DELETED else text

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        return tuple(text for text in super().repeats(path) if text != DELETED)


def translate(
    profile: Profile, raw: bytes, *, zone: tzinfo, charset: str, received_at: datetime
) -> Translation:
    """Everything one kept payload says. Pure; raises nothing for any bytes."""
    style = profile.law
    assert style is not None, "only LAW profiles come here"
    reader = Reader.of(profile, zone, received_at)
    fallback = (charset, *DEFAULT_FALLBACK) if charset else DEFAULT_FALLBACK
    parts: list[Translation] = []
    for number, payload in enumerate(split_messages(raw)[:MESSAGES_MAX], 1):
        prefix = "" if number == 1 else f"{number}/"
        try:
            message = Message.parse(
                payload, fallback=fallback, is_vendor_unicode=style.has_vendor_unicode
            )
        except RemoteProtocolError:
            parts.append(_unreadable(profile, payload, prefix))
        else:
            parts.append(_Walk(reader, style, prefix).run(message))
    if stray := stray_segments(raw):
        parts.append(_unreadable(profile, stray, "0/"))
    return _together(parts)


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
        progress=tuple(entry for part in parts for entry in part.progress),
    )


def _unreadable(profile: Profile, payload: bytes, prefix: str) -> Translation:
    raw = payload[:SHOWN_CHARACTERS_MAX].decode("latin-1")
    entry = Unreadable(record=f"{prefix}MSH|1", field="", raw=raw, reason=Reason.UNREADABLE_RECORD)
    return Translation(
        driver=profile.key,
        driver_version=profile.version,
        protocol=Protocol.HL7,
        unreadable=(entry,),
    )


@dataclass(slots=True)
class _Entry:
    """A result of the open step, and what ties other rows to it."""

    result: ReportedObservation
    code: str
    run: str  # OBX-4


@dataclass(slots=True)
class _Step:
    """What the rows under one OBR have said."""

    entries: list[_Entry] = field(default_factory=list)
    behind: list[tuple[str, str, LawScope]] = field(default_factory=list)  # name, OBX-4, row
    flags: list[tuple[str, str, str, LawScope]] = field(default_factory=list)  # and the code
    comments: list[str] = field(default_factory=list)
    newest: int = 0  # results of the open OBX begin here
    diluted: int = 0  # results before this one have had their TCD
    is_at_result: bool = False  # the open OBX is a result
    is_flagged: bool = False


class _Walk:
    """One pass over the segments of a message."""

    def __init__(self, reader: Reader, style: LawStyle, prefix: str) -> None:
        self._reader = reader
        self._style = style
        self._prefix = prefix
        self._scope = LawScope()
        self._step = _Step()
        self._observations: list[ReportedObservation] = []
        self._progress: list[OrderProgress] = []
        self._rows = 0
        self._senders: list[Sender] = []  # of the rows, where each names its instrument

    def run(self, message: Message) -> Translation:
        profile = self._reader.profile
        is_read = message.code != "OUL" or message.event in {"", "R22"}
        for segment in message.segments if is_read else (message.header,):
            self._visit(segment)
        self._close_step()
        return Translation(
            driver=profile.key,
            driver_version=profile.version,
            protocol=Protocol.HL7,
            sender=joined_sender(self._senders or [self._reader.sender(self._scope)]),
            control_id=message.control_id,
            processing_id=self._reader.fields["processing_id"].read(self._scope).strip() or "P",
            sent_at=self._reader.sent_at(self._scope),
            observations=tuple(self._observations),
            queries=query_of(self._style, message),
            progress=tuple(self._progress),
            foreign_driver=self._reader.foreign_driver(self._scope),
        )

    def _visit(self, segment: Segment) -> None:
        if segment.name in {"OBR", "SPM", "PID"}:
            self._close_step()
        if segment.name == "INV" and self._scope.has("OBX"):
            self._read_inventory(segment)  # of the result; the control's own stays open
            return
        self._scope.enter(segment)
        match segment.name:
            case "OBX" if self._scope.has("OBR"):
                if self._reader.has_sender_in_rows:
                    self._senders.append(self._reader.sender(self._scope))
                self._read_row()
            case "ORC" if self._scope.has("OBR"):
                self._read_progress(segment)
            case "TCD":
                self._read_dilution()
            case "NTE":
                self._read_note()
            case _:
                pass  # others open a scope, or say nothing that a result needs

    # ---- rows

    def _read_row(self) -> None:
        self._rows += 1
        name = f"{self._prefix}OBX|{self._rows}"
        step, run = self._step, self._run_id()
        kind = self._reader.row_kind(self._scope)
        step.is_at_result = kind is RowKind.RESULT
        match kind:
            case RowKind.RESULT:
                step.newest = len(step.entries)
                observed = self._reader.observe(self._scope, name)
                code = self._reader.code(self._scope)
                step.entries += [_Entry(self._finished(one), code, run) for one in observed]
            case RowKind.SUPPLEMENT | RowKind.INTERPRETATION:
                step.behind.append((name, run, self._scope.copy()))
            case RowKind.FLAG:
                if self._reader.fields["value"].read(self._scope).strip():
                    code = self._reader.code(self._scope)
                    step.flags.append((name, run, code, self._scope.copy()))
            case RowKind.COMMENT:
                if text := self._reader.fields["value"].read(self._scope).strip():
                    step.comments.append(text)
            case _:
                pass  # settings stay in the raw message; LAW has no levels and images

    def _run_id(self) -> str:
        return self._scope.text(_SUB_ID).strip()

    def _finished(self, entry: ReportedObservation) -> ReportedObservation:
        """Number and dilution as this instrument writes them."""
        text = entry.value.text.strip()
        number = plain_number(text, self._style)
        value = entry.value
        if number != text:
            value = replace(ReportedValue.read(number), text=entry.value.text)
        factor = ratio(self._scope.text(_PREDILUTION))
        if factor is None or factor == 1:
            return replace(entry, value=value)
        return replace(entry, value=value, dilution=factor, basis=ValueBasis.UNKNOWN)

    # ---- what stands behind a row

    def _read_dilution(self) -> None:
        text = self._scope.text(_AUTOMATIC_DILUTION)
        if not text.strip("^ ") or not self._step.entries:
            return
        factor = ratio(text)
        basis = self._reader.profile.basis_when_diluted
        fresh = self._step.entries[self._step.diluted :]
        self._step.diluted = len(self._step.entries)
        for entry in fresh:
            before = entry.result
            if factor == 1:
                same = before.dilution if before.dilution is not None else factor
                entry.result = replace(before, dilution=same)
            elif factor is None:
                entry.result = replace(before, dilution=None, basis=ValueBasis.UNKNOWN)
            elif before.dilution is None:
                entry.result = replace(before, dilution=factor, basis=basis)
            else:
                total = before.dilution * factor
                entry.result = replace(before, dilution=total, basis=ValueBasis.UNKNOWN)

    def _read_inventory(self, segment: Segment) -> None:
        scope = LawScope()
        scope.enter(segment)
        if not any(holds_true(rule, scope) for rule in self._style.lots):
            return
        lot = scope.text(_LOT).strip()
        for entry in self._step.entries:
            entry.result = replace(entry.result, reagent_lot=entry.result.reagent_lot or lot)

    def _read_note(self) -> None:
        text = self._reader.fields["comment"].read(self._scope).strip()
        if not text:
            return
        rules = self._style.comments_are_flags
        is_flag = any(holds_true(rule, self._scope) for rule in rules)
        if not self._scope.has("OBX") or not self._step.is_at_result:
            self._step.comments.append(text)
            self._step.is_flagged = self._step.is_flagged or is_flag
            return
        for entry in self._step.entries[self._step.newest :]:
            before = entry.result
            entry.result = replace(
                before,
                comment="\n".join(part for part in (before.comment, text) if part),
                is_abnormal_flagged=before.is_abnormal_flagged or is_flag,
            )

    def _read_progress(self, segment: Segment) -> None:
        kind = _PROGRESS.get(segment.component(5))
        step_id = self._scope.text(_STEP_ID).strip()
        if kind is not None and step_id:
            self._progress.append(OrderProgress(step_id=step_id, kind=kind))

    # ---- the end of a step

    def _close_step(self) -> None:
        step, self._step = self._step, _Step()
        strays = [
            self._reader.stray(row, name)
            for name, run, code, row in step.flags
            if not self._put_flag(step, run, code, row)
        ]
        behind = [self._behind(step, *row) for row in step.behind]
        for entry in step.entries:
            result = entry.result
            self._observations.append(
                replace(
                    result,
                    comment="\n".join(text for text in (*step.comments, result.comment) if text),
                    is_abnormal_flagged=result.is_abnormal_flagged or step.is_flagged,
                )
            )
        self._observations += [*behind, *strays]

    def _put_flag(self, step: _Step, run: str, code: str, row: LawScope) -> bool:
        """Whether the alarm found its result; one that did not is a row of its own, and waits."""
        text = self._reader.fields["value"].read(row).strip()
        owners = [entry for entry in step.entries if (entry.code, entry.run) == (code, run)]
        for entry in owners:
            holds = list(entry.result.holds)
            is_look = self._reader.note_flags((text,), holds)
            entry.result = replace(
                entry.result,
                flags=(*entry.result.flags, text),
                is_abnormal_flagged=entry.result.is_abnormal_flagged or is_look,
                holds=tuple(dict.fromkeys(holds)),
            )
        return bool(owners)

    def _behind(self, step: _Step, name: str, run: str, row: LawScope) -> ReportedObservation:
        same = [entry for entry in step.entries if entry.run == run] if run else []
        owners = same or step.entries
        if len(owners) == 1 or (same and len({entry.code for entry in same}) == 1):
            return self._reader.support(row, name, owners[0].result)
        return self._reader.stray(row, name)


_SUB_ID = FieldPath.parse("OBX-4")
_STEP_ID = FieldPath.parse("OBR-2.1")
_LOT = FieldPath.parse("INV-16.1")
_AUTOMATIC_DILUTION = FieldPath.parse("TCD-2")
_PREDILUTION = FieldPath.parse("SAC-29")
