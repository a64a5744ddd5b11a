"""How long to wait before a lost link is opened again.

The ceiling doubles with each failure in a row, 1 s, 2 s, 4 s up to 30 s, and the wait is drawn from its
upper half. Short enough that a technician who pushes the plug back in sees the link at once; long enough
that fifty links do not call a restarting server in step.
"""

from typing import Final

BACKOFF_LOWEST_S: Final = 0.5
BACKOFF_HIGHEST_S: Final = 30.0

# A port of this machine asks nobody: looking for it costs nothing, and whoever pushed the plug back stands
# beside it. With it a vanished port is open again within five seconds of its return.
BACKOFF_LOCAL_HIGHEST_S: Final = 4.0

# A pipe that lived this long was a working one: the next failure starts from the lowest wait again. A peer
# that accepts and hangs up at once therefore meets growing waits, not a storm.
BACKOFF_HEALTHY_AFTER_S: Final = 5.0

# 0.5 s * 2**6 is over the highest wait; counting further would only overflow.
_DOUBLINGS_MAX: Final = 6


def wait_before_retry_s(
    failures: int, chance: float, *, highest_s: float = BACKOFF_HIGHEST_S
) -> float:
    """The wait after so many failures in a row (1 or more); `chance` is a draw from 0 to 1."""
    doublings = min(max(failures, 1), _DOUBLINGS_MAX)
    ceiling_s = min(BACKOFF_LOWEST_S * 2.0**doublings, highest_s)
    return max(BACKOFF_LOWEST_S, ceiling_s * (0.5 + 0.5 * chance))
