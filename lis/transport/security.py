"""Who may speak on a link, and how it is encrypted, as a configuration says it (hl7.md, M11).

    allow           addresses and networks that may call us; empty = everybody who reaches the port
    certificate, key      what we show as a listener; without them a listener speaks plainly
    authority       whose certificates we trust: as a caller the host's, as a listener those of the callers

Files are read when the link is opened, so a renewed certificate needs a restart of the link only. What cannot be read
is an `AddressError`: trying again cannot help.
"""

import ipaddress
import ssl
from dataclasses import dataclass

from lis.transport.base import AddressError
from lis.transport.settings import LinkSettings, Network

__all__ = ["PLAIN", "LinkSecurity", "network_of"]


def network_of(text: str) -> Network:
    """`10.1.2.3` or `10.1.0.0/16` as a network; raises `AddressError`."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise AddressError(f"expected an address or network in allow, got {text!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSecurity:
    """The security of one link; the default is plain text from anybody, for loopback and closed networks."""

    allow: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    authority: str = ""

    def listening(self, name: str, *, single_peer: bool = True) -> LinkSettings:
        """Settings of a link on which others call us."""
        tls = self._shown() if self.certificate else None
        return LinkSettings(
            name=name,
            single_peer=single_peer,
            allowed_peers=tuple(map(network_of, self.allow)),
            tls=tls,
        )

    def calling(self, name: str = "") -> LinkSettings:
        """Settings of a link on which we call."""
        return LinkSettings(name=name, tls=self._trusted() if self.authority else None)

    def _shown(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(
                ssl.Purpose.CLIENT_AUTH, cafile=self.authority or None
            )
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise AddressError(f"tls_certificate or tls_key: {error}") from error
        if self.authority:
            context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _trusted(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise AddressError(f"tls_authority: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


PLAIN = LinkSecurity()
