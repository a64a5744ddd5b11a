"""Which analyzer measures a test: examples for every reason, and a slow oracle over random facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.control import GateAnswer
from lis.orders.instrument_choice import (
    Candidate,
    Load,
    Outcome,
    ReagentFacts,
    RoutingFacts,
    Weight,
    Why,
    choose_instrument,
    judge,
    weight_of,
)
from lis.words import LANGUAGES, Words

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
READY = ReagentFacts(tests_left=50, valid_until=NOW + timedelta(days=1))
A = Candidate(device_id=1, name="a", site_id=1, measures=True, gate=GateAnswer.OPEN, reagent=READY)
B = replace(A, device_id=2, name="b")


def facts(*candidates, **more):
    return RoutingFacts(
        **{"test": "GLU", "site_id": 1, "at": NOW, "candidates": candidates, **more}
    )


def chosen(*candidates, **more):
    return choose_instrument(facts(*candidates, **more)).device_id


NEVER = {
    Why.OTHER_SITE: {"site_id": 2},
    Why.NO_SUCH_TEST: {"measures": False},
    Why.OTHER_SECTION: {"sections": frozenset({"haematology"})},
    Why.STOPPED: {"stopped": "lamp"},
    Why.QUARANTINED: {"is_quarantined": True},
    Why.TEST_QUARANTINED: {"is_test_quarantined": True},
    Why.GATE_REJECTED: {"gate": GateAnswer.REJECTED},
    Why.REAGENT_OUT: {"reagent": ReagentFacts(tests_left=0)},
    Why.REAGENT_EXPIRED: {"reagent": ReagentFacts(valid_until=NOW)},
    Why.TOO_LITTLE: {"dead_volume_ul": 500},
    Why.REFUSED: {"has_refused": True},
}
WORSE = {
    Why.GATE_MISSING: {"gate": GateAnswer.MISSING},
    Why.GATE_OVERDUE: {"gate": GateAnswer.OVERDUE},
    Why.NOT_CONNECTED: {"is_connected": False},
    Why.SILENT: {"is_silent": True},
    Why.REAGENT_UNKNOWN: {"reagent": None},
}


@pytest.mark.parametrize("why", NEVER)
def test_what_excludes_excludes_even_the_only_one_and_the_one_a_person_chose(why):
    only = replace(A, **NEVER[why])
    verdict = choose_instrument(
        facts(only, volume_ul=300, needed_ul=100, section="chemistry", pinned_device_id=1)
    )
    assert verdict.device_id is None
    assert verdict.judged[0].never == (why,)


@pytest.mark.parametrize("why", WORSE)
def test_what_speaks_against_gives_way_to_any_other_and_goes_when_alone(why):
    worse = replace(A, was_told=True, **WORSE[why])
    busy = replace(B, load=Load(routine=99, urgent=9))
    assert chosen(worse, busy) == 2
    assert chosen(worse) == 1
    assert judge(facts(worse), worse).has(why)


def test_every_reason_that_excludes_or_speaks_against_has_its_example():
    assert set(NEVER) == {why for why in Why if weight_of(why) is Weight.NEVER}
    assert set(WORSE) == {why for why in Why if weight_of(why) is Weight.WORSE}


def test_nobody_who_measures_and_nobody_who_may_are_told_apart():
    assert choose_instrument(facts()).outcome is Outcome.NOBODY_MEASURES
    stranger = replace(A, measures=False)
    assert choose_instrument(facts(stranger)).outcome is Outcome.NOBODY_MEASURES
    closed = replace(A, gate=GateAnswer.REJECTED)
    assert choose_instrument(facts(closed, stranger)).outcome is Outcome.NOBODY_MAY


def test_a_running_exception_counts_as_open_but_never_for_a_rejection():
    excused = replace(A, gate=GateAnswer.MISSING, is_excused=True)
    assert judge(facts(excused), excused).has(Why.GATE_EXCUSED)
    rejected = replace(A, gate=GateAnswer.REJECTED, is_excused=True)
    assert chosen(rejected) is None


def test_routine_work_stays_where_it_lies_and_urgent_work_goes_where_it_is_free():
    told = replace(A, was_told=True, load=Load(routine=20, urgent=3))
    free = replace(B, load=Load(routine=5))
    assert chosen(told, free) == 1
    assert chosen(told, free, priority="S") == 2


def test_only_urgent_work_delays_urgent_work():
    much_routine = replace(A, load=Load(routine=200))
    one_urgent = replace(B, load=Load(urgent=1))
    assert chosen(much_routine, one_urgent, priority="S") == 1
    assert chosen(much_routine, one_urgent, priority="R") == 2


def test_a_person_goes_before_every_preference():
    worst = replace(A, gate=GateAnswer.MISSING, is_silent=True, load=Load(routine=500))
    assert chosen(worst, B, pinned_device_id=1) == 1


def test_all_reasons_are_said_not_the_first():
    bad = replace(A, site_id=2, is_quarantined=True, gate=GateAnswer.REJECTED, reagent=None)
    assert judge(facts(bad), bad).never == (
        Why.OTHER_SITE,
        Why.QUARANTINED,
        Why.GATE_REJECTED,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_outcome_has_words(language):
    words = Words(language)
    keys = [f"routing.why.{why.value}" for why in Why]
    keys += [f"routing.outcome.{outcome.value}" for outcome in Outcome]
    assert [key for key in keys if words(key) == key] == []


# --- the oracle ---------------------------------------------------------------------------------

loads = st.builds(Load, urgent=st.integers(0, 3), routine=st.integers(0, 3))
reagents = st.none() | st.builds(
    ReagentFacts,
    tests_left=st.none() | st.integers(0, 2),
    valid_until=st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)]),
)
rarely = st.sampled_from([False, False, False, True])
candidates = st.builds(
    Candidate,
    device_id=st.integers(1, 10_000),
    name=st.sampled_from("abc"),
    site_id=st.sampled_from([1, 1, 1, 2]),
    measures=st.sampled_from([True, True, True, False]),
    sections=st.sampled_from([frozenset(), frozenset({"chemistry"}), frozenset({"urine"})]),
    stopped=st.sampled_from(["", "", "", "lamp"]),
    is_quarantined=rarely,
    is_test_quarantined=rarely,
    gate=st.sampled_from([None, *GateAnswer]),
    is_excused=st.booleans(),
    reagent=reagents,
    dead_volume_ul=st.sampled_from([0, 50]),
    is_connected=st.booleans(),
    is_silent=st.booleans(),
    has_refused=rarely,
    was_told=st.booleans(),
    load=loads,
)
random_facts = st.builds(
    RoutingFacts,
    test=st.just("GLU"),
    site_id=st.just(1),
    at=st.just(NOW),
    candidates=st.lists(candidates, max_size=4, unique_by=lambda one: one.device_id).map(tuple),
    section=st.sampled_from(["", "chemistry"]),
    priority=st.sampled_from(["S", "A", "R"]),
    volume_ul=st.none() | st.sampled_from([0, 100, 500]),
    needed_ul=st.none() | st.sampled_from([60, 100]),
    pinned_device_id=st.none() | st.integers(1, 10_000),
)


def may_have(asked, one):
    """What the page of rules says, one sentence after the other."""
    if one.gate is GateAnswer.REJECTED or one.is_quarantined or one.is_test_quarantined:
        return False
    if one.site_id != asked.site_id or not one.measures or one.stopped or one.has_refused:
        return False
    if one.sections and asked.section not in one.sections:
        return False
    if one.reagent and one.reagent.tests_left == 0:
        return False
    if one.reagent and one.reagent.valid_until and one.reagent.valid_until <= asked.at:
        return False
    knows = asked.volume_ul is not None and asked.needed_ul is not None
    return not (knows and asked.volume_ul < asked.needed_ul + one.dead_volume_ul)


def goes_before(asked, one, other):
    """Whether an able analyzer goes before another able one."""
    for preferred in (
        lambda it: it.device_id == asked.pinned_device_id,
        lambda it: it.gate is not GateAnswer.MISSING or it.is_excused,
        lambda it: it.gate is not GateAnswer.OVERDUE or it.is_excused,
        lambda it: it.is_connected,
        lambda it: not it.is_silent,
        lambda it: it.reagent is not None,
    ):
        if preferred(one) != preferred(other):
            return preferred(one)
    if asked.priority == "R":
        if one.was_told != other.was_told:
            return one.was_told
        if one.load.all != other.load.all:
            return one.load.all < other.load.all
    else:
        if one.load.urgent != other.load.urgent:
            return one.load.urgent < other.load.urgent
        if one.was_told != other.was_told:
            return one.was_told
    return (one.name, one.device_id) < (other.name, other.device_id)


@given(random_facts)
def test_never_to_a_closed_gate_and_always_the_best_of_the_able(asked):
    verdict = choose_instrument(asked)
    able = [one for one in asked.candidates if may_have(asked, one)]
    best = [one for one in able if not any(goes_before(asked, two, one) for two in able)]
    assert verdict.device_id == (best[0].device_id if able else None)
    assert len(best) == min(1, len(able))
    closed = {one.device_id for one in asked.candidates if one.gate is GateAnswer.REJECTED}
    assert verdict.device_id not in closed
    assert closed.isdisjoint(verdict.able_ids)
    assert set(verdict.able_ids) == {one.device_id for one in able}


@given(random_facts)
def test_everybody_is_judged_and_able_means_no_reason_against_it(asked):
    verdict = choose_instrument(asked)
    assert {one.device_id for one in verdict.judged} == {one.device_id for one in asked.candidates}
    for judged in verdict.judged:
        assert judged.reasons
        assert judged.is_able is (not judged.never)
    assert (verdict.outcome is Outcome.CHOSEN) is (verdict.device_id is not None)


@given(random_facts, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_changes_nothing(asked, dice):
    shuffled = list(asked.candidates)
    dice.shuffle(shuffled)
    again = choose_instrument(replace(asked, candidates=tuple(shuffled)))
    assert again == choose_instrument(asked)
