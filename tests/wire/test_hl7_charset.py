"""Character sets: requirement rows C1, C2 and the encoding half of C3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import LocalProtocolError
from lis.wire.hl7 import Message
from lis.wire.hl7_charset import Unencodable, codec_named, decode, encode

NAME = "Иванова"


def parsed(declared: str, codec: str, name: str = NAME, **options) -> Message:
    text = f"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5.1||||||{declared}\rPID|1||7||{name}^M\r"
    return Message.parse(text.encode(codec), **options)


def name_in(message: Message) -> str:
    return message.first("PID").component(5)


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("", "ascii", "Ivanova"),
        ("ASCII", "ascii", "Ivanova"),
        ("8859/1", "iso8859-1", "Müller"),
        ("8859/2", "iso8859-2", "Łódź"),
        ("8859/3", "iso8859-3", "Ħal"),
        ("8859/4", "iso8859-4", "Ģ"),
        ("8859/5", "iso8859-5", NAME),
        ("8859/6", "iso8859-6", "محمد"),
        ("8859/7", "iso8859-7", "Νίκος"),
        ("8859/8", "iso8859-8", "דוד"),
        ("8859/9", "iso8859-9", "Işık"),
        ("8859/15", "iso8859-15", "Šœ€"),
        ("ISO-8859-5", "iso8859-5", NAME),
        ("UNICODE UTF-8", "utf-8", NAME),
        ("UNICODE", "utf-8", NAME),
        ("UTF-8", "utf-8", NAME),
        ("UTF8", "utf-8", NAME),
        ("utf-8", "utf-8", NAME),
        ("UTF-8~ISO IR87", "utf-8", NAME),
        ("GB 18030-2000", "gb18030", "王"),
        ("KS X 1001", "euc_kr", "김"),
        ("BIG-5", "big5", "王"),
        ("WINDOWS-1251", "cp1251", NAME),
        ("ISO IR87", "iso2022_jp_2", "山田"),
        ("~ISO IR87", "iso2022_jp_2", "山田"),
        ("ASCII~ISO IR87~ISO IR159", "iso2022_jp_2", "山田"),
    ],
)
def test_C1_the_declared_character_set_is_used(declared, codec, name):
    message = parsed(declared, codec, name)
    assert name_in(message) == name
    assert not message.charset_is_declared_wrong


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [("GB18030", "gb18030", "亅乛乗亊"), ("~ISO IR87", "iso2022_jp_2", "万五丬京丟")],
)
def test_C1_two_byte_characters_may_contain_every_separator_byte(declared, codec, name):
    assert set(b"|^\\~") <= set(name.encode(codec))
    assert name_in(parsed(declared, codec, name)) == name


def test_C1_an_empty_declaration_with_other_bytes_is_nobodys_mistake():
    message = parsed("", "utf-8")
    assert (name_in(message), message.charset) == (NAME, "utf-8")
    assert not message.charset_is_declared_wrong
    assert name_in(Message.parse(b"MSH|^~\\&|A\rPID|1||||" + NAME.encode())) == NAME


@pytest.mark.parametrize("declared", ["UNICODE", "ASCII", "UNICODE UTF-8"])
def test_C2_a_wrong_declaration_falls_back_and_is_flagged(declared):
    message = parsed(declared, "cp1251")
    assert (name_in(message), message.charset) == (NAME, "cp1251")
    assert message.charset_is_declared_wrong


def test_C2_a_name_nobody_knows_is_flagged_and_the_text_kept():
    message = parsed("CHA", "utf-8")
    assert name_in(message) == NAME
    assert message.charset_is_declared_wrong


def test_C2_the_fallback_list_of_the_link_is_tried_in_its_order():
    message = parsed("UNICODE", "gb18030", "王小明", fallback=("utf-8", "gb18030", "cp1251"))
    assert (name_in(message), message.charset) == ("王小明", "gb18030")


def test_C2_when_everything_fails_no_byte_is_dropped():
    raw = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1||||\xff\x98\r"
    message = Message.parse(raw, fallback=("utf-8", "cp1251"))
    assert message.charset == "latin-1"
    assert name_in(message).encode("latin-1") == b"\xff\x98"
    assert message.raw == raw


def test_a_codec_python_does_not_know_is_our_own_mistake():
    with pytest.raises(LocalProtocolError, match="klingon"):
        decode(b"MSH", (), ("klingon",))
    with pytest.raises(LocalProtocolError, match="klingon"):
        encode("MSH", "klingon", Unencodable.HEX)


def test_names_are_matched_whatever_their_punctuation():
    assert {codec_named(name) for name in ("UTF-8", "utf8", "UTF_8", "Unicode UTF-8")} == {"utf-8"}
    assert codec_named("EBCDIC") is None


def test_C3_what_the_peer_cannot_read_is_written_in_hexadecimal_or_as_a_question_mark():
    assert encode("Иван A", "ascii", Unencodable.HEX) == rb"\XD098\\XD0B2\\XD0B0\\XD0BD\ A"
    assert encode("Иван A", "ascii", Unencodable.QUESTION_MARK) == b"???? A"
    assert encode("µg \ud800", "iso8859-5", Unencodable.HEX) == rb"\XC2B5\g ?"


@given(
    st.binary(max_size=60), st.sampled_from(["", "UNICODE", "8859/5", "ASCII", "~ISO IR87", "?"])
)
def test_any_bytes_decode_to_something(data, declared):
    decoded = decode(data, declared.split("~"), ("utf-8", "cp1251"))
    assert decoded.text or not data


@given(st.text(max_size=40), st.sampled_from(["utf-8", "ascii", "iso8859-5", "gb18030", "cp1251"]))
def test_any_text_can_be_sent_in_any_character_set(text, codec):
    encode(text, codec, Unencodable.HEX).decode(codec)
