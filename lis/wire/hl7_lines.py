"""The lines of an HL7 message: one for each segment.

What a line end is. CR ends a segment. If the first line end of a message is LF, or there is no
CR, each LF and CR LF ends one too. If it is CR or CR LF, an LF inside a segment is data,
unless one of the usual segment names and a separator follow: mixed line ends exist, and a note whose
second line begins with `OBX|` does not. Blank lines mean nothing.
"""

import re

from lis.wire.errors import RemoteProtocolError

__all__ = ["SEGMENT_COUNT_MAX", "check_lines", "first_line", "segment_lines"]

SEGMENT_COUNT_MAX = 100_000  # the largest real message has about 1,000; an object each

# Where an LF stands inside a segment, only these begin another. Names that also occur as plain
# words in results (PCR, CON, NEG) are left out on purpose.
_USUAL_SEGMENTS = (
    "MSH|MSA|ERR|SFT|EVN|PID|PD1|NK1|PV1|PV2|MRG|AL1|DG1|GT1|IN1|IN2|FT1|NTE|ORC|OBR|OBX|SPM|SAC"
    "|TCD|INV|TQ1|TQ2|QAK|QRD|QRF|QPD|RCP|DSC|DSP|EQU|FHS|BHS|BTS|FTS"
)


def check_lines(text: str, separator: str) -> None:
    """Raise RemoteProtocolError for more lines than a message has, and for a second MSH."""
    has_line_feeds = "\n" in text
    if len(text) > SEGMENT_COUNT_MAX:
        count = text.count("\r") + (text.count("\n") if has_line_feeds else 0)
        if count > SEGMENT_COUNT_MAX:
            raise RemoteProtocolError(f"expected at most {SEGMENT_COUNT_MAX} lines, got {count}")
    second = "MSH" + separator
    if "\r" + second in text or (has_line_feeds and "\n" + second in text):
        # Read as one, the results of the second patient would belong to the first.
        raise RemoteProtocolError("expected one message, got a second MSH: split before reading")


def first_line(text: str) -> str:
    """The first line of a text whose lines end with CR."""
    end = text.find("\r")
    return text if end < 0 else text[:end]


def segment_lines(text: str, separator: str) -> list[str]:
    """The lines that hold something."""
    lines = _mixed_lines(text, separator) if "\n" in text else text.split("\r")
    return [line for line in lines if line and not line.isspace()]


def _mixed_lines(text: str, separator: str) -> list[str]:
    first_lf, first_cr = text.find("\n"), text.find("\r")
    if first_cr < 0 or first_lf < first_cr:
        return text.replace("\r", "\n").split("\n")
    boundary = rf"\r\n*|(?<!\n)\n+(?=(?:{_USUAL_SEGMENTS}){re.escape(separator)})"
    return re.split(boundary, text.rstrip("\r\n"))
