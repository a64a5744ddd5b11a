"""What an instrument is doing, in one word: the first row of a table that fits the facts.

The order is the order of concern. A quarantined instrument may be well connected, and nothing of it counts; a link
that is lost says nothing about silence; a silent one may be listening or connected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

IDLE_AFTER_S: Final = 600  # ten minutes: longer than the pauses within the run of a tube


class InstrumentState(StrEnum):
    QUARANTINED = "quarantined"  # everything from it is held (S23)
    STOPPED = "stopped"  # no process keeps this link
    FAULTED = "faulted"  # the link is lost, or its task crashed and has not come back
    SILENT = "silent"  # it usually speaks at this hour, and does not
    LISTENING = "listening"  # we wait for it to connect
    CONNECTED = "connected"  # and it spoke a moment ago
    IDLE = "idle"  # connected, and has nothing to say


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFacts:
    """What is known of one instrument."""

    link: str  # as the link itself says: listening, connected, lost, stopped
    is_quarantined: bool = False
    is_failing: bool = False  # a crash of its task was the last thing that happened to the link
    is_silent: bool = False  # lis.domain.silence
    age_s: int | None = None  # since its last message

    @property
    def is_recent(self) -> bool:
        """Whether it spoke a moment ago."""
        return self.age_s is not None and self.age_s < IDLE_AFTER_S


TABLE: Final[tuple[tuple[Mapping[str, object], InstrumentState], ...]] = (
    ({"is_quarantined": True}, InstrumentState.QUARANTINED),
    ({"link": "stopped"}, InstrumentState.STOPPED),
    ({"link": "lost"}, InstrumentState.FAULTED),
    ({"is_failing": True}, InstrumentState.FAULTED),
    ({"is_silent": True}, InstrumentState.SILENT),
    ({"link": "listening"}, InstrumentState.LISTENING),
    ({"link": "connected", "is_recent": True}, InstrumentState.CONNECTED),
    ({"link": "connected"}, InstrumentState.IDLE),
    (
        {},
        InstrumentState.FAULTED,
    ),  # a state of a link that nobody here knows is a fault, not a guess
)


def state_of(facts: InstrumentFacts) -> InstrumentState:
    """The first row that fits; the last one always does."""
    return next(
        state
        for wanted, state in TABLE
        if all(getattr(facts, name) == value for name, value in wanted.items())
    )
