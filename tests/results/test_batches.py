"""S12 and promise 2 as properties: a batch of n gives what n batches of one give, and nothing is lost."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lis.domain.clock import ManualClock
from lis.store.identity import CountingIds
from lis.store.traffic_rows import Inbox, InboxState
from lis.store.unit import Store

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("control"), st.integers(1, 110), st.sampled_from(["0", "2.5", "4"])),
        st.tuples(st.just("patient"), st.integers(0, 3), st.integers(1, 50)),
        st.tuples(st.just("unknown"), st.integers(0, 3), st.integers(1, 50)),
        st.tuples(st.just("resend"), st.integers(0, 5), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def template(furnished, tmp_path_factory):
    """A furnished store with four tubes, to be copied: making it is what takes the time."""
    path = tmp_path_factory.mktemp("batches") / "template.db"
    clock = ManualClock()
    store = Store.open(f"sqlite:///{path}", clock=clock, ids=CountingIds())
    store.create_all()
    laboratory = furnished[0](store, clock)
    laboratory.furnish(furnished[3])
    tubes = [laboratory.order("CREA", "UREA") for _ in range(4)]
    store.close()
    return path, tubes


def play(events, furnished, template, size):
    """Hand in the same messages and process them `size` at a time."""
    make, observation, t0, _ = furnished
    path, tubes = template
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    clock = ManualClock()
    store = Store.open(f"sqlite:///{copy}", clock=clock)
    laboratory = make(store, clock)
    sent = []
    for kind, first, second in events:
        if kind == "control":
            at = t0 - timedelta(minutes=first)
            values = laboratory.control_values("CREA", at=at, shift=second)
        elif kind == "patient":
            at = t0 - timedelta(minutes=second)
            values = [observation(tubes[first], str(40 + second), observed_at=at)]
        elif kind == "unknown":
            values = [replace(observation("nobody", "70"), run=str(second))]
        else:
            values = sent[first % len(sent)] if sent else [observation(tubes[0], "70")]
        sent.append(values)
        laboratory.message(*values)
    laboratory.intake._adapt = lambda took_s: None
    laboratory.intake._size = size
    laboratory.process()
    rows = [
        (row.record, row.inbox_id, row.bench_state, row.holds, row.flag, row.is_chosen, row.lane)
        for row in laboratory.rows()
    ]
    deliveries = [(one.order_key, len(one.payload["new"])) for one in laboratory.outbox()]
    states = Counter(row.state for row in laboratory.all(Inbox))
    store.close()
    for leftover in copy.parent.glob("copy.db*"):
        leftover.unlink()
    return rows, deliveries, states


@settings(max_examples=25, deadline=None)
@given(events=EVENTS)
def test_S12_a_batch_of_n_gives_the_verdicts_of_n_batches_of_one(events, furnished, template):
    together = play(events, furnished, template, size=100)
    alone = play(events, furnished, template, size=1)
    assert together == alone
    states = together[2]
    assert states[InboxState.PROCESSED] + states[InboxState.HELD] == len(events)
    assert states[InboxState.NEW] == 0
