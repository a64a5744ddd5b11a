"""When is it strange that an instrument says nothing? Learned from its own last weeks.

An instrument that measures round the clock is missed after less than two hours; one that works on weekday mornings
is not missed at night. For each hour of the week we count in how many of the last `WEEKS` weeks anything came in
that hour. Counts of messages would not do: they come in bursts, forty tubes in five minutes, then none for an
hour.

    k   weeks in which something came in this hour          n   whole weeks that we know, at most 6
    chance that this hour stays silent = 1 - k / (n + 1)    never 0: six weeks prove nothing for ever

The chance of a whole silence is the product over its hours, by the fraction of each. An alarm is due when it falls
below `CHANCE_MAX`, not before `SILENCE_MIN`, and never in the first two weeks of an instrument:

    something came in this hour in      6 of 6 weeks   5 of 6   3 of 6   1 of 6   never
    alarm after (next quarter hour)     1 h 45 min     2 h 30   5 h 30   19 h 30  not in such hours
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

WEEK: Final = timedelta(days=7)
WEEKS: Final = 6  # long enough to be fair, short enough to follow a new shift plan
WEEKS_MIN: Final = 2
CHANCE_MAX: Final = 0.05  # of twenty silences of this length, at these hours, one is nothing
SILENCE_MIN: Final = timedelta(minutes=30)
STEP: Final = timedelta(minutes=15)  # every zone of the world begins its hours on such a step
HORIZON: Final = 2 * WEEK  # who is not missed in two weeks is not missed


@dataclass(frozen=True, slots=True, kw_only=True)
class HourProfile:
    """In how many weeks something came, by hour of the local week; hours that are absent were silent."""

    weeks: int
    heard: Mapping[int, int]

    def chance(self, hour: int) -> float:
        """The chance that this hour of the week stays silent."""
        return 1 - self.heard.get(hour, 0) / (self.weeks + 1)


def hour_of(moment: datetime) -> int:
    """The hour since 1970 in which a moment lies: what is remembered of a message."""
    return int(moment.timestamp()) // 3600


def learn(hours: Iterable[int], *, now: datetime, zone: tzinfo) -> HourProfile:
    """The profile of one instrument from the hours (see `hour_of`) in which something came."""
    weeks_of: dict[int, set[int]] = {}
    longest = timedelta(0)
    for hour in hours:
        begin = datetime.fromtimestamp(hour * 3600, UTC)
        age = now - begin
        if timedelta(0) < age <= WEEKS * WEEK:
            longest = max(longest, age)
            weeks_of.setdefault(hour_of_week(begin, zone), set()).add(age // WEEK)
    weeks = min(WEEKS, longest // WEEK)
    return HourProfile(
        weeks=weeks, heard={hour: min(len(found), weeks) for hour, found in weeks_of.items()}
    )


def hour_of_week(moment: datetime, zone: tzinfo) -> int:
    """0 is Monday from 00:00 to 01:00 where the instrument stands."""
    local = moment.astimezone(zone)
    return local.weekday() * 24 + local.hour


def alarm_due(profile: HourProfile, last: datetime, zone: tzinfo) -> datetime | None:
    """From when on it is strange that nothing came since `last`; None: not within two weeks."""
    if profile.weeks < WEEKS_MIN:
        return None
    chance, moment = 1.0, last
    while moment - last < HORIZON:
        end = _next_step(moment)
        chance *= profile.chance(hour_of_week(moment, zone)) ** ((end - moment) / (4 * STEP))
        moment = end
        if chance < CHANCE_MAX and moment - last >= SILENCE_MIN:
            return moment
    return None


def _next_step(moment: datetime) -> datetime:
    step_s = int(STEP.total_seconds())
    return datetime.fromtimestamp((int(moment.timestamp()) // step_s + 1) * step_s, UTC)
