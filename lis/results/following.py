"""After a batch was written: what its values make the rules about repeating do, in the same unit."""

from lis.domain.messages import Reason
from lis.domain.repeat_rules import RepeatRules
from lis.results.effects import Effects
from lis.results.reflexing import mark_reflexes, order_repeats, reconsider
from lis.results.run_choosing import choose_runs
from lis.store.definitions import catalog_in_force
from lis.store.unit import Unit


def follow_rules(unit: Unit, rules: RepeatRules, effects: Effects) -> None:
    """Order what rules asked for, ask again about freed values, and let rules choose among runs."""
    if not rules.version:
        return
    standings = [one for one in effects.standings.values() if one.is_new or one.is_changed]
    ours = [one for one in standings if one.specimen_id is not None and one.test in rules.tests]
    if not ours:
        return
    unit.session.flush()
    catalog = catalog_in_force(unit.session, unit.now)
    order_repeats(unit, catalog, effects.repeats)
    freed = [one.id for one in ours if one.is_changed and one.released_at is not None]
    if freed:
        reconsider(unit, catalog, rules, freed)
    second = [one.id for one in ours if one.is_new and Reason.SECOND_RUN in one.holds]
    if second:
        choose_runs(unit, catalog, rules, second)
    mark_reflexes(unit, catalog, {one.specimen_id for one in ours if one.specimen_id is not None})
