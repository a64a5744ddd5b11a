"""How often one link may complain in the log.

A humming cable or an attacker sends damaged frames without end. Each is counted; only so many a minute are
worth a line, since a log that fills the disk, or whose reader is slow, would stop the house.
"""

from collections.abc import Callable

COMPLAINTS_MAX = (
    20  # a minute: every fault of a decent instrument, and 30,000 lines a day at the most
)
PERIOD_S = 60.0


class Complaints:
    """Admits the first complaints of each minute and counts the rest."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._since_s: float | None = None
        self._admitted = 0
        self._unsaid = 0

    def admit(self) -> int | None:
        """Whether to say this one: how many were left unsaid before it, or None to leave it unsaid too."""
        now = self._now_s()
        if self._since_s is None or now - self._since_s >= PERIOD_S:
            self._since_s, self._admitted = now, 0
        if self._admitted >= COMPLAINTS_MAX:
            self._unsaid += 1
            return None
        self._admitted += 1
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid
