#!/usr/bin/env python3
"""Start here: `python3 run.py` runs the demo laboratory, `python3 run.py test` runs all tests.

Anything else is handed to `lis`: `python3 run.py serve --config lis.toml`.

Only the standard library is used, because on a fresh machine nothing else is there. Theory of
operation:

1. Find a Python that is new enough; if this one is not, hand over to a newer one beside it.
2. Look at the stamp in `.venv`. It names the Python, the project files and the extras that were
   installed. If it fits, start at once.
3. Otherwise install. A marker file says "unfinished" from the first change to the last; the stamp
   is written after that, so an interrupted installation is thrown away and begun again.
4. Become `lis` (or pytest).

Messages go to stderr: stdout belongs to the command, whose output may be JSON.
This file keeps to syntax that an old Python can read, so that it can say what is missing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows runs the demo, without the lock
    fcntl = None

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
PYTHON = BIN / ("python" + EXE)
STAMP = VENV / ".lis-stamp"
UNFINISHED = VENV / ".lis-unfinished"

PYTHON_MIN = (3, 11)
NEWER_PYTHONS = ("python3.13", "python3.12", "python3.11")
PROJECT_FILES = ("pyproject.toml", "constraints.txt")
EXTRAS_FOR = {"test": ["dev"], "bench": ["bench"]}  # first word of the command -> extras it needs
EXIT_INTERRUPTED = 130
ERROR_LINES_SHOWN = 25  # the end of the installer's output names the cause; more only hides it

# What the installer's own words mean for the person in front of the screen. First match wins.
DIAGNOSES = (
    (("No space left",), "The disk is full."),
    (
        ("resolution", "NewConnection", "ConnectTimeout", "timed out", "ProxyError", "SSLError",
         "Connection refused", "Network is unreachable", "error sending request"),
        "The package index cannot be reached. Check the network, a proxy (HTTPS_PROXY) or your\n"
        "own mirror (PIP_INDEX_URL), then run the same command again.",
    ),
    (
        ("Permission denied", "Read-only file system"),
        "A file cannot be written. Run this in a folder of your own.",
    ),
    (
        ("No matching distribution", "Could not find a version", "No solution found"),
        "The pinned packages were not found. Either the package index cannot be reached (network,\n"
        "proxy, an outdated mirror), or it has nothing for this Python and platform; supported\n"
        "is Linux with Python 3.11 to 3.13. Then run the same command again.",
    ),
)  # fmt: skip


class SetUpError(Exception):
    """Something a person must put right; the text says what."""


def main(arguments: list) -> int:
    need_python()
    words = arguments or ["demo"]
    try:
        ensure_installed(EXTRAS_FOR.get(words[0], []))
    except SetUpError as error:
        say("\n" + str(error))
        return 1
    except OSError as error:
        say(f"\nCannot write {error.filename or VENV}: {error.strerror}.")
        say("Copy the project to a folder of your own and start it there.")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. The next start begins the installation again.")
        return EXIT_INTERRUPTED
    if words[0] == "test":
        os.chdir(str(HERE))
        return become([str(PYTHON), "-m", "pytest", *words[1:]])
    return become([str(BIN / ("lis" + EXE)), *words])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def need_python() -> None:
    """Go on only under a Python that is new enough, changing to a newer one if there is one."""
    if sys.version_info >= PYTHON_MIN:
        return
    newer = next((found for name in NEWER_PYTHONS for found in [shutil.which(name)] if found), None)
    if newer is None:
        sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ".")
    sys.exit(become([newer, str(Path(__file__).resolve()), *sys.argv[1:]]))


def become(command: list) -> int:
    """Replace this process, so that signals and the exit code need no forwarding."""
    if os.name == "nt":
        return subprocess.call(command)
    os.execv(command[0], command)
    return 0  # not reached: execv does not return


# --- deciding whether there is anything to do ---------------------------------------------------


def ensure_installed(extras: list) -> None:
    if is_installed(extras):
        return
    with only_one_installer():
        if not is_installed(extras):  # another run.py may have done it while we waited
            install(sorted({*extras, *installed_extras()}))


def fingerprint() -> str:
    """Changes when the project's dependencies, their pins, the Python or the folder change."""
    digest = hashlib.sha256(sys.version.encode() + str(HERE).encode())
    for name in PROJECT_FILES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def read_stamp() -> dict:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def installed_extras() -> list:
    return read_stamp().get("extras", [])


