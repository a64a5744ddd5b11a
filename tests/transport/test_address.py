"""Link URLs mean what lis.toml says, and a wrong one is refused with what was expected and what came."""

import contextlib
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.transport import AddressError, LinkAddress
from lis.transport.address import (
    BAUDRATES,
    FolderTarget,
    MemoryTarget,
    SerialTarget,
    TcpConnect,
    TcpListen,
    host_and_port,
)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("tcp-listen://127.0.0.1:15001", TcpListen(host="127.0.0.1", port=15001)),
        ("tcp-listen://127.0.0.1:0", TcpListen(host="127.0.0.1", port=0)),
        ("tcp-listen://[::1]:2575", TcpListen(host="::1", port=2575)),
        (
            "tcp-listen://0.0.0.0:15001?public=1",
            TcpListen(host="0.0.0.0", port=15001, public=True),
        ),
        ("tcp-connect://his.local:2576", TcpConnect(host="his.local", port=2576)),
        ("serial:///dev/ttyUSB0", SerialTarget(port="/dev/ttyUSB0")),
        ("serial:///dev/ttyS1?parity=e", SerialTarget(port="/dev/ttyS1", parity="E")),
        ("serial://COM3?baudrate=19200", SerialTarget(port="COM3", baudrate=19200)),
        (
            "serial:///dev/ttyUSB0?baudrate=1200&bytesize=7&parity=E&stopbits=2&rtscts=1&xonxoff=1",
            SerialTarget(
                port="/dev/ttyUSB0",
                baudrate=1200,
                bytesize=7,
                parity="E",
                stopbits=2,
                rtscts=True,
                xonxoff=True,
            ),
        ),
        ("serial+loop://?baudrate=9600", SerialTarget(port="loop://")),
        ("serial+socket://10.0.0.5:4001", SerialTarget(port="socket://10.0.0.5:4001")),
        ("memory://xn-1", MemoryTarget(name="xn-1")),
        ("folder:///srv/plates", FolderTarget(path=PurePosixPath("/srv/plates"))),
    ],
)
def test_a_link_url_means_what_the_configuration_says(url: str, target: object) -> None:
    address = LinkAddress.parse(url)

    assert address.target == target
    assert str(address) == address.url == url


@pytest.mark.parametrize("baudrate", BAUDRATES)
def test_every_speed_of_the_standard_is_offered(baudrate: int) -> None:
    target = LinkAddress.parse(f"serial:///dev/ttyS0?baudrate={baudrate}").target

    assert target == SerialTarget(port="/dev/ttyS0", baudrate=baudrate)


def test_a_serial_port_is_9600_8n1_unless_told_otherwise() -> None:
    target = LinkAddress.parse("serial:///dev/ttyS0").target

    assert isinstance(target, SerialTarget)
    assert (target.baudrate, target.bytesize, target.parity, target.stopbits) == (9600, 8, "N", 1)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]"], ids=["v4", "v6", "v6-long"]
)
def test_M11_listening_on_every_interface_must_be_said_aloud(host: str) -> None:
    with pytest.raises(AddressError, match=r"expected the address of one interface, or \?public=1"):
        LinkAddress.parse(f"tcp-listen://{host}:15001")
    with pytest.raises(AddressError, match=r"public=1"):
        LinkAddress.parse(f"tcp-listen://{host}:15001?public=0")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected scheme tcp-listen"),
        ("127.0.0.1:15001", "expected scheme"),
        ("http://127.0.0.1:80", "expected scheme .* got 'http'"),
        ("serialx:///dev/ttyS0", "got 'serialx'"),
        ("serial+://x", "expected scheme"),
        ("tcp-listen://127.0.0.1", "expected a port from 0 to 65535"),
        ("tcp-listen://127.0.0.1:70000", "expected a port"),
        ("tcp-listen://127.0.0.1:x", "expected a port"),
        ("tcp-connect://127.0.0.1:0", "expected a port from 1 to 65535"),
        ("tcp-connect://:5000", "expected a host"),
        ("tcp-connect://user@h:5000", "host:port and nothing more"),
        ("tcp-connect://h:5000/path", "host:port and nothing more"),
        ("tcp-connect://h:5000?public=1", "expected no parameters, got 'public'"),
        ("tcp-listen://127.0.0.1:1?public=yes", "public 0, 1, got 'YES'"),
        ("serial://", "expected a device"),
        ("serial://dev/ttyUSB0", "three slashes before a device path"),
        ("serial:///dev/ttyS0?boudrate=9600", "expected parameters baudrate, .* got 'boudrate'"),
        ("serial:///dev/ttyS0?baudrate=9601", "baudrate 300, .* got '9601'"),
        ("serial:///dev/ttyS0?baudrate=9600&baudrate=1200", "each once"),
        ("serial:///dev/ttyS0?bytesize=9", "bytesize 7, 8, got '9'"),
        ("serial:///dev/ttyS0?parity=X", "parity N, E, O, got 'X'"),
        ("serial:///dev/ttyS0?stopbits=3", "stopbits 1, 2, got '3'"),
        ("memory://", "expected one name"),
        ("memory://a/b", "expected one name"),
        ("folder://srv/plates", "three slashes and a path"),
        ("tcp-listen://[::1:80", "Invalid IPv6 URL"),
    ],
)
def test_a_wrong_url_is_refused_with_what_was_expected_and_what_came(
    url: str, message: str
) -> None:
    with pytest.raises(AddressError, match=message):
        LinkAddress.parse(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = LinkAddress.parse(text)
    except AddressError:
        return
    assert LinkAddress.parse(address.url) == address


@given(
    scheme=st.sampled_from(["tcp-listen", "tcp-connect", "serial", "serial+loop", "memory"]),
    rest=st.text(alphabet="/?:@[]&=#%.0159apublicrty", max_size=30),
)
def test_any_rest_after_a_known_scheme_is_an_address_or_an_address_error(
    scheme: str, rest: str
) -> None:
    with contextlib.suppress(AddressError):
        LinkAddress.parse(f"{scheme}://{rest}")


def test_ipv6_addresses_are_shown_in_brackets() -> None:
    assert host_and_port("::1", 80) == "[::1]:80"
    assert host_and_port("127.0.0.1", 80) == "127.0.0.1:80"
