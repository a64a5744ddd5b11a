"""The foreign analyzer is judged before it judges: against python-astm, real captures and scripted hosts.

A scripted host is a list of what must come and what is answered, byte by byte, in a thread of its own.
"""

import ast
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import astm.codec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.foreign.analyzer import Analyzer, HostViolation, Timing
from tests.foreign.frames import (
    ACK,
    ENQ,
    EOT,
    NAK,
    STX,
    Frame,
    FrameError,
    build_frame,
    checksum,
    read_frame,
    session_frames,
    spoil_checksum,
)
from tests.foreign.line import Line, LineClosed

INSTANT = Timing(reply_s=2.0, receive_s=2.0, busy_wait_s=0.01, contention_wait_s=0.01, answer_s=2.0)
RESULTS = ["H|\\^&|||FOREIGN^1", "P|1", "O|1|S1", "R|1|^^^687|5.2|mmol/L", "L|1|N"]
ORDERS = ["H|\\^&|||HOST", "P|1", "O|1|S1||^^^687|R||||||A", "L|1|N"]

Step = tuple[bytes, bytes]
PlayHost = Callable[..., Line]


class ScriptedHost:
    """Reads exactly what the script expects, answers what it says; differences fail the test."""

    def __init__(self, line: Line, script: list[Step]) -> None:
        self.differences: list[str] = []
        self._line = line
        self._thread = threading.Thread(target=self._play, args=(script,), name="scripted host")
        self._thread.start()

    def _play(self, script: list[Step]) -> None:
        try:
            for expected, answer in script:
                came = b"".join(self._line.read_byte(2.0) for _ in expected)
                if came != expected:
                    self.differences.append(f"expected {expected!r}, got {came!r}")
                    break
                self._line.write(answer)
        except LineClosed as error:
            self.differences.append(f"script was not finished: {error}")

    def ends(self) -> None:
        self._thread.join()
        self._line.close()
        assert self.differences == []


@pytest.fixture
def play_host() -> Iterator[PlayHost]:
    """A line to a scripted host; the script must have been played to its end."""
    hosts: list[ScriptedHost] = []
    lines: list[Line] = []

    def play(*script: Step) -> Line:
        ours, theirs = socket.socketpair()
        lines.append(Line.on_socket(ours))
        hosts.append(ScriptedHost(Line.on_socket(theirs), list(script)))
        return lines[-1]

    yield play
    for line in lines:
        line.close()
    for host in hosts:
        host.ends()


def raw_frames(records: list[str]) -> list[bytes]:
    return [build_frame(frame) for frame in session_frames(iter(records))]


def accepts(records: list[str]) -> list[Step]:
    """A host that takes a whole session."""
    return [(ENQ, ACK), *((raw, ACK) for raw in raw_frames(records)), (EOT, b"")]


def offers(records: list[str]) -> list[Step]:
    """A host that sends a whole session, after whatever came before."""
    frames = raw_frames(records)
    answers = [*frames[1:], EOT]
    return [(b"", ENQ), (ACK, frames[0]), *((ACK, answer) for answer in answers)]


# ---- the codec


def test_a_frame_from_the_standards_layout() -> None:
    raw = build_frame(Frame(number=1, text=b"L|1|N\r", ends_record=True))

    # 31 4C 7C 31 7C 4E 0D 03 sum to 0x204.
    assert raw == b"\x021L|1|N\r\x0304\r\n"
    assert sum(bytes.fromhex("314C7C317C4E0D03")) == 0x204


def test_checksum_is_two_upper_case_digits() -> None:
    assert checksum(b"\x0a") == b"0A"
    assert checksum(b"\xff\xff") == b"FE"


@pytest.mark.parametrize("record", [*RESULTS, "R|2|^^^A|<0.1|µmol/L", "C|1|I|" + "x" * 200])
def test_python_astm_reads_our_frames(record: str) -> None:
    (frame,) = session_frames(iter([record]))

    sequence, (fields,), digits = astm.codec.decode_message(build_frame(frame), "latin-1")

    assert sequence == 1
    assert fields[0] == record[0]
    assert fields[3:] == astm.codec.decode_record(record.encode("latin-1"), "latin-1")[3:]
    assert digits == astm.codec.make_checksum(build_frame(frame)[1:-4]).decode()


