"""What a message of a LAW analyzer does otherwise than the framework: advice for whoever connects it.

Only told, never acted on: a maker's slip is no reason to lose a result. Messages that name no transaction of LAW in
MSH-21 are not judged, for the same structures serve others as well.
"""

from typing import Any

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, split_messages
from lis.wire.law_check import check, is_law

FINDINGS_MAX = 100  # of one payload; a maker who differs in each row differs in one thing
_TRANSACTION = "LAB-"


def advice(raw: bytes) -> list[dict[str, Any]] | None:
    """The findings of all LAW messages in a payload; None where there is none."""
    found: list[dict[str, Any]] = []
    is_any = False
    for payload in split_messages(raw):
        try:
            message = Message.parse(payload)
        except RemoteProtocolError:
            continue
        if not is_law(message) or not message.header.component(21).startswith(_TRANSACTION):
            continue
        is_any = True
        found += [
            {"place": one.place, "text": one.text, "weight": one.weight.value}
            for one in check(message)
        ]
    return found[:FINDINGS_MAX] if is_any else None
