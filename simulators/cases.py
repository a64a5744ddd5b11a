"""Situations of laboratory life that the simulators play on purpose, and what each must lead to.

A case has a stable name. What the house must do with the results it touches stands beside it: the reason
they wait for, or `None` where nothing may wait, because the house must see that nothing new arrived.
"""

from enum import StrEnum

from lis.domain.messages import Reason
from lis.drivers.profile import FlagMeaning, Profile

__all__ = ["CASE_REASONS", "Case", "supported_cases"]


class Case(StrEnum):
    """One situation; its value is its name in reports."""

    UNKNOWN_SPECIMEN = "unknown_specimen"  # a tube whose number nobody ever gave out
    UNKNOWN_TEST = "unknown_test"  # a channel that the catalog does not know
    UNORDERED_TEST = "unordered_test"  # a known test that nobody asked for
    UNKNOWN_FLAG = "unknown_flag"
    SAME_MESSAGE_AGAIN = "same_message_again"  # byte for byte, as after a lost ACK
    SECOND_RUN = "second_run"  # measured again, and the values are equal
    EDITED_ON_ANALYZER = "edited_on_analyzer"
    UNIT_CHANGED = "unit_changed"  # somebody changed the unit in the analyzer's menu
    CANCELLED_ORDER = "cancelled_order"  # the EMR takes the order back before it is measured
    CUT_MESSAGE = "cut_message"  # the link is lost half way; the whole message follows


CASE_REASONS: dict[Case, Reason | None] = {
    Case.UNKNOWN_SPECIMEN: Reason.UNKNOWN_SPECIMEN,
    Case.UNKNOWN_TEST: Reason.UNKNOWN_TEST,
    Case.UNORDERED_TEST: Reason.NOT_ORDERED,
    Case.UNKNOWN_FLAG: Reason.UNKNOWN_FLAG,
    Case.SAME_MESSAGE_AGAIN: None,
    Case.SECOND_RUN: Reason.SECOND_RUN,
    Case.EDITED_ON_ANALYZER: Reason.EDITED_ON_ANALYZER,
    Case.UNIT_CHANGED: Reason.UNIT_CHANGED,
    Case.CANCELLED_ORDER: Reason.ORDER_CANCELLED,
    Case.CUT_MESSAGE: None,
}


def supported_cases(profile: Profile) -> tuple[Case, ...]:
    """The cases that an instrument of this profile can play."""
    cannot: set[Case] = set()
    if FlagMeaning.EDITED not in profile.flags.values():
        cannot.add(Case.EDITED_ON_ANALYZER)
    return tuple(case for case in Case if case not in cannot)