@given(st.lists(st.text(alphabet="HPORL|^&\\ 1a.µ", min_size=1, max_size=600), max_size=12))
def test_what_we_frame_we_read_back(records: list[str]) -> None:
    raws = raw_frames(records)
    frames = [read_frame(raw) for raw in raws]

    text = b"".join(frame.text for frame in frames).decode("latin-1")
    assert text == "".join(record + "\r" for record in records)
    assert [frame.number for frame in frames] == [n % 8 for n in range(1, len(frames) + 1)]
    assert all(len(raw) <= 247 for raw in raws)
    assert sum(frame.ends_record for frame in frames) == len(records)


@given(
    text=st.binary(min_size=1, max_size=60).map(lambda data: data.translate(None, b"\r\n\x02")),
    position=st.integers(0, 1000),
    change=st.integers(1, 255),
)
def test_one_changed_byte_is_never_read_as_a_frame(text: bytes, position: int, change: int) -> None:
    covered = b"1" + text.translate(None, bytes(range(32))) + b"\r\x03"
    raw = bytearray(STX + covered + checksum(covered) + b"\r\n")
    place = position % len(raw)
    raw[place] ^= change

    with pytest.raises(FrameError):
        read_frame(bytes(raw))


def test_real_frames_of_a_cobas_c111_have_our_checksums(corpus: Path) -> None:
    raws = (corpus / "astm/senaite.astm/cobas_c111.txt").read_bytes().split(b"\n")[:-1]

    # The file lost the CR before each LF.
    frames = [read_frame(raw + b"\r\n") for raw in raws]

    assert [frame.number for frame in frames] == [n % 8 for n in range(1, len(frames) + 1)]
    assert frames[0].text.startswith(b"H|")


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"\x021L|1\r\x03XX\r\n", "checksum"),
        (b"\x021L|1\r\x03", "expected STX FN text"),
        (b"\x029L|1\r\x03", "number 0-7"),
        (b"\x021L|1\r", "ETX or ETB"),
        (b"\x021L|1\x03", "expected CR at the end"),
        (b"\x021P|1\rL|1\r\x03", "one record in a frame"),
        (b"\x021L|\x05\r\x03", "not allowed"),
        (b"\x021" + b"x" * 240 + b"\r\x03", "at most 240"),
    ],
)
def test_a_strict_reader_says_what_is_wrong(raw: bytes, complaint: str) -> None:
    has_own_end = raw.endswith(b"\n") or complaint.startswith("expected STX")
    whole = raw if has_own_end else raw + checksum(raw[1:]) + b"\r\n"

    with pytest.raises(FrameError, match=complaint):
        read_frame(whole)


# ---- sending


def test_results_go_out_frame_by_frame(play_host: PlayHost) -> None:
    session = Analyzer(play_host(*accepts(RESULTS)), timing=INSTANT).send_results([RESULTS])

    assert (session.bids, session.frames, session.sends, session.naks) == (1, 5, 5, 0)


def test_frame_numbers_run_on_over_messages_of_a_session(play_host: PlayHost) -> None:
    session = Analyzer(play_host(*accepts(RESULTS * 2)), timing=INSTANT).send_results([RESULTS] * 2)

    assert session.frames == 10
    assert [raw[1:2] for raw in raw_frames(RESULTS * 2)] == [b"%d" % (n % 8) for n in range(1, 11)]


def test_a_long_record_is_cut_at_240(play_host: PlayHost) -> None:
    long = ["H|\\^&", "C|1|I|" + "x" * 500, "L|1|N"]
    session = Analyzer(play_host(*accepts(long)), timing=INSTANT).send_results([long])

    assert [len(raw) for raw in raw_frames(long)] == [13, 247, 247, 34, 13]
    assert session.frames == 5


def test_a_frame_is_repeated_until_it_is_accepted(play_host: PlayHost) -> None:
    first, *rest = raw_frames(RESULTS)
    script = [(ENQ, ACK), (first, NAK), (first, b"?"), (first, ACK)]
    script += [(raw, ACK) for raw in rest] + [(EOT, b"")]

    session = Analyzer(play_host(*script), timing=INSTANT).send_results([RESULTS])

    assert (session.frames, session.sends, session.naks) == (5, 7, 1)


def test_a_frame_refused_six_times_ends_the_session(play_host: PlayHost) -> None:
    first = raw_frames(RESULTS)[0]
    host = play_host((ENQ, ACK), *[(first, NAK)] * 6, (EOT, b""))

    with pytest.raises(HostViolation, match="refused a good frame 6 times"):
        Analyzer(host, timing=INSTANT).send_results([RESULTS])


