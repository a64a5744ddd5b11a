"""A profile read backwards: measured values become the message that the instrument would send.

The same `FieldMap` that tells the driver where to look tells the simulator where to write; the model adds what a
driver does not look at. A codec that is shared could hide a mistake that is symmetrical, so captures of real
instruments and foreign decoders judge the same drivers in the tests.

    ASTM   H  P  O  { R [C] }  L            H Q L for a query
    HL7    MSH PID OBR { OBX }              a query as its model says: ORM^O01 with ORC-1 RF, QRY^Q02, QBP^Z03
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Self

from lis.domain.messages import Protocol, ResultStatus, SubjectKind
from lis.drivers.profile import FieldRule, FlagMeaning, Profile, RowKind
from lis.wire.astm_record import Delimiters, RecordWriter
from lis.wire.errors import LocalProtocolError
from lis.wire.hl7_writer import message, segment
from simulators.law_writing import law_query, law_report
from simulators.measuring import Measured
from simulators.models import DeviceIdentity, Model, model_of
from simulators.sheet import Sheets
from simulators.slips import slip_of

__all__ = ["ControlIdentity", "Instrument", "Outgoing", "Run", "query_message", "report_message"]

HL7_QUERY_EVENT = "O01"
USUAL_QUESTION = MappingProxyType({"Q.5.1": "ALL", "Q.13": "O"})  # LIS02-A2 11.5, 11.13
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlIdentity:
    """What the instrument knows of the control it measures."""

    material: str = ""
    lot: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One specimen measured once; `number` is the instrument's own count and never repeats."""

    specimen: str
    rows: tuple[Measured, ...]
    at: datetime
    number: int
    control: ControlIdentity | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    """LAW: the id of the step that ordered a code."""

    @property
    def kind(self) -> SubjectKind:
        return SubjectKind.PATIENT if self.control is None else SubjectKind.CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message ready to be sent: ASTM records, or one HL7 payload."""

    control_id: str
    records: tuple[bytes, ...]
    results: int

    @property
    def payload(self) -> bytes:
        """The payload of an HL7 message."""
        (payload,) = self.records
        return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One simulated instrument: what it is, who it is, and in which zone its clock stands."""

    profile: Profile
    model: Model
    identity: DeviceIdentity
    zone: tzinfo = UTC

    @classmethod
    def of(
        cls, profile: Profile, identity: DeviceIdentity | None = None, *, zone: tzinfo = UTC
    ) -> Self:
        """An instrument of that profile; what `identity` leaves empty its model says."""
        model = model_of(profile.key)
        given, usual = identity or DeviceIdentity(), model.identity
        chosen = DeviceIdentity(
            name=given.name or usual.name,
            serial=given.serial or usual.serial,
            version=given.version or usual.version,
        )
        return cls(profile=profile, model=model, identity=chosen, zone=zone)

    @property
    def is_astm(self) -> bool:
        return self.profile.protocol is Protocol.ASTM


def report_message(instrument: Instrument, run: Run, *, sent_at: datetime) -> Outgoing:
    """The message that reports one run."""
    if instrument.profile.protocol is Protocol.PRINTOUT:
        at = run.at.astimezone(instrument.zone)
        slip = slip_of(instrument.model, run.rows, specimen=run.specimen, at=at)
        return Outgoing(control_id=str(run.number), records=(slip,), results=len(run.rows))
    if instrument.profile.law is not None:
        payload = law_report(instrument, run, sent_at=sent_at, control_id=str(run.number))
        return Outgoing(control_id=str(run.number), records=(payload,), results=len(run.rows))
    pen = _Pen(
        instrument, sent_at=sent_at, control_id=str(run.number), is_control=bool(run.control)
    )
    records = pen.astm_report(run) if instrument.is_astm else (pen.hl7_report(run),)
    return Outgoing(control_id=str(run.number), records=records, results=len(run.rows))


def query_message(
    instrument: Instrument, specimens: Sequence[str], *, number: int, sent_at: datetime
) -> Outgoing:
    """The message that asks what to measure; no specimens = everything (ASTM only)."""
    if instrument.profile.protocol is Protocol.PRINTOUT:
        raise LocalProtocolError("an instrument that prints asks for nothing")
    if instrument.profile.law is not None:
        asked = law_query(instrument, specimens[0], sent_at=sent_at, control_id=str(number))
        return Outgoing(control_id=str(number), records=(asked,), results=0)
    pen = _Pen(instrument, sent_at=sent_at, control_id=str(number), is_control=False)
    records = pen.astm_query(specimens) if instrument.is_astm else (pen.hl7_query(specimens[0]),)
    return Outgoing(control_id=str(number), records=records, results=0)


