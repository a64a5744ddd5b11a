"""Figures of `lis bench wire` for ASTM: typed parsing beside python-astm, building beside its floor.

    astm_typed_parse_of_python_astm   messages a CPU-second: frames with checksums to test, value, unit, flag, status
                                      and time of twenty results; theirs is `codec.decode` of each frame and
                                      a record mapping with a field type for each of these
    astm_build_of_join_and_checksum   messages a CPU-second: twenty results written as records and framed; the floor
                                      joins the same texts with | and CR and adds a checksum, screening nothing

Both sides of a figure do the same work, and their results are compared before anything is timed. The peer is
`astm-2025`, which is python-astm published again for today's Python; it comes with the extra `bench`.
"""

import statistics
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from lis.cli.bench_timing import BenchPeerMissing, Figure, Peer, calls_per_cpu_s
from lis.wire.astm_assembly import decode_messages
from lis.wire.astm_build import RecordWriter, Row
from lis.wire.astm_frame import CR, ETX, FRAME_NUMBERS, Frame, blocks_of, checksum, framed
from lis.wire.astm_record import Message

RESULTS: Final = 20
FIELDS: Final = 13
PEER_VERSION: Final = "astm-2025 1.0.0"

Result = tuple[str, str, str, str, str, str]


def astm_figures(*, round_s: float, rounds: int) -> list[Figure]:
    """Both figures; raises `BenchPeerMissing` without the peer."""
    return [_parse_figure(round_s, rounds), _build_figure(round_s, rounds)]


def _parse_figure(round_s: float, rounds: int) -> Figure:
    frames = message_frames()
    typed = _peer_record()
    codec = _python_astm("codec")
    if read_with_ours(frames) != read_with_peer(frames, codec, typed):
        raise AssertionError("the two ASTM readers disagree, so no time can be compared")
    ours, theirs = _in_turns(
        lambda: read_with_ours(frames),
        lambda: read_with_peer(frames, codec, typed),
        round_s,
        rounds,
    )
    peer = Peer(name="python-astm", version=PEER_VERSION, value=theirs)
    return _figure("astm_typed_parse_of_python_astm", ours, peer)


def _build_figure(round_s: float, rounds: int) -> Figure:
    if build_with_ours() != build_plainly():
        raise AssertionError("the two ASTM writers disagree, so no time can be compared")
    ours, floor = _in_turns(build_with_ours, build_plainly, round_s, rounds)
    peer = Peer(name="join and checksum", version="", value=floor)
    return _figure("astm_build_of_join_and_checksum", ours, peer)


def _in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], round_s: float, rounds: int
) -> tuple[float, float]:
    pairs = [
        (calls_per_cpu_s(ours, round_s), calls_per_cpu_s(theirs, round_s)) for _ in range(rounds)
    ]
    return statistics.median(one for one, _ in pairs), statistics.median(one for _, one in pairs)


def _figure(what: str, value: float, peer: Peer) -> Figure:
    return Figure(
        what=what, value=value, unit="messages/CPU-s", peer=peer, ratio=value / peer["value"]
    )


# ------------------------------------------------------------------ the message


def _result(number: int) -> tuple[str | tuple[str, ...], ...]:
    value, seconds = f"{4 + number * 0.37:.2f}", f"{number:02}"
    test = ("", "", "", f"T{number:02}", "1")
    start = (str(number), test, value, "10*3/uL", "4.00 to 10.00", "N", "", "F", "", "op1^op2")
    return (*start[:9], ("op1", "op2"), "", f"202611220101{seconds}", "XN-1000")


_RESULTS: Final = tuple(_result(number) for number in range(1, RESULTS + 1))
_ROWS: Final[tuple[Row, ...]] = tuple(("R", *fields) for fields in _RESULTS)
_PLAIN: Final = tuple(
    tuple("^".join(field) if isinstance(field, tuple) else field for field in fields)
    for fields in _RESULTS
)


def message_frames() -> list[bytes]:
    """Header, patient, order, twenty results, end: one frame a record, as the standard wants."""
    writer = RecordWriter()
    records = [
        writer.record(
            "H", None, "", "", ("XN-1000", "00-24", "22723"), "", "", "", "", "", "", "", "P"
        ),
        writer.record("P", "1", "PRACT-00912", "LAB-37182", "", ("Doe", "Jane", "Q")),
        writer.record("O", "1", "S-2406270001", "", ("", "", "", "CBC"), "R"),
        *(writer.record("R", *fields) for fields in _RESULTS),
        writer.record("L", "1", "N"),
    ]
    return [
        framed(number % FRAME_NUMBERS, record + CR, ETX) for number, record in enumerate(records, 1)
    ]


# ------------------------------------------------------------------ reading


def read_with_ours(frames: list[bytes]) -> list[Result]:
    for raw in frames:
        Frame.from_bytes(raw)  # the checksum
    (message,) = decode_messages(b"".join(frames))
    found = []
    for record in Message.parse(message.records).records:
        if record.type == "R":
            at = record.field
            found.append((record.component(3, 4), at(4), at(5), at(7), at(9), at(13)))
    return found


def read_with_peer(frames: list[bytes], codec: ModuleType, typed: Any) -> list[Result]:
    found = []
    for raw in frames:
        for fields in codec.decode(raw):
            if fields[0] == "R":
                one = typed(*fields)
                at = one.completed_at.strftime("%Y%m%d%H%M%S")
                found.append((one.test.code, one.value, one.units, one.flag, one.status, at))
    return found


def _peer_record() -> Any:
    """What a user of python-astm writes for such results."""
    mapping = _python_astm("mapping")
    text = mapping.TextField
    parts = [text(name=name) for name in ("universal", "name", "kind", "code", "dilution")]
    return mapping.Record.build(
        mapping.ConstantField(name="type", default="R"),
        mapping.IntegerField(name="seq"),
        mapping.ComponentField(name="test", mapping=mapping.Component.build(*parts)),
        *(text(name=name) for name in ("value", "units", "range", "flag", "nature", "status")),
        *(mapping.Field(name=name) for name in ("changed", "operator", "started")),
        mapping.DateTimeField(name="completed_at"),
        text(name="instrument"),
    )


# ------------------------------------------------------------------ writing


def build_with_ours() -> list[bytes]:
    return blocks_of(RecordWriter().records(_ROWS))


def build_plainly() -> list[bytes]:
    frames = []
    for number, fields in enumerate(_PLAIN, 1):
        body = b"%d%s\r\x03" % (number % FRAME_NUMBERS, "|".join(("R", *fields)).encode("latin-1"))
        frames.append(b"\x02%s%s\r\n" % (body, checksum(body)))
    return frames


def _python_astm(module: str) -> ModuleType:
    try:
        from astm import codec, mapping  # the peer is an extra
    except ImportError:
        raise BenchPeerMissing(
            "lis bench wire compares with python-astm: pip install 'lis[bench]' -c constraints.txt"
        ) from None
    peer: ModuleType = {"codec": codec, "mapping": mapping}[module]
    return peer
