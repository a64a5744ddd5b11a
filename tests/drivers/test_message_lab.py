"""`lis message` and `lis redact` from outside: what they print, what they refuse, how they exit."""

import json
from contextlib import suppress
from datetime import UTC
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lis.cli.message import read_messages, register, texts_of
from lis.domain.clock import ManualClock
from lis.domain.messages import Protocol
from lis.drivers import registry
from lis.wire.astm_frame import Frame, blocks_of
from lis.wire.astm_link import decode_raw
from lis.wire.capture import read_capture
from lis.wire.redaction import NotRedactable, redacted

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
HEAD = rb"H|\^&|||lab^Roche^c111^4.2^1^13999|||||host|RSUPL^REAL|P|1|20261122080000"
RECORDS = [
    HEAD,
    b"P|1||4711|||Doe^Jane||19800102|F|||Street 5",  # one field too far to the right, as some do
    b"O|1|20000013|20000021^^2||R||||||N",
    b"R|1|^^^413|40.1|g/L||N||F||Smith||20261122075900",
    b"C|1|I|27^ask Dr Miller|I",
    b"L|1|N",
]
HL7 = (
    b"MSH|^~\\&|Mindray|BC-5380|||20261122||ORU^R01|1|P|2.3.1\rPID|1||4711^^^^MR||Doe^Jane||19800102|F\r"
    b"OBR|1||20000013|00001^Automated Count^99MRC||20261122070000|20261122075900\r"
    b"OBX|1|NM|6690-2^WBC^LN||9.5|10*9/L|||||F|||||Smith\rNTE|1||seen by Miller\r"
)
app = typer.Typer()
register(app)
run = CliRunner().invoke


def file_of(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "case.bin"
    path.write_bytes(data)
    return str(path)


def test_the_fields_of_the_contract_are_there(tmp_path: Path) -> None:
    done = run(app, ["message", file_of(tmp_path, b"".join(blocks_of(RECORDS))), "--json"])

    assert done.exit_code == 0
    [message] = json.loads(done.stdout)
    assert (message["driver"], message["protocol"]) == ("roche-cobas-c111", "astm")
    [observation] = message["observations"]
    expected = {
        "specimen": "20000021",
        "test": "413",
        "value": "40.1",
        "comparator": None,
        "number": "40.1",
        "unit": "g/L",
        "flags": ["N"],
        "status": "final",
        "observed_at": "2026-11-22T07:59:00+00:00",
        "kind": "patient",
    }
    assert {name: observation[name] for name in expected} == expected
    assert message["unreadable"] == []


def test_times_are_read_in_the_zone_that_was_given(tmp_path: Path) -> None:
    file = file_of(tmp_path, HL7)
    done = run(app, ["message", file, "--json", "--timezone", "Europe/Moscow"])

    assert (
        json.loads(done.stdout)[0]["observations"][0]["observed_at"] == "2026-11-22T07:59:00+03:00"
    )


def test_what_cannot_be_read_shows_in_the_exit_code(tmp_path: Path) -> None:
    records = b"\r".join([HEAD, b"Z|1|what", b"L|1|N"])
    done = run(app, ["message", file_of(tmp_path, records), "--json"])

    assert done.exit_code == 1
    [entry] = json.loads(done.stdout)[0]["unreadable"]
    assert entry == {"record": "Z|1", "field": "", "raw": "Z|1|what", "reason": "unreadable_record"}


@pytest.mark.parametrize("data", [b"no message at all", b"\x02print-out\x03"])
def test_what_is_no_message_is_one_unreadable_entry(tmp_path: Path, data: bytes) -> None:
    for more in ([], ["--driver", "roche-cobas-c111"]):
        done = run(app, ["message", file_of(tmp_path, data), "--json", *more])

        assert done.exit_code == 1
        [message] = json.loads(done.stdout)
        assert message["observations"] == []
        assert len(message["unreadable"]) == 1


def test_an_empty_file_is_an_empty_list_and_not_a_success(tmp_path: Path) -> None:
    done = run(app, ["message", file_of(tmp_path, b""), "--json"])

    assert (done.exit_code, json.loads(done.stdout)) == (1, [])


@pytest.mark.parametrize(
    "more", [["--driver", "no-such"], ["--timezone", "Mars/Olympus"], ["--timezone", "../etc"]]
)
def test_a_wrong_option_is_a_usage_error(tmp_path: Path, more: list[str]) -> None:
    done = run(app, ["message", file_of(tmp_path, HL7), "--json", *more])

    assert (done.exit_code, done.stdout) == (2, "")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    assert run(app, ["message", str(tmp_path / "none")]).exit_code == 2
    assert run(app, ["redact", str(tmp_path / "none")]).exit_code == 2


def test_a_message_of_nobody_is_read_by_the_standard_and_held() -> None:
    records = b"\r".join([rb"H|\^&|||other", b"P|1", b"O|1|7", b"R|1|^^^X|1|u||N||F", b"L|1"])

    [message] = read_messages(records, driver=None, zone=UTC, clock=ManualClock())

    assert message["driver"] is None
    assert message["observations"][0]["holds"] == ["unknown_driver"]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*.cap")), ids=lambda path: path.stem)
def test_people_get_a_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lis.cli.message._is_for_people", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")

    done = run(app, ["message", str(path)])

    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    is_unreadable = any(message["unreadable"] for message in expected["messages"])
    assert done.exit_code == int(is_unreadable)
    assert path.parent.name in done.stdout


