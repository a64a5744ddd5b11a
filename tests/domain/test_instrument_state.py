"""The state of an instrument: one table, read from the top."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lis.domain.instrument_state import (
    IDLE_AFTER_S,
    TABLE,
    InstrumentFacts,
    InstrumentState,
    state_of,
)

S = InstrumentState


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (InstrumentFacts(link="listening"), S.LISTENING),
        (InstrumentFacts(link="connected", age_s=5), S.CONNECTED),
        (InstrumentFacts(link="connected", age_s=IDLE_AFTER_S), S.IDLE),
        (InstrumentFacts(link="connected"), S.IDLE),
        (InstrumentFacts(link="listening", is_silent=True, age_s=9_000), S.SILENT),
        (InstrumentFacts(link="connected", is_silent=True, age_s=9_000), S.SILENT),
        (InstrumentFacts(link="lost", is_silent=True), S.FAULTED),
        (InstrumentFacts(link="connected", is_failing=True, age_s=1), S.FAULTED),
        (InstrumentFacts(link="stopped", is_silent=True), S.STOPPED),
        (InstrumentFacts(link="lost", is_quarantined=True), S.QUARANTINED),
        (InstrumentFacts(link="something new"), S.FAULTED),
    ],
)
def test_the_first_row_that_fits_is_the_state(facts: InstrumentFacts, state: InstrumentState):
    assert state_of(facts) is state


def everything() -> list[InstrumentFacts]:
    links = ("listening", "connected", "lost", "stopped", "?")
    return [
        InstrumentFacts(
            link=link, is_quarantined=held, is_failing=failing, is_silent=silent, age_s=age
        )
        for link, held, failing, silent, age in product(
            links, (True, False), (True, False), (True, False), (None, 1, IDLE_AFTER_S)
        )
    ]


def test_every_state_is_reached_and_every_row_is_used():
    used = {
        next(
            number
            for number, (wanted, _) in enumerate(TABLE)
            if all(getattr(facts, name) == value for name, value in wanted.items())
        )
        for facts in everything()
    }
    assert used == set(range(len(TABLE)))
    assert {state_of(facts) for facts in everything()} == set(InstrumentState)


@given(st.sampled_from(everything()))
def test_a_quarantine_is_never_hidden_by_another_state(facts: InstrumentFacts):
    assert (state_of(facts) is S.QUARANTINED) == facts.is_quarantined
