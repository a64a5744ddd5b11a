"""Answers to HL7 host queries: what every dialect writes the same way.

`Asked` is what a query said of itself. It travels in `HostQuery.echo` (texts only), because the answer must give it
back: to whom, under which id, in which version and character set, and the query segments themselves, which some
instruments compare with what they sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from lis.domain.messages import SpecimenOrders
from lis.wire.hl7 import Message, Segment
from lis.wire.hl7_charset import codec_named
from lis.wire.hl7_writer import SEPARATORS, Value, is_written, message, segment

SENDER = "LIS"
QUERY_SEGMENTS = ("QRD", "QRF", "QPD")
SEGMENT_CHARACTERS_MAX = 2_000  # of a query segment that is given back: a real one has about 100
TIME = (
    "%Y%m%d%H%M%S"  # instruments of these makes know no offset; the driver gives their local time
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a query said of itself; header fields are written as they are to be sent back."""

    control_id: str
    application: str
    facility: str
    processing_id: str
    version: str
    charset: str
    segments: tuple[str, ...] = ()

    def echo(self) -> tuple[str, ...]:
        """As `HostQuery` carries it."""
        header = (self.control_id, self.application, self.facility)
        return (*header, self.processing_id, self.version, self.charset, *self.segments)

    @classmethod
    def of(cls, echo: Sequence[str]) -> Self:
        """The other way."""
        control_id, application, facility, processing_id, version, charset = echo[:6]
        return cls(
            control_id=control_id,
            application=application,
            facility=facility,
            processing_id=processing_id,
            version=version,
            charset=charset,
            segments=tuple(echo[6:]),
        )

    @property
    def codec(self) -> str:
        """The codec of the answer: that of the question (C3), or UTF-8."""
        return codec_named(self.charset.split("~")[0]) or "utf-8"

    def segment(self, name: str) -> str:
        """The query segment of that name, to be sent back; "" where there was none."""
        return next((text for text in self.segments if text.startswith(f"{name}|")), "")


def asked_of(query: Message) -> Asked:
    """What this query said of itself."""
    header = query.header
    found = (query.first(name) for name in QUERY_SEGMENTS)
    return Asked(
        control_id=query.control_id,
        application=header.field(3),
        facility=header.field(4),
        processing_id=query.processing_id,
        version=query.version,
        charset=header.raw_field(18),
        segments=tuple(rewritten(query, one) for one in found if one is not None),
    )


def rewritten(query: Message, one: Segment) -> str:
    """A segment of a peer with our separators; unchanged where it uses them already."""
    raw = one.raw[:SEGMENT_CHARACTERS_MAX]
    if query.separators == SEPARATORS and is_written(raw):
        return raw
    values: list[Value] = [
        [repeat.parts() for repeat in one.repeats(n)] for n in range(1, one.field_count + 1)
    ]
    return segment(one.name, *values)


def header(
    asked: Asked,
    message_type: tuple[str, ...],
    *,
    control_id: str,
    at: datetime,
    sender: str = SENDER,
    conditions: tuple[str, str] = ("", ""),
) -> str:
    """MSH of an answer. `conditions` are MSH-15 and MSH-16."""
    told: list[Value] = [sender, "", _components(asked.application), _components(asked.facility)]
    told += [at.strftime(TIME), "", message_type, control_id, asked.processing_id or "P"]
    return segment("MSH", *told, asked.version, "", "", *conditions, "", asked.charset)


def written(asked: Asked, segments: Sequence[str]) -> bytes:
    """The answer in the character set of the question."""
    return message([text for text in segments if text], asked.codec)


def is_urgent(entry: SpecimenOrders) -> bool:
    return entry.priority == "S"


def full_name(entry: SpecimenOrders) -> str:
    return " ".join(part for part in (entry.family_name, entry.given_name) if part)


def _components(text: str) -> Value:
    """`ICU^GeneXpert^1.0` as components; a text without them as it is."""
    return tuple(text.split("^")) if "^" in text else text