def test_a_silent_host_is_left_with_eot(play_host: PlayHost) -> None:
    quick = Timing(reply_s=0.01)

    with pytest.raises(HostViolation, match="did not answer ENQ"):
        Analyzer(play_host((ENQ, b""), (EOT, b"")), timing=quick).send_results([RESULTS])
    host = play_host((ENQ, ACK), (raw_frames(RESULTS)[0], b""), (EOT, b""))
    with pytest.raises(HostViolation, match="did not answer a frame"):
        Analyzer(host, timing=quick).send_results([RESULTS])


def test_a_busy_host_is_asked_again_and_noise_is_ignored(play_host: PlayHost) -> None:
    host = play_host((ENQ, b"\x00\xff" + NAK), *accepts(RESULTS))

    session = Analyzer(host, timing=INSTANT).send_results([RESULTS])

    assert (session.bids, session.naks, session.frames) == (2, 1, 5)


def test_a_host_that_never_accepts_is_reported(play_host: PlayHost) -> None:
    with pytest.raises(HostViolation, match="any of 6 ENQs"):
        Analyzer(play_host(*[(ENQ, NAK)] * 6), timing=INSTANT).send_results([RESULTS])


def test_in_contention_the_instrument_bids_again(play_host: PlayHost) -> None:
    host = play_host((ENQ, ENQ), *accepts(RESULTS))

    session = Analyzer(host, timing=INSTANT).send_results([RESULTS])

    assert (session.bids, session.contentions, session.frames) == (2, 1, 5)


def test_a_host_that_does_not_give_way_is_reported(play_host: PlayHost) -> None:
    with pytest.raises(HostViolation, match="must wait 20 s"):
        Analyzer(play_host((ENQ, ENQ + ENQ)), timing=INSTANT).send_results([RESULTS])


def test_eot_in_place_of_ack_is_taken_as_ack(play_host: PlayHost) -> None:
    first, *rest = raw_frames(RESULTS)
    script = [(ENQ, ACK), (first, EOT), *((raw, ACK) for raw in rest), (EOT, b"")]

    session = Analyzer(play_host(*script), timing=INSTANT).send_results([RESULTS])

    assert (session.frames, session.stop_requests) == (5, 1)


def test_a_bad_checksum_is_sent_once_and_repaired(play_host: PlayHost) -> None:
    first, second, *rest = raw_frames(RESULTS)
    spoilt = spoil_checksum(second)
    script = [(ENQ, ACK), (first, ACK), (spoilt, NAK), (second, ACK)]
    script += [(raw, ACK) for raw in rest] + [(EOT, b"")]

    session = Analyzer(play_host(*script), timing=INSTANT).send_with_bad_checksum_once(RESULTS)

    assert (session.frames, session.sends, session.naks) == (5, 6, 1)
    with pytest.raises(FrameError, match="checksum"):
        read_frame(spoilt)


def test_a_host_that_takes_a_bad_checksum_is_reported(play_host: PlayHost) -> None:
    first, second, *_ = raw_frames(RESULTS)
    host = play_host((ENQ, ACK), (first, ACK), (spoil_checksum(second), ACK))

    with pytest.raises(HostViolation, match="bad checksum"):
        Analyzer(host, timing=INSTANT).send_with_bad_checksum_once(RESULTS)


def test_a_lost_ack_repeats_the_same_frame(play_host: PlayHost) -> None:
    first, second, *rest = raw_frames(RESULTS)
    script = [(ENQ, ACK), (first, ACK), (second, ACK), (second, ACK)]
    script += [(raw, ACK) for raw in rest] + [(EOT, b"")]

    session = Analyzer(play_host(*script), timing=INSTANT).lose_ack_once(RESULTS)

    assert (session.frames, session.sends) == (5, 6)


def test_after_the_last_ack_is_lost_the_message_comes_whole_again(play_host: PlayHost) -> None:
    host = play_host(*accepts(RESULTS), *accepts(RESULTS))

    session = Analyzer(host, timing=INSTANT).lose_last_ack_and_repeat_message(RESULTS)

    assert (session.bids, session.frames) == (2, 10)


def test_keep_alive_is_a_session_without_frames(play_host: PlayHost) -> None:
    assert Analyzer(play_host(*accepts([])), timing=INSTANT).keep_alive().frames == 0


