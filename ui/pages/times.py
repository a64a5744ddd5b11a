"""Short times for lists: the hour alone for today, with the day for any other."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import Request

from lis.api.deps import laboratory_of


def hour_of(request: Request) -> Callable[[datetime | None], str]:
    """How this page writes a moment: `14:05`, or `02.11 14:05` when it is not today."""
    laboratory = laboratory_of(request)
    zone = ZoneInfo(laboratory.settings.site[0].timezone)
    today = laboratory.clock.now().astimezone(zone).date()

    def hour(at: datetime | None) -> str:
        if at is None:
            return ""
        local = at.astimezone(zone)
        return local.strftime("%H:%M" if local.date() == today else "%d.%m %H:%M")

    return hour
