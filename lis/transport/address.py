"""Link URLs: how `lis.toml` and the command line say where bytes come from.

    tcp-listen://127.0.0.1:15001            we are the server; port 0 lets the system choose
    tcp-listen://0.0.0.0:15001?public=1     all interfaces: must be said aloud
    tcp-connect://192.168.1.20:4000         we are the client
    serial:///dev/ttyUSB0?baudrate=9600&bytesize=8&parity=N&stopbits=1
    serial+socket://10.0.0.5:4001           any other pySerial URL, with `serial+` before it
    serial+loop://                          pySerial's loop-back, for tests
    memory://xn-1                           a named in-memory pipe, for tests and the simulators
    folder:///srv/plates                    files; parsed here, opened by the file drivers

A wrong URL is found here, before anything is opened: each refusal says what was expected and what came.
An unknown parameter is refused too, because a misspelt `baudrate` would otherwise talk at the wrong speed.

ASTM has no authentication, so a listener on every interface of the machine is an open door. Whoever wants
it writes `public=1`; host names that hide the same meaning (`0`, `0x0`) are caught when they are resolved.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from lis.transport.base import AddressError

# LIS01-A2 5.2.3 lists 300 to 38400; newer analyzers with USB converters offer the two above.
BAUDRATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
BYTESIZES = ("7", "8")
PARITIES = ("N", "E", "O")
STOPBITS = ("1", "2")
PORT_MAX = 65_535

SCHEMES = "tcp-listen, tcp-connect, serial, serial+<any pySerial URL>, memory or folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpListen:
    """We wait for peers at this address. `public` allows the address that means every interface."""

    host: str
    port: int
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpConnect:
    """We call this address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialTarget:
    """A port for pySerial and how it is set; the defaults are those of LIS01-A2 5.2."""

    port: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1
    rtscts: bool = False
    xonxoff: bool = False

    @property
    def bytes_per_s(self) -> float:
        """What the line carries: a start bit, the data bits, perhaps parity, the stop bits."""
        bits = 1 + self.bytesize + (self.parity != "N") + self.stopbits
        return self.baudrate / bits


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTarget:
    """A name in a `MemoryNetwork`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTarget:
    """A folder where an instrument leaves its files; not a byte pipe."""

    path: PurePosixPath


Target = TcpListen | TcpConnect | SerialTarget | MemoryTarget | FolderTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAddress:
    """One parsed link URL: the text as the user wrote it, and what it means."""

    url: str
    target: Target

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a link URL. Raises `AddressError` with what was expected and what came."""
        try:
            parts = urlsplit(url.strip())
        except ValueError as error:
            raise AddressError(f"link {url!r}: {error}") from error
        return cls(url=url.strip(), target=_target(parts))

    def __str__(self) -> str:
        return self.url


def host_and_port(host: str, port: int) -> str:
    """`127.0.0.1:80`, `[::1]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_numeric(host: str) -> bool:
    """True for an IP address, false for a name that must be resolved."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_unspecified(host: str) -> bool:
    """True for the addresses that mean every interface: `0.0.0.0`, `::`."""
    return is_numeric(host) and ipaddress.ip_address(host).is_unspecified


def _target(parts: SplitResult) -> Target:
    if parts.scheme.startswith("serial"):
        return _serial(parts)
    match parts.scheme:
        case "tcp-listen":
            return _tcp_listen(parts)
        case "tcp-connect":
            _parameters(parts, ())
            return TcpConnect(host=_host(parts), port=_port(parts, lowest=1))
        case "memory":
            _parameters(parts, ())
            return MemoryTarget(name=_memory_name(parts))
        case "folder":
            _parameters(parts, ())
            return FolderTarget(path=_absolute_path(parts))
        case _:
            raise _refusal(parts, f"scheme {SCHEMES}", repr(parts.scheme))


def _tcp_listen(parts: SplitResult) -> TcpListen:
    public = _flag(parts, _parameters(parts, ("public",)), "public")
    host = _host(parts)
    if is_unspecified(host) and not public:
        expected = "the address of one interface, or ?public=1 to listen on all of them"
        raise _refusal(parts, expected, host)
    return TcpListen(host=host, port=_port(parts, lowest=0), public=public)