class _Pen:
    """Writes one message of one instrument."""

    def __init__(
        self, instrument: Instrument, *, sent_at: datetime, control_id: str, is_control: bool
    ) -> None:
        self._instrument = instrument
        self._profile = instrument.profile
        self._model = instrument.model
        self._sent_at = sent_at
        self._control_id = control_id
        self._is_control = is_control
        self._sheets = Sheets()
        quirks = self._profile.quirks
        self._writer = RecordWriter(Delimiters(*quirks.delimiters), self._profile.charsets[0])

    # ---- ASTM

    def astm_report(self, run: Run) -> tuple[bytes, ...]:
        records = [self._header()]
        self._open("P", "P.2", "1")
        self._open("O", "O.2", "1")
        self._describe(run)
        records.append(self._record("P"))
        self._list_tests(run.rows)
        order = len(records)
        records.append(b"")
        for number, row in enumerate(run.rows, 1):
            self._open("R", "R.2", str(number))
            self._fill_row(row, run)
            records.append(self._record("R"))
            records.extend(self._after_row())
        records[order] = self._record("O")  # rows may have written on it: the XP-100's status
        records.append(self._writer.record("L", "1", "N"))
        return tuple(records)

    def astm_query(self, specimens: Sequence[str]) -> tuple[bytes, ...]:
        """Specimens in Q.3, all tests, status O = order request, unless the model asks otherwise."""
        header = self._header(self._model.asks)
        self._open("Q", "Q.2", "1")
        for path, text in {**USUAL_QUESTION, **self._model.asks}.items():
            if path.startswith("Q.") and not path.startswith("Q.3."):
                self._sheets.put(path, text)
        for number, specimen in enumerate(specimens or ("",), 1):
            self._ask_for(specimen, f"[{number}]" if number > 1 else "")
        query = self._writer.record("Q", *self._sheets["Q"].fields(2))
        return (header, query, self._writer.record("L", "1", "N"))

    def _ask_for(self, specimen: str, repeat: str) -> None:
        if not specimen:
            self._sheets.put("Q.3", "ALL")
            return
        for path, text in self._model.asks.items():
            if path.startswith("Q.3."):
                self._sheets.put(path.replace("Q.3.", f"Q.3{repeat}."), text)
        text = specimen.rjust(self._model.widths.get("specimen", 0))
        self._sheets.put(f"Q.3{repeat}.{self._profile.query.component}", text)

    def _header(self, extra: Mapping[str, str] = NOTHING) -> bytes:
        self._open("H", "H.12.1", "P" if "processing_id" not in self._model.omits else "")
        self._sign()
        for path, text in extra.items():
            if path.startswith("H."):
                self._sheets.put(path, text)
        return self._record("H")

    def _after_row(self) -> list[bytes]:
        if not self._model.after_row:
            return []
        letter = next(iter(self._model.after_row))[0]
        self._open(letter, f"{letter}.2", "1")
        for path, text in self._model.after_row.items():
            self._sheets.put(path, text)
        return [self._record(letter)]

    def _list_tests(self, rows: Sequence[Measured]) -> None:
        if not self._model.listed_at:
            return
        until = self._profile.orders.code_until
        codes = dict.fromkeys(row.code.split(until)[0] if until else row.code for row in rows)
        for number, code in enumerate(codes, 1):
            repeat = f"[{number}]" if number > 1 else ""
            self._sheets.put(f"O.5{repeat}.{self._model.listed_at}", code)

    def _record(self, letter: str) -> bytes:
        self._mark_control()
        return self._writer.record(letter, *self._sheets[letter].fields(2))

    # ---- HL7

    def hl7_report(self, run: Run) -> bytes:
        model, segments = self._model, [self._message_header()]
        if run.control is not None and self._profile.hl7.order_row is not None:
            rows = [self._order_row(row, run) for row in run.rows]
            return message([*segments, *rows], self._profile.charsets[0])
        for name in (*model.before_rows, *model.after_rows):
            self._open(name)
        self._describe(run)
        body: list[str] = []
        for number, row in enumerate([*self._level_rows(run), *run.rows], 1):
            self._open("OBX", "OBX-1", str(number))
            self._fill_row(row, run)
            body.append(self._segment("OBX"))
        segments += [self._segment(name) for name in model.before_rows]
        segments += [*body, *(self._segment(name) for name in model.after_rows)]
        return message(segments, self._profile.charsets[0])

    def _order_row(self, row: Measured, run: Run) -> str:
        """A result that stands in OBR itself."""
        assert self._profile.hl7.order_row is not None
        assert run.control is not None
        fields = self._profile.hl7.order_row.fields
        self._open("OBR")
        said = {
            "test": row.code,
            "value": row.text,
            "unit": row.unit,
            "observed_at": self._local(run.at),
            "control_material": run.control.material,
            "control_lot": run.control.lot,
            "control_level": run.control.level,
        }
        for name, text in said.items():
            self._put_text(fields[name], text)
        return self._segment("OBR")

    def hl7_query(self, specimen: str) -> bytes:
        model, query = self._model, self._profile.query
        self._message_header()
        self._sheets.put("MSH-9.2", HL7_QUERY_EVENT)
        for name in model.query_segments:
            self._open(name)
        for rule in query.match:
            self._obey(rule)
        for path, text in model.asks.items():
            self._sheets.put(
                path, text.format(time=self._local(self._sent_at), id=self._control_id)
            )
        self._put_text(query.specimen, specimen)
        names = ("MSH", *model.query_segments)
        return message([self._segment(name) for name in names], self._profile.charsets[0])

    def _message_header(self) -> str:
        self._open("MSH", "MSH-10", self._control_id)
        self._sheets.put("MSH-11.1", "P")
        self._sign()
        return self._segment("MSH")

    def _level_rows(self, run: Run) -> list[Measured]:
        """The level of a control, where this instrument has a row for it."""
        rules = [rule for kind, rule in self._profile.rows if kind is RowKind.LEVEL]
        if not rules or run.control is None or not run.control.level:
            return []
        return [Measured(code=rules[0].pattern, text=run.control.level, name="Level")]

    def _segment(self, name: str) -> str:
        self._mark_control()
        return segment(name, *self._sheets[name].fields(3 if name == "MSH" else 1))

    # ---- both

    def _open(self, name: str, path: str = "", text: str = "") -> None:
        """Begin a record with what this model always writes in it."""
        self._sheets.new(name)
        mark = "." if len(name) == 1 else "-"
        for place, constant in self._model.always.items():
            if place.startswith(name + mark):
                self._sheets.put(place, constant)
        if path:
            self._sheets.put(path, text)

    def _sign(self) -> None:
        identity = self._instrument.identity
        self._put("sender_name", identity.name)
        self._put("sender_serial", identity.serial)
        self._put("sender_version", identity.version)
        self._put("sent_at", self._local(self._sent_at))

    def _describe(self, run: Run) -> None:
        self._put("specimen", run.specimen)
        mode = self._profile.read_mode
        barcode = next((text for text, kind in mode.modes.items() if kind.value == "barcode"), "")
        if mode.path:
            self._put_text(mode.path, barcode)
        self._put("run", str(run.number))
        if run.control is not None:
            self._put("control_material", run.control.material)
            self._put("control_lot", run.control.lot)
            self._put("control_level", run.control.level)

    def _fill_row(self, row: Measured, run: Run) -> None:
        profile = self._profile
        self._put("test", row.code)
        self._put("value", row.text)
        self._put("quantity", row.number)
        self._put("unit", row.unit)
        self._put("interval", row.interval)
        self._put("status", _text_of(profile, ResultStatus.FINAL))
        self._put("run", str(run.number))
        self._put("observed_at", self._local(run.at))
        edited = tuple(text for text in row.flags if _is_edit(profile, text))
        plain = tuple(text for text in row.flags if text not in edited)
        spelled = (self._model.flags.get(text, text) for text in plain)
        plain = tuple(text for text in spelled if text)
        self._sheets.put_repeats(profile.fields.flags, plain)
        self._sheets.put_repeats(profile.fields.flags, edited, choice=1)
        if row.name and not self._instrument.is_astm:
            self._sheets.put("OBX-3.2", row.name)

    def _put(self, name: str, text: str) -> None:
        """Write a value of the field map where this instrument writes it."""
        if name not in self._model.omits:
            expression = self._model.places.get(name) or getattr(self._profile.fields, name)
            self._put_text(expression, text.rjust(self._model.widths.get(name, 0)))

    def _put_text(self, expression: str, text: str) -> None:
        if text:
            self._sheets.put_by(expression, text)

    def _mark_control(self) -> None:
        if self._is_control:
            self._obey(self._profile.controls[0])

    def _obey(self, rule: FieldRule) -> None:
        """Make a rule true whose pattern is plain text."""
        self._sheets.put(rule.path, rule.pattern)

    def _local(self, at: datetime) -> str:
        return f"{at.astimezone(self._instrument.zone):%Y%m%d%H%M%S}"


def _text_of(profile: Profile, status: ResultStatus) -> str:
    return next(text for text, meaning in profile.statuses.items() if meaning is status)


def _is_edit(profile: Profile, flag: str) -> bool:
    return profile.flags.get(flag) is FlagMeaning.EDITED
