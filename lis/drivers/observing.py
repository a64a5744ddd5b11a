"""From one row of a message to one observation, for every protocol.

The scope gives the row and what stands above it, the profile says what the texts mean. Whatever is not
understood becomes a hold on that observation: the row is kept, the rest of the message goes on. Nothing
here raises for any text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Self

from lis.domain.messages import (
    Attachment,
    AttachmentKind,
    IdReadMode,
    Reason,
    ReportedControl,
    ReportedObservation,
    ResultStatus,
    Sender,
    SubjectKind,
    ValueBasis,
)
from lis.domain.quantity import ReportedValue
from lis.drivers import registry
from lis.drivers.expressions import Expression, Scope, compiled, holds_true
from lis.drivers.instrument_time import plain_time, read_time
from lis.drivers.profile import CODE_JOINT, FlagMeaning, Profile, RowKind

QUANTITY = "quantity"  # what the code and the record of a call's number end with
EQUAL = "="  # HL7 SN writes it where a comparator might stand


@dataclass(frozen=True, slots=True)
class Reader:
    """A profile, ready to read the rows of one message."""

    profile: Profile
    fields: Mapping[str, Expression]
    zone: tzinfo
    received_at: datetime

    @classmethod
    def of(cls, profile: Profile, zone: tzinfo, received_at: datetime) -> Self:
        return cls(profile, compiled(profile.fields), zone, received_at)

    def row_kind(self, scope: Scope) -> RowKind:
        """What the open row is; the first rule that matches decides."""
        for kind, rule in self.profile.rows:
            if holds_true(rule, scope):
                return kind
        return RowKind.RESULT

    def code(self, scope: Scope) -> str:
        """The instrument's code of the open row."""
        return self.fields["test"].read(scope).strip()

    def sender(self, scope: Scope) -> Sender:
        return Sender(
            name=self.fields["sender_name"].read(scope).strip(),
            serial=self.fields["sender_serial"].read(scope).strip(),
            version=self.fields["sender_version"].read(scope).strip(),
        )

    @property
    def has_sender_in_rows(self) -> bool:
        """Whether each row names the instrument it comes from (OBX-18)."""
        fields = self.profile.fields
        return "OBX" in fields.sender_serial + fields.sender_name

    def foreign_driver(self, scope: Scope) -> str:
        """Another known driver whose header this is and ours is not; "" in all other cases (S23)."""
        own = self.profile
        if not own.identity or _is_of(own, scope):
            return ""
        others = [
            key
            for key, other in registry.profiles().items()
            if key != own.key and other.protocol is own.protocol and _is_of(other, scope)
        ]
        return others[0] if len(others) == 1 else ""

    def sent_at(self, scope: Scope) -> datetime | None:
        return read_time(
            self.fields["sent_at"].read(scope), self.zone, received_at=self.received_at
        )

    def observe(self, scope: Scope, record: str) -> tuple[ReportedObservation, ...]:
        """The open row as a result: one observation, and more where its value has several parts.

        A call beside a number is a word, though it may look like a number (`-1^0.567`).
        """
        call = self._text(scope)
        quantity = self.fields["quantity"].read(scope)
        if not call.strip() or not quantity.strip():
            result = self._observation(scope, record, call or quantity, None)
            return (result, *self._parts(scope, result))
        result = self._observation(scope, record, call, None)
        result = replace(result, value=ReportedValue(text=call))
        number = replace(
            result,
            record=f"{record}|{QUANTITY}",
            test=f"{result.test}{CODE_JOINT}{QUANTITY}",
            value=self._number(quantity),
        )
        return (result, number, *self._parts(scope, result))

    def _parts(self, scope: Scope, result: ReportedObservation) -> tuple[ReportedObservation, ...]:
        texts = [(part.name, _expression(part.place).read(scope)) for part in self.profile.parts]
        return tuple(
            self._behind(result, f"{result.record}|{name}", name, text)
            for name, text in texts
            if text.strip()
        )

    def detail(
        self, scope: Scope, record: str, result: ReportedObservation
    ) -> ReportedObservation | None:
        """What the open maker's record reads behind `result`; None if it carries no reading."""
        if not any(holds_true(rule, scope) for rule in self.profile.details):
            return None
        name = self.fields["detail_test"].read(scope).strip()
        text = self.fields["detail_value"].read(scope)
        return self._behind(result, record, name, text)

    def attachment(self, scope: Scope, record: str) -> Attachment:
        """The open row as a reference."""
        kinds = (kind for kind, rule in self.profile.attachments if holds_true(rule, scope))
        name = self.fields["attachment"].read(scope).strip()
        return Attachment(record, next(kinds, AttachmentKind.UNSTATED), name)

    def reagents(self, scope: Scope) -> str:
        """The reagent lots that the open maker's record names; "" if it is not about reagents."""
        if not any(holds_true(rule, scope) for rule in self.profile.reagents):
            return ""
        lots = self.fields["reagents"].read_repeats(scope)
        return " ".join(lot.strip() for lot in lots)

    def stray(self, scope: Scope, record: str) -> ReportedObservation:
        """A supplement whose result is not there: its full code, so that no test claims it by luck."""
        text = self._text(scope) or self.fields["quantity"].read(scope)
        own = self._observation(scope, record, text, None)
        parts = self.fields["supplement"].read_all(scope)
        return replace(own, test=f"{self.code(scope)}{CODE_JOINT}{parts}")

    def support(
        self, scope: Scope, record: str, result: ReportedObservation
    ) -> ReportedObservation:
        """The open row as a supplement of `result`: what it does not say it takes from there."""
        text = self._text(scope) or self.fields["quantity"].read(scope)
        own = self._observation(scope, record, text, result)
        return replace(
            own,
            test=result.test + CODE_JOINT + self.fields["supplement"].read_all(scope),
            part_of=result.record,
            observed_at=own.observed_at or result.observed_at,
            operator=own.operator or result.operator,
            module=own.module or result.module,
            reagent_lot=own.reagent_lot or result.reagent_lot,
            run=own.run or result.run,
        )

    def _observation(
        self, scope: Scope, record: str, text: str, result: ReportedObservation | None
    ) -> ReportedObservation:
        fields = self.fields
        holds: list[Reason] = []
        is_control = any(holds_true(rule, scope) for rule in self.profile.controls)
        code = self.code(scope)
        if not code and result is None:
            holds.append(Reason.NO_TEST_CODE)
        if not text.strip():
            holds.append(Reason.NO_VALUE)
        specimen, read_mode = self._specimen(scope, holds, is_control=is_control)
        flags = fields["flags"].read_repeats(scope)
        dilution, basis = self._dilution(scope)
        return ReportedObservation(
            record=record,
            kind=SubjectKind.CONTROL if is_control else SubjectKind.PATIENT,
            specimen=specimen,
            read_mode=read_mode,
            test=code,
            value=self._value(scope, text),
            unit=fields["unit"].read(scope).strip(),
            flags=flags,
            is_abnormal_flagged=self.note_flags(flags, holds),
            status=self._status(scope, holds, result),
            observed_at=self._observed_at(scope, holds),
            run=fields["run"].read(scope).strip(),
            dilution=dilution,
            basis=basis,
            operator=fields["operator"].read(scope).strip(),
            module=fields["module"].read(scope).strip(),
            reagent_lot=fields["reagent_lot"].read(scope).strip(),
            specimen_type=fields["specimen_type"].read(scope).strip(),
            position=fields["position"].read(scope).strip(),
            interval_text=fields["interval"].read(scope).strip(),
            control=self._control(scope) if is_control else None,
            holds=tuple(holds),
        )

    def _behind(
        self, result: ReportedObservation, record: str, name: str, text: str
    ) -> ReportedObservation:
        """A reading behind `result` that says no more than its own text."""
        return replace(
            result,
            record=record,
            test=f"{result.test}{CODE_JOINT}{name}",
            value=self._number(text),
            unit="",
            flags=(),
            is_abnormal_flagged=False,
            interval_text="",
            holds=(),
            comment="",
            attached=(),
            part_of=result.record,
        )

    def _text(self, scope: Scope) -> str:
        """The value as sent, with the sign that the instrument writes elsewhere before it."""
        text = self.fields["value"].read(scope)
        sign = self.fields["comparator"].read(scope).strip()
        return f"{sign}{text}" if text.strip() and sign != EQUAL else text

    def _value(self, scope: Scope, text: str) -> ReportedValue:
        is_word = any(holds_true(rule, scope) for rule in self.profile.words)
        return ReportedValue(text=text) if is_word else self._number(text)

    def _number(self, text: str) -> ReportedValue:
        quirks = self.profile.quirks
        return ReportedValue.read(
            text, decimal_comma=quirks.decimal_comma, comparators=quirks.comparators
        )

    def _specimen(
        self, scope: Scope, holds: list[Reason], *, is_control: bool
    ) -> tuple[str, IdReadMode]:
        specimen = self.fields["specimen"].read(scope)
        if padding := self.profile.quirks.padding:
            specimen = specimen.strip(padding)
        if not specimen and not is_control:
            holds.append(Reason.NO_SPECIMEN_ID)
        rule = self.profile.read_mode
        attribute = _expression(rule.path).read(scope).strip()
        if not attribute:
            return specimen, rule.default
        if attribute not in rule.modes and not is_control:
            holds.append(Reason.ID_NOT_FROM_BARCODE)
        return specimen, rule.modes.get(attribute, rule.default)

    def note_flags(self, flags: tuple[str, ...], holds: list[Reason]) -> bool:
        """Whether a flag asks to look; flags that no table knows become a hold."""
        meanings = {self.profile.flags.get(flag.strip()) for flag in flags}
        if None in meanings:
            holds.append(Reason.UNKNOWN_FLAG)
        if FlagMeaning.EDITED in meanings:
            holds.append(Reason.EDITED_ON_ANALYZER)
        return FlagMeaning.LOOK in meanings

    def _status(
        self, scope: Scope, holds: list[Reason], result: ReportedObservation | None
    ) -> ResultStatus:
        text = self.fields["status"].read(scope).strip()
        if not text and result is not None:
            if Reason.UNKNOWN_STATUS in result.holds:
                holds.append(Reason.UNKNOWN_STATUS)
            return result.status
        status = self.profile.statuses.get(text) if text else self.profile.quirks.status_missing
        if status is None:
            holds.append(Reason.UNKNOWN_STATUS)
            return ResultStatus.REGISTERED  # the least that can be said of it
        return status

    def _observed_at(self, scope: Scope, holds: list[Reason]) -> datetime | None:
        text = self.fields["observed_at"].read(scope).strip()
        layout = self.profile.quirks.time_format
        plain = plain_time(text, layout) if layout else text
        moment = read_time(plain, self.zone, received_at=self.received_at)
        if text and moment is None:
            holds.append(Reason.UNREADABLE_TIME)
        return moment

    def _dilution(self, scope: Scope) -> tuple[Decimal | None, ValueBasis]:
        text = self.fields["dilution"].read(scope).strip()
        if not text or text in self.profile.quirks.undiluted:
            return None, ValueBasis.UNDILUTED
        factor = ReportedValue.read(text)
        is_factor = self.profile.quirks.dilution_is_factor
        if not is_factor or factor.number is None or factor.is_censored or factor.number <= 0:
            return None, ValueBasis.UNKNOWN
        if factor.number == 1:
            return factor.number, ValueBasis.UNDILUTED
        return factor.number, self.profile.basis_when_diluted

    def _control(self, scope: Scope) -> ReportedControl:
        return ReportedControl(
            material=self.fields["control_material"].read(scope).strip(),
            lot=self.fields["control_lot"].read(scope).strip(),
            level=self.fields["control_level"].read(scope).strip(),
        )


def joined_sender(senders: Iterable[Sender]) -> Sender:
    """One sender of what several rows say: every name and number counts, so one strange row shows (S23)."""
    said = list(dict.fromkeys(senders))
    return Sender(
        name=", ".join(dict.fromkeys(one.name for one in said if one.name)),
        serial=", ".join(dict.fromkeys(one.serial for one in said if one.serial)),
        version=next((one.version for one in said if one.version), ""),
    )


def _is_of(profile: Profile, scope: Scope) -> bool:
    """Whether the open header is one of this instrument."""
    return any(all(holds_true(rule, scope) for rule in group) for group in profile.identity)


@lru_cache(maxsize=128)
def _expression(text: str) -> Expression:
    return Expression.parse(text)
