"""The raw message behind a value, as lines of text a person can read.

The bytes are shown as they were kept: ASTM records without their frames, HL7 segments, nothing re-encoded or
reordered. A result names its record by letter and ordinal (`R|3`, `OBX|7`, `2/OBX|1` in a batch).
"""

import re
from typing import Final

from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.drivers.driver import protocol_of
from lis.store.rows import Inbox
from lis.wire.astm_assembly import decode_raw
from lis.wire.printout import text_in

_RECORD: Final = re.compile(r"(?:(?P<message>\d+)/)?(?P<type>\w+)\|(?P<number>\d+)")
_SEGMENT_END: Final = re.compile(rb"\r\n?|\n")


def raw_lines(inbox: Inbox) -> list[str]:
    """All records or segments of a stored message, in the order in which they came."""
    raw = bytes(inbox.raw)
    if protocol_of(raw) is Protocol.PRINTOUT:
        lines = _SEGMENT_END.split(text_in(raw))
    elif protocol_of(raw) is Protocol.ASTM:
        lines = [record.rstrip(b"\r\n") for record in decode_raw(raw)]
    else:
        lines = _SEGMENT_END.split(raw.strip(b"\x0b\x1c\r\n"))
    return _decoded([line for line in lines if line], inbox.driver)


def record_text(inbox: Inbox, record: str) -> str:
    """The record that a value was read from; "" if the name fits none."""
    match = _RECORD.match(record)
    if match is None:
        return ""
    if protocol_of(bytes(inbox.raw)) is Protocol.PRINTOUT:  # its values have no lines of their own
        return "\n".join(raw_lines(inbox))
    message, wanted = int(match["message"] or 1), int(match["number"])
    at_message = seen = 0
    for line in raw_lines(inbox):
        kind = re.match(r"\w+", line)
        if line.startswith("MSH"):
            at_message, seen = at_message + 1, 0
        if kind and _type_of(kind[0]) == match["type"] and max(at_message, 1) == message:
            seen += 1
            if seen == wanted:
                return line
    return ""


def _type_of(head: str) -> str:
    """HL7 segments have three letters; an ASTM record begins with one, whatever follows."""
    return head if len(head) == 3 else head[:1].upper()


def _decoded(lines: list[bytes], driver: str) -> list[str]:
    """The first charset of the driver that reads every line; Latin-1 always can."""
    profile = registry.profiles().get(driver)
    charsets = profile.charsets if profile else ("utf-8",)
    for charset in charsets:
        try:
            return [line.decode(charset) for line in lines]
        except UnicodeDecodeError:
            continue
    return [line.decode("latin-1") for line in lines]
