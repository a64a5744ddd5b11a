"""MLLP blocks and HL7 segments as the foreign analyzers build and read them; nothing of lis in here.

    VT segment CR segment CR ... FS CR

A segment is a list of texts: `["MSA", "AA", "17"]`. Field n of any segment but MSH is `segment[n]`; MSH-n is
`segment[n - 1]`, because MSH-1 is the separator itself. The reader is strict: a byte outside a block, a
segment that ends otherwise than with CR or a missing CR behind FS is a fault of the host.
"""

from tests.foreign.line import Line

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
SEPARATORS = "^~\\&"

Segment = list[str]


class BlockError(Exception):
    """The host sent a block that a strict instrument cannot take."""


def write_block(line: Line, segments: list[Segment]) -> None:
    text = "\r".join("|".join(segment) for segment in segments) + "\r"
    line.write(VT + text.encode("utf-8") + FS + CR)


def read_block(line: Line, wait_s: float) -> list[Segment]:
    """The next block. Raises `BlockError` when none comes in time, or what comes is none."""
    start = line.read_byte(wait_s)
    if start != VT:
        raise BlockError(f"expected VT within {wait_s} s, got {start!r}")
    data = line.read_until(FS, wait_s)
    if not data.endswith(FS):
        raise BlockError(f"block did not end: {data!r}")
    if line.read_byte(wait_s) != CR:
        raise BlockError("FS without CR")
    text = data[:-1].decode("utf-8")
    if not text.endswith("\r") or "\n" in text:
        raise BlockError(f"segments must end with CR: {text!r}")
    segments = [part.split("|") for part in text[:-1].split("\r")]
    if segments[0][:2] != ["MSH", SEPARATORS]:
        raise BlockError(f"expected MSH|^~\\&, got {segments[0]!r}")
    return segments


def named(segments: list[Segment], name: str) -> list[Segment]:
    return [segment for segment in segments if segment[0] == name]


def field(segment: Segment, number: int) -> str:
    """Field `number` of a segment other than MSH; "" where it was left out."""
    return segment[number] if number < len(segment) else ""


def header_field(segments: list[Segment], number: int) -> str:
    """MSH-`number`."""
    return field(segments[0], number - 1)
