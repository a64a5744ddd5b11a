"""Every timer, limit and liberty of an ASTM link, with its reason and source.

The numbers of sections are those of LIS01-A2 (2008); LIS1-A and E1381-95 use the same for 6.x.
A driver profile changes them by name; nothing in the link is a number without a name.
"""

from dataclasses import dataclass
from enum import StrEnum

from lis.wire.astm_frame import TEXT_LIMIT_1995_BYTES, TEXT_LIMIT_BYTES
from lis.wire.errors import LocalProtocolError

__all__ = ["DEFAULT_TOLERANCES", "LinkSettings", "Role", "Tolerance"]


class Role(StrEnum):
    """Who yields when both send ENQ at once: the host does (6.2.7.1)."""

    HOST = "host"
    INSTRUMENT = "instrument"


class Tolerance(StrEnum):
    """A liberty real analyzers take. Whenever one is needed the link says `ToleranceUsed`."""

    CR_ONLY_END = "cr_only_end"  # no LF after the block (DCA Vantage, Afinion 2)
    LF_ONLY_END = "lf_only_end"  # no CR after the checksum
    LOWER_CASE_CHECKSUM = "lower_case_checksum"
    MISSING_CR = "missing_cr"  # no CR between the last record of a text and ETX
    LF_IN_TEXT = "lf_in_text"  # records of one frame end CR LF
    REPEATED_ENQ = "repeated_enq"  # ENQ inside a session opens a new one
    FRAME_WITHOUT_ENQ = "frame_without_enq"  # frame 1 with an H record opens a session (Contour)
    OVERSIZE_FRAME = "oversize_frame"  # text beyond `receive_limit_bytes`
    HALF_FRAME = "half_frame"  # NAK after `byte_gap_s`, where the standard waits 30 s in silence
    KEEP_ALIVE = "keep_alive"  # ENQ and EOT with nothing between (Yumizen H500)
    UNFRAMED = "unframed"  # records without frames, H to L (Celltak MEK-1305)
    WRONG_CHECKSUM = "wrong_checksum"  # only ever by an explicit profile


DEFAULT_TOLERANCES = frozenset(Tolerance) - {Tolerance.WRONG_CHECKSUM}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The defaults follow the standard; a profile overrides what its analyzer needs."""

    # Sender
    reply_timeout_s: float = 15.0  # 6.5.2.1 (to ENQ), 6.5.2.3 (to a frame)
    enq_retry_s: float = 1.0  # figure A1: pause after an ENQ nobody answered
    busy_retry_s: float = 10.0  # 6.2.6: pause after NAK to ENQ, at least
    contention_host_s: float = 20.0  # 6.2.7.1: the host waits that long for the other's ENQ
    contention_instrument_s: float = 1.0  # 6.2.7.1: the instrument tries again after at least 1 s
    interrupt_pause_s: float = 15.0  # 6.3.5: silence after an honoured request to stop
    sends_max: int = 6  # 6.5.1.2 counts sends; figure A1 counts retries, which would be 7
    enquiries_max: int = 6  # not in the standard: then the caller is told and decides
    junk_settle_s: float = 0.2  # a burst of noise is one bad reply, not one per byte
    honours_interrupt: bool = True  # 6.3.5: EOT as a reply asks us to stop; else it is an ACK
    text_limit_bytes: int = TEXT_LIMIT_1995_BYTES  # 6.3.1; every receiver takes 240
    record_per_frame: bool = True  # 6.3.1.1; cobas wants one stream cut every 240 bytes
    messages_per_session: int = 1  # 6.3.2.1 allows many; not every analyzer does
    line_rate_bytes_s: float = 0.0  # time a frame needs on a serial line; 0 = none worth counting
    can_send: bool = True  # 6.2.7: a system that cannot send never enquires

    # Receiver
    receive_timeout_s: float = 30.0  # 6.5.2.4: from the start of the session and from each reply
    answer_timeout_s: float = 14.0  # 6.3.4.1 wants a reply within 15 s; NAK rather than silence
    byte_gap_s: float = 10.0  # half a frame and then silence: NAK instead of waiting 30 s
    quiet_end_s: float = 0.25  # an end that may go on (CR without LF) is an end after that
    receive_limit_bytes: int = TEXT_LIMIT_BYTES  # 8.3.1
    message_limit_bytes: int = 16 * 2**20  # ours: bounds memory; images of analyzers need < 1 MiB
    access_password: bytes = b""  # LIS02-A2 6.4: H.4 must be this; empty asks for none
    can_receive: bool = True  # 6.2.7: a system that cannot receive answers every ENQ with NAK
    tolerances: frozenset[Tolerance] = DEFAULT_TOLERANCES

    def __post_init__(self) -> None:
        if not 1 <= self.text_limit_bytes <= TEXT_LIMIT_BYTES:
            raise LocalProtocolError(
                f"text_limit_bytes {self.text_limit_bytes}, expected 1 to {TEXT_LIMIT_BYTES}"
            )
        if min(self.sends_max, self.enquiries_max, self.messages_per_session) < 1:
            raise LocalProtocolError("sends, enquiries and messages per session: at least 1")

    def allows(self, tolerance: Tolerance) -> bool:
        """Whether that liberty is granted."""
        return tolerance in self.tolerances
