"""Print-outs to observations.

The layout of the profile takes the text apart; the head's groups are P.1, P.2 ... and a row's groups R.1, R.2 ... in
the field map. A slip has no checksum and no field separators, so what does not fit may belong to any value:
one character too many holds every result of the slip, and stands on the list of what could not be read.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from lis.domain.messages import Protocol, Reason, ReportedObservation, Translation, Unreadable
from lis.drivers.observing import Reader
from lis.drivers.profile import Profile
from lis.wire.path import FieldPath
from lis.wire.printout import Printout, text_in

SHOWN_CHARACTERS_MAX = 2_000


class PrintoutScope:
    """The head of a slip, and the row that is being read."""

    def __init__(self, head: Sequence[str], row: Sequence[str] = ()) -> None:
        self._groups = {"P": head, "R": row}

    def text(self, path: FieldPath) -> str:
        groups = self._groups.get(path.record, ())
        return groups[path.field - 1] if path.field <= len(groups) else ""

    def repeats(self, path: FieldPath) -> tuple[str, ...]:
        text = self.text(path)
        return (text,) if text else ()


def translate(
    profile: Profile, raw: bytes, *, zone: tzinfo, charset: str, received_at: datetime
) -> Translation:
    """Everything one kept slip says. Pure; raises nothing for any bytes."""
    text = _decoded(raw, (charset,) if charset else profile.charsets)
    printout = profile.printout.read(text) if profile.printout is not None else None
    empty = Translation(
        driver=profile.key, driver_version=profile.version, protocol=Protocol.PRINTOUT
    )
    if printout is None or not printout.rows:
        return replace(empty, unreadable=(_unreadable("P|1", text),))
    reader = Reader.of(profile, zone, received_at)
    observations = [
        entry
        for number, row in enumerate(printout.rows, 1)
        for entry in reader.observe(PrintoutScope(printout.head, row), f"R|{number}")
    ]
    return replace(
        empty,
        sender=reader.sender(PrintoutScope(printout.head)),
        observations=tuple(_doubted(observations, printout)),
        unreadable=tuple(_unreadable("P|1", remnant) for remnant in printout.remnants),
    )


def head_scope(profile: Profile, raw: bytes) -> PrintoutScope | None:
    """The head of a slip that this profile can read."""
    if profile.printout is None:
        return None
    printout = profile.printout.read(_decoded(raw, profile.charsets))
    return PrintoutScope(printout.head) if printout is not None and printout.rows else None


def _doubted(
    observations: Sequence[ReportedObservation], printout: Printout
) -> list[ReportedObservation]:
    if not printout.remnants:
        return list(observations)
    doubt = Reason.UNREADABLE_RECORD
    return [replace(entry, holds=(*entry.holds, doubt)) for entry in observations]


def _unreadable(record: str, text: str) -> Unreadable:
    return Unreadable(
        record=record,
        field="",
        raw=text[:SHOWN_CHARACTERS_MAX],
        reason=Reason.UNREADABLE_RECORD,
    )


def _decoded(raw: bytes, charsets: Sequence[str]) -> str:
    text = text_in(raw)
    for charset in charsets:
        try:
            return text.decode(charset)
        except UnicodeDecodeError:
            continue
    return text.decode("latin-1")
