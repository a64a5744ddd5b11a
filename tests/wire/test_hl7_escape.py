r"""Escape sequences on read: requirement row E2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.hl7 import Message


def read(text: str, *, charset: str = "UNICODE UTF-8", codec: str = "utf-8", **options) -> str:
    raw = f"MSH|^~\\&#|A|B|C|D|2026||ORU^R01|1|P|2.5.1||||||{charset}\rNTE|1||{text}\r"
    return Message.parse(raw.encode(codec), **options).first("NTE").component(3)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"1\F\2\S\3\T\4\R\5\E\6", "1|2^3&4~5\\6"),
        (r"truncated\P\end", "truncated#end"),
        (r"W\S\C", "W^C"),
        (r"\X21\ \X0D0A\.", "! \r\n."),
        (r"\XD09C\ария", "Мария"),
        (r"\Xd0bc\mol", "мmol"),
        (r"one\.br\two", "one\ntwo"),
        (r"one\.sp\two\.sp2\three\.sp+3\four", "one\ntwo\n\nthree\n\n\nfour"),
        (r"\.ce\centred\.sk3\x\.in+4\a\.ti-2\b\.fi\c\.nf\d\.in\e", "\ncentred   xabcde"),
        (r"is \H\HIGH\N\ now", "is HIGH now"),
        (r"\.sp0\x", "x"),
    ],
)
def test_E2_known_sequences_are_resolved(sent, meant):
    assert read(sent) == meant


@pytest.mark.parametrize(
    "text",
    [
        r"Some \Z99\ text",
        r"\Q\ and \Zvendor-1\ ",
        r"\Z03BC\g/L",
        r"\X\ \X1\ \XZZ\ \XFF\ ",
        r"\.zz\ \.sp101\ \.sp9999\ \.sp-1\ ",
        r"C:\data",
        r"C:\data\file.txt",
        r"trailing\ ",
        "\\",
        "\\\\",
        "\\\\server\\share",
    ],
)
def test_E2_what_we_do_not_know_is_kept_as_it_came(text):
    assert read(text) == text


def test_E2_a_stray_escape_character_does_not_hide_the_next_sequence():
    assert read(r"C:\temp \F\ D:\ \S\x") == r"C:\temp | D:\ ^x"


def test_E2_a_sequence_never_creates_a_component():
    raw = b"MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5.1\rOBX|1|ST|a\\S\\b\\F\\c\\R\\d^e\r"
    obx = Message.parse(raw).first("OBX")
    assert [obx.component(3, c) for c in (1, 2, 3)] == ["a^b|c~d", "e", ""]
    assert obx.field_count == 3
    assert len(obx.repeats(3)) == 1


def test_E2_truncation_without_a_fifth_encoding_character_is_unknown():
    raw = b"MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5.1\rNTE|1||a\\P\\b\r"
    assert Message.parse(raw).first("NTE").component(3) == r"a\P\b"


def test_E2_hexadecimal_is_read_in_the_character_set_of_the_message():
    assert read(r"\XDCE0\ш", charset="8859/5", codec="iso8859-5") == "мрш"


def test_E2_hexadecimal_the_character_set_lacks_is_tried_as_utf8():
    assert read(r"\XD098\vanova", charset="ASCII", codec="ascii") == "Иvanova"


def test_E2_code_points_are_read_only_when_the_driver_says_so():
    """BioSystems BA200 and BA400 write the micro sign this way."""
    assert read(r"\Z03BC\g \Z1F600\ ", is_vendor_unicode=True) == "μg \U0001f600 "


@pytest.mark.parametrize("text", [r"\ZD800\ ", r"\ZFFFFFF\ ", r"\Z3BC\ ", r"\Zold\ "])
def test_E2_a_code_point_that_is_no_character_is_kept_as_it_came(text):
    assert read(text, is_vendor_unicode=True) == text


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"\M2442\;3ED\C2842\ Taro", "山田 Taro"),
        (r"\M242843\1h\C2842\!", "김!"),
        (r"\C2842\plain", "plain"),
        (r"\C2849\6\C2842\ ", "ｶ "),
        (r"\M824041\charset", r"\M824041\charset"),
        (r"\M2442\Ж", r"\M2442\Ж"),
        (r"\M2442", r"\M2442"),
        (r"\C28\x", r"\C28\x"),
    ],
)
def test_E2_iso_2022_switches_are_followed_or_kept(sent, meant):
    assert read(sent) == meant


def test_E2_a_million_line_breaks_cannot_be_ordered():
    assert len(read(r"\.sp100\ " * 10)) == 10 * 101


@given(st.text("\\.XFZ0aé ", max_size=40))
def test_resolving_never_fails_and_plain_text_is_untouched(text):
    resolved = read(text + "x")
    if text.count("\\") < 2:
        assert resolved == text + "x"