# ---- asking


QUERY = ["H|\\^&|||FOREIGN^1", "Q|1|^S1||ALL||||||||O", "L|1|N"]


def test_a_query_returns_the_records_of_the_answer(play_host: PlayHost) -> None:
    host = play_host(*accepts(QUERY), *offers(ORDERS))

    assert Analyzer(host, timing=INSTANT).query("S1") == ORDERS


def test_the_query_is_in_the_words_of_the_instrument(play_host: PlayHost) -> None:
    theirs = ["H|@^\\|||GeneXpert", "Q|1|@S1||ALL", "L|1"]
    host = play_host(*accepts(theirs), *offers(ORDERS))
    analyzer = Analyzer(
        host,
        header=theirs[0],
        query_record="Q|1|@{specimen}||ALL",
        terminator="L|1",
        timing=INSTANT,
    )

    assert analyzer.query("S1") == ORDERS


def test_refused_frames_of_the_answer_must_come_again(play_host: PlayHost) -> None:
    first, second, third, fourth = raw_frames(ORDERS)
    script = [*accepts(QUERY), (b"", ENQ), (ACK, first), (NAK, first), (ACK, second)]
    script += [(NAK, second), (ACK, third), (ACK, fourth), (ACK, EOT)]

    assert Analyzer(play_host(*script), timing=INSTANT).query("S1", refuse_frames=2) == ORDERS


def test_a_host_that_skips_a_refused_frame_is_reported(play_host: PlayHost) -> None:
    first, second, *_ = raw_frames(ORDERS)
    host = play_host(*accepts(QUERY), (b"", ENQ), (ACK, first), (NAK, second))

    with pytest.raises(HostViolation, match="the same frame"):
        Analyzer(host, timing=INSTANT).query("S1", refuse_frames=1)


def test_in_contention_the_host_gives_way_and_answers_afterwards(play_host: PlayHost) -> None:
    script = [
        *accepts(QUERY),
        (b"", ENQ),
        (ENQ, b""),
        *accepts(RESULTS),
        *offers(ORDERS),
    ]

    analyzer = Analyzer(play_host(*script), timing=INSTANT)

    assert analyzer.query_in_contention("S1", meanwhile=RESULTS) == ORDERS


def test_a_busy_instrument_takes_the_second_bid(play_host: PlayHost) -> None:
    host = play_host((b"", ENQ), (NAK, b""), *offers(ORDERS))

    assert Analyzer(host, timing=INSTANT).answer_busy_once(2.0) == ORDERS


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([build_frame(Frame(number=2, text=b"H|\r", ends_record=True))], "expected frame 1, got 2"),
        ([b"noise"], "expected STX or EOT"),
        ([b"\x021H|\r\x0300\r\n"], "checksum"),
        ([build_frame(Frame(number=1, text=b"H|\\", ends_record=False)), EOT], "inside a record"),
        ([*raw_frames(["H|\\^&", "P|1"]), EOT], "from H to L, got H to P"),
        ([], "expected ENQ from the host"),
    ],
)
def test_an_answer_against_the_standard_is_reported(
    play_host: PlayHost, frames: list[bytes], complaint: str
) -> None:
    start = [(b"", ENQ)] if frames else [(b"", ACK)]
    host = play_host(*accepts(QUERY), *start, *((ACK, answer) for answer in frames))

    with pytest.raises(HostViolation, match=complaint):
        Analyzer(host, timing=INSTANT).query("S1")


# ---- the line


def test_two_analyzers_understand_each_other_over_a_pty() -> None:
    master, slave = os.openpty()
    sender = Analyzer(Line.on_serial(os.ttyname(slave)), timing=INSTANT)
    receiver = Analyzer(Line.on_descriptor(master), timing=INSTANT)
    received: list[str] = []
    thread = threading.Thread(target=lambda: received.extend(receiver.receive_session(2.0)))
    thread.start()

    sender.send_results([RESULTS])
    thread.join()
    sender.close()
    receiver.close()
    os.close(slave)

    assert received == RESULTS


def test_a_line_over_tcp_notices_that_the_host_hung_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line.call("127.0.0.1", server.getsockname()[1])
        accepted, _ = server.accept()
        accepted.close()

        with pytest.raises(LineClosed):
            line.read_byte(2.0)
        line.close()


def test_nothing_of_lis_is_imported_here() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] in {"lis", "simulators"} for name in names), path
