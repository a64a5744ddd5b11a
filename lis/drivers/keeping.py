"""Keeping, as both kinds of session need it: one call to the store with everything that waits.

`Keeper` adds the waiting journal lines to each keep, puts them back when the store refuses, and tells the
supervisor. It is the only place that calls `Keep`.
"""

from collections.abc import Callable, Sequence

from lis.domain.clock import Clock
from lis.domain.traffic import Direction, Keep, KeepFailed, Receipt, ReceivedUnit, TrafficLine
from lis.drivers.journal import Evidence, JournalBuffer
from lis.drivers.session_events import OnEvent, StoreUnavailable, UnitKept


class Keeper:
    """One link's way to the store."""

    def __init__(
        self, keep: Keep, clock: Clock, on_event: OnEvent, now_s: Callable[[], float]
    ) -> None:
        self._keep = keep
        self._clock = clock
        self._on_event = on_event
        self._now_s = now_s
        self._journal = JournalBuffer()
        self._evidence = Evidence()

    @property
    def flush_at(self) -> float | None:
        return self._journal.flush_at

    def note(self, direction: Direction, data: bytes, note: str = "") -> None:
        """A line that may wait. Without bytes it is ours: an empty incoming line stands for a unit."""
        if data or note:
            direction = direction if data else Direction.OUT
            self._journal.add(self._clock.now(), direction, data, self._now_s(), note)

    def note_evidence(self, data: bytes, note: str) -> None:
        """A line about incoming bytes that mean nothing; only so many bytes a minute are kept."""
        if kept := self.admit_evidence(data):
            dropped = self._evidence.take_dropped()
            note = f"{note}; {dropped} bytes of the kind not kept" if dropped else note
            self.note(Direction.IN, kept, note)

    def admit_evidence(self, data: bytes) -> bytes:
        """The beginning of what means nothing that may still be kept in this minute."""
        return self._evidence.admit(data, self._now_s())

    async def keep(
        self, lines: Sequence[TrafficLine], units: Sequence[ReceivedUnit]
    ) -> tuple[Receipt, ...] | None:
        """Commit; one receipt per unit, or None when the store could not."""
        waiting = self._journal.take()
        try:
            receipts = await self._keep((*waiting, *lines), units)
        except KeepFailed as failed:
            self._journal.put_back(waiting, self._now_s())
            self._on_event(StoreUnavailable(reason=str(failed)))
            return None
        for unit, receipt in zip(units, receipts, strict=True):
            kept = UnitKept(
                inbox_id=receipt.inbox_id,
                lane=unit.lane,
                is_complete=unit.is_complete,
                is_duplicate=receipt.is_duplicate,
            )
            self._on_event(kept)
        return receipts

    async def flush(self, *, is_due_only: bool = True) -> None:
        """Write the lines that wait, if their time has come."""
        due = self._journal.flush_at
        if due is None or (is_due_only and self._now_s() < due):
            return
        await self.keep((), ())
