"""The time an instrument writes, as a moment in UTC.

    20240723172452             local time of the instrument
    202407231724               without seconds (D-10, Contour)
    20240723172452.25+0300     HL7, with fraction and offset

Without an offset the text is local time in the instrument's zone. A day without a time is no moment:
nothing may be judged by it (S11), so it reads as None. An hour that occurs twice in autumn is the later one
that is not after the moment we received the message; an hour that spring leaves out is taken with the offset
before the change.
"""

from datetime import UTC, datetime, tzinfo

from lis.wire.hl7_writer import Precision, parse_timestamp

_NO_MOMENT = frozenset({Precision.YEAR, Precision.MONTH, Precision.DAY, Precision.HOUR})


def read_time(text: str, zone: tzinfo, *, received_at: datetime) -> datetime | None:
    """The moment in UTC; None for text that names no moment."""
    read = parse_timestamp(text.strip(), zone)
    if read is None or read.precision in _NO_MOMENT:
        return None
    try:
        first = read.at.astimezone(UTC)
        second = read.at.replace(fold=1).astimezone(UTC)
    except OverflowError:
        return None
    return second if first < second <= received_at else first


def plain_time(text: str, layout: str) -> str:
    """A time written by the `strptime` layout of an instrument, as YYYYMMDDHHMMSS.

    "" for text that does not fit.
    """
    try:
        return f"{datetime.strptime(' '.join(text.split()), layout):%Y%m%d%H%M%S}"  # noqa: DTZ007
    except ValueError:
        return ""
