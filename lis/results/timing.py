"""When was it measured, and can that be believed (S24)?

An instrument stamps values with its own clock. The time at the head of the message against the moment of
arrival gives the offset of that clock; both are kept. A header without a time gives no offset. What is done
about an offset:

    |offset| <= 2 min    nothing: seconds of delay and a slow clock cannot be told apart
    whole half hours     zone or summer time is wrong: alarm, the result waits with its own sentence
    ahead by more        certainly the clock: times are corrected, an alarm opens, the result waits
    behind by more       a slow clock or a message that was sent late: *not* corrected, because moving
                         an old value forward could carry it past a failed control; alarm, it waits

An offset that jumps by whole half hours since the last message is a change of zone too, whatever the clock was
off by before.

A time in the future, or none at all, is not credible, and nothing may be judged by it; nor any time from
a clock that is off by more than a year.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lis.domain.messages import Reason

CLOCK_TOLERANCE = timedelta(minutes=2)  # S24
OFFSET_MAX = timedelta(
    days=366
)  # a clock further off says nothing about when anything was measured
TIME_RESOLUTION = timedelta(seconds=1)  # instruments write whole seconds
ZONE_STEP = timedelta(minutes=30)  # zones lie whole half hours apart, and so does summer time
ZONE_SHIFT_MAX = timedelta(hours=26)  # between UTC-12 and UTC+14, the farthest two zones


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAt:
    """The time to judge by, the offset that was measured, and what is wrong with it."""

    at: datetime | None
    offset_s: int | None = None
    reason: Reason | None = None
    zone_shift: timedelta | None = None  # by how much the zone is wrong, where it plainly is

    @property
    def is_alarming(self) -> bool:
        """Whether the clock is off by more than is tolerated."""
        return self.offset_s is not None and abs(self.offset_s) > CLOCK_TOLERANCE.total_seconds()

    @property
    def zone_hours(self) -> str | None:
        """The shift of the zone as people say it: `+1`, `-5.5`."""
        if self.zone_shift is None:
            return None
        return f"{self.zone_shift / timedelta(hours=1):+g}"


def judge_time(
    *,
    observed_at: datetime | None,
    sent_at: datetime | None,
    received_at: datetime,
    offset_before_s: int | None = None,
) -> MeasuredAt:
    """Judge one value's analysis time against the head of its message and its arrival.

    `offset_before_s`: the offset of the message before, by which a change of zone is recognised.
    """
    offset = sent_at - received_at if sent_at is not None else None
    if offset is not None and abs(offset) > OFFSET_MAX:
        alarming_s = round((OFFSET_MAX if offset > OFFSET_MAX else -OFFSET_MAX).total_seconds())
        return MeasuredAt(at=None, offset_s=alarming_s, reason=Reason.NO_CREDIBLE_TIME)
    offset_s = round(offset.total_seconds()) if offset is not None else None
    shift = zone_shift(offset, offset_before_s) if offset is not None else None
    if observed_at is None or observed_at > received_at + CLOCK_TOLERANCE:
        reason = Reason.NO_CREDIBLE_TIME
        if observed_at is not None and shift is not None and shift > timedelta():
            reason = Reason.CLOCK_ZONE  # in the future because the zone is wrong: say what to mend
        return MeasuredAt(at=None, offset_s=offset_s, reason=reason, zone_shift=shift)
    if offset is None or abs(offset) <= CLOCK_TOLERANCE:
        return MeasuredAt(at=observed_at, offset_s=offset_s)
    return MeasuredAt(
        at=observed_at - offset if offset > CLOCK_TOLERANCE else observed_at,
        offset_s=offset_s,
        reason=Reason.CLOCK_OFFSET if shift is None else Reason.CLOCK_ZONE,
        zone_shift=shift,
    )


def zone_shift(offset: timedelta, before_s: int | None) -> timedelta | None:
    """By how many half hours the zone is wrong; None when the offset is no matter of zones."""
    if abs(offset) <= CLOCK_TOLERANCE:
        return None
    jump = offset - timedelta(seconds=before_s or 0)
    for shift in (offset, jump):
        nearest = round(shift / ZONE_STEP) * ZONE_STEP
        is_near = abs(shift - nearest) <= CLOCK_TOLERANCE
        if nearest and is_near and abs(nearest) <= ZONE_SHIFT_MAX:
            return nearest
    return None