def _host(parts: SplitResult) -> str:
    if parts.username is not None or parts.path not in {"", "/"}:
        raise _refusal(parts, "host:port and nothing more", parts.netloc + parts.path)
    if not parts.hostname:
        raise _refusal(parts, "a host before the port", repr(parts.netloc))
    return parts.hostname


def _port(parts: SplitResult, *, lowest: int) -> int:
    expected = f"a port from {lowest} to {PORT_MAX}"
    try:
        port = parts.port
    except ValueError as error:
        raise _refusal(parts, expected, repr(parts.netloc)) from error
    if port is None or port < lowest:
        raise _refusal(parts, expected, repr(parts.netloc))
    return port


def _memory_name(parts: SplitResult) -> str:
    if not parts.netloc or parts.path not in {"", "/"}:
        raise _refusal(parts, "one name, as in memory://xn-1", repr(parts.netloc + parts.path))
    return parts.netloc


def _absolute_path(parts: SplitResult) -> PurePosixPath:
    path = PurePosixPath(unquote(parts.path))
    if parts.netloc or not path.is_absolute():
        raise _refusal(parts, "three slashes and a path, as in folder:///srv/in", repr(str(path)))
    return path


_SERIAL_PARAMETERS = ("baudrate", "bytesize", "parity", "stopbits", "rtscts", "xonxoff")


def _serial(parts: SplitResult) -> SerialTarget:
    given = _parameters(parts, _SERIAL_PARAMETERS)
    rates = tuple(str(rate) for rate in BAUDRATES)
    return SerialTarget(
        port=_serial_port(parts),
        baudrate=int(_choice(parts, given, "baudrate", rates, default="9600")),
        bytesize=int(_choice(parts, given, "bytesize", BYTESIZES, default="8")),
        parity=_choice(parts, given, "parity", PARITIES, default="N"),
        stopbits=int(_choice(parts, given, "stopbits", STOPBITS, default="1")),
        rtscts=_flag(parts, given, "rtscts"),
        xonxoff=_flag(parts, given, "xonxoff"),
    )


def _serial_port(parts: SplitResult) -> str:
    """What pySerial is given: a device path, a Windows port name, or a URL of its own."""
    scheme, plus, handler = parts.scheme.partition("+")
    if scheme != "serial" or (plus and not handler):
        raise _refusal(parts, f"scheme {SCHEMES}", repr(parts.scheme))
    if handler:
        return f"{handler}://{parts.netloc}{parts.path}"
    port = unquote(parts.path) if not parts.netloc else parts.netloc
    if parts.netloc and parts.path not in {"", "/"}:
        raise _refusal(parts, "three slashes before a device path", repr(parts.netloc + parts.path))
    if port in {"", "/"}:
        raise _refusal(parts, "a device, as in serial:///dev/ttyUSB0 or serial://COM3", "none")
    return port


def _parameters(parts: SplitResult, known: tuple[str, ...]) -> Mapping[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(pairs)
    expected = f"parameters {', '.join(known)}, each once" if known else "no parameters"
    for name in given:
        if name not in known:
            raise _refusal(parts, expected, repr(name))
    if len(given) != len(pairs) or parts.fragment:
        raise _refusal(parts, expected, repr(parts.query + parts.fragment))
    return given


def _choice(
    parts: SplitResult,
    given: Mapping[str, str],
    name: str,
    choices: tuple[str, ...],
    *,
    default: str,
) -> str:
    value = given.get(name, default).upper()
    if value not in choices:
        raise _refusal(parts, f"{name} {', '.join(choices)}", repr(value))
    return value


def _flag(parts: SplitResult, given: Mapping[str, str], name: str) -> bool:
    return _choice(parts, given, name, ("0", "1"), default="0") == "1"


def _refusal(parts: SplitResult, expected: str, got: str) -> AddressError:
    return AddressError(f"link {parts.geturl()!r}: expected {expected}, got {got}")
