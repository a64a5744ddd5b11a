"""Control series from a file: read, judge, and say what `lis qc judge` says.

Two forms are read, both JSON. One series:

    {"levels": [{"name": "L1", "mean": 47, "sd": 3}, ...], "values": [[51.5, 82.2], [null, 51], ...]}

and `{"cases": [series, ...]}`, where each series may carry a `name` and its own conventions: `compare`,
`R_4s`, `mode`, `reset_before_runs`. A row is one run, `null` is a level that was not measured, a level
without a name is named by its place (L1, L2). Numbers are read as decimals, never as binary floats, so
0.3 is 0.3. Conventions given by the caller win over those of a case.

A row of a file is over: whatever is missing will not come, so every run counts as complete.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from lis.domain.errors import Malformed
from lis.qc.westgard import (
    RULES,
    Compare,
    Conventions,
    Judgement,
    Mode,
    Pairs,
    Point,
    RangeReading,
    Run,
    judge,
)

FILE_SIZE_MAX = 64 * 1024 * 1024  # bytes; two years of a large laboratory's controls are below it

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Conventions the caller insists on; None = as the case says, else the default."""

    compare: Compare | None = None
    r4s: RangeReading | None = None
    mode: Mode | None = None
    pairs: Pairs | None = None
    rules: tuple[str, ...] | None = None
    reset_before_runs: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One named series of runs and how it wants to be judged."""

    name: str
    runs: tuple[Run, ...]
    conventions: Conventions


def read_series(text: str, *, name: str, wishes: Wishes | None = None) -> tuple[Series, ...]:
    """All series of a file; `name` is given to a single series. Raises `Malformed`."""
    try:
        document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except (json.JSONDecodeError, InvalidOperation, RecursionError) as error:
        raise Malformed(expected="JSON", got=text[:40], where=f"{name}: {error}") from error
    wished = wishes or Wishes()
    if isinstance(document, Mapping) and "cases" in document:
        cases = _list(document["cases"], f"{name}: cases")
        return tuple(
            _series(case, str(_get(case, "name", f"{name}:{number}")), wished)
            for number, case in enumerate(cases, start=1)
        )
    return (_series(document, name, wished),)


def judge_series(series: Series) -> dict[str, Any]:
    """The violations of one series in the form of `lis qc judge --json`."""
    judgements = judge(series.runs, series.conventions)
    return {
        "name": series.name,
        "runs": [
            _shown(number, judgement)
            for number, judgement in enumerate(judgements, start=1)
            if judgement.violations
        ],
    }


def _shown(number: int, judgement: Judgement) -> dict[str, Any]:
    severity = judgement.severity
    assert severity is not None, "a run with violations has a severity"
    violations = {code: list(labels) for code, labels in judgement.violations.items()}
    return {"run": number, "status": severity.value, "violations": violations}


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Level:
    name: str
    place: int
    mean: Decimal
    sd: Decimal


def _series(case: Any, name: str, wishes: Wishes) -> Series:
    levels = tuple(
        _level(entry, place, name)
        for place, entry in enumerate(_list(_get(case, "levels"), f"{name}: levels"))
    )
    rows = _list(_get(case, "values"), f"{name}: values")
    resets = _resets(case, name, wishes)
    runs = tuple(
        _run(row, number, levels, name, starts_anew=number in resets)
        for number, row in enumerate(rows, start=1)
    )
    return Series(name=name, runs=runs, conventions=_conventions(case, name, wishes))


def _level(entry: Any, place: int, name: str) -> _Level:
    label = str(_get(entry, "name", f"L{place + 1}"))
    where = f"{name}: level {label}"
    mean, sd = _number(_get(entry, "mean"), where), _number(_get(entry, "sd"), where)
    if mean is None or sd is None:
        raise Malformed(expected="mean and sd", got="nothing", where=where)
    level = _Level(label, place, mean, sd)
    _point(level, mean)  # refuses an SD that is not above zero, also where no value is measured
    return level


def _run(row: Any, number: int, levels: Sequence[_Level], name: str, *, starts_anew: bool) -> Run:
    where = f"{name}: run {number}"
    values = row if isinstance(row, list) else [row]
    if len(values) != len(levels):
        raise Malformed(expected=f"{len(levels)} values", got=str(len(values)), where=where)
    numbers = [_number(value, where) for value in values]
    points = tuple(
        _point(level, value)
        for level, value in zip(levels, numbers, strict=True)
        if value is not None
    )
    return Run(points=points, starts_anew=starts_anew)


def _point(level: _Level, value: Decimal) -> Point:
    return Point(level=level.name, place=level.place, value=value, mean=level.mean, sd=level.sd)


def _conventions(case: Any, name: str, wishes: Wishes) -> Conventions:
    asked = Conventions(
        compare=wishes.compare or _choice(Compare, case, "compare", name),
        r4s=wishes.r4s or _choice(RangeReading, case, "R_4s", name),
        mode=wishes.mode or _choice(Mode, case, "mode", name),
        pairs=wishes.pairs or Pairs.ADJACENT,
    )
    return asked if wishes.rules is None else replace(asked, rules=wishes.rules)


def _choice(kind: type[E], case: Any, key: str, name: str) -> E:
    """A convention of the case, or the first member of its kind: the default."""
    text = _get(case, key, next(iter(kind)).value)
    try:
        return kind(text)
    except ValueError as error:
        expected = " or ".join(member.value for member in kind)
        raise Malformed(expected=expected, got=str(text), where=f"{name}: {key}") from error


def _resets(case: Any, name: str, wishes: Wishes) -> frozenset[int]:
    where = f"{name}: reset_before_runs"
    if wishes.reset_before_runs is not None:
        numbers = wishes.reset_before_runs
    else:
        numbers = tuple(
            _run_number(entry, where) for entry in _list(_get(case, "reset_before_runs", []), where)
        )
    wrong = [number for number in numbers if number < 1]
    if wrong:
        raise Malformed(expected="run numbers from 1", got=str(wrong[0]), where=where)
    return frozenset(numbers)


def _run_number(entry: Any, where: str) -> int:
    if not isinstance(entry, Decimal) or entry != entry.to_integral_value():
        raise Malformed(expected="a run number", got=str(entry)[:40], where=where)
    return int(entry)


def rules_from(text: str) -> tuple[str, ...]:
    """Rule codes from `1_3s,2_2s`; a dash may stand for the underscore. Raises `Malformed`."""
    codes = tuple(code.strip().replace("-", "_") for code in text.split(","))
    for code in codes:
        if code not in RULES:
            raise Malformed(expected=" or ".join(RULES), got=code, where="rules")
    return codes


_REQUIRED = object()


def _get(entry: Any, key: str, default: Any = _REQUIRED) -> Any:
    if not isinstance(entry, Mapping):
        raise Malformed(expected="an object", got=str(entry)[:40], where=f"object with {key}")
    if key in entry:
        return entry[key]
    if default is _REQUIRED:
        raise Malformed(expected=f"a field {key}", got=", ".join(entry)[:80], where="series")
    return default


def _list(entry: Any, where: str) -> list[Any]:
    if not isinstance(entry, list):
        raise Malformed(expected="a list", got=str(entry)[:40], where=where)
    return entry


def _number(entry: Any, where: str) -> Decimal | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        try:
            return Decimal(entry)
        except InvalidOperation as error:
            raise Malformed(expected="a number", got=entry[:40], where=where) from error
    if not isinstance(entry, Decimal):
        raise Malformed(expected="a number or null", got=str(entry)[:40], where=where)
    return entry
