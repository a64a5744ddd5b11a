"""A message taken apart and put together again is the same bytes: E2, E5, E6 and the corpus of others."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, split_messages
from lis.wire.hl7_document import Document, Escaped
from tests.conftest import CORPUS

MSH = r"MSH|^~\&|BC|Mindray|LIS|Lab|20261122101010||ORU^R01|M1|P|2.5.1"
FILES = sorted(
    path for path in (CORPUS / "hl7").rglob("*") if path.is_file() and path.name != "SOURCES.md"
)
REFUSED = {
    "msh-too-short.hl7": "expected MSH-1, MSH-2 and a separator after them",
    "malformed-mid-batch.hl7": "expected MSH-1, MSH-2 and a separator after them",
}


def document(*lines: str, end: str = "\r", codec: str = "utf-8") -> Document:
    return Document.read((end.join([MSH, *lines]) + end).encode(codec))


def test_E2_an_escape_is_a_piece_of_its_own_and_a_lone_escape_character_is_text() -> None:
    obx = document(r"OBX|1|ST|||a\T\b^c&\X0A\d~C:\data\|\Zunknown\\.br\ ").segments[1]

    assert obx.fields[4] == (
        ((("a", Escaped("T"), "b"),), (("c",), (Escaped("X0A"), "d"))),
        ((("C:\\data\\",),),),
    )
    assert obx.fields[5] == ((((Escaped("Zunknown"), Escaped(".br"), " "),),),)


def test_a_document_keeps_no_bytes_of_the_message() -> None:
    held = {field.name for field in fields(Document)}
    assert held == {"separators", "encoding_characters", "codec", "before", "segments"}
    assert document("PID|1").before == b""


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n"])
def test_E5_the_line_ends_of_the_sender_come_back(end: str) -> None:
    raw = (end.join([MSH, "PID|1||7", "ZZZ|x", ""])).encode()
    assert Document.read(raw).encoded() == raw
    assert Document.read(raw.rstrip(b"\r\n")).encoded() == raw.rstrip(b"\r\n")


def test_what_stands_before_the_header_comes_back() -> None:
    raw = b"\xef\xbb\xbf\r\n" + MSH.encode() + b"\r"
    assert Document.read(raw).encoded() == raw


@pytest.mark.parametrize("codec", ["iso8859-5", "cp1251", "utf-8"])
def test_C1_the_character_set_of_the_sender_comes_back(codec: str) -> None:
    declared = {"iso8859-5": "8859/5", "cp1251": "WINDOWS-1251", "utf-8": "UNICODE UTF-8"}[codec]
    raw = f"{MSH}||||||{declared}\rPID|1||7||Иванова\r".encode(codec)
    assert Document.read(raw).encoded() == raw


def test_what_would_not_come_back_is_refused_when_it_is_read() -> None:
    twice = MSH.encode() + b"||||||~ISO IR87\rPID|1||7||\x1b$B;3\x1b$BED\x1b(B\r"
    with pytest.raises(RemoteProtocolError, match="writes back"):
        Document.read(twice)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_E6_every_message_of_the_corpus_comes_back_to_the_byte_or_is_refused_by_name(
    path: Path,
) -> None:
    refused = []
    for raw in split_messages(path.read_bytes()):
        try:
            read = Document.read(raw)
        except RemoteProtocolError as error:
            refused.append(str(error))
            continue
        assert read.encoded() == raw
        assert [one.name for one in read.segments] == [
            one.name for one in Message.parse(raw).segments
        ]
    assert bool(refused) == (path.name in REFUSED)
    assert all(text.startswith(REFUSED[path.name]) for text in refused)


pieces = st.lists(
    st.sampled_from(
        ["|", "^", "~", "&", "\\", "T", ".br", "X41", "a", "Ж", "\r", "\n", "OBX|", '""', " "]
    ),
    max_size=40,
)


@given(pieces)
def test_E6_any_readable_message_comes_back_to_the_byte(parts: list[str]) -> None:
    raw = f"{MSH}\r{''.join(parts)}".encode()
    assert Document.read(raw).encoded() == raw
