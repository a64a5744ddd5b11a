"""lis.toml: a wrong key never becomes a silent default."""

import pytest

from lis.app.settings import load_settings, parse_settings
from lis.domain.errors import Malformed

WHOLE = """
[laboratory]
name = "Central laboratory"
language = "ru"
[[site]]
name = "main"
timezone = "Europe/Moscow"
[store]
url = "sqlite:///lis.db"
[web]
listen = "127.0.0.1:8000"
[mqtt]
url = "mqtt://127.0.0.1:1883"
[[instrument]]
name = "xp-1"
driver = "sysmex-xp-100"
link = "tcp-listen://127.0.0.1:15001"
site = "main"
[[emr]]
name = "his"
receive = "tcp-listen://127.0.0.1:2575"
send = "tcp-connect://127.0.0.1:2576"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "lis.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_whole_file_is_read(write):
    settings = load_settings(write(WHOLE), {})
    assert settings.laboratory.language == "ru"
    assert settings.instrument[0].driver == "sysmex-xp-100"
    assert settings.emr[0].send == "tcp-connect://127.0.0.1:2576"
    assert settings.web.port == 8000


def test_an_empty_file_is_a_laboratory_on_loopback(write):
    settings = load_settings(write(""), {})
    assert settings.web.is_loopback
    assert settings.store.url.startswith("sqlite:///")


def test_scalars_are_overridden_by_variables(write):
    variables = {
        "LIS_WEB__LISTEN": "127.0.0.1:9000",
        "LIS_LABORATORY__LANGUAGE": "en",
        "LIS_E2E": "required",
    }
    settings = load_settings(write(WHOLE), variables)
    assert (settings.web.port, settings.laboratory.language) == (9000, "en")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[web]\nlisten_on = '127.0.0.1:1'", "web.listen_on"),
        ("[wed]\nlisten = '127.0.0.1:1'", "wed"),
        ("[web]\nlisten = '8000'", "host:port"),
        ("[web]\nlisten = '192.0.2.1:8000'", "insecure"),
        ("[web]\ntls_key = 'key.pem'", "tls_certificate"),
        ("[store]\nurl = 'mysql://x'", "sqlite:///"),
        ("[journal]\nkeep_days = 5", "at least 30 days"),
        ("[[site]]\nname = 'a'\ntimezone = 'Mars/Base'", "Europe/Moscow"),
        ("[[instrument]]\nname='a'\ndriver='d'\nlink='carrier-pigeon://x'", "carrier-pigeon"),
        (
            "[[instrument]]\nname='a'\ndriver='d'\nlink='tcp-listen://127.0.0.1:1'\nsite='moon'",
            "moon",
        ),
        ("[[emr]]\nname='h'\n[[emr]]\nname='h'", "twice"),
        ("not toml at all", "TOML"),
    ],
)
def test_a_fault_is_said_with_its_place(write, text, named):
    with pytest.raises(Malformed, match=named):
        load_settings(write(text), {})


def test_an_unknown_variable_of_a_section_is_a_fault(write):
    with pytest.raises(Malformed, match="listn"):
        load_settings(write(""), {"LIS_WEB__LISTN": "x"})


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(Malformed, match="no such file"):
        load_settings(tmp_path / "nothing.toml", {})


def test_all_faults_are_told_at_once():
    with pytest.raises(Malformed) as fault:
        parse_settings({"web": {"a": 1}, "store": {"b": 2}}, where="test")
    assert "web.a" in str(fault.value)
    assert "store.b" in str(fault.value)
