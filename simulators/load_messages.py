"""Messages for a load, cheap to make: one template, and three places in it that change.

The template is a message that a simulated instrument wrote. Each message gets an accession number, a number of
its own and a time, by replacing bytes; an ASTM frame gets its checksum anew. Making one costs a few microseconds,
so the load generator measures the house and not itself.

    mllp   mindray-bc      VT MSH ... FS CR
    astm   sysmex-xp-100   the whole message in one frame, or one record a frame
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lis.domain.ids import AccessionNumber
from lis.drivers import registry
from lis.wire.astm_frame import CR, ETX, FRAME_NUMBERS, framed
from lis.wire.mllp import frame
from simulators.measuring import NORMAL_ONLY, TestPlan, measure
from simulators.models import model_of
from simulators.writing import Instrument, Run, report_message

__all__ = ["Framing", "LoadMessage", "MessageSource", "Wire", "accessions_of"]

_SPECIMEN = "SPECIMEN-PLACE"
_NUMBER = 1_234_567_890  # MSH-10 of the template; no other field looks like it
_AT_FORMAT = "%Y%m%d%H%M%S"
ACCESSION_PREFIX = "8"  # a range that a laboratory under load does not give out itself
ACCESSION_WIDTH = 9
PER_ANALYZER = 1_000_000  # serial numbers of one analyzer


class Wire(StrEnum):
    """How the load speaks."""

    MLLP = "mllp"
    ASTM = "astm"


class Framing(StrEnum):
    """How ASTM messages are cut."""

    MESSAGE = "message"  # one frame, as Sysmex and GeneXpert send
    RECORD = "record"  # one frame a record, as the standard wants


DRIVERS = {Wire.MLLP: "mindray-bc", Wire.ASTM: "sysmex-xp-100"}


@dataclass(frozen=True, slots=True)
class LoadMessage:
    """One message as blocks; each block waits for an answer of its own."""

    key: str
    blocks: tuple[bytes, ...]
    answer: bytes
    """What the answer to the last block must hold: MSA with our number, or ACK."""


def accessions_of(analyzer: int) -> Iterator[str]:
    """Well-formed accession numbers that no other analyzer of the load uses."""
    for serial in range(analyzer * PER_ANALYZER, (analyzer + 1) * PER_ANALYZER):
        number = AccessionNumber.from_serial(
            prefix=ACCESSION_PREFIX, serial=serial, width=ACCESSION_WIDTH
        )
        yield str(number)


class MessageSource:
    """Makes the messages of one analyzer."""

    def __init__(
        self,
        wire: Wire,
        *,
        analyzer: int,
        at: datetime,
        results: int,
        codes: Sequence[str] = (),
        framing: Framing = Framing.MESSAGE,
        accessions: Sequence[str] = (),
    ) -> None:
        self._wire = wire
        self._framing = framing
        self._at = at
        self._first_number = analyzer * PER_ANALYZER
        self._made = 0
        self._given = tuple(accessions)
        self._own = accessions_of(analyzer)
        plans = _plans(DRIVERS[wire], results, codes)
        records = _template(DRIVERS[wire], plans, at)
        self._stamp = f"{at:{_AT_FORMAT}}".encode()
        self._template = CR.join(records) if framing is Framing.MESSAGE else b"\0".join(records)

    def next(self) -> LoadMessage:
        """The next message; accession numbers that were given are used in turn, each round a second
        earlier, because the same tube at the same second would be a resend."""
        place, self._made = self._made, self._made + 1
        number = str(self._first_number + self._made)
        text = self._template
        if self._given:
            accession = self._given[place % len(self._given)]
            earlier = self._at - timedelta(seconds=place // len(self._given))
            text = text.replace(self._stamp, f"{earlier:{_AT_FORMAT}}".encode())
        else:
            accession = next(self._own)
        text = text.replace(_SPECIMEN.encode(), accession.encode())
        if self._wire is Wire.MLLP:
            text = text.replace(str(_NUMBER).encode(), number.encode())
            return LoadMessage(accession, (frame(text),), b"MSA|AA|" + number.encode())
        return LoadMessage(accession, self._frames(text), b"\x06")

    def _frames(self, text: bytes) -> tuple[bytes, ...]:
        if self._framing is Framing.MESSAGE:
            return (framed(1, text + CR, ETX),)
        return tuple(
            framed(place % FRAME_NUMBERS, record + CR, ETX)
            for place, record in enumerate(text.split(b"\0"), 1)
        )


def _plans(driver: str, results: int, codes: Sequence[str]) -> list[TestPlan]:
    """As many tests as wanted: the named codes, the model's own, then numbered ones."""
    own = list(model_of(driver).plans)
    if codes:
        return [replace(own[0], code=code) for code in codes][:results]
    spare = [replace(own[0], code=f"{own[0].code}{n}") for n in range(len(own), results)]
    return [*own, *spare][:results]


def _template(driver: str, plans: Sequence[TestPlan], at: datetime) -> tuple[bytes, ...]:
    instrument = Instrument.of(registry.get(driver))
    model = replace(instrument.model, widths={}, plans=tuple(plans))
    rows = tuple(
        measure(plan, seed="load", specimen=_SPECIMEN, run=1, shares=NORMAL_ONLY) for plan in plans
    )
    run = Run(specimen=_SPECIMEN, rows=rows, at=at, number=_NUMBER)
    return report_message(replace(instrument, model=model), run, sent_at=at).records
