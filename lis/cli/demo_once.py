"""`lis demo --once`: a fixed workload as fast as it goes, then what was sent against what arrived.

`sent` is counted by the analyzers, `acked` by the EMR, neither from the database; the house's own figures
stand between them, and `simulators.reconciliation` holds the rules.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lis.cli.demo_laboratory import DemoLaboratory
from lis.store.reconciliation_queries import StoreFigures, store_figures
from simulators.reconciliation import HouseFigures, Reconciliation, expected_reasons, reconcile
from simulators.workload import PLANNED_FAULTS

PATIENTS: Final = 60
SETTLE_WAIT_S: Final = 20.0
LOOK_S: Final = 0.1
STEP_WAIT_S: Final = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures side by side, and how long it took."""

    reconciliation: Reconciliation
    seconds: float

    @property
    def ok(self) -> bool:
        return self.reconciliation.ok

    def document(self) -> dict[str, Any]:
        """The contract's JSON."""
        said = [difference.in_words("en") for difference in self.reconciliation.differences]
        return {
            **self.reconciliation.as_json(),
            "seconds": round(self.seconds, 1),
            "differences": said,
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        figures, house = self.reconciliation, self.reconciliation.house
        held = sum(house.held.values())
        return [
            f"analyzers sent       {figures.sent:6} values, {house.controls} of them of controls",
            f"the house released   {house.released:6} and holds {held} for a person",
            f"the EMR acknowledged {figures.acked:6}",
            *(f"    held: {reason:28} {count}" for reason, count in sorted(house.held.items())),
            f"{'It reconciles' if self.ok else 'IT DOES NOT RECONCILE'}, in {self.seconds:.1f} s.",
            *(f"    {difference.in_words('en')}" for difference in figures.differences),
        ]


def run_once(laboratory: DemoLaboratory, *, progress: Callable[[str], None]) -> Outcome:
    """Controls first, then patients with the planned faults among them; wait until all is settled."""
    started_s = time.monotonic()
    progress("Controls ...")
    laboratory.measure_controls()
    laboratory.simulation.run(laboratory.until_measured(), timeout_s=STEP_WAIT_S)
    _settle(laboratory)
    progress(f"{PATIENTS} patients, {len(PLANNED_FAULTS)} planned faults ...")
    for fault in PLANNED_FAULTS:
        laboratory.simulation.run(
            laboratory.admit(orders=fault.orders, cases=(fault.case,), on=fault.driver),
            timeout_s=STEP_WAIT_S,
        )
    for _ in range(PATIENTS - len(PLANNED_FAULTS)):
        laboratory.simulation.run(laboratory.admit(), timeout_s=STEP_WAIT_S)
    laboratory.simulation.run(laboratory.until_measured(), timeout_s=STEP_WAIT_S)
    progress("Waiting for intake and delivery ...")
    figures = _settle(laboratory)
    return Outcome(
        reconciliation=_reconcile(laboratory, figures), seconds=time.monotonic() - started_s
    )


def _settle(laboratory: DemoLaboratory) -> StoreFigures:
    """Wait until no message and no delivery is under way; the last figures in any case."""
    deadline_s = time.monotonic() + SETTLE_WAIT_S
    while True:
        with laboratory.store.read() as session:
            figures = store_figures(session)
        is_settled = not figures.messages_new and not figures.deliveries_open
        if is_settled or time.monotonic() > deadline_s:
            return figures
        time.sleep(LOOK_S)  # a command, waiting for other threads


def _reconcile(laboratory: DemoLaboratory, figures: StoreFigures) -> Reconciliation:
    analyzers = laboratory.analyzers.values()
    processed = figures.released + figures.controls
    house = HouseFigures(
        received=processed + sum(figures.held.values()),
        processed=processed,
        held=figures.held,
        released=figures.released,
        dead=figures.dead,
        controls=figures.controls,
        not_for_emr=figures.released_of_form,
        reasons=figures.reasons,
    )
    return reconcile(
        analyzers=[analyzer.counts for analyzer in analyzers],
        house=house,
        acked=laboratory.emr.counts.acked,
        expected=expected_reasons(sent for analyzer in analyzers for sent in analyzer.log),
        conflicts=laboratory.emr.counts.conflicts,
    )
