"""Captures: our form without loss, and the files of others."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.wire.astm_link import decode_raw
from lis.wire.capture import (
    Chunk,
    Direction,
    Reading,
    chunk_from_line,
    is_capture,
    line_of,
    read_any,
    read_capture,
    write_capture,
)
from lis.wire.errors import LocalProtocolError, RemoteProtocolError
from tests.wire.astm_harness import ACK, ENQ, EOT, ETB, RESULT, block, blocks, session

AT = datetime(2026, 3, 1, 8, 15, 2, 120_000, tzinfo=UTC)
HL7 = b"MSH|^~\\&|BC||LIS||20261122101010||ORU^R01|1|P|2.3.1\rPID|1\r"


def chunk(data: bytes, direction: Direction = Direction.IN) -> Chunk:
    return Chunk(at=AT, direction=direction, data=data)


# --- our form -----------------------------------------------------------------------------------


def test_a_line_can_be_read_by_a_person() -> None:
    line = line_of(chunk(block(1, b"H|\\^&|< 1.20 \xb5\r")))
    assert line == (
        "2026-03-01T08:15:02.120000+00:00 in <STX>1H|\\^&|<x3C> 1.20 <xB5><CR><ETX>53<CR><LF>"
    )


def test_blanks_at_either_end_survive_an_editor() -> None:
    line = line_of(chunk(b" a b "))
    assert line.endswith(" in <x20>a b<x20>")
    assert chunk_from_line(line).data == b" a b "


@given(
    st.lists(
        st.builds(
            Chunk,
            at=st.datetimes(timezones=st.just(timezone(timedelta(hours=3)))),
            direction=st.sampled_from(Direction),
            data=st.binary(max_size=60),
        ),
        max_size=5,
    )
)
def test_captures_round_trip(chunks: list[Chunk]) -> None:
    written = write_capture(chunks)
    assert written.isascii()
    assert read_capture(written) == tuple(chunks)


def test_empty_lines_comments_and_dos_line_ends_are_passed_over() -> None:
    written = write_capture([chunk(ENQ)]).replace(b"\n", b"\r\n") + b"\r\n# a comment\r\n\r\n"
    assert read_capture(written) == (chunk(ENQ),)


@pytest.mark.parametrize(
    "line",
    [
        "x in <ENQ>",
        "2026-03-01T08:15:02 in <ENQ>",
        "2026-03-01T08:15:02+00:00 up <ENQ>",
        "2026-03-01T08:15:02+00:00 in <ENX>",
        "2026-03-01T08:15:02+00:00 in <",
        "2026-03-01T08:15:02+00:00 in \u0436",
        "2026-03-01T08:15:02+00:00 in <xG0>",
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str) -> None:
    data = b"# lis capture 1\n\n" + line.encode()
    with pytest.raises(RemoteProtocolError, match="line 3"):
        read_capture(data)


def test_other_files_are_no_captures() -> None:
    with pytest.raises(RemoteProtocolError, match="line 1: expected '# lis capture 1'"):
        read_capture(b"H|\\^&")
    assert not is_capture(b"# lis capture 17\n")


def test_a_time_without_offset_is_our_defect() -> None:
    with pytest.raises(LocalProtocolError, match="without offset"):
        Chunk(at=datetime(2026, 3, 1), direction=Direction.IN, data=b"")


@given(st.binary(max_size=200))
def test_from_any_capture_only_our_error(data: bytes) -> None:
    try:
        read_capture(b"# lis capture 1\n" + data)
    except RemoteProtocolError:
        return


# --- any file -----------------------------------------------------------------------------------


def records_of(data: bytes) -> list[tuple[bytes, ...]]:
    reading = read_any(data)
    assert reading.protocol == "astm"
    return [decode_raw(unit) for unit in reading.units]


@pytest.mark.parametrize(
    "data",
    [
        session(),
        b"".join(blocks()),
        b"\n".join(blocks()),
        block(1, b"\r".join(RESULT) + b"\r")[:-1],
        block(1, b"\r".join(RESULT)[:50], ETB) + block(2, b"\r".join(RESULT)[50:] + b"\r"),
        b"\r".join(RESULT),
        b"\n".join(RESULT) + b"\n",
        b"\r\n".join(RESULT) + b"\r\n\r\n",
        b"# comment\n\n" + b"\n".join(RESULT),
        b"1" + b"\n".join(RESULT),
        b"[ENQ]\n[STX]1" + b"[CR]".join(RESULT) + b"[CR][ETX]00[CR][LF]\n[EOT]",
        b"10:00 <STX>1" + b"<CR>".join(RESULT) + b"<CR><ETX>00<CR><LF>\n10:01 <EOT>",
        ENQ + blocks()[0] + blocks()[1].replace(b"P", b"Q") + b"".join(blocks()[1:]),
        ENQ + blocks()[0] + b"".join(blocks()),
        write_capture([chunk(ENQ), chunk(ACK, Direction.OUT), chunk(session()), chunk(EOT)]),
        write_capture([chunk(ACK), chunk(session(), Direction.OUT)]),
    ],
)
def test_astm_in_any_form_gives_the_same_records(data: bytes) -> None:
    assert records_of(data) == [RESULT]


def test_several_astm_messages_come_one_by_one() -> None:
    assert records_of(session() + session()) == [RESULT, RESULT]
    assert records_of(b"\n".join(RESULT + RESULT)) == [RESULT, RESULT]
    assert records_of(session(RESULT + RESULT)) == [RESULT, RESULT]


def test_a_cut_session_gives_its_whole_records() -> None:
    cut = ENQ + b"".join(blocks()[:2]) + block(3, b"O|1|par", ETB) + EOT
    assert records_of(cut + session()) == [RESULT[:2], RESULT]


@pytest.mark.parametrize(
    "data",
    [
        HL7 + HL7,
        HL7.replace(b"\r", b"\n") + b"\n" + HL7.replace(b"\r", b"\r\n"),
        b"\x0b" + HL7 + b"\x1c\r\x0b" + HL7 + b"\x1c\r",
        b"\x0b" + HL7 + b"\x1c\r" + b"\x0b" + HL7,
        b"FHS|^~\\&\rBHS|^~\\&\r" + HL7 + HL7 + b"BTS|2\rFTS|1\r",
        b"\xef\xbb\xbf" + HL7 + HL7,
        b"<VT>" + HL7 + b"<FS>\r<VT>" + HL7 + b"<FS>\r",
        b"<SB>" + HL7 + b"<EB>\r<SB>" + HL7 + b"<EB>\r",
        write_capture([chunk(b"\x0b" + HL7 + b"\x1c\r"), chunk(b"\x0b" + HL7 + b"\x1c\r")]),
    ],
)
def test_hl7_in_any_form_gives_its_messages(data: bytes) -> None:
    reading = read_any(data)
    assert reading.protocol == "hl7"
    assert [unit.split()[-1] for unit in reading.units] == [b"PID|1", b"PID|1"]
    assert all(unit.lstrip(b"\xef\xbb\xbf").startswith(b"MSH|") for unit in reading.units)


@pytest.mark.parametrize("data", [b"hello", b"\x00\xff", b"STX", b"D 000401 0001"])
def test_what_is_not_known_comes_back_whole(data: bytes) -> None:
    assert read_any(data) == Reading(protocol=None, units=(data,))


def test_an_empty_file_holds_nothing() -> None:
    assert read_any(b"") == Reading(protocol=None, units=())


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    read_any(data)
    read_any(b"H|\\^&\r" + data)
    read_any(b"\x021H|\\^&\r" + data + b"\x0300\r\n")


# --- the corpus ---------------------------------------------------------------------------------

ASTM_RECORDS = {
    "astm-for-pms/samples.txt": [8],
    "go-astm/galileo/order.astm": [5],
    "go-astm/galileo/result.astm": [19],
    "go-astm/yumizen/result.astm": [27],
    "lis2a/esr.txt": [5],
    "senaite.astm/cobas_c111.txt": [7],
    "senaite.astm/dca_vantage.txt": [9],
    "senaite.astm/genexpert.txt": [91],
    "senaite.astm/sysmex_xp100.txt": [24],
    "senaite.lis2a/example_lis2a2_01.txt": [6],
    "senaite.lis2a/example_lis2a2_02.txt": [10],
    "tgenaux-ASTM-LIS/MinimalOrder.txt": [4],
    "tgenaux-ASTM-LIS/RepeatFields.txt": [1],
    "tgenaux-ASTM-LIS/Vision.txt": [11],
}
# Counted in SOURCES.md by a reader that leaves out headers it cannot parse; here they are units,
# so that the HL7 reader can refuse them by name.
MALFORMED = {"msh-too-short.hl7": 1, "malformed-mid-batch.hl7": 1}


def test_every_astm_file_of_the_corpus_is_recognised(corpus: Path) -> None:
    files = {path for path in (corpus / "astm").rglob("*") if path.suffix in {".txt", ".astm"}}
    found = {}
    for path in sorted(path for path in files if path.is_file()):
        reading = read_any(path.read_bytes())
        if reading.protocol == "astm":
            name = str(path.relative_to(corpus / "astm"))
            found[name] = [len(decode_raw(unit)) for unit in reading.units]
    assert found == ASTM_RECORDS


def test_a_slip_is_not_taken_for_astm(corpus: Path) -> None:
    data = (corpus / "astm/senaite.astm/spotchem_el.txt").read_bytes()
    assert read_any(data) == Reading(protocol="printout", units=(data.removesuffix(b"\n"),))


def test_every_hl7_file_of_the_corpus_holds_as_many_messages_as_its_source_says(
    corpus: Path,
) -> None:
    folder = corpus / "hl7"
    sections = re.split(r"^## ", (folder / "SOURCES.md").read_text(), flags=re.MULTILINE)[1:]
    checked = 0
    for section in sections:
        place = folder / section.split("\n", 1)[0].strip().replace("/", "__")
        for name, count in re.findall(r"^\| (\S+\.\S+) \| (\d+) \|", section, re.MULTILINE):
            reading = read_any((place / name).read_bytes())
            assert reading.protocol == "hl7", name
            assert len(reading.units) == int(count) + MALFORMED.get(Path(name).name, 0), name
            checked += 1
    assert checked > 60


def test_half_a_record_is_given_back_whole_and_is_no_message() -> None:
    data = b"\x021H|\\^&|||half\x17A0\r\n"
    assert read_any(data) == Reading(protocol=None, units=(data,))
