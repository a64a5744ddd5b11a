"""kill -9 at random moments under load: what was acknowledged is there, once, and processed.

The house runs whole in a process of its own. Analyzers send over MLLP and ASTM and do not give up; the process is
killed and started on the same store again and again. What must be there is counted by the analyzers.

`LIS_KILLS=50` kills as often as the issue asks for; a plain run is content with fewer.
"""

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lis.app.clock import SystemClock
from lis.orders import OrderEntry, PatientEntry, RequisitionEntry, place_requisition
from lis.store.audit import verify
from lis.store.definitions import catalog_in_force
from lis.store.unit import Store
from simulators.load_messages import Framing, MessageSource, Wire
from tests.durability.analyzers import Crew, Persistent
from tests.durability.conftest import Say
from tests.durability.house_program import STORE, Victim

KILLS = int(os.environ.get("LIS_KILLS", "8"))
AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
RESULTS = 8
ORDERED_TESTS = ("WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT")
ORDERED_TUBES = 40
LIFE_MAX_S = 0.4  # after the first acknowledgement of a life
EARLY_EVERY = 5  # each fifth life ends before anybody was acknowledged, if it comes to that
AWAIT_S = 30.0
LOOK_S = 0.002


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_kill_loses_or_doubles_anything(victim: Victim, say: Say):
    tubes = place_orders(victim.folder)
    crew = analyzers(victim, tubes)
    dice = random.Random(KILLS)
    victim.start()
    crew.start()
    try:
        for life in range(KILLS):
            end_a_life(victim, crew, dice, is_early=life % EARLY_EVERY == EARLY_EVERY - 1)
            victim.start()
    finally:
        crew.finish(AWAIT_S)
    await_processed(victim.folder)
    victim.kill()

    counted = count(victim.folder, crew)
    say(f"kills: {KILLS}; {counted}")
    assert counted["lost"] == 0
    assert counted["results missing"] == 0
    assert counted["results twice"] == 0
    assert counted["not processed"] == 0
    assert counted["equal true runs"] == counted["equal true runs sent"] > 1
    assert counted["calls"] > KILLS  # the analyzers felt it


def analyzers(victim: Victim, tubes: list[str]) -> Crew:
    """On each wire: one with a new tube each time, one that measures tubes again and again.

    A tube measured again gives the same values at another second: an equal but true run (S19).
    """
    crew = []
    for base, wire in enumerate(Wire):
        for number, port in enumerate(victim.ports[wire.value]):
            again = tubes if number else ()
            source = MessageSource(
                wire,
                analyzer=10 * base + number,
                at=AT,
                results=RESULTS,
                framing=Framing.RECORD,
                accessions=again[base::2],
            )
            crew.append(Persistent(port, source, wire))
    return Crew(crew)


def end_a_life(victim: Victim, crew: Crew, dice: random.Random, *, is_early: bool) -> None:
    acked = sum(len(one.acked) for one in crew.analyzers)
    deadline = time.monotonic() + AWAIT_S
    while not is_early and sum(len(one.acked) for one in crew.analyzers) == acked:
        assert time.monotonic() < deadline, "nobody was acknowledged after a restart"
        time.sleep(LOOK_S)
    time.sleep(dice.uniform(0, LIFE_MAX_S))
    victim.kill()


def place_orders(folder: Path) -> list[str]:
    """Tubes with orders, so that results are matched, judged and compared with earlier runs."""
    store = Store.open(f"sqlite:///{folder / STORE}", clock=SystemClock())
    with closing(store), store.unit("anna") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        return [
            place_requisition(
                unit,
                catalog,
                RequisitionEntry(
                    patient=PatientEntry(family_name=f"Проверкин-{number}", sex="M"),
                    orders=tuple(OrderEntry(code=code) for code in ORDERED_TESTS),
                    source="form",
                    collected_at=AT - timedelta(hours=1),
                    collected_certainty="exact",
                    is_received=True,
                ),
                site_id=1,
            )
            .specimens[0]
            .accession
            for number in range(ORDERED_TUBES)
        ]


def await_processed(folder: Path) -> None:
    deadline = time.monotonic() + AWAIT_S
    with closing(sqlite3.connect(folder / STORE)) as database:
        while database.execute("SELECT count(*) FROM inbox WHERE state = 'new'").fetchone()[0]:
            assert time.monotonic() < deadline, "intake does not come to an end"
            time.sleep(0.05)


def count(folder: Path, crew: Crew) -> dict[str, int]:
    """What the analyzers know, held against what the store has."""
    with closing(sqlite3.connect(folder / STORE)) as database:
        inbox = Counter(
            raw for (raw,) in database.execute("SELECT raw FROM inbox WHERE state <> 'incomplete'")
        )
        states = Counter(state for (state,) in database.execute("SELECT state FROM inbox"))
        runs = Counter(key for (key,) in database.execute("SELECT run_key FROM observation"))
    store = Store.open(f"sqlite:///{folder / STORE}", clock=SystemClock())
    with closing(store), store.read() as session:
        assert verify(session).is_intact
    acked = [message for one in crew.analyzers for message in one.acked]
    sent_again = [tube for tube, times in Counter(one.key for one in acked).items() if times > 1]
    return {
        "acked": len(acked),
        "lost": sum(raw_of(one.blocks) not in inbox for one in acked),
        "messages in the inbox": sum(states.values()),
        "incomplete": states["incomplete"],
        "not processed": states["new"],
        "results": len(runs),
        "results missing": len(acked) * RESULTS - len(runs),
        "results twice": sum(times - 1 for times in runs.values()),
        "equal true runs sent": RESULTS * sum(one.key in sent_again for one in acked),
        "equal true runs": sum(key.split("|")[1] in sent_again for key in runs),
        "calls": sum(one.calls for one in crew.analyzers),
        "refusals": sum(one.refusals for one in crew.analyzers),
    }


def raw_of(blocks: tuple[bytes, ...]) -> bytes:
    """What the inbox keeps: the payload of an MLLP block, the frames of an ASTM message."""
    if blocks[0].startswith(b"\x0b"):
        return blocks[0].removeprefix(b"\x0b").removesuffix(b"\x1c\r")
    return b"".join(blocks)
