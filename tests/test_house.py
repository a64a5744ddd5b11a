"""The rules of the house that no other tool checks: size, names, what is in the repository."""

import ast
import hashlib
import itertools
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ("lis", "simulators", "ui")

FUNCTION_LINES_MAX = 70  # what a reader holds in mind; CONVENTIONS ask for 5 to 15
JAVASCRIPT_LINES_MAX = 2_500  # beyond that a build step pays for itself, by a record in docs/adr
FILE_BYTES_MAX = 1_000_000  # a repository is cloned by every laboratory's engineer
HOMELESS_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "stuff", "tools"}

DISTINCTIVE_CHARS_MIN = 60  # shorter lines of a corpus file may be anyone's: dates, delimiters
DISTINCTIVE_LINES = 3  # of each corpus file, longest first
CORPUS_FILE_BYTES_MAX = 200_000  # lines are looked for in texts of this size; all files are hashed


# --- reading the repository ---------------------------------------------------------------------


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files that git knows, or would know after `git add`; the ignored ones are nobody's business."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no git repository: {done.stderr.decode(errors='replace').strip()}")
    paths = (ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return tuple(path for path in paths if path.is_file())


def python_files() -> Iterator[Path]:
    for folder in HOUSE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- size and names -----------------------------------------------------------------------------


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = [
        f"{short(path)}:{node.lineno} {node.name}: {length} lines"
        for path in python_files()
        if path.parent.name != "versions"  # written by alembic from the rows, one statement a table
        for node in functions(path)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not too_long, "\n".join(too_long)


def test_every_module_has_a_home() -> None:
    homeless = [short(path) for path in python_files() if path.stem in HOMELESS_NAMES]
    homeless += [
        short(path)
        for folder in HOUSE
        for path in (ROOT / folder).rglob("*/")
        if path.is_dir() and path.name in HOMELESS_NAMES
    ]
    assert not homeless, f"a thing without a home needs a better name: {homeless}"


def is_re_export(node: ast.stmt) -> bool:
    """A docstring, an import, or the assignment of `__all__` or a version."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return names <= {"__all__", "__version__"} and bool(names)
    return isinstance(node, ast.Import | ast.ImportFrom)


def test_package_files_only_re_export() -> None:
    working = [
        f"{short(path)}:{node.lineno}"
        for path in python_files()
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if not is_re_export(node)
    ]
    assert not working, f"__init__.py does work: {working}"


def test_what_a_package_re_exports_it_names_in_all() -> None:
    unnamed = []
    for path in python_files():
        if path.name != "__init__.py":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in body)
        names = {
            target.id
            for node in body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if imports and "__all__" not in names:
            unnamed.append(short(path))
    assert not unnamed, f"imports without __all__: {unnamed}"


def test_our_javascript_stays_small() -> None:
    files = sorted((ROOT / "ui").rglob("*.js"))
    lines = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert sum(lines.values()) <= JAVASCRIPT_LINES_MAX, lines


def test_nobody_swallows_what_they_did_not_expect() -> None:
    """Who may catch everything, and why; all of them log, raise an alarm and lose nothing."""
    may = {
        "lis/app/supervisor.py",  # a task that crashed is started again
        "lis/results/intake.py",  # a poisoned message is held, whatever it raised (promise 2)
        "lis/app/requests.py",  # the same in the request lane: held, and the sender is told
    }
    broad = [
        f"{short(path)}:{node.lineno}"
        for path in python_files()
        if short(path) not in may
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    ]
    assert not broad, f"catch what you can handle, by name: {broad}"


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Everything is caught, and the handler does not pass it on."""
    named = [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)] if (
        handler.type
    ) else ["BaseException"]  # fmt: skip
    passes_on = any(
        isinstance(node, ast.Raise) and node.exc is None
        for statement in handler.body
        for node in ast.walk(statement)
    )
    return bool({"Exception", "BaseException"} & set(named)) and not passes_on


# --- what is in the repository ------------------------------------------------------------------


def test_no_file_is_large() -> None:
    large = {short(path): path.stat().st_size for path in tracked_files()}
    assert not {path: size for path, size in large.items() if size > FILE_BYTES_MAX}


def test_no_corpus_file_is_committed(corpus: Path) -> None:
    theirs = {digest(path): path.name for path in corpus_files(corpus) if path.stat().st_size}
    copied = {
        short(path): theirs[digest(path)] for path in tracked_files() if digest(path) in theirs
    }
    assert not copied, f"corpus files are read in place, never committed: {copied}"


def test_no_corpus_text_is_committed(corpus: Path) -> None:
    wanted = {line: path.name for path in corpus_files(corpus) for line in distinctive(path)}
    found = [
        f"{short(path)} holds a line of {wanted[line]}"
        for path in tracked_files()
        for line in lines_of(path)
        if line in wanted
    ]
    assert not found, "\n".join(found)


def corpus_files(corpus: Path) -> Iterator[Path]:
    """The data; the corpus' own notes on its sources are not data."""
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.name != "SOURCES.md":
            yield path


@cache
def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lines_of(path: Path) -> Iterator[bytes]:
    for line in re.split(rb"[\r\n]+", path.read_bytes()):
        yield line.strip()


def distinctive(path: Path) -> tuple[bytes, ...]:
    if path.stat().st_size > CORPUS_FILE_BYTES_MAX:
        return ()
    long_lines = {line for line in lines_of(path) if len(line) >= DISTINCTIVE_CHARS_MIN}
    longest_first = sorted(long_lines, key=lambda line: (-len(line), line))
    return tuple(itertools.islice(longest_first, DISTINCTIVE_LINES))


# --- packages -----------------------------------------------------------------------------------


def requirement_names() -> tuple[str, ...]:
    listed = project()["dependencies"]
    assert isinstance(listed, list)
    return tuple(normal(re.split(r"[\[<>=!~; ]", str(line))[0]) for line in listed)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {normal(line.split("==")[0]): line for line in lines if line}


def test_constraints_are_names_and_versions_only() -> None:
    """No addresses and no hashes: any index or mirror then serves."""
    wrong = [line for line in pins().values() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert not wrong


def test_every_dependency_is_pinned() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    asked = {*requirement_names(), *(normal(name) for names in extras.values() for name in names)}
    assert not asked - pins().keys()


@pytest.mark.parametrize("name", requirement_names())
def test_every_dependency_has_a_record(name: str) -> None:
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    text = " ".join(path.read_text(encoding="utf-8") for path in records)
    assert f"`{name}`" in normal_quotes(text), f"no record in docs/adr names `{name}`"


def normal_quotes(text: str) -> str:
    """Names in backticks, normalised as package names are."""
    return re.sub(r"`[\w.-]+`", lambda match: normal(match.group()), text)


def test_every_record_is_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    records = [path.name for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert records
    assert not [name for name in records if f"({name})" not in index]
