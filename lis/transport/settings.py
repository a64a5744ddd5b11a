"""How links are kept: everything `serve_link` can be told besides its address."""

import asyncio
import ipaddress
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lis.transport.base import SEND_TIMEOUT_S, AddressError
from lis.transport.memory import MemoryNetwork

# Peers of one link that may be served at once where `single_peer` is off: an EMR with one connection per
# interface needs a handful; more is a peer that leaks connections.
PEERS_MAX = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The defaults suit an instrument.

    `allowed_peers` empty lets every address in. `tls` is a server context for `tcp-listen`, a client context
    for `tcp-connect`. Sleep, monotonic time and chance are arguments so that back-off can be tested.
    """

    name: str = ""  # of the link, for logs; the URL where empty
    single_peer: bool = True
    peers_max: int = PEERS_MAX
    allowed_peers: tuple[Network, ...] = ()
    tls: ssl.SSLContext | None = None
    memory: MemoryNetwork | None = None
    send_timeout_s: float = SEND_TIMEOUT_S
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic_s: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        # hl7.md M11: TLS 1.2 is the least that may carry results.
        if self.tls is not None and self.tls.minimum_version < ssl.TLSVersion.TLSv1_2:
            found = self.tls.minimum_version.name
            raise AddressError(f"expected a TLS context of at least TLSv1_2, got {found}")

    def is_allowed(self, host: str) -> bool:
        """True where a peer at this address may speak to us."""
        if not self.allowed_peers:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.allowed_peers)
