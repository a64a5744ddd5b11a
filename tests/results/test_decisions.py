"""The pure decisions: time, run identity, meaning of a value, delta, lanes, report status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain import catalog
from lis.domain.catalog import (
    AutoverificationRules,
    DeltaLimit,
    Interval,
    Limits,
    PatientFacts,
    Sex,
)
from lis.domain.control import GateAnswer, GateEvent, GateExcuse, GateVerdict, QcPolicy, RunVerdict
from lis.domain.lifecycle import BenchState, RequestState, SpecimenState, WorkOrderState
from lis.domain.messages import (
    IdReadMode,
    Reason,
    ReportedObservation,
    ResultStatus,
    SubjectKind,
    ValueBasis,
)
from lis.domain.quantity import ReportedValue
from lis.domain.result_facts import (
    DeviceFacts,
    OrderFacts,
    PastValue,
    PersonFacts,
    SpecimenFacts,
    StoredRun,
)
from lis.results.autoverification import RULES, judge_gate, regate
from lis.results.interpretation import Flag, interpret, patient_facts, shown_value
from lis.results.judging import Origin, Surroundings, judge
from lis.results.lanes import OVERRIDABLE, WAITING, WorklistLane, lane_of
from lis.results.matching import choose_order
from lis.results.passing import PresentFacts, may_pass
from lis.results.reads import age_at
from lis.results.reporting import ReportedRun, ReportStatus, report_status
from lis.results.runs import RunKind, decide_run, run_key
from lis.results.shown import SEEN, shown_hash
from lis.results.timing import judge_time
from lis.results.verdicts import Outcome, passed

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEVICE = DeviceFacts(id=1, site_id=1, name="a-1", driver="d")
TUBE = SpecimenFacts(
    id=7,
    accession="T1",
    specimen_type="SER",
    state=SpecimenState.RECEIVED,
    patient_id=3,
    requisition_id=1,
    site_id=1,
    collected_from=NOW - HOUR,
    collected_to=NOW - HOUR,
    collected_certainty="exact",
    received_at=NOW - HOUR / 2,
)
ORDER = OrderFacts(
    work_order_id=1,
    service_request_id=1,
    specimen_id=7,
    test="X",
    state=WorkOrderState.SENT,
    request_state=RequestState.ACTIVE,
)
RULES_ON = AutoverificationRules(version="r1", is_on=True)
TEST = catalog.Test(
    code="X",
    names={"en": "x"},
    unit="u",
    decimals=1,
    intervals=(Interval(sex=None, low=Decimal("3.5"), high=Decimal("5.5")),),
    critical=Limits(low=Decimal("2.5"), high=Decimal("6.5")),
    rules=RULES_ON,
)
OPEN = GateVerdict(
    answer=GateAnswer.OPEN,
    before=GateEvent(at=NOW - HOUR, verdict=RunVerdict.ACCEPTED, run_id=1),
)
REPORTED = ReportedObservation(
    record="R|1",
    kind=SubjectKind.PATIENT,
    specimen="T1",
    read_mode=IdReadMode.BARCODE,
    test="ix",
    value=ReportedValue.read("4.2"),
    unit="u",
    observed_at=NOW - timedelta(minutes=5),
)
AROUND = Surroundings(
    device=DEVICE,
    test=TEST,
    expected_unit="u",
    method="m",
    specimen=TUBE,
    person=PersonFacts(id=3, sex="F", birth_date="1980-05-01", timezone="Europe/Moscow"),
    orders=(ORDER,),
    same_key=(),
    same_test=(),
    past=(),
    gate=OPEN,
    excuse=None,
    known_types=frozenset({"SER", "WB"}),
)
ORIGIN = Origin(inbox_id=1, received_at=NOW, raw_sha256=b"a", sender_serial="")


def judged(reported=REPORTED, around=AROUND, **rules):
    test = replace(around.test, rules=replace(RULES_ON, **rules)) if rules else around.test
    measured = judge_time(observed_at=reported.observed_at, sent_at=None, received_at=NOW)
    return judge(reported, measured, ORIGIN, replace(around, test=test))


def value(text, **changes):
    return replace(REPORTED, value=ReportedValue.read(text), **changes)


def outcome(judgement, rule):
    return next(one for one in judgement.rules.verdicts if one.rule == rule)


def test_the_plain_case_passes_every_rule_and_lists_them_all():
    result = judged()
    assert result.rules.is_released
    spoke = {verdict.rule for verdict in result.rules.verdicts}
    assert {rule.__name__.strip("_") for rule in RULES} <= spoke
    assert {"specimen_known", "specimen_live", "specimen_type", "ordered", "reading"} <= spoke


REASONS_SEEN = st.lists(st.sampled_from(sorted(OVERRIDABLE)), max_size=4)


@given(
    text=st.one_of(st.text(max_size=8), st.decimals(-10, 2000, places=2).map(str)),
    mode=st.sampled_from(IdReadMode),
    status=st.sampled_from(ResultStatus),
    basis=st.sampled_from(ValueBasis),
    flagged=st.booleans(),
    unit=st.sampled_from(["u", "", "mg"]),
    holds=st.lists(st.sampled_from([Reason.UNKNOWN_FLAG, Reason.NO_VALUE]), max_size=2),
    gate=st.sampled_from([None, OPEN, GateVerdict(answer=GateAnswer.REJECTED)]),
    minutes=st.integers(-200, 10),
)
def test_promise_4_a_result_goes_only_if_no_rule_objects(
    text, mode, status, basis, flagged, unit, holds, gate, minutes
):
    reported = value(
        text,
        read_mode=mode,
        status=status,
        basis=basis,
        is_abnormal_flagged=flagged,
        unit=unit,
        holds=tuple(holds),
        observed_at=NOW + timedelta(minutes=minutes),
    )
    result = judged(reported, replace(AROUND, gate=gate))
    objecting = {verdict.reason for verdict in result.rules.verdicts if verdict.objects}
    assert set(result.rules.holds) == objecting
    assert result.rules.is_released is (not objecting)
    for verdict in result.rules.verdicts:
        assert verdict.objects or verdict.outcome is not Outcome.HOLD
        assert not (verdict.objects and verdict.outcome is Outcome.PASS)
    unsafe = (
        mode is not IdReadMode.BARCODE
        or status is not ResultStatus.FINAL
        or basis in (ValueBasis.RAW, ValueBasis.UNKNOWN)
        or flagged
        or unit != "u"
        or holds
        or gate is not OPEN
        or not -30 <= minutes <= 2
    )
    assert not (unsafe and result.rules.is_released)


# --- flags and intervals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("4.2", ""),
        ("3.5", ""),  # both ends belong to the interval
        ("5.5", ""),
        ("3.49", "L"),
        ("5.51", "H"),
        ("2.5", "L"),
        ("2.49", "LL"),
        ("6.5", "H"),
        ("6.51", "HH"),
        ("<0.1", "LL"),  # surely below
        ("<3.5", "L"),
        ("<=3.5", ""),
        ("<5", ""),  # nobody can say
        (">500", "HH"),
        (">5.5", "H"),
        (">4", ""),
        ("*****", ""),
        ("", ""),
    ],
)
def test_flags_come_from_limits_and_censored_values_only_when_they_are_proven(text, flag):
    assert judged(value(text)).interpretation.flag == flag


def test_censored_values_are_never_released_and_never_pass_critical_unproven():
    result = judged(value("<5"))
    assert Reason.CENSORED in result.rules.holds
    assert outcome(result, "critical").outcome is Outcome.NOT_EVALUABLE


def bands(*entries):
    return tuple(
        Interval(sex=sex, age_from_h=a * 8766, age_to_h=b and b * 8766, low=Decimal(low))
        for sex, a, b, low in entries
    )


def meaning(intervals, *, sex="M", birth="2013-05-01", tube=TUBE):
    return interpret(
        test=replace(TEST, intervals=intervals),
        value=ReportedValue.read("4"),
        basis=ValueBasis.UNDILUTED,
        is_unit_right=True,
        person=patient_facts(PersonFacts(id=1, sex=sex, birth_date=birth)),
        specimen=tube,
    )


def test_S38_a_male_in_a_gap_never_gets_the_female_band():
    gap = bands((Sex.MALE, 0, 12, 1), (Sex.MALE, 14, None, 2), (Sex.FEMALE, 0, None, 3))
    found = meaning(gap)
    assert (found.has_interval, found.interval_reason) == (False, "no_band")
    around = replace(
        AROUND,
        test=replace(TEST, intervals=gap),
        person=PersonFacts(id=3, sex="M", birth_date="2013-05-01"),
    )
    assert judged(around=around).rules.holds == (Reason.NO_INTERVAL,)


def test_S38_age_is_taken_at_collection_and_not_now():
    newborn = (
        Interval(sex=None, age_from_h=0, age_to_h=24 * 28, low=Decimal(1)),
        Interval(sex=None, age_from_h=24 * 28, low=Decimal(9)),
    )
    year_ago = replace(TUBE, collected_from=NOW - timedelta(days=365), collected_to=None)
    found = meaning(newborn, birth=(NOW - timedelta(days=370)).date().isoformat(), tube=year_ago)
    assert found.interval_text == "> 1"


def test_S38_on_the_border_day_exactly_one_band_fits():
    found = meaning(bands((None, 0, 12, 1), (None, 12, None, 2)), birth="2014-11-02")
    assert found.has_interval


@pytest.mark.parametrize(
    ("sex", "birth", "reason"),
    [("U", "1980-01-01", "unknown_sex"), ("M", "1980", "unknown_age"), ("M", "", "unknown_age")],
)
def test_S38_no_band_without_sex_or_birth_date_and_the_reason_is_kept(sex, birth, reason):
    found = meaning(bands((Sex.MALE, 0, 20, 1), (Sex.MALE, 20, None, 2)), sex=sex, birth=birth)
    assert (found.flag, found.interval_reason) == (Flag.NONE, reason)


def test_S26_a_period_of_collection_needs_one_band_over_all_of_it():
    born = datetime(2026, 10, 5, tzinfo=UTC)
    limits = (
        Interval(sex=None, age_from_h=0, age_to_h=24 * 28, low=Decimal(1)),
        Interval(sex=None, age_from_h=24 * 28, low=Decimal(9)),
    )
    over = replace(TUBE, collected_from=born + 27 * 24 * HOUR, collected_to=born + 29 * 24 * HOUR)
    within = replace(over, collected_to=born + 27 * 24 * HOUR + HOUR)
    birth = "2026-10-05"
    assert meaning(limits, birth=birth, tube=over).interval_reason == "uncertain_age"
    assert meaning(limits, birth=birth, tube=within).has_interval


@given(
    st.decimals(min_value=-1000, max_value=1000, places=3),
    st.sampled_from(["", "<", "<=", ">", ">="]),
)
def test_a_flag_of_a_censored_value_holds_for_every_value_it_may_stand_for(bound, comparator):
    flag = judged(value(f"{comparator}{bound}")).interpretation.flag
    step = Decimal("0.0001")
    possible = {
        "": [bound],
        "<": [bound - step, bound - 1000],
        "<=": [bound, bound - 1000],
        ">": [bound + step, bound + 1000],
        ">=": [bound, bound + 1000],
    }[comparator]
    low_or_less = {"L": Decimal("3.5"), "LL": Decimal("2.5")}
    high_or_more = {"H": Decimal("5.5"), "HH": Decimal("6.5")}
    if flag in low_or_less:
        assert all(one < low_or_less[flag] for one in possible)
    if flag in high_or_more:
        assert all(one > high_or_more[flag] for one in possible)


@pytest.mark.parametrize(
    ("text", "decimals", "shown"),
    [
        ("4.25", 1, "4.3"),
        ("4", 2, "4.00"),
        ("<0.10", 1, "<0.1"),
        ("NEGATIVE", 1, "NEGATIVE"),
        ("3.26E+2", 0, "326"),
        ("4.25", None, "4.25"),
    ],
)
def test_decimals_are_the_catalogs_and_words_stay_as_reported(text, decimals, shown):
    assert shown_value(text, ReportedValue.read(text), decimals) == shown


def test_S25_nothing_is_compared_while_the_dilution_is_open():
    for basis in (ValueBasis.RAW, ValueBasis.UNKNOWN):
        result = judged(value("1", basis=basis, dilution=Decimal(10)))
        assert Reason.DILUTION_UNKNOWN in result.rules.holds
        assert result.interpretation.flag is Flag.NONE
    undeclared = judged(value("4", dilution=Decimal(10)))
    assert Reason.DILUTION_UNKNOWN in undeclared.rules.holds
    corrected = judged(value("4", basis=ValueBasis.CORRECTED, dilution=Decimal(10)))
    assert corrected.rules.is_released


# --- delta --------------------------------------------------------------------------------------


def past(text="4.0", **changes):
    base = PastValue(
        observation_id=1,
        value=Decimal(text),
        text=text,
        unit="u",
        method="m",
        collected_at=NOW - 24 * HOUR,
        analysed_at=NOW - 23 * HOUR,
    )
    return replace(base, **changes)


def delta(previous, text="4.2", **limit):
    changes = {"percent": Decimal(20)} | limit
    around = replace(AROUND, past=tuple(previous))
    return outcome(judged(value(text), around, delta=DeltaLimit(**changes)), "delta")


@pytest.mark.parametrize(
    ("previous", "why"),
    [
        ([], "no_previous"),
        ([past(method="other")], "other_method_or_unit"),
        ([past(unit="mg")], "other_method_or_unit"),
        ([past(collected_at=NOW)], "no_previous"),  # collected later
        ([past(collected_at=NOW - 24 * 100 * HOUR)], "outside_window"),
        ([past(is_censored=True)], "previous_not_comparable"),
    ],
)
def test_S10_without_a_comparable_previous_value_delta_is_not_evaluable(previous, why):
    found = delta(previous)
    assert found.outcome is Outcome.NOT_EVALUABLE
    assert (found.reason, found.parameters["why"]) == (Reason.DELTA_NOT_EVALUABLE, why)
    allowed = delta(previous, releases_first=True)
    assert (allowed.outcome, allowed.reason) == (Outcome.NOT_EVALUABLE, None)


@pytest.mark.parametrize(
    ("now", "before", "limit", "is_held"),
    [
        ("4.8", "4.0", {}, False),
        ("4.81", "4.0", {}, True),
        ("3.19", "4.0", {}, True),
        ("4.2", "4.0", {"percent": None, "absolute": Decimal("0.1")}, True),
        ("4.2", "0", {"percent": None, "absolute": Decimal(5)}, False),
    ],
)
def test_S10_delta_compares_with_the_newest_earlier_value(now, before, limit, is_held):
    older = past("9.9", observation_id=2, collected_at=NOW - 48 * HOUR)
    assert (delta([older, past(before)], now, **limit).reason is Reason.DELTA) is is_held


def test_S10_a_previous_zero_has_no_percent():
    assert delta([past("0")]).parameters["why"] == "previous_is_zero"


# --- run identity -------------------------------------------------------------------------------


def stored(**changes):
    base = StoredRun(
        id=1,
        run_key=run_key(1, REPORTED),
        specimen_id=7,
        test="X",
        reported="4.2",
        unit="u",
        flags=(),
        status="final",
        record="R|1",
        inbox_id=9,
        created_at=NOW,
        bench_state=BenchState.HELD,
    )
    return replace(base, **changes)


def kind(reported=REPORTED, same_key=(), same_test=(), received=NOW, sha=b"a"):
    return decide_run(
        reported=reported,
        inbox_id=10,
        received_at=received,
        raw_sha256=sha,
        same_key=same_key,
        same_test=same_test,
    ).kind


UNDATED = replace(REPORTED, observed_at=None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, RunKind.FIRST),
        ({"same_key": [stored()]}, RunKind.RESEND),
        ({"same_key": [stored(reported="4.3")]}, RunKind.EDITED),
        ({"same_key": [stored(unit="mg")]}, RunKind.EDITED),
        ({"same_key": [stored(status="preliminary")]}, RunKind.EDITED),
        ({"same_key": [stored(), stored(id=2, reported="5")]}, RunKind.RESEND),
        ({"same_test": [stored(run_key="other")]}, RunKind.SECOND_RUN),
        (
            {"same_test": [stored(run_key="other", bench_state=BenchState.REJECTED)]},
            RunKind.FIRST,
        ),
        ({"same_test": [stored(bench_state=BenchState.RELEASED)]}, RunKind.SECOND_RUN),
        ({"reported": UNDATED, "same_key": [stored(raw_sha256=b"a")]}, RunKind.POSSIBLE_DUPLICATE),
        ({"reported": UNDATED, "same_key": [stored(raw_sha256=b"b")]}, RunKind.POSSIBLE_DUPLICATE),
        (
            {
                "reported": UNDATED,
                "same_key": [stored(raw_sha256=b"a", is_session_closed=False)],
            },
            RunKind.RESEND,
        ),
        (
            {
                "reported": UNDATED,
                "same_key": [stored(raw_sha256=b"a")],
                "received": NOW + timedelta(hours=25),
            },
            RunKind.FIRST,
        ),
        ({"reported": UNDATED, "same_key": [stored(reported="5")]}, RunKind.FIRST),
    ],
)
def test_S19_the_table_of_run_identity(arguments, expected):
    assert kind(**arguments) is expected


def test_S19_the_same_record_of_the_same_message_is_never_stored_twice():
    assert kind(same_key=[stored(inbox_id=10, reported="other text")]) is RunKind.RESEND


# --- time ---------------------------------------------------------------------------------------


def test_S24_a_clock_that_is_ahead_is_corrected_and_one_behind_is_not():
    for offset, expected in ((10, -10), (-10, 0)):
        found = judge_time(
            observed_at=NOW - HOUR, sent_at=NOW + timedelta(minutes=offset), received_at=NOW
        )
        assert found.at == NOW - HOUR + timedelta(minutes=expected)
        assert (found.reason, found.is_alarming) == (Reason.CLOCK_OFFSET, True)


def test_S24_two_minutes_are_tolerated_and_the_future_is_not_credible():
    fine = judge_time(observed_at=NOW, sent_at=NOW + timedelta(minutes=2), received_at=NOW)
    assert (fine.at, fine.reason, fine.offset_s) == (NOW, None, 120)
    future = judge_time(observed_at=NOW + timedelta(minutes=3), sent_at=None, received_at=NOW)
    assert (future.at, future.reason) == (None, Reason.NO_CREDIBLE_TIME)


# --- gate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [GateAnswer.MISSING, GateAnswer.OVERDUE, GateAnswer.REJECTED])
def test_S02_an_exception_excuses_a_missing_control_and_never_a_rejection(answer):
    excuse = GateExcuse(
        id=5,
        device_id=1,
        test="X",
        reason="holiday",
        granted_by="officer",
        granted_at=NOW,
        ends_at=NOW + HOUR,
    )
    verdict = judge_gate(test=TEST, gate=GateVerdict(answer=answer), excuse=excuse)
    assert (verdict.reason is None) is (answer is not GateAnswer.REJECTED)


def test_S01_no_control_at_all_needs_a_named_approver():
    nobody = replace(TEST, qc_policy=QcPolicy.NONE)
    named = replace(nobody, qc_approver="Dr House")
    assert judge_gate(test=nobody, gate=None, excuse=None).reason is Reason.QC_MISSING
    assert judge_gate(test=named, gate=None, excuse=None).reason is None


@given(
    holds=st.lists(st.sampled_from(Reason), unique=True, max_size=5),
    answers=st.lists(st.sampled_from(GateAnswer), max_size=6),
)
def test_S01_whatever_is_asked_later_a_rejection_stays(holds, answers):
    reasons = (*holds, Reason.QC_REJECTED) if Reason.QC_REJECTED not in holds else tuple(holds)
    for answer in answers:
        verdict = judge_gate(test=TEST, gate=GateVerdict(answer=answer), excuse=None)
        reasons = regate(reasons, verdict)
    assert Reason.QC_REJECTED in reasons


# --- orders, lanes, reports, passing ------------------------------------------------------------


def test_an_open_order_is_answered_before_an_answered_or_cancelled_one():
    cancelled = replace(ORDER, work_order_id=1, state=WorkOrderState.CANCELLED)
    answered = replace(ORDER, work_order_id=2, state=WorkOrderState.RESULTED)
    again = replace(ORDER, work_order_id=3, state=WorkOrderState.PENDING, rerun=1)
    assert choose_order([cancelled, answered, again], "X") == again
    assert choose_order([cancelled, answered], "X") == answered
    assert choose_order([cancelled], "X") == cancelled
    assert choose_order([cancelled], "Y") is None


@given(
    state=st.sampled_from(BenchState),
    matched=st.booleans(),
    critical=st.booleans(),
    holds=REASONS_SEEN,
)
def test_only_rows_without_any_objection_are_clear(state, matched, critical, holds):
    lane = lane_of(bench_state=state, is_matched=matched, is_critical=critical, holds=holds)
    assert (lane is WorklistLane.NONE) is (state not in WAITING)
    if lane is WorklistLane.CLEAR:
        assert matched
        assert not critical
        assert set(holds) <= {Reason.NEVER_AUTOMATIC, Reason.AUTOMATIC_OFF}


def run(test, bench=BenchState.RELEASED, status=ResultStatus.FINAL, chosen=True):
    return ReportedRun(id=1, test=test, bench_state=bench, status=status, is_chosen=chosen)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], ReportStatus.REGISTERED),
        ([run("A", BenchState.HELD)], ReportStatus.REGISTERED),
        ([run("A")], ReportStatus.PARTIAL),
        ([run("A"), run("B", chosen=False)], ReportStatus.PARTIAL),
        ([run("A"), run("B")], ReportStatus.FINAL),
        ([run("A"), run("B", status=ResultStatus.PRELIMINARY)], ReportStatus.PRELIMINARY),
        ([run("A"), run("B", status=ResultStatus.CORRECTED)], ReportStatus.CORRECTED),
        ([run("A", status=ResultStatus.CORRECTED)], ReportStatus.PARTIAL),
    ],
)
def test_a_report_is_what_its_results_are(runs, expected):
    assert report_status(frozenset({"A", "B"}), runs) is expected


PRESENT = PresentFacts(
    holds=(),
    gate=passed("qc_gate"),
    is_bound=True,
    is_chosen=True,
    request_state=RequestState.ACTIVE,
    specimen_state=SpecimenState.RECEIVED,
    suspicion="",
    acknowledged=frozenset(),
)


@given(holds=st.lists(st.sampled_from(Reason), unique=True, max_size=6))
def test_promise_4_a_person_passes_only_overridable_reasons(holds):
    found = may_pass(replace(PRESENT, holds=tuple(holds)))
    forbidden = {
        reason.value for reason in holds if not OVERRIDABLE[reason] or reason is Reason.UNKNOWN_FLAG
    }
    assert set(found.obstacles) == forbidden


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_bound": False}, "not_bound"),
        ({"is_chosen": False}, "run_not_chosen"),
        ({"request_state": None}, "not_ordered"),
        ({"request_state": RequestState.REVOKED}, "order_cancelled"),
        ({"specimen_state": SpecimenState.REJECTED}, "specimen_not_live"),
        ({"suspicion": "clot"}, "specimen_suspect"),
        (
            {
                "gate": judge_gate(
                    test=TEST, gate=GateVerdict(answer=GateAnswer.REJECTED), excuse=None
                )
            },
            "qc_rejected",
        ),
    ],
)
def test_what_changed_since_the_value_arrived_stops_verifying(changes, code):
    assert may_pass(replace(PRESENT, **changes)).obstacles == (code,)


@given(name=st.sampled_from(SEEN), text=st.text(min_size=1, max_size=5))
def test_S07_the_hash_covers_everything_a_verifier_sees(name, text):
    row = dict.fromkeys(SEEN, "shown")
    changed = row | {name: f"{text} instead"}
    assert shown_hash(row) != shown_hash(changed)
    assert shown_hash(row) == shown_hash(row | {"test_name": text, "next": 5})


def test_a_birth_date_is_a_day_at_the_patients_site():
    facts = patient_facts(
        PersonFacts(id=1, sex="F", birth_date="2026-11-01", timezone="Europe/Moscow")
    )
    assert facts == PatientFacts(sex=Sex.FEMALE, birth=datetime(2026, 10, 31, 21, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("birth", "age"),
    [
        ("1980-11-03", {"count": 45, "unit": "years"}),
        ("2025-11-02", {"count": 12, "unit": "months"}),
        ("2026-10-31", {"count": 2, "unit": "days"}),
        ("1980", None),
        ("2027-01-01", None),
    ],
)
def test_ages_are_said_as_people_say_them(birth, age):
    assert age_at(birth, NOW) == age


@pytest.mark.parametrize(
    ("reported", "around", "reason"),
    [
        ({"specimen": ""}, {"specimen": None}, Reason.NO_SPECIMEN_ID),
        ({"test": ""}, {"test": None}, Reason.NO_TEST_CODE),
        ({"specimen_type": "WB"}, {}, Reason.SPECIMEN_TYPE_MISMATCH),
        ({"observed_at": None}, {}, Reason.NO_CREDIBLE_TIME),
        ({}, {"device": replace(DEVICE, quarantine_reason="serial 2")}, Reason.DEVICE_MISMATCH),
        ({}, {"device": replace(DEVICE, serial="1")}, None),  # says nothing about itself
        ({"flags": ("H",)}, {"rules": {"stop_flags": frozenset({"H"})}}, Reason.INSTRUMENT_FLAG),
        ({"status": ResultStatus.CORRECTED}, {}, Reason.EDITED_ON_ANALYZER),
        ({"status": ResultStatus.CANCELLED}, {}, Reason.NO_VALUE),
        ({"value": ReportedValue.read("  ")}, {}, Reason.NO_VALUE),
        ({"value": ReportedValue.read("4 2")}, {}, Reason.NOT_NUMERIC),
        ({"value": ReportedValue.read("9" * 40)}, {}, Reason.CRITICAL),
        ({}, {"orders": (replace(ORDER, request_state=RequestState.ON_HOLD),)}, Reason.NOT_ORDERED),
        ({}, {"gate": None}, Reason.QC_MISSING),
        ({}, {"rules": {"absurd": Limits(high=Decimal(4))}}, Reason.ABSURD),
        (
            {"value": ReportedValue.read("<5")},
            {"rules": {"verification": Limits(low=Decimal(4))}},
            Reason.OUTSIDE_VERIFICATION_LIMITS,
        ),
        ({"value": ReportedValue.read("7")}, {"rules": {"releases_critical": True}}, None),
    ],
)
def test_each_doubt_holds_with_its_own_reason(reported, around, reason):
    changes = dict(around)
    rules = changes.pop("rules", {})
    result = judged(replace(REPORTED, **reported), replace(AROUND, **changes), **rules)
    if reason is None:
        assert result.rules.is_released
    else:
        assert reason in result.rules.holds


@pytest.mark.parametrize(
    ("kind", "text", "flag", "holds"),
    [
        ("coded", "NEGATIVE", "", ()),
        ("coded", "REACTIVE", "A", (Reason.OUTSIDE_VERIFICATION_LIMITS, Reason.CRITICAL)),
        ("coded", "INVALID", "", (Reason.OUTSIDE_VERIFICATION_LIMITS,)),
        (
            "text",
            "single cells",
            "",
            (Reason.OUTSIDE_VERIFICATION_LIMITS, Reason.NEVER_AUTOMATIC),
        ),
    ],
)
def test_answers_in_words_go_only_when_the_rule_lists_them(kind, text, flag, holds):
    words = replace(
        TEST,
        value_type=catalog.ValueType(kind),
        intervals=(),
        critical=Limits(),
        critical_codes=frozenset({"REACTIVE"}),
    )
    accepted = frozenset({"NEGATIVE"})
    result = judged(value(text), replace(AROUND, test=words), accepted_codes=accepted)
    assert (result.interpretation.flag, result.rules.holds) == (flag, holds)


def test_a_corrected_value_is_not_held_against_the_measuring_range():
    limits = {"measuring_range": Limits(high=Decimal(4))}
    raw = judged(value("5"), **limits)
    multiplied = judged(value("5", basis=ValueBasis.CORRECTED, dilution=Decimal(10)), **limits)
    assert Reason.OUTSIDE_MEASURING_RANGE in raw.rules.holds
    assert multiplied.rules.is_released


def test_nothing_is_known_about_an_unknown_test_but_that():
    result = judged(around=replace(AROUND, test=None, gate=None))
    assert Reason.UNKNOWN_TEST in result.rules.holds
    assert Reason.RULES_MISSING in result.rules.holds
    assert result.interpretation.flag is Flag.NONE


def test_a_first_value_collected_at_an_unknown_time_has_no_delta():
    tube = replace(TUBE, collected_from=None, collected_to=None, collected_certainty="unknown")
    around = replace(AROUND, specimen=tube, past=(past(),))
    found = outcome(judged(around=around, delta=DeltaLimit(percent=Decimal(20))), "delta")
    assert found.parameters["why"] == "collection_unknown"
    censored = judged(value("<4"), AROUND, delta=DeltaLimit(percent=Decimal(20)))
    assert outcome(censored, "delta").parameters["why"] == "value_not_comparable"
