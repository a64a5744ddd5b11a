"""ASTM records: delimiters, escapes, fields, the tree; and records we build (L2 rows)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_record import (
    DEFAULT_DELIMITERS,
    DELETED,
    Delimiters,
    Message,
    Record,
    RecordWriter,
    escape,
    record,
    unescape,
)
from lis.wire.errors import LocalProtocolError

SIGNS = "!\"#$%'()*+,-./:;<=>?@[\\]^_`{|}~&"
DELIMITERS = st.permutations(SIGNS).map(lambda signs: Delimiters(*signs[:4]))
WITHOUT_ESCAPE = st.permutations(SIGNS).map(lambda signs: Delimiters(*signs[:3], ""))
LATIN = st.text(st.characters(max_codepoint=255), max_size=20)


# --- delimiters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"H|\\^&|||x", ("|", "\\", "^", "&")),
        (b"H|@^\\|", ("|", "@", "^", "\\")),
        (b"H|\\^|||PASSWORD", ("|", "\\", "^", "")),
        (b"H|\\\\^&|||H550", ("|", "\\", "^", "&")),
        (b"H!~$%!", ("!", "~", "$", "%")),
        (b"h|\\^&", ("|", "\\", "^", "&")),
        (b"H|!~\\#|", ("|", "!", "~", "\\")),
    ],
)
def test_L2_03_the_header_names_the_delimiters(header: bytes, expected: tuple[str, ...]) -> None:
    d = Delimiters.from_header(header)
    assert (d.field, d.repeat, d.component, d.escape) == expected
    assert not d.is_guess


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"H", b"HxY", b"H|", b"H|\\", b"H||^&|x", b"H|\\\\&", b"H|\\^^|"),
        *(b"H|ab&|", b"H|\xa7^&", b"H\\^^&", b"H|\\^&~+|"),
    ],
)
def test_headers_without_sense_give_the_usual_four_as_a_guess(header: bytes) -> None:
    d = Delimiters.from_header(header)
    assert (d.field, d.repeat, d.component, d.escape) == ("|", "\\", "^", "&")
    assert d.is_guess


@given(st.binary(max_size=20))
def test_any_header_gives_usable_delimiters(header: bytes) -> None:
    d = Delimiters.from_header(b"H" + header)
    assert len({d.field, d.repeat, d.component, d.escape} - {""}) >= 3


@given(DELIMITERS)
def test_delimiters_are_read_as_they_are_written(d: Delimiters) -> None:
    written = f"H{d.field}{d.to_text()}{d.field}".encode()
    doubled = d.repeat == d.component == "\\"
    assert Delimiters.from_header(written) == d or doubled


@pytest.mark.parametrize("four", ["||^&", "|\\^a", "|\\ &", "|\\^\x7f"])
def test_delimiters_that_could_not_work_are_our_defect(four: str) -> None:
    with pytest.raises(LocalProtocolError, match="different signs"):
        Delimiters(*four)


# --- escapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a&F&b", "a|b"),
        ("&S&&R&&E&", "^\\&"),
        ("PNG&R&2024&R&x", "PNG\\2024\\x"),
        ("line&X0A&line", "line\nline"),
        ("&X4142&", "AB"),
        ("&XB5&mol", "\xb5mol"),
        ("&H&5.5&N&", "5.5"),
        ("&|&&^&&\\&", "|^\\"),
        ("&Z99&", "&Z99&"),
        ("&X4&", "&X4&"),
        ("&XG0&", "&XG0&"),
        ("&X&", "&X&"),
        ("Smith & Co", "Smith & Co"),
        ("&&", "&&"),
        ("&", "&"),
        ("&E&F&E&", "&F&"),
        ("&Q&F&", "&Q|"),
    ],
)
def test_L2_04_escape_sequences(text: str, expected: str) -> None:
    assert unescape(text, DEFAULT_DELIMITERS) == expected


def test_L2_04_escapes_follow_the_header() -> None:
    gene_xpert = Delimiters("|", "@", "^", "\\")
    assert unescape("a\\F\\b\\R\\", gene_xpert) == "a|b@"
    assert unescape("a&F&b", gene_xpert) == "a&F&b"


def test_L2_04_hex_that_is_no_text_in_the_charset_stays() -> None:
    assert unescape("&XFF&", DEFAULT_DELIMITERS, "utf-8") == "&XFF&"


@given(LATIN, DELIMITERS)
def test_unescape_undoes_escape(text: str, d: Delimiters) -> None:
    escaped = escape(text, d)
    assert unescape(escaped, d) == text
    assert not set(escaped) & {d.field, d.repeat, d.component}


@given(st.text(max_size=20), WITHOUT_ESCAPE)
def test_without_an_escape_delimiter_forbidden_characters_become_blanks(
    text: str, d: Delimiters
) -> None:
    escaped = escape(text, d)
    assert len(escaped) == len(text)
    assert not set(escaped) & {d.field, d.repeat, d.component, "\r", "\n", "\x02"}
    assert unescape(escaped, d) == escaped


# --- fields -------------------------------------------------------------------------------------


def one(raw: bytes, header: bytes = b"H|\\^&") -> Record:
    return Message.parse([header, raw]).records[1]


def test_fields_count_from_1_and_the_letter_is_field_1() -> None:
    result = one(b"R|1|^^^413^2|40.13|g/L||N||F")
    assert result.type == "R"
    assert result.field(1) == "R"
    assert result.field(3) == "^^^413^2"
    assert result.component(3, 4) == "413"
    assert result.component(3, 5) == "2"
    assert result.component(3, 6) == ""
    assert result.component(3, 0) == ""
    assert result.field(9) == "F"
    assert result.field(10) == ""
    assert result.field(0) == ""
    assert result.verbatim(99) == ""


def test_repeats_and_components() -> None:
    order = one(b"O|1|x||^^^A\\^^^B\\\\^^^C^1")
    assert order.repeats(5) == ("^^^A", "^^^B", "", "^^^C^1")
    assert order.component(5, 4, repeat=2) == "B"
    assert order.components(5, 4) == ("", "", "", "C", "1")
    assert order.components(5, 3) == ()
    assert order.components(5, 9) == ()
    assert order.repeats(2) == ("1",)
    assert order.repeats(4) == ()


def test_L2_02_the_letter_may_be_lower_case_contents_keep_theirs() -> None:
    assert one(b"r|1|abC").type == "R"
    assert one(b"r|1|abC").field(3) == "abC"


def test_L2_06_null_and_delete_are_different() -> None:
    patient = one(b'P|1||""||Doe')
    assert patient.field(3) == ""
    assert patient.field(4) == DELETED


def test_header_fields_keep_their_numbers() -> None:
    message = Message.parse([b"H|\\^&|||DCA VANTAGE^04||||x"])
    header = message.header
    assert header is not None
    assert header.field(2) == "\\^&"
    assert header.repeats(2) == ("\\^&",)
    assert header.components(2) == ("\\^&",)
    assert header.component(5, 1) == "DCA VANTAGE"
    assert header.field(9) == "x"


@pytest.mark.parametrize(
    ("raw", "sender"), [(b"H||^&|||ABL|x", "ABL"), (b"H|\\\\^&|||ABL|x", "ABL"), (b"H||^&", "")]
)
def test_header_fields_keep_their_numbers_with_odd_delimiters(raw: bytes, sender: str) -> None:
    header = Message.parse([raw]).records[0]
    assert header.field(5) == sender


def test_immulite_has_no_escape_delimiter() -> None:
    message = Message.parse([b"H|\\^||PASSWORD", b"R|1|^^^T|4.5&F&|x|4.5\\.4^12.5\\24"])
    assert message.records[0].field(4) == "PASSWORD"
    assert message.records[1].field(4) == "4.5&F&"
    assert message.records[1].repeats(6) == ("4.5", ".4^12.5", "24")


def test_gene_xpert_delimiters() -> None:
    result = one(b"R|1|^MTB-RIF^^Xpert|NOT DETECTED^@S^2", b"H|@^\\|x")
    assert result.component(3, 2) == "MTB-RIF"
    assert result.repeats(4) == ("NOT DETECTED^", "S^2")


def test_the_makers_own_escape_form_hides_a_delimiter() -> None:
    comment = one(b"C|1|I|a&|&b^c&^&d\\e&\\&f|G")
    assert comment.field(4) == "a|b^c^d\\e\\f"
    assert comment.repeats(4) == ("a|b^c^d", "e\\f")
    assert comment.components(4) == ("a|b", "c^d")
    assert comment.field(5) == "G"


def test_escaped_escapes_around_a_delimiter_still_split() -> None:
    comment = one(b"C|1|&E&|&E&|&|&")
    assert comment.field(3) == "&"
    assert comment.field(4) == "&"
    assert comment.field(5) == "|"


def test_L2_13_trailing_components_are_kept() -> None:
    assert one(b"R|1|^^^A^^").components(3) == ("", "", "", "A", "", "")


def test_bytes_of_another_charset_survive() -> None:
    message = Message.parse([b"H|\\^&", "P|1||||Иванов^Пётр".encode()], "utf-8")
    assert message.records[1].component(6, 2) == "Пётр"
    broken = Message.parse([b"H|\\^&", b"C|1|I|\xff\xfe|G"], "utf-8").records[1]
    assert broken.raw == b"C|1|I|\xff\xfe|G"
    assert broken.field(5) == "G"
    assert broken.field(4).encode("utf-8", "surrogateescape") == b"\xff\xfe"


def test_a_delimiter_byte_inside_a_multi_byte_character_does_not_split() -> None:
    raw = "C|1|I|ソ表|G".encode("shift_jis")
    assert raw.count(b"\\") == 2
    assert Message.parse([b"H|\\^&", raw], "shift_jis").records[1].repeats(4) == ("ソ表",)


@pytest.mark.parametrize("charset", ["utf-16", "cp037", "iso2022_jp", "no such charset"])
def test_charsets_that_do_not_contain_ascii_are_refused(charset: str) -> None:
    with pytest.raises(LocalProtocolError, match="contains ASCII"):
        Message.parse([b"H|\\^&"], charset)
    with pytest.raises(LocalProtocolError, match="contains ASCII"):
        RecordWriter(charset=charset)


_TEXTS = st.none() | st.text(max_size=6)
_FIELDS = (
    _TEXTS
    | st.lists(_TEXTS, max_size=3).map(tuple)
    | st.lists(_TEXTS | st.lists(_TEXTS, max_size=2).map(tuple), max_size=2)
)
_ROWS = st.lists(
    st.tuples(st.sampled_from("HPORCLMQS"), st.lists(_FIELDS, max_size=4)).map(
        lambda pair: (pair[0], *pair[1])
    ),
    max_size=4,
)


@given(_ROWS, st.sampled_from(["utf-8", "gb18030"]))
def test_records_written_together_are_the_records_written_one_by_one(rows, charset) -> None:
    writer = RecordWriter(charset=charset)
    assert writer.records(rows) == [writer.record(*row) for row in rows]


def test_a_forged_record_among_plain_ones_is_screened_and_the_others_stay() -> None:
    rows = [
        ("R", "1", ("", "", "", "NA"), "140"),
        ("C", "1", "I", "x\rR|2|^^^K|9"),
        ("L", "1", "N"),
    ]
    assert RecordWriter().records(rows) == [
        b"R|1|^^^NA|140",
        b"C|1|I|x&X0D&R&F&2&F&&S&&S&&S&K&F&9",
        b"L|1|N",
    ]


@given(st.binary(max_size=60), st.sampled_from(["latin-1", "utf-8", "cp1251", "shift_jis"]))
def test_any_record_can_be_read_and_keeps_its_bytes(raw: bytes, charset: str) -> None:
    for item in Message.parse([b"H|\\^&", raw], charset).records:
        assert item.field(1) == item.verbatim(1)
        for field in range(1, len(item.fields) + 2):
            item.field(field)
            for repeat in range(1, len(item.repeats(field)) + 1):
                item.components(field, repeat)
    assert item.raw == raw


@given(st.lists(LATIN.map(lambda text: text.replace("&", "")), min_size=1, max_size=6))
def test_fields_joined_again_are_the_record(fields: list[str]) -> None:
    raw = "|".join(["R", *fields]).encode("latin-1")
    item = one(raw)
    assert "|".join(item.fields).encode("latin-1") == raw


def test_a_record_does_not_show_its_content_in_logs() -> None:
    assert repr(one(b"P|1||||Doe^John")) == "<Record P of 15 bytes>"


# --- the tree -----------------------------------------------------------------------------------


def test_L2_09_comments_and_manufacturer_records_belong_to_the_record_before() -> None:
    records = [b"H|\\^&", b"C|1|head", b"P|1", b"C|1|pat", b"O|1", b"C|1|ord", b"C|2|ord"]
    records += [b"R|1", b"C|1|res", b"M|1", b"C|1|maker", b"M|2", b"R|2", b"O|2", b"P|2", b"L|1"]
    nodes = list(Message.parse(records).walk())
    parents = [node.parent.raw if node.parent else None for node in nodes]
    assert parents == [
        None,
        b"H|\\^&",
        b"H|\\^&",
        b"P|1",
        b"P|1",
        b"O|1",
        b"O|1",
        b"O|1",
        b"R|1",
        b"R|1",
        b"M|1",
        b"R|1",
        b"O|1",
        b"P|1",
        b"H|\\^&",
        b"H|\\^&",
    ]


def test_L2_08_each_record_knows_what_is_open_above_it() -> None:
    records = [b"H|\\^&", b"P|1", b"O|1", b"R|1", b"P|2", b"O|1", b"Q|1", b"L|1"]
    nodes = list(Message.parse(records).walk())
    result = nodes[3]
    assert [item and item.raw for item in (result.header, result.patient, result.order)] == [
        b"H|\\^&",
        b"P|1",
        b"O|1",
    ]
    assert result.result is result.record
    assert nodes[4].order is None
    assert nodes[4].result is None
    assert nodes[6].patient is None
    assert nodes[6].parent is nodes[0].record


def test_records_without_their_parents_hang_from_what_there_is() -> None:
    nodes = list(Message.parse([b"O|1", b"R|1", b"X|1"]).walk())
    assert [node.parent and node.parent.raw for node in nodes] == [None, b"O|1", b"R|1"]


def test_L2_22_delimiters_hold_until_the_next_header() -> None:
    message = Message.parse([b"H|\\^&", b"R|1|a^b", b"L|1", b"H|@~\\", b"R|1|a~b"])
    assert message.records[1].component(3, 2) == "b"
    assert message.records[4].component(3, 2) == "b"
    assert message.delimiters.component == "^"
    assert len(message.of_type("R")) == 2


def test_an_empty_message() -> None:
    message = Message.parse([])
    assert message.header is None
    assert message.delimiters == DEFAULT_DELIMITERS
    assert list(message.walk()) == []
    assert Message.parse([b"P|1"]).header is None


# --- building -----------------------------------------------------------------------------------


def test_records_are_built_from_texts_components_and_repeats() -> None:
    tests: list[str | tuple[str | None, ...] | None] = [(None, None, None, "A"), ("", "", "", "B")]
    assert record("H", None, None, "", "LIS") == b"H|\\^&|||LIS"
    assert record("O", "1", "4711", None, tests, "R") == b"O|1|4711||^^^A\\^^^B|R"
    assert record("P", "1", (), ("Doe", None, "Q"), [], ["a", "b"]) == b"P|1||Doe^^Q||a\\b"
    assert record("L") == b"L"
    assert record("H") == b"H|\\^&"


def test_records_are_built_with_the_delimiters_of_the_analyzer() -> None:
    gene_xpert = Delimiters("|", "@", "^", "\\")
    built = record("O", "1", "a@b&c", [("x", "y\\"), "z"], delimiters=gene_xpert)
    assert built == b"O|1|a\\R\\b&c|x^y\\E\\@z"
    assert record("H", None, "x", delimiters=gene_xpert) == b"H|@^\\|x"


FIELD = st.one_of(
    st.none(),
    LATIN,
    st.lists(LATIN, min_size=1, max_size=3).map(tuple),
    st.lists(LATIN, min_size=1, max_size=3),
)


@given(st.lists(FIELD, max_size=6), DELIMITERS)
def test_no_text_can_forge_a_field_or_a_record(fields: list, d: Delimiters) -> None:
    built = record("C", *fields, delimiters=d)
    assert not set(built) & {*range(0x09), *range(0x0A, 0x20), 0x7F}
    item = Record(built, d)
    assert len(item.fields) == 1 + len(fields)
    for number, field in enumerate(fields, start=2):
        if isinstance(field, str):
            assert item.field(number) == field
        elif isinstance(field, tuple):
            assert item.components(number) == (field if field != ("",) else ())
        elif field:
            assert item.repeats(number) == (tuple(field) if field != [""] else ())


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_texts_of_any_language_come_back(texts: list[str]) -> None:
    encodable = [text.encode("utf-8", "ignore").decode() for text in texts]
    built = record("C", *encodable, charset="utf-8")
    item = Message.parse([b"H|\\^&", built], "utf-8").records[1]
    assert [item.field(n) for n in range(2, len(texts) + 2)] == encodable


def test_what_the_charset_cannot_write_is_our_defect_and_not_quoted() -> None:
    with pytest.raises(LocalProtocolError, match="cannot be written in latin-1") as caught:
        record("P", "Иванов")
    assert "Иван" not in str(caught.value)


@pytest.mark.parametrize("letter", ["", "r", "RR", "1", "Ж"])
def test_a_record_letter_is_a_letter(letter: str) -> None:
    with pytest.raises(LocalProtocolError, match="expected one of A to Z"):
        record(letter, "x")
