"""Messages that must not share a unit while rules about repeating are in force (S12). Pure.

A rule orders a test in the unit that saw the value, and the next message of that tube is matched to this order. So that a
batch gives what its messages give alone, a tube about which a rule may speak occurs in one message of a group only, and a
message that may hold a control, which moves gates, ends its group. Without rules a batch is one group.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

T = TypeVar("T")


def apart(
    items: Sequence[T], tubes_of: Callable[[T], Collection[str]], moves_gates: Callable[[T], bool]
) -> list[list[T]]:
    """Cut a batch into groups, in order: no tube twice in a group, and nothing behind what moves a gate."""
    groups: list[list[T]] = []
    seen: set[str] = set()
    is_closed = True
    for item in items:
        tubes = set(tubes_of(item))
        if is_closed or seen & tubes:
            groups.append([])
            seen = set()
        groups[-1].append(item)
        seen |= tubes
        is_closed = moves_gates(item)
    return groups
