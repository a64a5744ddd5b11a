"""What the journal says of one line of traffic: taken, refused, seen before, noise, cut.

Sessions write why a line means nothing into its note. Here these notes are read, by one table that both the
search in the store and the page use. A note that is in no row is a remark on a line that was taken.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from lis.domain.traffic import Direction

LINE_CONTROL: Final = b"\x04\x05\x06\x15"  # EOT, ENQ, ACK, NAK: they steer an ASTM line


class LineVerdict(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    NOISE = "noise"
    CUT = "cut"  # the evidence of something unfinished
    CONTROL = "control"  # steers the line, says nothing
    SENT = "sent"  # by us
    REMARK = "remark"  # ours, about the line


NOTES: Final[dict[LineVerdict, tuple[str, ...]]] = {
    LineVerdict.REFUSED: ("refused: ",),
    LineVerdict.DUPLICATE: ("duplicate", "repeated"),
    LineVerdict.NOISE: ("noise: ",),
    LineVerdict.CUT: (
        "a block over ",
        "half a block",
        "the connection was lost in a block",
        "recovered after a restart",
    ),
    LineVerdict.CONTROL: ("control characters",),
}
"""How a note of an incoming line begins; a line with any other note, or none, was accepted."""


def verdict_of(direction: str, data: bytes, note: str) -> LineVerdict:
    """What became of one line. `data` is empty where the bytes lie in the inbox whole."""
    if direction == Direction.OUT.value:
        return LineVerdict.SENT if data else LineVerdict.REMARK
    for verdict, beginnings in NOTES.items():
        if note.startswith(beginnings):
            return verdict
    if data and not data.strip(LINE_CONTROL):
        return LineVerdict.CONTROL
    return LineVerdict.ACCEPTED


def reason_of(note: str) -> str:
    """Why, in the words of the session: what follows the first words of its note."""
    for beginning in all_notes():
        if beginning.endswith(": ") and note.startswith(beginning):
            return note.removeprefix(beginning)
    return note


def all_notes() -> Iterable[str]:
    """How notes begin that say a line was not simply taken."""
    return (beginning for beginnings in NOTES.values() for beginning in beginnings)
