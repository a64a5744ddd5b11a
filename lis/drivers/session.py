"""The one loop for a link: whatever the protocol, keep first and acknowledge after.

With a profile, or a protocol, the session starts at once. Without either the first bytes tell:

    VT                          HL7 in MLLP
    ENQ; STX and a digit; H and a delimiter     ASTM, with or without frames
    STX and a date              a slip made for a printer

Everything before the first of these is noise (NUL and 0xFF at power-up, line ends, heartbeats) and is dropped.
"""

import asyncio
import re
from collections.abc import Callable

from lis.domain.clock import Clock
from lis.domain.messages import Protocol
from lis.domain.traffic import Answer, Keep
from lis.drivers.astm_session import AstmSession
from lis.drivers.hl7_driver import fallback_of
from lis.drivers.mllp_session import Manner, MllpSession
from lis.drivers.outgoing import OutgoingPort
from lis.drivers.printout_session import PrintoutSession
from lis.drivers.profile import Profile
from lis.drivers.reading_pipe import ResumedPipe
from lis.drivers.session_events import OnEvent
from lis.transport import Pipe
from lis.wire.astm_link import LinkSettings
from lis.wire.mllp import MllpSettings

_FIRST = re.compile(
    rb"(?P<hl7>\x0b)|(?P<printout>\x02\d\d[/.-]\d\d)|(?P<astm>\x05|\x02[0-7]\D|[Hh][!-/:-@\[-`{-~])"
)
_MAY_BEGIN = re.compile(rb"(?:\x02\d{0,2}|\x02\d\d[/.-]\d?|[Hh])\Z")


async def run_session(
    pipe: Pipe,
    *,
    profile: Profile | None = None,
    protocol: Protocol | None = None,
    keep: Keep,
    answer: Answer,
    clock: Clock,
    on_event: OnEvent,
    now_s: Callable[[], float] | None = None,
    astm_settings: LinkSettings | None = None,
    mllp_settings: MllpSettings | None = None,
    closes_after_fault: bool = True,
    lines_carry_all: bool = False,
    charset: str = "",
    port: OutgoingPort | None = None,
    carries_orders: bool = True,
) -> None:
    """Serve one pipe until it ends. Raises `LinkLost` when it broke, and nothing else of its own.

    `closes_after_fault`: end the session after half a block and silence, or a block over the limit; on a
    serial line there is nothing to close. `lines_carry_all`: journal lines repeat the bytes of whole messages, for
    a capture file that has no inbox. `charset` overrides the profile's. `now_s` is a monotonic clock, else the loop's.
    `port`: messages of our own leave through it (LAW); `carries_orders` is false where they have another connection.
    """
    now_s = now_s or asyncio.get_running_loop().time
    spoken = profile.protocol if profile is not None else protocol
    if spoken is None:
        first, spoken = await sniff(pipe)
        pipe = ResumedPipe(pipe, first)
    if spoken is Protocol.PRINTOUT:
        await PrintoutSession(
            pipe,
            keep=keep,
            clock=clock,
            on_event=on_event,
            now_s=now_s,
            answer=profile.quirks.printout_answer if profile is not None else b"",
            lines_carry_all=lines_carry_all,
        ).run()
    elif spoken is Protocol.ASTM:
        await AstmSession(
            pipe,
            profile=profile,
            keep=keep,
            answer=answer,
            clock=clock,
            on_event=on_event,
            now_s=now_s,
            link_settings=astm_settings,
            lines_carry_all=lines_carry_all,
        ).run()
    elif spoken is Protocol.HL7:
        await MllpSession(
            pipe,
            keep=keep,
            answer=answer,
            clock=clock,
            on_event=on_event,
            now_s=now_s,
            manner=_manner(profile, charset),
            settings=mllp_settings,
            closes_after_fault=closes_after_fault,
            lines_carry_all=lines_carry_all,
            port=port,
            carries_orders=carries_orders,
        ).run()


def _manner(profile: Profile | None, charset: str) -> Manner:
    if profile is None:
        return Manner()
    return Manner(
        heartbeats=profile.quirks.heartbeats,
        acknowledging=profile.hl7.acknowledging,
        fallback=fallback_of(profile, charset),
    )


async def sniff(pipe: Pipe) -> tuple[bytes, Protocol | None]:
    """Read until the protocol shows: the bytes from there on, and which it is; None at the end."""
    held = b""
    while data := await pipe.receive():
        held += data
        found = _FIRST.search(held)
        if found is not None:
            return held[found.start() :], Protocol(str(found.lastgroup))
        begun = _MAY_BEGIN.search(held)
        held = held[begun.start() :] if begun is not None else b""
    return b"", None
