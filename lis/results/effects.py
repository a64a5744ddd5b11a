"""What a batch will write, as plain values: collected by the fold, written once by intake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lis.domain.lifecycle import WorkOrderState
from lis.domain.messages import OrderProgress, Reason, Unreadable
from lis.domain.quantity import Comparator, ReportedValue
from lis.results.interpretation import text_of
from lis.results.judging import Judgement
from lis.results.release import ReleaseGroup
from lis.results.repeating import Spoke
from lis.results.sender import Mismatch
from lis.results.standing import Standing

CONFIRMED_HOLDS = frozenset({Reason.CRITICAL})  # S09: any other hold makes it "unconfirmed"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one message; also the verdict on its inbox row."""

    inbox_id: int
    hold_reason: Reason | None = None
    observations: int = 0
    released: int = 0
    held: int = 0
    controls: int = 0
    resent: int = 0
    unreadable: int = 0
    ids: list[int] = field(default_factory=list)

    def document(self) -> dict[str, int]:
        """The counts, as they are stored."""
        return {
            "observations": self.observations,
            "released": self.released,
            "held": self.held,
            "controls": self.controls,
            "resent": self.resent,
            "unreadable": self.unreadable,
        }


@dataclass(slots=True, kw_only=True)
class Effects:
    """Everything that happened, in the order in which it happened."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)  # new observations
    standings: dict[int, Standing] = field(default_factory=dict)
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    work_orders: dict[int, WorkOrderState] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    devices: dict[int, dict[str, Any]] = field(default_factory=dict)
    quarantines: list[dict[str, Any]] = field(default_factory=list)
    groups: list[ReleaseGroup] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    progress: list[tuple[int, OrderProgress]] = field(default_factory=list)
    """News of steps, each with the device that told them."""
    repeats: list[tuple[int, tuple[Spoke, ...]]] = field(default_factory=list)
    """What rules about repeating said of each new value."""


def alarm(
    kind: str, subject: str, parameters: Mapping[str, object], at: datetime
) -> dict[str, Any]:
    """An alarm row."""
    return {"kind": kind, "subject": subject, "opened_at": at, "parameters": dict(parameters)}


def unreadable_row(inbox_id: int, record: Unreadable, at: datetime) -> dict[str, Any]:
    """The row of a record that could not be read."""
    return {
        "inbox_id": inbox_id,
        "record": record.record,
        "field": record.field,
        "raw": record.raw,
        "reason": record.reason.value,
        "created_at": at,
        "resolved_by": "",
    }


def quarantine(
    device_id: int, found: Mismatch, inbox_id: int, at: datetime, *, test: str = "", code: str = ""
) -> dict[str, Any]:
    """A quarantine row, of a device or of one test on it (S23)."""
    return {
        "device_id": device_id,
        "kind": found.kind.value,
        "expected": found.expected,
        "got": found.got,
        "opened_at": at,
        "test_code": test,
        "instrument_code": code,
        "inbox_id": inbox_id,
        "cleared_by": "",
        "clear_reason": "",
        "is_accepted": False,
    }


def critical_call(row: Mapping[str, Any], judged: Judgement, at: datetime) -> dict[str, Any]:
    """The task to call, opened in the transaction that saw the value, held or not (S09)."""
    is_confirmed = judged.match.is_bound and CONFIRMED_HOLDS.issuperset(judged.rules.holds)
    return {
        "observation_id": row["id"],
        "opened_at": at,
        "snapshot": f"{_value(row)} {row['unit']} {row['flag']}".strip(),
        "state": "open",
        "is_confirmed": is_confirmed,
        "attempts": [],
        "closed_by": "",
    }


def _value(row: Mapping[str, Any]) -> str:
    """What is called: the value for the undiluted specimen, also where the text is the instrument's reading."""
    comparator = Comparator(row["comparator"]) if row["comparator"] else None
    text: str = row["reported"]
    return text_of(text, ReportedValue(text=text, comparator=comparator, number=row["value"]))
