"""A patient sees what is out, with the receipt and the date of birth, and nothing else."""

from datetime import timedelta

import pytest

from lis.domain.errors import Refused
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus
from lis.patients.policy import ReleasedFacts, Showing, may_show
from lis.patients.results import ADDRESS_FAILURES_MAX, FAILURES_MAX, LOCK_TIME, open_results

BORN = "1985-03-20"


def look(store, code, birth_date=BORN, address="10.0.0.1"):
    return open_results(store, code=code, birth_date=birth_date, address=address, language="ru")


def test_a_released_result_is_shown_with_plain_words(store, place, report):
    placed = place("GLU")
    report(placed)
    shown = look(store, placed.receipt_code)
    (line,) = shown.results
    assert (line.value, line.unit, line.status) == ("5.2", "mmol/L", "final")
    assert line.plain_words
    assert "Примерова" not in shown.initials


@pytest.mark.parametrize(
    "state", [state for state in BenchState if state is not BenchState.RELEASED]
)
def test_S03_a_patient_never_sees_what_is_not_released(store, place, report, state):
    placed = place("GLU")
    report(placed, bench_state=state)
    shown = look(store, placed.receipt_code)
    assert shown.results == ()
    assert shown.waiting == 1


@pytest.mark.parametrize(
    "status", [ResultStatus.PRELIMINARY, ResultStatus.REGISTERED, ResultStatus.CANCELLED]
)
def test_S03_a_patient_never_sees_preliminary(store, place, report, status):
    placed = place("GLU")
    report(placed, status=status)
    assert look(store, placed.receipt_code).results == ()


def test_S08_a_patient_sees_nothing_before_the_undo_window_ends(store, place, report, manual_clock):
    placed = place("GLU")
    report(placed, not_before=manual_clock.now() + timedelta(seconds=5))
    assert look(store, placed.receipt_code).results == ()
    manual_clock.advance(seconds=5)
    assert len(look(store, placed.receipt_code).results) == 1


def test_a_sensitive_result_is_told_by_a_doctor(store, place, report):
    placed = place("MTBRIF")
    report(placed, test="MTB", text="DETECTED", value=None)
    (line,) = look(store, placed.receipt_code).results
    assert line.showing is Showing.ASK_DOCTOR
    assert line.value == ""


@pytest.mark.parametrize("birth_date", ["1985-03-21", "", "1985", "1985-03"])
def test_the_code_alone_opens_nothing(store, place, report, birth_date):
    placed = place("GLU")
    report(placed)
    with pytest.raises(Refused) as refused:
        look(store, placed.receipt_code, birth_date)
    assert refused.value.code == "patients.wrong_pair"


def test_a_birth_date_that_is_not_fully_known_opens_nothing(store, place, report):
    placed = place("GLU", birth_date="1985")
    report(placed)
    with pytest.raises(Refused):
        look(store, placed.receipt_code, "1985")


def test_a_wrong_code_and_a_wrong_date_sound_the_same(store, place):
    placed = place("GLU")
    codes = set()
    for code, birth_date in (("AAAAA-BBBBB", BORN), (placed.receipt_code, "2000-01-01")):
        with pytest.raises(Refused) as refused:
            look(store, code, birth_date)
        codes.add(refused.value.code)
    assert codes == {"patients.wrong_pair"}


def test_wrong_dates_lock_the_code_for_a_while(store, place, report, manual_clock):
    placed = place("GLU")
    report(placed)
    for _ in range(FAILURES_MAX):
        with pytest.raises(Refused):
            look(store, placed.receipt_code, "2000-01-01")
    with pytest.raises(Refused) as locked:
        look(store, placed.receipt_code)
    assert locked.value.code == "patients.locked"
    manual_clock.advance(seconds=LOCK_TIME.total_seconds() + 1)
    assert len(look(store, placed.receipt_code).results) == 1


def test_guessing_codes_locks_the_address_not_everybody(store, place, report):
    placed = place("GLU")
    report(placed)
    for number in range(ADDRESS_FAILURES_MAX):
        with pytest.raises(Refused):
            look(store, f"GUESS-{number}")
    with pytest.raises(Refused) as locked:
        look(store, placed.receipt_code)
    assert locked.value.code == "patients.locked"
    assert len(look(store, placed.receipt_code, address="10.0.0.2").results) == 1


def test_a_receipt_expires(store, place, report, manual_clock):
    placed = place("GLU")
    report(placed)
    manual_clock.advance(days=91)
    with pytest.raises(Refused):
        look(store, placed.receipt_code)


def test_the_policy_hides_everything_it_is_not_sure_of(catalog):
    sure = ReleasedFacts(
        bench_state=BenchState.RELEASED, status=ResultStatus.FINAL, is_visible_yet=True
    )
    assert may_show(sure, catalog.tests["GLU"]) is Showing.SHOW
    assert may_show(sure, None) is Showing.HIDE
    wrong = ReleasedFacts(
        bench_state=BenchState.RELEASED, status=ResultStatus.ENTERED_IN_ERROR, is_visible_yet=True
    )
    assert may_show(wrong, catalog.tests["GLU"]) is Showing.WITHDRAWN
