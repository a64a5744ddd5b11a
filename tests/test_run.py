"""`run.py` is the first thing a stranger meets: when it installs, and what it says when it cannot."""

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
OLD_PYTHON = (3, 6)  # the oldest `python3` that supported distributions still bring


@pytest.fixture
def run(tmp_path: Path) -> ModuleType:
    """`run.py` in a project folder of its own, with nothing installed."""
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    spec = importlib.util.spec_from_file_location("run_in_a_folder", tmp_path / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finish_installation(run: ModuleType, *extras: str) -> None:
    run.BIN.mkdir(parents=True, exist_ok=True)
    run.PYTHON.touch()
    stamp = {"fingerprint": run.fingerprint(), "extras": list(extras)}
    run.STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def test_a_fresh_folder_is_not_installed(run: ModuleType) -> None:
    assert not run.is_installed([])


def test_a_finished_installation_is_not_repeated(run: ModuleType) -> None:
    finish_installation(run, "dev")
    assert run.is_installed([])
    assert run.is_installed(["dev"])


def test_a_missing_extra_is_installed(run: ModuleType) -> None:
    finish_installation(run)
    assert not run.is_installed(["dev"])


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_project_files_are_installed_again(run: ModuleType, name: str) -> None:
    finish_installation(run)
    with (run.HERE / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert not run.is_installed([])


def test_an_interrupted_installation_is_begun_again(run: ModuleType) -> None:
    finish_installation(run)
    run.UNFINISHED.touch()
    assert not run.is_installed([])
    assert not run.is_environment_sound()


def test_a_damaged_stamp_counts_as_none(run: ModuleType) -> None:
    finish_installation(run)
    run.STAMP.write_text("{", encoding="utf-8")
    assert not run.is_installed([])


def test_a_second_first_start_waits_for_the_first(run: ModuleType) -> None:
    """The lock is really the kernel's: another process cannot take it while we hold it."""
    attempt = (
        "import fcntl, os, sys\n"
        "folder = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    )
    command = [sys.executable, "-c", attempt, str(run.HERE)]
    with run.only_one_installer():
        held = subprocess.run(command, capture_output=True, check=False)
    free = subprocess.run(command, capture_output=True, check=False)
    assert b"BlockingIOError" in held.stderr
    assert free.returncode == 0


@pytest.mark.parametrize(
    ("output", "meaning"),
    [
        ("Temporary failure in name resolution\nNo matching distribution", "cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("[Errno 13] Permission denied: 'x'", "cannot be written"),
        ("ERROR: No matching distribution found for numpy==9", "not found"),
        ("something else", "installer's own words"),
    ],
)
def test_the_installers_errors_are_explained(run: ModuleType, output: str, meaning: str) -> None:
    assert meaning in run.diagnosis(output)


def test_settings_that_send_packages_elsewhere_are_dropped(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1/mirror")
    environment = run.installer_environment()
    assert "PIP_TARGET" not in environment
    assert environment["PIP_INDEX_URL"] == "http://127.0.0.1/mirror"


def test_an_old_python_can_read_it_far_enough_to_complain() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=OLD_PYTHON)
