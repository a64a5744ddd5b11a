"""What reception may decide of one test on one tube (S35)."""

from enum import StrEnum


class ReceptionVerdict(StrEnum):
    """The tube may be fit for one test and not for another, so each test has a verdict of its own."""

    ACCEPT = "accept"
    DEVIATE = "deviate"  # taken though not as it should be: the specimen cannot be drawn again
    REJECT = "reject"  # this test is cancelled on this tube and asked for on a new one
