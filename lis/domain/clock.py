"""Where time comes from.

Decisions take `at: datetime` as an argument; services take a `Clock`. The system clock lives in
`lis.app.clock`, so nothing below the edge can read the wall clock by accident. All times are aware
and in UTC; the zone of a site or an instrument is kept beside them where it matters.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to: for tests and for replaying a past day."""

    at: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Move forward by `timedelta(**by)` and return the new time."""
        self.at += timedelta(**by)
        return self.at
