"""What a sender said of one order, whatever the order in which its messages came: pure.

    register   filled by                          holds
    --------   --------------------------------   ------------------------------------------
    placed     NW, RO                             the newest stamp
    content    NW, RO, XO, a lone RP              the newest stamp and what it asks for
    cancelled  CA, DC, OC, OD, RP with its RO     the newest stamp: also a tombstone for an order to come
    held       HD                                 the newest stamp
    freed      RL                                 the newest stamp

A stamp is MSH-7, then MSH-10. Each register keeps the greatest, so hearing is commutative, associative and
idempotent: the same messages in any order, each any number of times, leave the same registers. What the laboratory wants
(`wanted`) is a function of the registers alone. Nothing is guessed: an order that is placed again after its cancel, or
changed before anybody placed it, waits for a person.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

CONTROL_ID_WIDTH = 64  # numbers compare as numbers: shorter ones are filled up from the left


class Verb(StrEnum):
    """What one message asks of one order."""

    PLACE = "place"
    CHANGE = "change"
    CANCEL = "cancel"
    REPLACE = "replace"  # cancelled, because another order of the same message takes its place
    HOLD = "hold"
    RELEASE = "release"
    NOTE = "note"  # a status that asks for nothing


class SenderHold(StrEnum):
    """Why an order waits although we know its test and its patient."""

    NONE = ""
    HELD = "held_by_sender"
    AFTER_CANCEL = "ordered_after_cancel"
    BEFORE_ORDER = "changed_before_ordered"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Content:
    """What is asked for."""

    code: str = ""
    placer_code: str = ""
    priority: str = "R"
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSaid:
    """The registers."""

    placed: str = ""
    content_at: str = ""
    content: Content = Content()
    cancelled: str = ""
    held: str = ""
    freed: str = ""

    @property
    def has_content(self) -> bool:
        return self.content_at != ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the sender wants to be true now."""

    is_revoked: bool = False
    hold: SenderHold = SenderHold.NONE


def stamp_of(at: datetime, control_id: str) -> str:
    """A text that sorts as (MSH-7, MSH-10) does."""
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S%f}|{control_id:0>{CONTROL_ID_WIDTH}}"


def read_said(document: Mapping[str, Any]) -> OrderSaid:
    """The registers as they are stored."""
    if not document:
        return OrderSaid()
    return OrderSaid(**{**document, "content": Content(**document["content"])})


def hear(said: OrderSaid, verb: Verb, stamp: str, content: Content | None) -> OrderSaid:
    """The registers after one more message."""
    if content is not None and verb in {Verb.PLACE, Verb.CHANGE}:
        newest = max((said.content_at, said.content), (stamp, content))
        said = replace(said, content_at=newest[0], content=newest[1])
    match verb:
        case Verb.PLACE:
            return replace(said, placed=max(said.placed, stamp))
        case Verb.CANCEL | Verb.REPLACE:
            return replace(said, cancelled=max(said.cancelled, stamp))
        case Verb.HOLD:
            return replace(said, held=max(said.held, stamp))
        case Verb.RELEASE:
            return replace(said, freed=max(said.freed, stamp))
        case _:
            return said


def wanted(said: OrderSaid, settled: Collection[str] = ()) -> Wanted:
    """What follows from the registers; `settled` are holds that a person has lifted."""
    if said.cancelled:
        if said.placed <= said.cancelled:
            return Wanted(is_revoked=True)
        if SenderHold.AFTER_CANCEL not in settled:
            return Wanted(hold=SenderHold.AFTER_CANCEL)
    if said.held > said.freed:
        return Wanted(hold=SenderHold.HELD)
    if not said.placed and SenderHold.BEFORE_ORDER not in settled:
        return Wanted(hold=SenderHold.BEFORE_ORDER)
    return Wanted()
