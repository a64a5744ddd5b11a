"""Every profile's captures, changed in one place at a time: what must not pass does not pass.

For each capture of `tests/captures` a laboratory is made in which the unchanged message is released
(`mutant_bench`). Then one text is changed where the profile's own field map says it stands (`mutating`), and
the message goes through translate and intake on a real store. Each mutant must be held for exactly the reason
that it was given.

Where a change has no place, the test names why by looking at profile and message: a reason that is not true
fails. Adding a profile with its captures adds its mutants.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from lis.domain.lifecycle import BenchState
from lis.domain.messages import (
    IdReadMode,
    Protocol,
    Reason,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
    ValueBasis,
)
from lis.drivers import registry
from lis.drivers.profile import Profile
from lis.wire.capture import read_any
from tests.laboratory.mutant_bench import MutantBench
from tests.laboratory.mutating import Mutable, NoPlaceError, paths_of

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
CASES = sorted(CAPTURES.glob("*/*.cap"))
TIME_FORM = "%Y%m%d%H%M%S"
STRANGE = "ZZ9"  # a text that no table holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One result of one capture, released as it was sent wherever the capture has such a one."""

    bench: MutantBench
    profile: Profile
    unit: bytes
    place: int  # which message of the capture
    result: ReportedObservation
    already: frozenset[str] = frozenset()  # why it waits unchanged, where nothing is released

    @property
    def mutable(self) -> Mutable:
        return Mutable(self.profile, self.unit)


class CannotBeExpressedError(Exception):
    """This change has no place in this message; the text says why."""


# --- one capture, one bench ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[Callable[[Path], Case | str]]:
    """The case of a capture, made once; or why it has none."""
    made: dict[Path, Case | str] = {}
    benches: list[MutantBench] = []

    def case_of(path: Path) -> Case | str:
        if path not in made:
            made[path] = make(path)
        return made[path]

    def make(path: Path) -> Case | str:
        profile = registry.get(path.parent.name)
        units = read_any(path.read_bytes()).units
        if profile.protocol not in {Protocol.ASTM, Protocol.HL7}:
            return "a print-out has lines of its own and no field map"
        folder = tmp_path_factory.mktemp(path.parent.name)
        bench = MutantBench(f"sqlite:///{folder}/lis.db", profile, units)
        benches.append(bench)
        found = list(candidates(bench, profile, units))
        if found:
            return min(found, key=lambda case: len(case.already))
        return why_nothing_is_judged(bench)

    yield case_of
    for bench in benches:
        bench.store.close()


def candidates(bench: MutantBench, profile: Profile, units: Sequence[bytes]) -> Iterator[Case]:
    """Every patient's result of the capture, with what holds it as it was sent."""
    for place, unit in enumerate(units):
        rows = bench.process(unit, bench.received[place])
        for one in bench.read[place].observations:
            row = rows.get(one.record)
            if row is None or one.kind is SubjectKind.CONTROL:
                continue
            yield Case(
                bench=bench,
                profile=profile,
                unit=unit,
                place=place,
                result=one,
                already=frozenset(row.holds),
            )


def why_nothing_is_judged(bench: MutantBench) -> str:
    """Why a capture gives no mutants; "" where nothing explains it."""
    observations = [one for read in bench.read for one in read.observations]
    if not observations:
        return "it holds no results"
    is_control = all(one.kind is SubjectKind.CONTROL for one in observations)
    return "it holds controls only" if is_control else ""


_NOT_READ = frozenset({IdReadMode.TYPED, IdReadMode.AUTOMATIC, IdReadMode.POSITION})


# --- the mutations ------------------------------------------------------------------------------


def set_text(case: Case, expression: str, text: str, *, name: str) -> bytes:
    """Write at the path of an expression that holds text now, or else at its first."""
    paths = paths_of(expression)
    if not paths:
        raise CannotBeExpressedError(f"the profile has no place for {name}")
    changed, record = case.mutable, case.result.record
    path = next((one for one in paths if changed.read(one, record).strip()), paths[0])
    if "+" in expression.split(maxsplit=1)[0]:
        path = [one for one in paths if changed.read(one, record).strip()][-1]
    try:
        changed.write(path, record, text)
    except NoPlaceError as error:
        raise CannotBeExpressedError(f"the message has no record for {name}: {error}") from error
    return changed.raw()


def shift_time(case: Case, expression: str, by: timedelta, *, name: str) -> bytes:
    """Move a time, in the form in which the instrument wrote it."""
    changed, record = case.mutable, case.result.record
    for path in paths_of(expression):
        text = changed.read(path, record).strip()
        digits = len(text) - len(text.lstrip("0123456789"))
        if digits >= 12:
            moved = moved_time(text, digits, by)
            changed.write(path, record, moved)
            return changed.raw()
        if text:
            raise CannotBeExpressedError(f"{name} is written in a form of its own: {text!r}")
    raise CannotBeExpressedError(f"the message carries no {name}")


