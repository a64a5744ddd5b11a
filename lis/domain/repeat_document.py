"""The JSON form of the rules about repeating: reading and checking.

    {"version", "rules": [{"id", "test", "why",
                           "when": {"kind", "low", "high", "words": [...]},
                           "who": {"sex", "from", "to"},
                           "then": {"action", "test" | "factor" | "text", "times"},
                           "cases": [{"value", "flags", "sex", "age", "factor", "fires"}]}],
     "choices": [{"id", "test", "prefer", "percent", "absolute", "index", "index_max"}]}

Decimals are texts, ages "36h", "28d" or "18y". What does not fit raises `Malformed` with the path. Refused as well: tests
that the catalog does not know, a reflex that leads back to its own test or further than `REFLEX_DEPTH_MAX`, a dilution of
what is below the range, and a rule without a case that fires and one that does not.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from lis.domain.catalog import Catalog, Sex
from lis.domain.document_fields import Fields, word
from lis.domain.errors import Malformed
from lis.domain.repeat_rules import (
    REFLEX_DEPTH_MAX,
    TIMES_MAX,
    Action,
    Case,
    ChoiceRule,
    Condition,
    Preference,
    RepeatRule,
    RepeatRules,
    Then,
    When,
    Who,
)

RULES_MAX: Final = 500  # of one laboratory; more cannot be looked after by people
CASES_MAX: Final = 50  # of one rule
TEXT_MAX: Final = 500
FACTOR_MAX: Final = Decimal(100_000)
LENGTH_MAX: Final = 60  # of a rule's id: it stands in verdicts
_NEEDS: Final[dict[Condition, tuple[str, ...]]] = {
    Condition.ABOVE: ("high",),
    Condition.BELOW: ("low",),
    Condition.BETWEEN: ("low", "high"),
    Condition.ANSWER: ("words",),
    Condition.ABOVE_RANGE: (),
    Condition.BELOW_RANGE: (),
    Condition.FLAG: ("words",),
}


def read_repeat_rules(
    document: Mapping[str, Any], catalog: Catalog | None = None, *, definition_id: int = 0
) -> RepeatRules:
    """Read one version; with a catalog, also check that it knows every test. Raises `Malformed`."""
    fields = Fields(document, "repeat")
    rules = RepeatRules(
        version=fields.name("version"),
        definition_id=definition_id,
        rules=fields.items("rules", _read_rule),
        choices=fields.items("choices", _read_choice),
    )
    fields.end()
    if len(rules.rules) + len(rules.choices) > RULES_MAX:
        raise Malformed(expected=f"at most {RULES_MAX} rules", got=len(rules.rules), where="repeat")
    _check_ids(rules)
    check_depth(rules)
    if catalog is not None:
        _check_tests(rules, catalog)
    return rules


def check_depth(rules: RepeatRules) -> None:
    """Refuse reflexes that come back to a test they started from, or lead too far."""
    added: dict[str, set[str]] = {}
    for rule in rules.rules:
        if rule.then.action is Action.REFLEX:
            added.setdefault(rule.test, set()).add(rule.then.test)
    known: dict[str, int] = {}
    for start in sorted(added):
        if _depth(added, (start,), known) > REFLEX_DEPTH_MAX:
            raise Malformed(
                expected=f"at most {REFLEX_DEPTH_MAX} reflexes in a row",
                got=f"{known[start]} from {start}",
                where="repeat.rules",
            )


def _depth(added: Mapping[str, set[str]], path: tuple[str, ...], known: dict[str, int]) -> int:
    """How many reflexes may follow each other from the end of `path`; each test is walked once."""
    here = path[-1]
    if here in known:
        return known[here]
    deepest = 0
    for following in sorted(added.get(here, ())):
        if following in path:
            raise Malformed(
                expected="reflexes that never lead back to their own test",
                got=" -> ".join((*path, following)),
                where="repeat.rules",
            )
        deepest = max(deepest, 1 + _depth(added, (*path, following), known))
    known[here] = deepest
    return deepest


def _read_rule(item: object, where: str) -> RepeatRule:
    fields = Fields(item, where)
    rule = RepeatRule(
        id=_id(fields),
        test=fields.name("test"),
        when=_read_when(fields.part("when"), where),
        then=_read_then(fields.part("then"), where),
        who=_read_who(fields.part("who")),
        why=_text(fields, "why", TEXT_MAX),
        cases=fields.items("cases", _read_case),
    )
    fields.end()
    if rule.then.action is Action.DILUTE and rule.when.kind in (
        Condition.BELOW,
        Condition.BELOW_RANGE,
    ):
        raise Malformed(
            expected="a condition above a limit for a dilution", got=rule.when.kind, where=where
        )
    if len(rule.cases) > CASES_MAX or {case.fires for case in rule.cases} != {True, False}:
        raise Malformed(
            expected=f"2 to {CASES_MAX} cases, at least one that fires and one that does not",
            got=f"{len(rule.cases)} cases",
            where=f"{where}.cases",
        )
    return rule


def _id(fields: Fields) -> str:
    name = fields.name("id")
    if len(name) > LENGTH_MAX or any(sign.isspace() for sign in name):
        raise Malformed(
            expected=f"an id of at most {LENGTH_MAX} signs without spaces",
            got=name,
            where=f"{fields.where}.id",
        )
    return name


def _text(fields: Fields, name: str, longest: int) -> str:
    text = fields.text(name, "")
    if len(text) > longest:
        raise Malformed(
            expected=f"at most {longest} characters", got=len(text), where=f"{fields.where}.{name}"
        )
    return text


def _read_when(fields: Fields | None, where: str) -> When:
    if fields is None:
        raise Malformed(expected="a condition", got=None, where=f"{where}.when")
    when = When(
        kind=fields.choice("kind", Condition),
        low=fields.decimal("low"),
        high=fields.decimal("high"),
        words=fields.words("words"),
    )
    fields.end()
    given = {
        name
        for name, value in (("low", when.low), ("high", when.high), ("words", when.words))
        if value is not None and value != frozenset()
    }
    needed = set(_NEEDS[when.kind])
    if given != needed:
        raise Malformed(
            expected=f"{when.kind.value} with {' and '.join(sorted(needed)) or 'nothing else'}",
            got=sorted(given),
            where=f"{where}.when",
        )
    if when.low is not None and when.high is not None and when.low > when.high:
        raise Malformed(
            expected=f"high not below low {when.low}", got=when.high, where=f"{where}.when"
        )
    return when


def _read_who(fields: Fields | None) -> Who:
    if fields is None:
        return Who()
    sex = fields.text("sex", "")
    if sex not in ("", Sex.FEMALE.value, Sex.MALE.value):
        raise Malformed(expected='"F", "M" or no sex', got=sex, where=f"{fields.where}.sex")
    who = Who(
        sex=Sex(sex) if sex else None,
        age_from_h=fields.age_h("from") or 0,
        age_to_h=fields.age_h("to"),
    )
    fields.end()
    if who.age_to_h is not None and who.age_to_h <= who.age_from_h:
        raise Malformed(
            expected="ages that are not empty", got=str(who.age_to_h), where=fields.where
        )
    return who


def _read_then(fields: Fields | None, where: str) -> Then:
    if fields is None:
        raise Malformed(expected="what follows", got=None, where=f"{where}.then")
    then = Then(
        action=fields.choice("action", Action),
        test=fields.text("test", ""),
        factor=fields.decimal("factor"),
        text=_text(fields, "text", TEXT_MAX).strip(),
        times=_times(fields),
    )
    fields.end()
    given = {
        name
        for name, value in (("test", then.test), ("factor", then.factor), ("text", then.text))
        if value
    }
    needed = {Action.REFLEX: {"test"}, Action.DILUTE: {"factor"}, Action.COMMENT: {"text"}}.get(
        then.action, set()
    )
    if given != needed:
        raise Malformed(
            expected=f"{then.action.value} with {' and '.join(sorted(needed)) or 'nothing else'}",
            got=sorted(given),
            where=fields.where,
        )
    if then.factor is not None and not 1 < then.factor <= FACTOR_MAX:
        raise Malformed(
            expected=f"a factor above 1, at most {FACTOR_MAX}", got=then.factor, where=fields.where
        )
    return then


def _times(fields: Fields) -> int:
    times = fields.count("times")
    if times is not None and not 1 <= times <= TIMES_MAX:
        raise Malformed(expected=f"1 to {TIMES_MAX} times", got=times, where=fields.where)
    return times or 1


def _read_case(item: object, where: str) -> Case:
    fields = Fields(item, where)
    case = Case(
        value=fields.text("value"),
        fires=fields.flag("fires"),
        flags=fields.items("flags", word),
        sex=fields.choice("sex", Sex, Sex.UNKNOWN),
        age_h=fields.age_h("age"),
        factor=fields.decimal("factor"),
    )
    fields.end()
    return case


def _read_choice(item: object, where: str) -> ChoiceRule:
    fields = Fields(item, where)
    choice = ChoiceRule(
        id=_id(fields),
        test=fields.name("test"),
        prefer=fields.choice("prefer", Preference),
        percent=fields.decimal("percent"),
        absolute=fields.decimal("absolute"),
        index=fields.text("index", ""),
        index_max=fields.decimal("index_max"),
    )
    fields.end()
    has_limit = choice.percent is not None or choice.absolute is not None
    if has_limit != (choice.prefer is Preference.FIRST_IF_AGREEING):
        raise Malformed(
            expected="percent or absolute exactly where runs must agree",
            got=choice.prefer.value,
            where=where,
        )
    if bool(choice.index) != (choice.index_max is not None):
        raise Malformed(expected="index together with index_max", got=choice.index, where=where)
    return choice


def _check_ids(rules: RepeatRules) -> None:
    counted = Counter(rules.every_id)
    twice = [name for name, times in counted.items() if times > 1]
    if twice:
        raise Malformed(expected="each id once", got=twice, where="repeat")


def _check_tests(rules: RepeatRules, catalog: Catalog) -> None:
    named = {
        *rules.tests,
        *(rule.then.test for rule in rules.rules if rule.then.test),
        *(choice.index for choice in rules.choices if choice.index),
    }
    unknown = sorted(named - set(catalog.tests))
    if unknown:
        raise Malformed(
            expected="codes of tests in the catalog in force", got=unknown, where="repeat"
        )
    for rule in rules.rules:
        if rule.then.action is Action.REFLEX:
            source, added = catalog.tests[rule.test], catalog.tests[rule.then.test]
            if source.specimen_type != added.specimen_type:
                raise Malformed(
                    expected=f"a test on {source.specimen_type}, the material of {rule.test}",
                    got=f"{added.code} on {added.specimen_type}",
                    where=f"repeat.rules {rule.id}",
                )