def is_installed(extras: list) -> bool:
    stamp = read_stamp()
    fits = stamp.get("fingerprint") == fingerprint() and set(extras) <= set(stamp["extras"])
    return fits and PYTHON.exists() and not UNFINISHED.exists()


@contextmanager
def only_one_installer() -> "Iterator[None]":
    """Two first starts at once would write into the same folder; the second one waits."""
    if fcntl is None:
        yield
        return
    folder = os.open(str(HERE), os.O_RDONLY)  # the lock is on the folder itself: no file is left
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run.py is installing here; waiting for it ...")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


# --- installing ---------------------------------------------------------------------------------


def install(extras: list) -> None:
    named = f" with extras {', '.join(extras)}" if extras else ""
    first = "" if STAMP.exists() else "First start: "
    say(f"{first}installing the pinned packages into .venv{named}; this takes about 30 s ...")
    began = time.monotonic()
    make_environment()
    UNFINISHED.touch()
    target = str(HERE) + (f"[{','.join(extras)}]" if extras else "")
    arguments = ["install", "-q", "-e", target, "-c", str(HERE / "constraints.txt")]
    if not installed_by_uv(arguments):
        run_installer([*pip_command(), *arguments, "--disable-pip-version-check"])
    stamp = {"fingerprint": fingerprint(), "extras": extras}
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")
    UNFINISHED.unlink()
    say(f"Installed in {time.monotonic() - began:.0f} s.")


def make_environment() -> None:
    """A virtual environment of this very Python; a sound one is kept, a broken one replaced."""
    if is_environment_sound():
        return
    builder = venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=False)
    builder.create(str(VENV))


def is_environment_sound() -> bool:
    if UNFINISHED.exists() or not PYTHON.exists():
        return False
    try:
        asked = [str(PYTHON), "-c", "import sys; print(sys.version)"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.strip() == sys.version


def installed_by_uv(arguments: list) -> bool:
    """uv is the faster client where it is present and knows the way to the packages."""
    uv = shutil.which("uv")
    if uv is None:
        return False
    try:
        run_installer([uv, "pip", *arguments, "--python", str(PYTHON)])
    except SetUpError:
        say("uv could not do it; trying pip ...")
        return False
    return True


def pip_command() -> list:
    """The first pip that runs: in the environment, of this Python, of the distribution."""
    inside = [str(PYTHON), "-m", "pip"]
    if succeeds([*inside, "--version"]):
        return inside
    if succeeds([str(PYTHON), "-m", "ensurepip", "--default-pip"]):
        return inside
    outside = ["--python", str(PYTHON)]
    if succeeds([sys.executable, "-m", "pip", *outside, "--version"]):
        return [sys.executable, "-m", "pip", *outside]
    wheel = distribution_pip()
    if wheel is not None:
        return [sys.executable, str(wheel / "pip"), *outside]
    raise SetUpError(
        "This Python has no pip and no ensurepip. On Debian or Ubuntu:\n"
        "    sudo apt-get install python3-venv\nthen run the same command again."
    )


def distribution_pip() -> "Path | None":
    """Debian keeps pip as a wheel in a package of its own, which can be unpacked without root."""
    folder = VENV / "pip-wheel"
    folder.mkdir(exist_ok=True)
    if not any(folder.glob("*.deb")):
        fetch = ["apt-get", "download", "python3-pip-whl"]
        found = succeeds(fetch, folder) or (
            succeeds(["apt-get", "update"]) and succeeds(fetch, folder)
        )
        if not found:
            return None
    package = next(folder.glob("*.deb"))
    if not succeeds(["dpkg-deb", "-x", str(package), str(folder)]):
        return None
    return next(folder.glob("usr/share/python-wheels/pip-*.whl"), None)


def installer_environment() -> dict:
    """Settings that would send the packages elsewhere are dropped; mirrors and proxies stay."""
    elsewhere = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return {**kept, "UV_PYTHON_DOWNLOADS": "never"}


def succeeds(command: list, folder: Path = HERE) -> bool:
    try:
        subprocess.run(
            command, check=True, cwd=str(folder), capture_output=True, env=installer_environment()
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def run_installer(command: list) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=installer_environment(),
    )
    if done.returncode == 0:
        return
    output = done.stdout.decode(errors="replace")
    say("\n".join(output.strip().splitlines()[-ERROR_LINES_SHOWN:]))
    raise SetUpError("The installation failed. " + diagnosis(output))


def diagnosis(output: str) -> str:
    for marks, meaning in DIAGNOSES:
        if any(mark in output for mark in marks):
            return meaning
    return "The lines above are the installer's own words."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