def moved_time(text: str, digits: int, by: timedelta) -> str:
    from datetime import datetime  # noqa: PLC0415

    form = TIME_FORM if digits >= 14 else TIME_FORM[: TIME_FORM.index("%S")]
    length = 14 if digits >= 14 else 12
    moved = datetime.strptime(text[:length], form) + by  # noqa: DTZ007 - local time of the instrument
    return moved.strftime(form) + text[length:]


def other_unit(case: Case) -> bytes:
    return set_text(case, case.profile.fields.unit, f"{STRANGE}/L", name="a unit")


def vanished_unit(case: Case) -> bytes:
    if not case.result.unit:
        raise CannotBeExpressedError("this result has no unit that could vanish")
    return set_text(case, case.profile.fields.unit, "", name="a unit")


def dilution(case: Case) -> bytes:
    is_known = case.profile.basis_when_diluted is ValueBasis.CORRECTED
    text = (
        "?" if is_known else "7"
    )  # a known basis takes any factor: an unreadable one is the doubt
    return set_text(case, case.profile.fields.dilution, text, name="a dilution")


def typed_id(case: Case) -> bytes:
    rule = case.profile.read_mode
    typed = next((text for text, mode in rule.modes.items() if mode in _NOT_READ), STRANGE)
    return set_text(case, rule.path, typed, name="how a number was read")


def unknown_read_mode(case: Case) -> bytes:
    return set_text(case, case.profile.read_mode.path, STRANGE, name="how a number was read")


def unknown_flag(case: Case) -> bytes:
    return set_text(case, case.profile.fields.flags, STRANGE, name="flags")


def unknown_status(case: Case) -> bytes:
    return set_text(case, case.profile.fields.status, STRANGE, name="a status")


def preliminary(case: Case) -> bytes:
    letters = [
        letter
        for letter, status in case.profile.statuses.items()
        if status is ResultStatus.PRELIMINARY and letter
    ]
    if not letters:
        raise CannotBeExpressedError("the profile knows no preliminary status")
    return set_text(case, case.profile.fields.status, letters[0], name="a status")


def unknown_test(case: Case) -> bytes:
    return set_text(case, case.profile.fields.test, STRANGE, name="a test code")


def unknown_number(case: Case) -> bytes:
    return set_text(case, case.profile.fields.specimen, STRANGE, name="a specimen number")


def no_number(case: Case) -> bytes:
    changed, record = case.mutable, case.result.record
    for path in paths_of(case.profile.fields.specimen):
        if changed.read(path, record):
            changed.write(path, record, "")
    return changed.raw()


def wrong_serial(case: Case) -> bytes:
    sender = case.bench.read[case.place].sender
    if not sender.serial:
        raise CannotBeExpressedError("the header carries no serial number")
    return set_text(case, case.profile.fields.sender_serial, STRANGE, name="a serial number")


def wrong_name(case: Case) -> bytes:
    if not case.bench.read[case.place].sender.name:
        raise CannotBeExpressedError("the header carries no name")
    return set_text(case, case.profile.fields.sender_name, STRANGE, name="a name")


def needs_time(case: Case) -> None:
    if case.result.observed_at is None:
        raise CannotBeExpressedError("without a time of measurement no clock is looked at")


def clock_ahead(case: Case) -> bytes:
    needs_time(case)
    return shift_time(
        case, case.profile.fields.sent_at, timedelta(minutes=11), name="time in its header"
    )


def wrong_zone(case: Case) -> bytes:
    needs_time(case)
    return shift_time(
        case, case.profile.fields.sent_at, timedelta(hours=-3), name="time in its header"
    )


def archive(case: Case) -> bytes:
    return shift_time(
        case, case.profile.fields.observed_at, timedelta(days=-30), name="time of measurement"
    )


def future(case: Case) -> bytes:
    return shift_time(
        case, case.profile.fields.observed_at, timedelta(days=1), name="time of measurement"
    )


def as_control(case: Case) -> bytes:
    """The patient's tube, marked as control in whatever way the instrument marks controls."""
    numbers = {str(path) for path in paths_of(case.profile.fields.specimen)}
    for rule in case.profile.controls:
        if rule.path in numbers:
            continue
        mark = rule.pattern.split("|")[0].replace("[3-8]", "3").replace("(?i)", "")
        try:
            unit = set_text(case, rule.path, mark, name="the mark of a control")
        except CannotBeExpressedError:
            continue
        if is_control(case, unit):
            return unit
    raise CannotBeExpressedError("the instrument marks controls by their number, or not at all")


