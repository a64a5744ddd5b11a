"""A learned driver on disk: saved whole, loaded at start, checked, and taught on the command line."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lis.cli import administration, message, serve
from lis.cli.listen import listen
from lis.cli.opening import read_settings
from lis.domain.errors import Malformed
from lis.domain.messages import Protocol
from lis.drivers import identify, registry, translate
from lis.drivers.driver_folder import load_profiles
from lis.drivers.learned_files import faults_of, protocol_of_files, remarks_of, save_driver
from lis.drivers.learned_profile import profile_from, propose
from lis.drivers.profile import Evidence, Grade, Profile
from tests.conftest import CORPUS

RAW = (
    b"H|\\^&|||Analyte 9^02-11^^^^Q4711|||||||P|1|20261122080000\r"
    b"P|1||4711||Doe^Jane||19800102|F\r"
    b"O|1|20000021||^^^GLU|R\r"
    b"R|1|^^^GLU|5.5|mmol/L||N||F||Smith||20261122075900\r"
    b"L|1|N\r"
)
OTHER = RAW.replace(b"GLU", b"UREA").replace(b"|5.5|", b"|4.1|")
KEY = "lab-analyte-9"
EVIDENCE = Evidence(grade=Grade.CAPTURE, source="recorded at the bench")
app = typer.Typer()
message.register(app)
serve.register(app)
administration.register(app)


@pytest.fixture(autouse=True)
def _forgets_folders() -> Iterator[None]:
    yield
    registry.use_folder(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "drivers"


def learned() -> Profile:
    proposal = propose(Protocol.ASTM, [RAW])
    return profile_from(proposal, key=KEY, name="Analyte 9", evidence=EVIDENCE)


def files(tmp_path: Path, *captures: bytes) -> list[str]:
    paths = [tmp_path / f"capture{number}.txt" for number in range(len(captures))]
    for path, data in zip(paths, captures, strict=True):
        path.write_bytes(data)
    return [str(path) for path in paths]


def run(*arguments: str, input: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments), input=input)
    return done.exit_code, done.stdout, done.stderr


def test_a_driver_is_saved_with_clean_captures_and_what_it_reads_there(folder: Path) -> None:
    written = save_driver(folder, learned(), [RAW, OTHER], remarks="by anna")

    assert [path.name for path in written] == ["profile.toml", "1.cap", "1.json", "2.cap", "2.json"]
    everything = b"".join(path.read_bytes() for path in written)
    for personal in (b"Doe", b"Jane", b"P|1||4711", b"19800102", b"20000021", b"Smith"):
        assert personal not in everything
    expected = json.loads((folder / KEY / "2.json").read_bytes())
    [observation] = expected["messages"][0]["observations"]
    assert (observation["test"], observation["value"]) == ("UREA", "4.1")
    assert [entry.name for entry in folder.iterdir()] == [KEY]
    assert faults_of(folder) == ()


def test_a_saved_driver_is_known_after_the_next_start(folder: Path) -> None:
    save_driver(folder, learned(), [RAW])
    assert KEY not in registry.profiles()

    registry.use_folder(folder)

    assert registry.get(KEY).grade is Grade.CAPTURE
    assert identify(RAW) == KEY
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert len(translate(registry.get(KEY), RAW, zone=UTC, received_at=at).observations) == 1


def test_nothing_is_written_over(folder: Path) -> None:
    save_driver(folder, learned(), [RAW])

    with pytest.raises(Malformed, match="a key that is not used yet"):
        save_driver(folder, learned(), [OTHER])


def test_a_key_of_ours_cannot_be_taken(folder: Path) -> None:
    profile = profile_from(
        propose(Protocol.ASTM, [RAW]), key="sysmex-xp-100", name="Mine", evidence=EVIDENCE
    )

    with pytest.raises(Malformed, match="a key that is not used yet"):
        save_driver(folder, profile, [RAW])


def test_a_draft_left_by_a_power_cut_is_no_driver_and_in_nobodys_way(folder: Path) -> None:
    draft = folder / f".{KEY}.new"
    draft.mkdir(parents=True)
    (draft / "profile.toml").write_text("half")

    assert list(load_profiles(folder)) == []
    save_driver(folder, learned(), [RAW])
    assert not draft.exists()


def test_a_broken_document_is_an_error_with_file_and_key_and_leaves_the_registry_alone(
    folder: Path,
) -> None:
    save_driver(folder, learned(), [RAW])
    path = folder / KEY / "profile.toml"
    path.write_text(path.read_text().replace('value = "R.4"', 'vaule = "R.4"'))

    with pytest.raises(Malformed) as wrong:
        registry.use_folder(folder)

    assert str(path) in wrong.value.where
    assert wrong.value.got == "vaule"
    assert "sysmex-xp-100" in registry.profiles()
    assert KEY not in registry.profiles()
    [fault] = faults_of(folder)
    assert "vaule" in fault


def test_a_folder_must_have_the_name_of_its_key(folder: Path) -> None:
    save_driver(folder, learned(), [RAW])
    (folder / KEY).rename(folder / "other")

    [fault] = faults_of(folder)
    assert "expected other, the name of its folder" in fault


def test_a_profile_that_reads_its_capture_otherwise_now_is_a_fault(folder: Path) -> None:
    save_driver(folder, learned(), [RAW])
    path = folder / KEY / "profile.toml"
    path.write_text(path.read_text().replace('unit = "R.5"', 'unit = "R.6"'))

    [fault] = faults_of(folder)
    assert "1.json: message 1" in fault


def test_a_missing_expectation_is_a_fault(folder: Path) -> None:
    save_driver(folder, learned(), [RAW])
    (folder / KEY / "1.json").unlink()

    [fault] = faults_of(folder)
    assert "1.json: expected what the driver reads in 1.cap" in fault


@pytest.mark.parametrize("captures", [[], [b"hello"], [RAW, b"MSH|^~\\&|a|b|||1||ACK|1|P|2.3\r"]])
def test_captures_of_no_protocol_or_of_two_teach_nothing(captures: list[bytes]) -> None:
    with pytest.raises(Malformed, match="expected ASTM or HL7 messages"):
        protocol_of_files(captures)


def test_remarks_cannot_break_out_of_their_comment(folder: Path) -> None:
    remarks = remarks_of(propose(Protocol.ASTM, [RAW]).codes, 'anna\nkey = "x"')

    save_driver(folder, learned(), [RAW], remarks=remarks)

    assert faults_of(folder) == ()
    assert "#   GLU: mmol/L (1)" in (folder / KEY / "profile.toml").read_text()


# ---------------------------------------------------------------------------- lis.toml


def test_the_folder_of_drivers_lies_beside_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "lis.toml"
    config.write_text("")
    assert read_settings(config).drivers.folder == str(tmp_path / "drivers")

    config.write_text('[drivers]\nfolder = "taught"\n')
    assert read_settings(config).drivers.folder == str(tmp_path / "taught")


def test_check_config_knows_learned_drivers_and_tells_their_faults(tmp_path: Path) -> None:
    config = tmp_path / "lis.toml"
    link = 'link = "tcp-listen://127.0.0.1:7001"'
    config.write_text(f'[[instrument]]\nname = "a-1"\ndriver = "{KEY}"\n{link}\n')
    code, out, _ = run("check-config", "--config", str(config))
    assert code == 1
    assert f"driver '{KEY}' is unknown" in out

    save_driver(tmp_path / "drivers", learned(), [RAW])
    code, out, _ = run("check-config", "--config", str(config))
    assert (code, "is good" in out) == (0, True)

    path = tmp_path / "drivers" / KEY / "profile.toml"
    path.write_text(path.read_text().replace('version = "1"', ""))
    registry.use_folder(None)
    code, out, _ = run("check-config", "--config", str(config))
    assert code == 1
    assert f"{path}: version: expected a value, got 'nothing'" in out


def test_a_learned_driver_stands_in_the_list_of_drivers(tmp_path: Path) -> None:
    config = tmp_path / "lis.toml"
    config.write_text("")
    save_driver(tmp_path / "drivers", learned(), [RAW])

    code, out, err = run("instrument", "drivers", "--json", "--config", str(config))

    assert code == 0, err
    [row] = [row for row in json.loads(out) if row["key"] == KEY]
    assert (row["name"], row["grade"]) == ("Analyte 9", "capture")


def test_a_link_can_be_listened_to_with_a_learned_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_driver(tmp_path / "drivers", learned(), [RAW])
    monkeypatch.chdir(tmp_path)

    assert listen("tcp-listen://", KEY, None) == 2  # the address is wrong, and told first
    assert listen("tcp-listen://127.0.0.1:0", "no-such", None) == 2
    assert registry.get(KEY).name == "Analyte 9"


# ---------------------------------------------------------------------------- lis message --learn


def test_json_alone_proposes_and_saves_nothing(tmp_path: Path, folder: Path) -> None:
    [file] = files(tmp_path, RAW)
    code, out, _ = run("message", file, "--learn", "--json", "--folder", str(folder))

    assert code == 0
    proposal = json.loads(out)
    answers = {one["name"]: one["answer"] for one in proposal["questions"]}
    assert (answers["specimen"], answers["test"]) == ("O.3.1", "R.3.4")
    assert proposal["codes"] == [{"code": "GLU", "units": ["mmol/L"], "count": 1}]
    assert not folder.exists()


def test_a_script_confirms_everything_and_the_driver_reads_the_next_message(
    tmp_path: Path, folder: Path
) -> None:
    two = files(tmp_path, RAW, OTHER)
    named = ("--key", KEY, "--name", "Analyte 9", "--folder", str(folder))
    told = ("--from-instrument", "--source", "bench, 22 November", "--confirm", "interval=R.6")
    code, out, err = run("message", *two, "--learn", "--yes", "--json", *named, *told)

    assert code == 0, err
    assert json.loads(out)["key"] == KEY
    [(profile, _)] = load_profiles(folder)
    assert (profile.grade, profile.evidence[0].source) == (Grade.CAPTURE, "bench, 22 November")
    code, out, _ = run("message", two[1], "--json", "--folder", str(folder))
    assert json.loads(out)[0]["driver"] == KEY


def test_without_a_word_on_the_origin_the_grade_is_spec(tmp_path: Path, folder: Path) -> None:
    [file] = files(tmp_path, RAW)
    code, _, err = run("message", file, "--learn", "--yes", "--key", KEY, "--folder", str(folder))

    assert code == 0, err
    [(profile, _)] = load_profiles(folder)
    assert profile.grade is Grade.SPEC


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--from-instrument",), "source: expected where and when"),
        (("--confirm", "value"), "--confirm: expected NAME=ANSWER"),
        (("--confirm", "falgs=R.7"), "expected one of specimen"),
        (("--confirm", "value=R.x"), "expected a place"),
        (("--key", "My Analyzer"), "key: expected small letters"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_saved(
    tmp_path: Path, folder: Path, options: tuple[str, ...], told: str
) -> None:
    [file] = files(tmp_path, RAW)
    key = ("--key", KEY, "--folder", str(folder))
    code, _, err = run("message", file, "--learn", "--yes", *key, *options)

    assert code == 2
    assert told in err
    assert not folder.exists()


def test_a_person_is_asked_question_by_question(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lis.cli.message._is_for_people", lambda: True)
    [file] = files(tmp_path, RAW.replace(b"||N||F", b"||X7||F"))
    questions = json.loads(run("message", file, "--learn", "--json")[1])["questions"]
    replies = ["look" if one["name"] == "flag.X7" else "" for one in questions]
    closing = [KEY, "Analyte 9", "y", "bench", "y"]
    code, out, err = run(
        *("message", file, "--learn", "--folder", str(folder)),
        input="\n".join([*replies, *closing]) + "\n",
    )

    assert code == 0, err
    assert "Specimen id" in out
    assert "O > R|1 '20000021'" in out
    [(profile, _)] = load_profiles(folder)
    assert profile.flags["X7"] == "look"
    assert profile.grade is Grade.CAPTURE


def test_who_does_not_want_it_saves_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lis.cli.message._is_for_people", lambda: True)
    [file] = files(tmp_path, RAW)
    count = len(json.loads(run("message", file, "--learn", "--json")[1])["questions"])
    code, _, err = run(
        *("message", file, "--learn", "--key", KEY, "--name", "A", "--folder", str(folder)),
        input="\n" * count + "n\n\nn\n",
    )

    assert (code, "Nothing was saved" in err) == (0, True)
    assert not folder.exists()


def test_every_file_of_the_corpus_can_be_saved_without_its_numbers(tmp_path: Path) -> None:
    path = CORPUS / "astm/senaite.astm/sysmex_xp100.txt"
    if not path.exists():
        pytest.skip("the corpus lies beside the checkout")
    protocol, units = protocol_of_files([path.read_bytes()])
    proposal = propose(protocol, units, {"id_mode.A": "automatic"})
    profile = profile_from(proposal, key="lab-xp", name="Mine", evidence=EVIDENCE)

    save_driver(tmp_path, profile, [path.read_bytes()])

    assert faults_of(tmp_path) == ()
    assert b" 113^A" not in (tmp_path / "lab-xp" / "1.cap").read_bytes()