def test_people_see_what_could_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lis.cli.message._is_for_people", lambda: True)

    done = run(app, ["message", file_of(tmp_path, b"\r".join([HEAD, b"Z|1|[bold]x", b"L|1|N"]))])

    assert "unreadable Z|1" in done.stdout
    assert "[bold]" in done.stdout


def test_records_are_read_as_the_driver_says() -> None:
    raw = "H|@^\\|||GeneXpert\rC|1|I|Müller\rL|1".encode()
    profile = registry.get("cepheid-genexpert")

    assert texts_of(Protocol.ASTM, raw, profile=profile)[1] == "C|1|I|Müller"
    assert texts_of(Protocol.ASTM, raw)[1] == "C|1|I|MÃ¼ller"
    latin = registry.get("mindray-bc")
    assert texts_of(Protocol.HL7, b"PID|\xc4\r", profile=latin) == ["PID|Ä"]


# ------------------------------------------------------------------ redaction


PEOPLE = (b"Doe", b"Jane", b"4711", b"19800102", b"Street", b"Smith", b"Miller", b"2000001")


def wire_forms() -> dict[str, bytes]:
    frames = b"".join(blocks_of(RECORDS))
    short = b"".join(blocks_of(RECORDS, limit=17, record_per_frame=False))
    return {
        "frames": frames,
        "cut in mid-field": short,
        "records": b"\r".join(RECORDS) + b"\r",
        "lines": b"\n".join(RECORDS) + b"\n",
        "hl7": HL7,
        "mllp": b"\x0b" + HL7 + b"\x1c\r",
    }


@pytest.mark.parametrize("form", wire_forms())
def test_nobody_is_left_in_a_redacted_file(form: str) -> None:
    raw = wire_forms()[form]
    clean = redacted(raw)

    assert len(clean) == len(raw)
    text = clean if form in {"hl7", "mllp"} else b"\r".join(decode_raw(clean))
    for name in PEOPLE:
        assert name not in text, name
    before = read_messages(raw, driver=None, zone=UTC, clock=ManualClock())
    after = read_messages(clean, driver=None, zone=UTC, clock=ManualClock())
    kept = ("record", "test", "value", "unit", "flags", "status", "observed_at")
    assert [[row[name] for name in kept] for row in after[0]["observations"]] == [
        [row[name] for name in kept] for row in before[0]["observations"]
    ]


def test_right_checksums_are_right_again_and_wrong_ones_stay_wrong() -> None:
    first, second, *rest = blocks_of(RECORDS)
    wrong = second[:-4] + b"00" + second[-2:]
    clean = redacted(first + wrong + b"".join(rest))

    frames = [part + b"\r\n" for part in clean.split(b"\r\n") if part]
    good = [frame for number, frame in enumerate(frames) if number != 1]
    assert all(Frame.from_bytes(frame) for frame in good)
    assert frames[1].endswith(b"00\r\n")


def test_the_same_specimen_stays_the_same_and_the_instrument_known() -> None:
    records = [HEAD, b"Q|1|^20000013\\^20000021", b"L|1"]
    clean = redacted(b"\r".join([*records, *RECORDS]))

    query, order = [line for line in clean.split(b"\r") if line[:1] in b"QO"]
    assert query == b"Q|1|^00000001\\^00000002"
    assert order.startswith(b"O|1|00000001|00000002^^2")
    assert HEAD in clean


def test_a_capture_stays_a_capture(tmp_path: Path) -> None:
    path = CAPTURES / "cepheid-genexpert" / "result.cap"
    target = tmp_path / "clean.cap"

    assert run(app, ["redact", str(path), "--output", str(target)]).exit_code == 0
    assert (
        run(app, ["redact", str(path), "--output", str(target)]).exit_code == 2
    )  # never overwrites
    chunks, clean = read_capture(path.read_bytes()), read_capture(target.read_bytes())
    assert [(c.at, c.direction, len(c.data)) for c in clean] == [
        (c.at, c.direction, len(c.data)) for c in chunks
    ]
    assert b"20000030" not in b"".join(chunk.data for chunk in clean)
    [message] = read_messages(target.read_bytes(), driver=None, zone=UTC, clock=ManualClock())
    assert message["driver"] == "cepheid-genexpert"
    assert message["observations"][4]["comment"].startswith("Error")


def test_to_stdout_by_default_and_nothing_for_what_is_not_known(tmp_path: Path) -> None:
    assert run(app, ["redact", file_of(tmp_path, HL7)]).stdout.startswith("MSH|")
    done = run(app, ["redact", file_of(tmp_path, b"Jane Doe")])
    assert (done.exit_code, done.stdout) == (1, "")


@given(raw=st.binary(max_size=200) | st.sampled_from(list(wire_forms().values())))
def test_any_bytes_are_redacted_or_refused(raw: bytes) -> None:
    with suppress(NotRedactable):
        assert len(redacted(raw)) == len(raw)


def test_text_with_written_control_characters_is_redacted_too() -> None:
    data = b"[STX]1H|\\^&|||x[CR][ETX]00[CR][LF]\n[STX]2P|1||4711||Doe^Jane[CR][ETX]00[CR][LF]\n"

    clean = redacted(data)

    assert b"Doe" not in clean
    assert b"2P|1||0000||XXX^XXXX\r\x03" in clean


def test_an_instruments_own_places_of_numbers_and_names_are_redacted_too() -> None:
    data = b"\r".join([HEAD, b"R|1|^^^413|40.1||||||||20000021|Smith", b"L|1|N"])

    clean = redacted(data, numbered={"R": (12,)}, personal={"R": (13,)})

    assert b"|00000001|XXXXX" in clean