def malformed_control(case: Case) -> bytes:
    """A control whose number no lot in use knows."""
    marked = Case(
        bench=case.bench,
        profile=case.profile,
        unit=as_control(case),
        place=case.place,
        result=case.result,
    )
    return unknown_number(marked)


def is_control(case: Case, unit: bytes) -> bool:
    read = case.bench.translate(unit, case.bench.received[case.place])
    rows = [one for one in read.observations if one.record == case.result.record]
    return bool(rows) and rows[0].kind is SubjectKind.CONTROL


MUTATIONS: dict[str, tuple[Callable[[Case], bytes], Reason]] = {
    "unit changed": (other_unit, Reason.UNIT_CHANGED),
    "unit vanished": (vanished_unit, Reason.UNIT_CHANGED),
    "dilution factor": (dilution, Reason.DILUTION_UNKNOWN),
    "typed id": (typed_id, Reason.ID_NOT_FROM_BARCODE),
    "unknown read mode": (unknown_read_mode, Reason.ID_NOT_FROM_BARCODE),
    "unknown flag": (unknown_flag, Reason.UNKNOWN_FLAG),
    "unknown status": (unknown_status, Reason.UNKNOWN_STATUS),
    "preliminary": (preliminary, Reason.PRELIMINARY_VALUE),
    "unknown test": (unknown_test, Reason.UNKNOWN_TEST),
    "unknown number": (unknown_number, Reason.UNKNOWN_SPECIMEN),
    "no number": (no_number, Reason.NO_SPECIMEN_ID),
    "malformed control id": (malformed_control, Reason.UNKNOWN_CONTROL),
    "patient as control": (as_control, Reason.PATIENT_UNDER_CONTROL_ID),
    "wrong serial": (wrong_serial, Reason.DEVICE_MISMATCH),
    "wrong name": (wrong_name, Reason.DEVICE_MISMATCH),
    "clock off": (clock_ahead, Reason.CLOCK_OFFSET),
    "wrong zone": (wrong_zone, Reason.CLOCK_ZONE),
    "archive date": (archive, Reason.MEASURED_BEFORE_COLLECTION),
    "future date": (future, Reason.NO_CREDIBLE_TIME),
}


def mutant_of(case: Case, mutation: str) -> bytes | str:
    """The changed message, or why the change has no place in it."""
    if reason_of(case, mutation).value in case.already:
        return "the capture's own results are held for this reason"
    try:
        return MUTATIONS[mutation][0](case)
    except CannotBeExpressedError as why:
        return str(why)


def reason_of(case: Case, mutation: str) -> Reason:
    """Why this mutant must be held. A unit that is part of the test code makes another test of it."""
    fields = case.profile.fields
    is_in_code = bool(set(paths_of(fields.unit)) & set(paths_of(fields.test)))
    if is_in_code and mutation in {"unit changed", "unit vanished"}:
        return Reason.UNKNOWN_TEST
    return MUTATIONS[mutation][1]


def case_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CASES, ids=case_name)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_mutant_is_held_with_its_reason(cases, path: Path, mutation: str):
    case = cases(path)
    if isinstance(case, str):
        assert case, f"nothing of {case_name(path)} can be changed, and nothing says why"
        return
    unit = mutant_of(case, mutation)
    if isinstance(unit, str):
        assert unit  # listed by `test_every_capture_says_what_it_cannot_express`
        return
    assert unit.strip() != case.unit.strip(), "the mutation changed nothing"
    rows = case.bench.process(unit, case.bench.received[case.place])

    row = rows[case.result.record]
    assert row.bench_state is BenchState.HELD
    assert reason_of(case, mutation).value in row.holds


def test_most_captures_are_released_as_they_were_sent(cases):
    """Otherwise the mutants would prove little: what is held anyway needs no change to be held."""
    found = [case for path in CASES if isinstance(case := cases(path), Case)]
    released = [case for case in found if not case.already]
    assert len(released) >= 0.75 * len(found)


def test_every_mutation_has_a_place_in_several_captures(cases):
    found = [case for path in CASES if isinstance(case := cases(path), Case)]
    places = {
        name: sum(isinstance(mutant_of(case, name), bytes) for case in found) for name in MUTATIONS
    }
    assert min(places.values()) >= 3, places


def test_an_unchanged_message_is_released_again_after_its_mutants(cases):
    """The bench forgets: no mutant is held because of the one before it."""
    case = next(
        found for path in CASES if isinstance(found := cases(path), Case) and not found.already
    )
    case.bench.process(other_unit(case), case.bench.received[case.place])
    again = case.bench.process(case.unit, case.bench.received[case.place])
    assert again[case.result.record].bench_state is BenchState.RELEASED
