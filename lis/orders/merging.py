"""May two identities become one person, and does an identifier keep its own check digit? Pure (S28).

A conflict of sex or blood group stops the merge: it is more likely that two people are mixed up than that one person has two groups.
A different birth date does not: it is what merges are for, and the surviving identity's date counts.
"""

from dataclasses import dataclass
from enum import StrEnum

KNOWN_SEXES = frozenset({"F", "M"})


class Conflict(StrEnum):
    SEX = "sex"
    BLOOD_GROUP = "blood_group"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFacts:
    """What is known of one identity; blood groups as (test, value) of results that count."""

    sex: str = "U"
    blood_groups: frozenset[tuple[str, str]] = frozenset()


def merge_conflicts(one: IdentityFacts, other: IdentityFacts) -> tuple[Conflict, ...]:
    """Why these two may not be merged; () when nothing speaks against it."""
    conflicts = []
    if {one.sex, other.sex} == KNOWN_SEXES:
        conflicts.append(Conflict.SEX)
    groups: dict[str, set[str]] = {}
    for test, value in one.blood_groups | other.blood_groups:
        groups.setdefault(test, set()).add(_plain(value))
    if any(len(values) > 1 for values in groups.values()):
        conflicts.append(Conflict.BLOOD_GROUP)
    return tuple(conflicts)


def _plain(value: str) -> str:
    """`A Rh+`, `a rh +`: the same group."""
    return "".join(value.split()).casefold()


def has_wrong_check_digit(number: str, digit: str, scheme: str) -> bool:
    """Whether CX-2 contradicts CX-1 by the scheme of CX-3 (table 0061); an unknown scheme says nothing."""
    if not digit or not number.isascii() or not number.isdigit():
        return False
    if scheme == "M10":
        return digit != str(_mod10(number))
    if scheme == "M11":
        return digit not in _mod11(number)
    return False


def _mod10(number: str) -> int:
    """HL7 chapter 2, CX: double every second digit from the right, add the digits, and fill up to ten."""
    total = 0
    for place, text in enumerate(reversed(number)):
        doubled = int(text) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return -total % 10


def _mod11(number: str) -> frozenset[str]:
    """HL7 chapter 2, CX: weights 2 to 7 from the right; a remainder of ten has no digit."""
    total = sum(int(text) * (2 + place % 6) for place, text in enumerate(reversed(number)))
    digit = -total % 11
    return frozenset({str(digit)}) if digit < 10 else frozenset({"X", "0"})
