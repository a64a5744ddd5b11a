"""M11: who may speak on a configured link, and that it is encrypted where `lis.toml` says so."""

import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import build_house
from lis.cli.serving import HouseThread
from lis.domain.errors import Malformed
from lis.transport import AddressError, LinkSettings
from lis.transport.security import LinkSecurity
from tests.hostile.peers import CR, FS, VT, oru, says
from tests.laboratory.conftest import OpenLaboratory

TLS = Path(__file__).resolve().parents[1] / "transport" / "tls"
CERTIFICATE, KEY = str(TLS / "loopback.pem"), str(TLS / "loopback.key")
BLOCK = VT + oru("20000072") + FS + CR


def configuration(**more):
    link = {"name": "bc-1", "driver": "mindray-bc", "link": "tcp-listen://127.0.0.1:0", **more}
    return {"instrument": [link]}


@pytest.fixture
def served(tmp_path):
    """A house on SQLite with one analyzer link that says `more`; gives its address."""
    with ExitStack() as stack:

        def serve(**more):
            document = {
                "store": {"url": f"sqlite:///{tmp_path / 'lis.db'}"},
                **configuration(**more),
            }
            house = build_house(parse_settings(document, where="test"), clock=SystemClock())
            thread = HouseThread(house)
            thread.start()
            stack.callback(thread.stop)
            return OpenLaboratory(house=house, cables={}).address("bc-1")

        yield serve


def answer(connection):
    connection.sendall(BLOCK)
    data = b""
    while FS not in data:
        piece = connection.recv(65_536)
        if not piece:
            return data
        data += piece
    return data


def trusting():
    return ssl.create_default_context(cafile=CERTIFICATE)


def test_M11_a_link_with_a_certificate_speaks_only_TLS(served):
    address = served(tls_certificate=CERTIFICATE, tls_key=KEY)
    with (
        socket.create_connection(address, timeout=10) as plain,
        trusting().wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() in {"TLSv1.2", "TLSv1.3"}
        assert says(answer(secure)) == "AA"
    with socket.create_connection(address, timeout=10) as plain, suppress(ConnectionError):
        assert says_nothing(answer(plain))


def says_nothing(data):
    return b"MSA" not in data


def test_M11_a_caller_who_must_show_a_certificate_and_has_none_is_not_heard(served):
    address = served(tls_certificate=CERTIFICATE, tls_key=KEY, tls_authority=CERTIFICATE)
    with (
        socket.create_connection(address, timeout=10) as plain,
        suppress(ssl.SSLError, ConnectionError),
        trusting().wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert says_nothing(answer(secure))
    mutual = trusting()
    mutual.load_cert_chain(CERTIFICATE, KEY)
    with (
        socket.create_connection(address, timeout=10) as plain,
        mutual.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert says(answer(secure)) == "AA"


@pytest.mark.parametrize(("allow", "is_heard"), [(["127.0.0.0/8"], True), (["10.1.2.3"], False)])
def test_M11_only_the_allowed_are_heard(served, allow, is_heard):
    with socket.create_connection(served(allow=allow), timeout=10) as peer:
        heard = b""
        with suppress(ConnectionError):
            heard = answer(peer)

    assert (b"MSA|AA" in heard) is is_heard


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"allow": ["10.1.2.300"]}, "10.1.2.300"),
        ({"tls_certificate": CERTIFICATE}, "go together"),
        ({"tls_key": KEY}, "go together"),
    ],
)
def test_M11_a_configuration_that_cannot_be_meant_is_refused_in_words(more, expected):
    with pytest.raises(Malformed, match=expected):
        parse_settings(configuration(**more), where="test")


def test_M11_without_a_word_about_it_a_link_is_plain_and_open():
    [entry] = parse_settings(configuration(), where="test").instrument
    settings = entry.security.listening("x")
    assert (settings.tls, settings.allowed_peers) == (None, ())
    assert entry.security.calling().tls is None


def test_M11_a_file_that_cannot_be_read_is_said():
    for call in (
        lambda: LinkSecurity(certificate="/nowhere.pem", key="/nowhere.key").listening("x"),
        lambda: LinkSecurity(authority="/nowhere.pem").calling("x"),
    ):
        with pytest.raises(AddressError, match="tls_"):
            call()


def test_M11_what_we_call_must_show_a_certificate_that_we_trust():
    settings = LinkSecurity(authority=CERTIFICATE, certificate=CERTIFICATE, key=KEY).calling("x")
    assert isinstance(settings, LinkSettings)
    assert settings.tls.verify_mode is ssl.CERT_REQUIRED
    assert settings.tls.minimum_version is ssl.TLSVersion.TLSv1_2
