"""What the measured run must have reached: branch coverage, and as many tests on each store.

`./check` calls this after the tests. It reads what they left behind: `.coverage` (through
`coverage json`) and the counts that `tests/conftest.py` writes.

Two floors of branch coverage: one for the whole house, a higher one for the modules that the
import contract "Decisions and protocols are pure" names. That contract is the one list of them,
so a decision that is added there is measured here without another edit.
"""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORE_COUNTS = ROOT / ".pytest_cache/store-tests.json"  # written by tests/conftest.py
PURE_CONTRACT = "Decisions and protocols are pure"

WHOLE_MIN_PERCENT = 85.0
DECISIONS_MIN_PERCENT = 95.0  # a branch of a decision that no test took is an unproven verdict
WORST_SHOWN = 8  # files named when a floor is missed; enough to start with


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCoverage:
    path: str
    lines: int
    lines_covered: int
    branches: int
    branches_covered: int

    @property
    def missing(self) -> int:
        return self.lines - self.lines_covered + self.branches - self.branches_covered


def main() -> int:
    measured = read_coverage()
    pure = decision_modules()
    decisions = tuple(file for file in measured if is_decision(file.path, pure))
    passed = [
        coverage_reached("whole", measured, WHOLE_MIN_PERCENT),
        coverage_reached("domain, wire, decisions", decisions, DECISIONS_MIN_PERCENT),
        stores_equal(),
    ]
    return 0 if all(passed) else 1


def read_coverage() -> tuple[FileCoverage, ...]:
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"no coverage data: {done.stdout}{done.stderr}")
    files: dict[str, Any] = json.loads(done.stdout)["files"]
    return tuple(file_coverage(path, file["summary"]) for path, file in files.items())


def file_coverage(path: str, summary: dict[str, Any]) -> FileCoverage:
    return FileCoverage(
        path=path,
        lines=summary["num_statements"],
        lines_covered=summary["covered_lines"],
        branches=summary["num_branches"],
        branches_covered=summary["covered_branches"],
    )


def decision_modules() -> tuple[str, ...]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (pure,) = [contract for contract in contracts if contract["name"] == PURE_CONTRACT]
    return tuple(pure["source_modules"])


def is_decision(path: str, modules: tuple[str, ...]) -> bool:
    module = path.removesuffix(".py").replace(os.sep, ".")
    return any(module == name or module.startswith(f"{name}.") for name in modules)


def coverage_reached(name: str, files: tuple[FileCoverage, ...], minimum: float) -> bool:
    """Both the branches alone and lines with branches must reach the floor."""
    branches = percent(
        sum(file.branches_covered for file in files), sum(file.branches for file in files)
    )
    total = sum(file.lines + file.branches for file in files)
    both = percent(total - sum(file.missing for file in files), total)
    reached = bool(files) and min(branches, both) >= minimum
    print(f"  coverage, {name}: branches {branches:.1f} %, with lines {both:.1f} % (>= {minimum})")
    if not reached:
        for file in sorted(files, key=lambda file: -file.missing)[:WORST_SHOWN]:
            print(f"    {file.path}: {file.missing} lines and branches not taken")
    return reached


def percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def stores_equal() -> bool:
    """PostgreSQL may be absent on a laptop; where it is required, no test may pass it by."""
    counts: dict[str, int] = json.loads(STORE_COUNTS.read_text(encoding="utf-8"))
    sqlite, postgresql = counts.get("sqlite", 0), counts.get("postgresql", 0)
    print(f"  store tests passed: {sqlite} on SQLite, {postgresql} on PostgreSQL")
    if os.environ.get("LIS_POSTGRESQL") != "required":
        return True
    return 0 < sqlite <= postgresql


if __name__ == "__main__":
    sys.exit(main())
