"""Every HL7 file nobody here wrote: it parses, stays byte-exact, and reads the same at any line end."""

from pathlib import Path

import hl7 as python_hl7
import pytest

from lis.wire.errors import RemoteProtocolError
from lis.wire.hl7 import Message, read_batch, split_messages

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus/hl7"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.name != "SOURCES.md")
MESSAGE_COUNT = 1132  # and two more that their author cut inside MSH-2, to be refused
UNREADABLE = {"msh-too-short.hl7", "malformed-mid-batch.hl7"}

pytestmark = pytest.mark.skipif(not FILES, reason=f"the HL7 corpus is not at {CORPUS}")


def messages(path: Path) -> list[Message]:
    found = []
    for raw in split_messages(path.read_bytes()):
        try:
            found.append(Message.parse(raw))
        except RemoteProtocolError:
            assert path.name in UNREADABLE
    return found


@pytest.fixture(scope="module")
def corpus() -> list[Message]:
    return [message for path in FILES for message in messages(path)]


def test_E5_every_message_of_the_corpus_is_found_and_read(corpus):
    assert len(corpus) == MESSAGE_COUNT
    assert all(message.code for message in corpus)


def test_the_raw_bytes_of_every_message_are_the_bytes_of_its_file():
    for path in FILES:
        raw = path.read_bytes()
        assert all(message.raw in raw for message in messages(path))


def test_every_byte_of_the_corpus_is_accounted_for():
    for path in FILES:
        raw = path.read_bytes()
        batch = read_batch(raw)
        assert sum(map(len, batch.messages + batch.outside)) == len(raw), path.name


def test_only_the_batch_that_was_made_wrong_has_a_wrong_count():
    faults = {path.name: read_batch(path.read_bytes()).count_faults for path in FILES}
    assert [name for name, found in faults.items() if found] == ["count-mismatch.hl7"]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_E5_values_do_not_depend_on_the_line_end(corpus, end):
    for message in corpus:
        lines = [segment.raw for segment in message.segments]
        again = Message.parse((end.join(lines) + end).encode(message.charset))
        assert [segment.raw for segment in again.segments] == lines


def test_python_hl7_finds_the_same_fields(corpus):
    compared = 0
    for message in corpus:
        if len(message.header.field(2)) < 4 or message.header.field(2).count("\\") == 2:
            continue  # its reader needs exactly four different encoding characters, or five
        lines = [segment.raw for segment in message.segments]
        theirs = python_hl7.parse("\r".join(lines) + "\r")
        assert len(theirs) == len(lines)
        for ours, other in zip(message.segments, theirs, strict=True):
            assert [str(field) for field in other][1:] == [
                ours.raw_field(n) for n in range(1, ours.field_count + 1)
            ]
        compared += 1
    assert compared > MESSAGE_COUNT - 20


def test_E5_the_message_with_mixed_line_ends_has_all_its_segments():
    (path,) = [path for path in FILES if path.name == "mixed-line-endings.hl7"]
    (message,) = messages(path)
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID", "PV1"]
