"""A version of the rules comes into force through two persons and a count over history; one person stops it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.errors import Malformed, NotFound, Refused, StaleVersion
from lis.results.repeat_dry_run import EXAMPLES_MAX, dry_run
from lis.results.repeat_versions import (
    approve,
    check_rules,
    count_proposal,
    propose,
    resume,
    stop,
    withdraw,
)
from lis.results.tubes_apart import apart
from lis.store.repeat_queries import repeat_rules_in_force
from lis.store.repeat_rows import RepeatMade, RepeatProposal
from lis.store.rows import DefinitionVersion

RULE = {
    "id": "crea-urea",
    "test": "CREA",
    "when": {"kind": "above", "high": "100"},
    "then": {"action": "reflex", "test": "UREA"},
    "cases": [{"value": "120", "fires": True}, {"value": "80", "fires": False}],
}


def body(*rules, version="p1"):
    return {"version": version, "rules": list(rules or (RULE,)), "choices": []}


@pytest.fixture
def act(laboratory):
    def run(login, function, *args, **how):
        with laboratory.store.unit(login) as unit:
            return function(unit, *args, **how)

    return run


@pytest.fixture
def count(laboratory):
    def run(document, days=30):
        catalog = laboratory.catalog()
        with laboratory.store.read() as session:
            rules = check_rules(document, catalog)
            now = laboratory.clock.now()
            return dry_run(session, catalog, rules, until=now + timedelta(seconds=1), days=days)

    return run


@pytest.fixture
def proposed(laboratory, act, count):
    made = act("anna", propose, laboratory.catalog(), body())
    act("anna", count_proposal, made.id, count(body()))
    return laboratory.all(RepeatProposal)[0]


def in_force(laboratory):
    with laboratory.store.read() as session:
        return repeat_rules_in_force(session, laboratory.clock.now())


def test_a_second_person_puts_a_counted_version_in_force(laboratory, act, proposed):
    assert in_force(laboratory).version == ""
    act("boris", approve, laboratory.catalog(), proposed.id, seen=proposed.row_version)
    assert in_force(laboratory).version == "p1"
    (stored,) = laboratory.all(DefinitionVersion, kind="repeat")
    assert (stored.author, stored.approver, len(stored.test_cases)) == ("anna", "boris", 2)


def test_the_author_does_not_approve(laboratory, act, proposed):
    with pytest.raises(Refused, match="second_person"):
        act("anna", approve, laboratory.catalog(), proposed.id, seen=proposed.row_version)


def test_nothing_comes_into_force_uncounted(laboratory, act):
    made = act("anna", propose, laboratory.catalog(), body())
    with pytest.raises(Refused, match="count_first"):
        act("boris", approve, laboratory.catalog(), made.id, seen=made.row_version)


def test_what_was_approved_is_what_was_seen(laboratory, act, proposed):
    with pytest.raises(StaleVersion):
        act("boris", approve, laboratory.catalog(), proposed.id, seen=proposed.row_version - 1)


def test_a_proposal_is_decided_once(laboratory, act, proposed):
    act("boris", withdraw, proposed.id, seen=proposed.row_version, reason="too much work")
    with pytest.raises(Refused, match="already_decided"):
        act("boris", approve, laboratory.catalog(), proposed.id, seen=proposed.row_version + 1)
    with pytest.raises(Refused, match="version_taken"):
        act("anna", propose, laboratory.catalog(), body())


@pytest.mark.parametrize(
    ("document", "error", "named"),
    [
        (
            body(
                RULE | {"cases": [{"value": "80", "fires": True}, {"value": "1", "fires": False}]}
            ),
            Refused,
            "case_fires",
        ),
        (
            body(
                RULE
                | {"cases": [{"value": "120", "fires": True}, {"value": "101", "fires": False}]}
            ),
            Refused,
            "case_silent",
        ),
        (body(RULE | {"test": "NOPE"}), Malformed, "catalog"),
        (body(RULE, RULE), Malformed, "once"),
    ],
)
def test_a_wrong_document_is_refused_when_it_is_proposed(laboratory, act, document, error, named):
    with pytest.raises(error, match=named):
        act("anna", propose, laboratory.catalog(), document)
    assert laboratory.all(RepeatProposal) == []


def test_rules_do_not_hold_backwards(laboratory, act):
    before = laboratory.clock.now() - timedelta(hours=1)
    with pytest.raises(Refused, match="effective_in_past"):
        act("anna", propose, laboratory.catalog(), body(), effective_from=before)


def test_one_person_stops_a_rule_and_starts_it_again_with_a_reason(laboratory, act, proposed):
    act("boris", approve, laboratory.catalog(), proposed.id, seen=proposed.row_version)
    act("anna", stop, rule="crea-urea", reason="reagent is short")
    assert in_force(laboratory).of("CREA") == ()
    with pytest.raises(Refused, match="already_stopped"):
        act("anna", stop, rule="crea-urea", reason="again")
    with pytest.raises(Refused, match="reason_required"):
        act("anna", resume, rule="crea-urea", reason="")
    act("anna", resume, rule="crea-urea", reason="reagent came")
    assert len(in_force(laboratory).of("CREA")) == 1
    with pytest.raises(NotFound):
        act("anna", stop, rule="nobody", reason="r")
    act("anna", stop, rule="", reason="all of them")
    assert in_force(laboratory).of("CREA") == ()


# --- the count ------------------------------------------------------------------------------------


def test_the_count_says_what_would_have_been_made_and_makes_nothing(laboratory, observation, count):
    laboratory.controls("CREA")
    for value in ("120", "130", "70"):
        laboratory.send(observation(laboratory.order("CREA"), value))
    anyway = laboratory.order("CREA", "UREA")
    laboratory.send(observation(anyway, "140"))
    counted = count(body(), days=10)
    (line,) = counted.rules
    assert (line.asked, line.fired, line.already_ordered) == (4, 2, 1)
    assert (counted.values, counted.extra_per_day, line.per_day) == (4, "0.2", "0.2")
    assert [one.value for one in line.examples] == ["120", "130"]
    assert laboratory.all(RepeatMade) == []


def test_the_count_and_the_rules_in_force_say_the_same(laboratory, observation, act, count, t0):
    """Oracle: put the version in force, send the same values again on other tubes, count the orders."""
    laboratory.controls("CREA")
    values = ("90", "101", ">150", "<20", "100", "249")
    for value in values:
        laboratory.send(observation(laboratory.order("CREA"), value))
    (line,) = count(body()).rules
    made = act("anna", propose, laboratory.catalog(), body())
    act("anna", count_proposal, made.id, count(body()))
    row = laboratory.all(RepeatProposal)[0]
    act("boris", approve, laboratory.catalog(), row.id, seen=row.row_version)
    for value in values:
        laboratory.send(observation(laboratory.order("CREA"), value))
    assert len(laboratory.all(RepeatMade)) == line.fired


def test_a_long_history_is_counted_in_parts_and_examples_are_few(
    laboratory, observation, count, monkeypatch
):
    monkeypatch.setattr("lis.store.repeat_queries.HISTORY_PART", 2)
    laboratory.controls("CREA")
    laboratory.send(*(observation(laboratory.order("CREA"), "120") for _ in range(7)))
    counted = count(body())
    assert (counted.values, counted.rules[0].fired) == (7, 7)
    assert len(counted.rules[0].examples) == EXAMPLES_MAX


def test_days_are_bounded(count):
    with pytest.raises(Refused, match="days_out_of_range"):
        count(body(), days=0)


# --- batches (S12) --------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcd"), max_size=2), st.booleans())))
def test_S12_no_tube_is_twice_in_a_group_and_nothing_follows_a_control(messages):
    items = list(enumerate(messages))
    groups = apart(items, lambda item: item[1][0], lambda item: item[1][1])
    assert [item for group in groups for item in group] == items
    for group in groups:
        tubes = [tube for _, (named, _) in group for tube in named]
        assert len(tubes) == len(set(tubes))
        assert not any(moves for _, (_, moves) in group[:-1])
