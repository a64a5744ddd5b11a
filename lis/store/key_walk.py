"""Walking big tables by key: ids rise with time, so no index on a time is needed."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session


def first_id_since(
    session: Session,
    key: InstrumentedAttribute[int],
    at: InstrumentedAttribute[datetime],
    since: datetime,
) -> int:
    """The smallest id from which on rows are not older than `since`, by bisection.

    Rows of one commit may differ by moments: a caller that must be exact compares the time as well.
    """
    low, high = 1, 1 + (session.scalar(select(func.max(key))) or 0)
    while low < high:
        middle = (low + high) // 2
        found = session.scalar(select(at).where(key >= middle).order_by(key).limit(1))
        if found is not None and found < since:
            low = middle + 1
        else:
            high = middle
    return low
