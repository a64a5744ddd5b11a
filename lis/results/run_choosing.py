"""A second run came: does a versioned rule say which one counts (S20)?

Asked only while exactly two runs of the tube wait, and nothing else stands against either: what is already out, a third
run or any doubt is for a person. The rule's word is kept on both runs, also when it leaves the choice to a person. The chosen
run waits for a person like every result that once was held; the other one stays visible as superseded.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

from lis.domain.catalog import Catalog
from lis.domain.lifecycle import BENCH, BenchEvent, BenchState
from lis.domain.messages import Reason, ValueBasis
from lis.domain.quantity import Comparator
from lis.domain.repeat_rules import RepeatRules
from lis.results.desk import Desk, say
from lis.results.lanes import WAITING
from lis.results.repeat_facts import range_of
from lis.results.repeating import TRUSTED
from lis.results.run_choice import Choice, Run, choose_by_rule
from lis.results.verdicts import RuleVerdict, passed
from lis.store.repeat_queries import observations_of_tubes
from lis.store.rows import Observation
from lis.store.unit import Unit

RULE = "run_rule"
SETTLED_BY_CHOICE = frozenset({Reason.SECOND_RUN, Reason.WAITS_FOR_REPEAT})
_HARMLESS = TRUSTED | SETTLED_BY_CHOICE


def choose_runs(
    unit: Unit, catalog: Catalog, rules: RepeatRules, observation_ids: Collection[int]
) -> list[int]:
    """Let the rules choose among the runs of these second runs; returns the results that count now."""
    desk = Desk.load(unit, catalog, sorted(observation_ids))
    rows = [row for row in desk.rows.values() if rules.choices_of(row.test_code)]
    if not rows:
        return []
    indices = _indices(unit, rules, {row.specimen_id or 0 for row in rows})
    chosen = []
    for row in rows:
        waiting = [run for run in (row, *desk.siblings(row)) if run.bench_state in WAITING]
        out = [run for run in desk.siblings(row) if run.bench_state is BenchState.RELEASED]
        if len(waiting) != 2 or out or Reason.SECOND_RUN.value not in row.holds:
            continue
        kept = _ask(desk, rules, waiting, indices)
        if kept is not None:
            chosen.append(kept)
    return chosen


def run_of(row: Observation) -> Run:
    """A stored run as a choice sees it."""
    return Run(
        id=row.id,
        number=row.value,
        comparator=Comparator(row.comparator) if row.comparator else None,
        basis=ValueBasis(row.basis),
        factor=row.dilution,
        unit=row.reported_unit,
        is_sound=_harmless(row).issuperset(Reason(code) for code in row.holds),
    )


def _harmless(row: Observation) -> frozenset[Reason]:
    """What may stand against a run that is chosen about; of a bound nobody can say that it is not absurd."""
    return _HARMLESS | {Reason.ABSURD} if row.comparator else _HARMLESS


def _ask(
    desk: Desk,
    rules: RepeatRules,
    runs: Sequence[Observation],
    indices: Mapping[tuple[int, str], Sequence[Decimal]],
) -> int | None:
    first, second = sorted(runs, key=lambda run: run.id)
    limits = range_of(desk.catalog.tests.get(first.test_code))
    for rule in rules.choices_of(first.test_code):
        choice = choose_by_rule(
            rule,
            run_of(first),
            run_of(second),
            limits=limits,
            indices=indices.get((first.specimen_id or 0, rule.index), ()),
        )
        for run in (first, second):
            say(run, _verdict(rules.version, choice))
        if choice.chosen is not None:
            _apply(desk, choice, rules.version, (first, second))
            return choice.chosen
    return None


def _verdict(version: str, choice: Choice) -> RuleVerdict:
    return passed(
        RULE,
        version=version,
        choice=choice.rule,
        chosen=choice.chosen,
        why=choice.why,
        index=choice.index,
    )


def _apply(desk: Desk, choice: Choice, version: str, runs: Iterable[Observation]) -> None:
    user = f"rule:{version}"
    for run in runs:
        if run.id == choice.chosen:
            run.is_chosen = True
            run.holds = [code for code in run.holds if Reason(code) not in SETTLED_BY_CHOICE]
            desk.moved(run, "choose_run", user, rule=choice.rule, why=choice.why)
            continue
        run.bench_state = BENCH.apply(run.bench_state, BenchEvent.SUPERSEDE)
        run.is_chosen = False
        desk.moved(run, "supersede", user, rule=choice.rule, why=choice.why)


def _indices(
    unit: Unit, rules: RepeatRules, specimen_ids: Collection[int]
) -> dict[tuple[int, str], list[Decimal]]:
    """Every value of every serum index of these tubes, whatever became of it: the worst one counts."""
    wanted = {choice.index for choice in rules.choices if choice.index}
    found: dict[tuple[int, str], list[Decimal]] = {}
    if not wanted:
        return found
    for row in observations_of_tubes(unit.session, specimen_ids):
        if row.test_code in wanted and row.value is not None and row.specimen_id is not None:
            found.setdefault((row.specimen_id, row.test_code), []).append(row.value)
    return found
