"""Records are taken apart and written again byte for byte, also those of the corpus."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lis.wire.astm_delimiters import Delimiters
from lis.wire.astm_frame import Frame
from lis.wire.astm_record import Message, Record
from lis.wire.astm_rewriting import DecodedRecord, Spelled, decoded, encoded
from lis.wire.capture import read_any
from tests.conftest import CORPUS

FILES = [
    "astm-for-pms/samples.txt",
    "go-astm/galileo/order.astm",
    "go-astm/galileo/result.astm",
    "go-astm/yumizen/result.astm",
    "lis2a/esr.txt",
    "senaite.astm/cobas_c111.txt",
    "senaite.astm/dca_vantage.txt",
    "senaite.astm/genexpert.txt",
    "senaite.astm/sysmex_xp100.txt",
    "senaite.lis2a/example_lis2a2_01.txt",
    "senaite.lis2a/example_lis2a2_02.txt",
    "tgenaux-ASTM-LIS/MinimalOrder.txt",
    "tgenaux-ASTM-LIS/Vision.txt",
]
GENE_XPERT = Delimiters("|", "@", "^", "\\")


def again(raw: bytes, delimiters: Delimiters, charset: str = "latin-1") -> bytes:
    parts = decoded(Record(raw, delimiters, charset))
    return encoded(parts, delimiters=delimiters, charset=charset)


def corpus_file(name: str) -> bytes:
    path: Path = CORPUS / "astm" / name
    if not path.exists():
        pytest.skip(f"no corpus file {name}; set LIS_CORPUS")
    return path.read_bytes()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("charset", ["latin-1", "utf-8"])
def test_every_message_of_the_corpus_is_written_again_from_its_fields(
    name: str, charset: str
) -> None:
    units = read_any(corpus_file(name)).units
    assert units
    for unit in units:
        records = unit.removesuffix(b"\r").split(b"\r")
        message = Message.parse(records, charset)
        parts = [decoded(record) for record in message.records]
        delimiters = message.delimiters
        del message
        written = [encoded(part, delimiters=delimiters, charset=charset) for part in parts]
        assert written == records


@pytest.mark.parametrize(
    "name",
    ["senaite.astm/cobas_c111.txt", "senaite.astm/genexpert.txt", "senaite.astm/sysmex_xp100.txt"],
)
def test_every_frame_of_the_corpus_is_written_again_from_its_parts(name: str) -> None:
    raw = corpus_file(name)
    blocks = [b"\x02" + part for part in raw.split(b"\x02")[1:]]
    assert blocks
    for block in blocks:
        whole = block.rstrip(b"\r\n") + b"\r\n"
        assert Frame.from_bytes(whole).to_bytes() == whole


def test_a_record_is_letter_fields_repeats_and_components() -> None:
    record = Record(rb"O|1|a\b^c||d&F&e|")
    assert decoded(record) == DecodedRecord(
        letter="O",
        fields=((("1",),), (("a",), ("b", "c")), (), (("d|e",),), ()),
    )


def test_a_text_that_we_would_spell_otherwise_remembers_how_it_stood() -> None:
    [[[part]]] = decoded(Record(b"C|A&B")).fields
    assert part == Spelled("A&B", "A&B")
    [[[line]]] = decoded(Record(b"C|one&X0A&two")).fields
    assert line == "one\ntwo"
    [[[vendor]]] = decoded(Record(b"C|1&|&2")).fields
    assert vendor == Spelled("1|2", "1&|&2")


def test_a_header_keeps_how_it_names_its_delimiters() -> None:
    for raw in (rb"H|\\^&|||H550", b"H||^&|||ABL", rb"h|\^&", rb"H|\^|PASSWORD", b"H", b"H|"):
        assert again(raw, Delimiters.from_header(raw)) == raw


def test_a_changed_field_changes_nothing_else() -> None:
    raw = rb"P|1||77||Doe^Jane||19700101|F|||&X0A&"
    parts = decoded(Record(raw))
    fields = list(parts.fields)
    fields[4] = (("|new|",),)
    changed = DecodedRecord(letter="P", fields=tuple(fields))
    written = encoded(changed, delimiters=Delimiters(), charset="latin-1")
    assert written == rb"P|1||77||&F&new&F&||19700101|F|||&X0A&"


@given(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\r", b"")),
    st.sampled_from([Delimiters(), GENE_XPERT, Delimiters("|", "\\", "^", "")]),
    st.sampled_from(["latin-1", "utf-8", "cp1251", "gb18030"]),
)
@example(b"H\x00", Delimiters(), "latin-1")
@example(b"H\x00|a^b|&c", Delimiters(), "latin-1")
@example(b"Hx|\\^&|1", Delimiters(), "latin-1")
def test_any_bytes_come_back(raw: bytes, delimiters: Delimiters, charset: str) -> None:
    assert again(raw, delimiters, charset) == raw


@given(st.text(alphabet="ab|\\^&@HFSREX09", max_size=40))
def test_any_mix_of_delimiters_and_escapes_comes_back(text: str) -> None:
    raw = b"C|" + text.encode("ascii")
    assert again(raw, Delimiters()) == raw
    assert again(raw, GENE_XPERT) == raw
