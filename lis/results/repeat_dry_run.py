"""What a version of the rules would have done to the values of the last days: how much more work, and for whom.

Read-only, part by part, in set queries. It counts what the rule would have made: a reflex once for a tube and only where the
test was not ordered anyway, a repeat as often as the rule allows. The values are asked with what is known of them today.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.domain.repeat_rules import REPEATS, Action, RepeatRule, RepeatRules
from lis.domain.result_facts import PersonFacts
from lis.results.repeat_facts import StoredValue, age_h, facts_of_stored
from lis.results.repeating import Answer, RepeatFacts, ask_rules
from lis.store.repeat_queries import history_part, tests_on_tubes

DAYS_DEFAULT: Final = 30
DAYS_MAX: Final = 366
VALUES_MAX: Final = (
    500_000  # about a year of a large laboratory's watched tests; more is cut and said so
)
EXAMPLES_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One value on which a rule would have acted."""

    observation: int
    specimen: str
    at: str
    value: str
    unit: str


@dataclass(slots=True, kw_only=True)
class RuleCount:
    """What one rule would have done."""

    rule: str
    test: str
    action: str
    made_test: str
    asked: int = 0
    fired: int = 0
    waits: int = 0  # the value is not settled today
    not_evaluable: int = 0
    already_ordered: int = 0
    per_day: str = "0"
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The whole count."""

    version: str
    since: datetime
    until: datetime
    days: int
    values: int
    is_cut: bool
    extra_per_day: str  # measurements: reflexes, reruns and dilutions
    rules: tuple[RuleCount, ...]

    def document(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return asdict(self) | {"since": self.since.isoformat(), "until": self.until.isoformat()}


def dry_run(
    session: Session,
    catalog: Catalog,
    rules: RepeatRules,
    *,
    until: datetime,
    days: int = DAYS_DEFAULT,
    values_max: int = VALUES_MAX,
) -> DryRun:
    """Ask the rules about the stored values of so many days before `until`."""
    if not 1 <= days <= DAYS_MAX:
        raise Refused("repeatpage.days_out_of_range", days=days, limit=DAYS_MAX)
    since = until - timedelta(days=days)
    counts = {
        rule.id: RuleCount(
            rule=rule.id,
            test=rule.test,
            action=rule.then.action.value,
            made_test=rule.then.test,
        )
        for rule in rules.rules
    }
    done: dict[tuple[int, str], int] = {}
    values = 0
    for part in _parts(session, rules, since, until, values_max):
        values += len(part)
        _count_part(session, catalog, rules, part, counts, done)
    for count in counts.values():
        count.per_day = _per_day(count.fired, days)
    extra = sum(one.fired for one in counts.values() if one.action != Action.COMMENT.value)
    return DryRun(
        version=rules.version,
        since=since,
        until=until,
        days=days,
        values=values,
        is_cut=values >= values_max,
        extra_per_day=_per_day(extra, days),
        rules=tuple(counts.values()),
    )


def _parts(
    session: Session, rules: RepeatRules, since: datetime, until: datetime, values_max: int
) -> Iterator[list[Row[Any]]]:
    tests = {rule.test for rule in rules.rules}
    after = read = 0
    while tests and read < values_max:
        part = history_part(session, tests=tests, since=since, until=until, after=after)
        if not part:
            return
        part = part[: values_max - read]
        read, after = read + len(part), part[-1].id
        yield part


def _count_part(  # noqa: PLR0917 - the state of one count
    session: Session,
    catalog: Catalog,
    rules: RepeatRules,
    part: list[Row[Any]],
    counts: dict[str, RuleCount],
    done: dict[tuple[int, str], int],
) -> None:
    fired: list[tuple[Row[Any], RepeatRule]] = []
    for row in part:
        for spoke in ask_rules(rules, _facts(row, catalog)):
            count = counts[spoke.rule.id]
            count.asked += 1
            if spoke.answer is Answer.FIRED:
                fired.append((row, spoke.rule))
            elif spoke.answer is Answer.WAITS:
                count.waits += 1
            elif spoke.answer is Answer.NOT_EVALUABLE:
                count.not_evaluable += 1
    reflexed = {row.specimen_id for row, rule in fired if rule.then.action is Action.REFLEX}
    ordered = tests_on_tubes(session, reflexed) if reflexed else set()
    for row, rule in fired:
        _count(row, rule, counts[rule.id], ordered, done)


def _count(
    row: Row[Any],
    rule: RepeatRule,
    count: RuleCount,
    ordered: set[tuple[int, str]],
    done: dict[tuple[int, str], int],
) -> None:
    action = rule.then.action
    if action is Action.REFLEX and (row.specimen_id, rule.then.test) in ordered:
        count.already_ordered += 1
        return
    what = {Action.REFLEX: f"reflex {rule.then.test}", Action.COMMENT: f"comment {rule.id}"}
    key = (row.specimen_id, what.get(action, f"repeat {row.test_code}"))
    often = rule.then.times if action in REPEATS else 1
    if done.get(key, 0) >= often:
        return
    done[key] = done.get(key, 0) + 1
    count.fired += 1
    if len(count.examples) < EXAMPLES_MAX:
        count.examples.append(
            Example(
                observation=row.id,
                specimen=row.accession,
                at=row.created_at.isoformat(),
                value=row.reported,
                unit=row.unit,
            )
        )


def _facts(row: Row[Any], catalog: Catalog) -> RepeatFacts:
    person = PersonFacts(id=0, sex=row.sex, birth_date=row.birth_date, timezone=row.timezone)
    is_known = row.collected_certainty != "unknown"
    age = age_h(person, row.collected_from) if is_known else None
    stored = StoredValue(
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
    return facts_of_stored(stored, catalog.tests.get(row.test_code), person=person, ages=(age, age))


def _per_day(count: int, days: int) -> str:
    return f"{count / days:.1f}"
