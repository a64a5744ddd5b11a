"""What rules about repeating asked for becomes orders: once, on a fit tube, in the unit that saw the value.

Load, decide, apply, audit. Every order that a rule makes has a row in `repeat_made` under a key that is used once for ever,
so an intake that runs twice, a resend or a second look makes nothing twice. What cannot be made (no volume, not stable, tube
gone) is kept there too, with the reason, for a person.

A value that was not to be trusted when it came (its gate was closed, another run stood beside it) is asked again when people
or a late control have settled it: `reconsider`. And a reflex whose value no longer calls for it is marked, never deleted
(S27): `mark_reflexes`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from lis.domain.catalog import Catalog
from lis.domain.ids import bounded_key
from lis.domain.lifecycle import BenchState
from lis.domain.repeat_rules import Action, RepeatRules
from lis.domain.result_facts import OrderFacts, PersonFacts
from lis.orders.placing import FILLER_AUTHORITY
from lis.results.repeat_facts import (
    StoredValue,
    age_h,
    facts_of_stored,
    repeats_of,
)
from lis.results.repeating import RULE, Answer, RepeatFacts, Spoke, ask_rules, still_holds
from lis.results.tube_fitness import Tube, unfit
from lis.store.observation_queries import orders_of, people
from lis.store.observation_rows import Observation
from lis.store.order_queries import add_rerun_order
from lis.store.order_rows import ServiceRequest, Specimen, WorkOrder
from lis.store.repeat_queries import (
    made_by_keys,
    made_of_specimens,
    observations_of_tubes,
    repeat_rules_in_force,
    repeat_rules_of_version,
    tests_on_tubes,
)
from lis.store.repeat_rows import RepeatMade
from lis.store.unit import Unit
from lis.store.worklist_queries import lock_observations, specimens_by_ids

Spoken = tuple[int, tuple[Spoke, ...]]  # an observation, and what rules said of it
Fitness = Callable[[Tube, str], str]  # why a tube cannot give a test; "" if it can
COMMENT_MAX = 2_000  # as people's comments
ALREADY_ORDERED = "already_ordered"
_GONE = frozenset({BenchState.REJECTED, BenchState.SUPERSEDED})


@dataclass(slots=True, kw_only=True)
class _Making:
    """What making orders needs, read in set queries."""

    unit: Unit
    fitness: Fitness
    rows: dict[int, Observation]
    tubes: dict[int, Specimen]
    known: set[str]
    ordered: set[tuple[int, str]]
    made: list[RepeatMade] = field(default_factory=list)


def order_repeats(
    unit: Unit, catalog: Catalog, spoken: Sequence[Spoken], fitness: Fitness | None = None
) -> list[RepeatMade]:
    """Make what the rules asked for; what was made before is left alone."""
    fired = [(key, one) for key, spokes in spoken for one in spokes if one.answer is Answer.FIRED]
    if not fired:
        return []
    rows = lock_observations(unit.session, {key for key, _ in fired})
    tubes = specimens_by_ids(unit.session, {row.specimen_id or 0 for row in rows.values()})
    making = _Making(
        unit=unit,
        fitness=fitness or (lambda tube, test: unfit(tube, catalog.tests[test], unit.now)),
        rows=rows,
        tubes=tubes,
        known=made_by_keys(unit.session, {key_of(one, rows[key]) for key, one in fired}),
        ordered=tests_on_tubes(unit.session, tubes),
    )
    for key, one in fired:
        _make(making, one, rows[key])
    return making.made


def key_of(spoke: Spoke, row: Observation) -> str:
    """What may happen once. A reflex is once for a tube; a repeat once for a run, whatever version of it."""
    action = spoke.rule.then.action
    if action is Action.REFLEX:
        return bounded_key(f"reflex|{row.specimen_id}|{spoke.rule.then.test}")
    if action is Action.COMMENT:
        return bounded_key(f"comment|{row.specimen_id}|{spoke.rule.id}|{row.run_key}")
    return bounded_key(f"repeat|{row.specimen_id}|{row.run_key}")


def _make(making: _Making, spoke: Spoke, row: Observation) -> None:
    key, then = key_of(spoke, row), spoke.rule.then
    tube = making.tubes.get(row.specimen_id or 0)
    if key in making.known or tube is None:
        return
    making.known.add(key)
    test = then.test or row.test_code
    refused = ""
    if then.action is Action.REFLEX and (tube.id, test) in making.ordered:
        refused = ALREADY_ORDERED
    elif then.action is not Action.COMMENT:
        refused = making.fitness(_tube(tube, row), test)
    made = RepeatMade(
        key=key,
        observation_id=row.id,
        specimen_id=tube.id,
        test_code=row.test_code,
        rule=spoke.rule.id,
        rule_version=spoke.version,
        action=then.action.value,
        created_at=making.unit.now,
        made_test="" if then.action is Action.COMMENT else test,
        factor=then.factor,
        refused=refused,
        inputs=dict(spoke.inputs),
    )
    if not refused:
        _apply(making, spoke, row, made, tube)
    making.unit.session.add(made)
    making.unit.session.flush()
    making.made.append(made)
    making.unit.audit(
        f"rule_{then.action.value}",
        "repeat_made",
        made.id,
        after={
            "rule": spoke.rule.id,
            "version": spoke.version,
            "observation": row.id,
            "test": test,
            "refused": refused,
            "work_order": made.work_order_id,
        },
    )
    making.unit.publish("order", tube.requisition_id)


def _apply(
    making: _Making, spoke: Spoke, row: Observation, made: RepeatMade, tube: Specimen
) -> None:
    unit, then = making.unit, spoke.rule.then
    why = f"{spoke.rule.id} {spoke.version}"
    if then.action is Action.COMMENT:
        _comment(row, then.text)
        return
    if then.action is Action.REFLEX:
        request, order = _reflex(unit, row, tube, then.test, why)
        making.ordered.add((tube.id, then.test))
    else:
        of = unit.session.get(WorkOrder, row.work_order_id) if row.work_order_id else None
        if of is None:
            made.refused = "not_ordered"
            return
        order = add_rerun_order(
            unit.session,
            of=of,
            public_id=unit.ids.new(),
            at=unit.now,
            reason=why,
            dilution=then.factor,
        )
        request = unit.session.get_one(ServiceRequest, of.service_request_id)
    made.work_order_id, made.service_request_id = order.id, request.id


def _reflex(
    unit: Unit, row: Observation, tube: Specimen, test: str, why: str
) -> tuple[ServiceRequest, WorkOrder]:
    """A request item and a work order on the same tube; it is as urgent as what it follows from."""
    of = (
        unit.session.get(ServiceRequest, row.service_request_id) if row.service_request_id else None
    )
    request = ServiceRequest(
        public_id=unit.ids.new(),
        requisition_id=tube.requisition_id,
        code=test,
        filler_number=f"L{unit.next_number('filler'):010d}",
        filler_authority=FILLER_AUTHORITY,
        created_at=unit.now,
        priority=of.priority if of is not None else "R",
    )
    unit.session.add(request)
    unit.session.flush()
    order = WorkOrder(
        public_id=unit.ids.new(),
        service_request_id=request.id,
        specimen_id=tube.id,
        test_code=test,
        created_at=unit.now,
        reason=why,
    )
    unit.session.add(order)
    unit.session.flush()
    return request, order


def _comment(row: Observation, text: str) -> None:
    if text in row.comment.split("\n"):
        return
    joined = "\n".join(part for part in (row.comment, text) if part)
    if len(joined) <= COMMENT_MAX:
        row.comment = joined
        row.row_version += 1


def _tube(tube: Specimen, row: Observation) -> Tube:
    return Tube(
        state=tube.state,
        specimen_type=tube.specimen_type,
        suspicion=tube.suspicion,
        opened_from=row.analysed_at or tube.received_at,
        quantity=tube.quantity,
        quantity_unit=tube.quantity_unit,
    )


# --- a value asked again --------------------------------------------------------------------------


def after_decision(unit: Unit, catalog: Catalog, observation_ids: Collection[int]) -> None:
    """People or a late control moved these results: ask the rules again, and look at what they made."""
    rules = repeat_rules_in_force(unit.session, unit.now)
    if not rules.version:
        return
    unit.session.flush()
    reconsider(unit, catalog, rules, observation_ids)
    rows = lock_observations(unit.session, observation_ids)
    mark_reflexes(unit, catalog, {row.specimen_id for row in rows.values() if row.specimen_id})


def reconsider(
    unit: Unit, catalog: Catalog, rules: RepeatRules, observation_ids: Collection[int]
) -> list[RepeatMade]:
    """Ask the rules about values that were released or chosen: what waited for that may be made now.

    Nothing is measured again for it: a repeat is asked for when the value comes, or by a person.
    """
    rows = [
        row
        for row in lock_observations(unit.session, observation_ids).values()
        if row.bench_state is BenchState.RELEASED and row.specimen_id and rules.of(row.test_code)
    ]
    if not rows:
        return []
    around = _Around.load(unit, catalog, {row.specimen_id or 0 for row in rows})
    spoken: list[Spoken] = []
    for row in rows:
        spoke = tuple(
            one
            for one in ask_rules(rules, around.facts(row))
            if one.rule.then.action in (Action.REFLEX, Action.COMMENT)
        )
        said = {_said(verdict) for verdict in row.verdicts if verdict["rule"] == RULE}
        fresh = [one.verdict().document() for one in spoke]
        row.verdicts = [*row.verdicts, *(one for one in fresh if _said(one) not in said)]
        spoken.append((row.id, spoke))
    return order_repeats(unit, catalog, spoken)


def mark_reflexes(unit: Unit, catalog: Catalog, specimen_ids: Collection[int]) -> int:
    """Mark reflexes that no value of their tube calls for any more, and unmark those that one does (S27)."""
    made = [
        one
        for one in made_of_specimens(unit.session, specimen_ids)
        if one.action == Action.REFLEX.value and not one.refused
    ]
    if not made:
        return 0
    around = _Around.load(unit, catalog, {one.specimen_id for one in made})
    runs = observations_of_tubes(unit.session, {one.specimen_id for one in made})
    changed = 0
    for one in made:
        why = _why_unjustified(unit, around, one, runs)
        if bool(why) == (one.unjustified_at is not None):
            continue
        one.unjustified_at, one.unjustified_why = (unit.now, why) if why else (None, "")
        changed += 1
        unit.audit("mark_reflex", "repeat_made", one.id, after={"unjustified": why})
        unit.publish("observation", one.observation_id)
    return changed


def _why_unjustified(
    unit: Unit, around: "_Around", made: RepeatMade, runs: Sequence[Observation]
) -> str:
    alive = [
        run
        for run in runs
        if run.specimen_id == made.specimen_id
        and run.test_code == made.test_code
        and run.bench_state not in _GONE
    ]
    counting = [run for run in alive if run.bench_state is BenchState.RELEASED] or alive
    if not counting:
        return "value_gone"
    rules = repeat_rules_of_version(unit.session, made.rule_version)
    rule = next((one for one in rules.rules if one.id == made.rule), None)
    if rule is None or any(still_holds(rule, around.facts(run)) for run in counting):
        return ""
    return "value_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """People and orders around some tubes."""

    catalog: Catalog
    tubes: dict[int, Specimen]
    people: dict[int, PersonFacts]
    orders: dict[int, list[OrderFacts]]

    @classmethod
    def load(cls, unit: Unit, catalog: Catalog, specimen_ids: Collection[int]) -> "_Around":
        tubes = specimens_by_ids(unit.session, specimen_ids)
        return cls(
            catalog=catalog,
            tubes=tubes,
            people=people(unit.session, {tube.patient_id for tube in tubes.values()}),
            orders=orders_of(unit.session, specimen_ids),
        )

    def facts(self, row: Observation) -> RepeatFacts:
        tube = self.tubes[row.specimen_id or 0]
        person = self.people.get(tube.patient_id)
        is_known = person is not None and tube.collected_certainty != "unknown"
        start = age_h(person, tube.collected_from) if is_known and person else None
        end = (
            age_h(person, tube.collected_to or tube.collected_from) if is_known and person else None
        )
        return facts_of_stored(
            stored_value(row),
            self.catalog.tests.get(row.test_code),
            person=person,
            ages=(start, end),
            repeats=repeats_of(self.orders.get(tube.id, ()), row.test_code),
        )


def stored_value(row: Observation) -> StoredValue:
    """A row as rules about repeating see it."""
    return StoredValue(
        test=row.test_code,
        reported=row.reported,
        comparator=row.comparator,
        value=row.value,
        basis=row.basis,
        dilution=row.dilution,
        flags=row.reported_flags,
        holds=row.holds,
        is_chosen=row.is_chosen,
    )


def _said(verdict: dict[str, object]) -> tuple[str, str, str]:
    parameters = verdict["parameters"]
    assert isinstance(parameters, dict), "a verdict's inputs are an object"
    return str(verdict["version"]), parameters.get("repeat", ""), parameters.get("answer", "")
