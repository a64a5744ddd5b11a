"""Rules about repeating: what follows from a value, and which run counts. Frozen per version.

A rule says WHEN a test's value fulfils a condition, for which people, THEN add a test (reflex), measure again,
dilute, or comment. A choice says which of several runs counts, so that nobody has to ask which is the latest
or looks better (S20): there is no way to write either down here.

`lis.domain.repeat_document` reads and checks a version; `lis.results.repeating` asks it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from lis.domain.catalog import Sex
from lis.domain.state import IGNORE, StateTable

REFLEX_DEPTH_MAX = (
    3  # tests added because of added tests; a longer chain is a plan nobody can follow
)
TIMES_MAX = 3  # repeats of one test on one tube by one rule; more is a broken method, not a rule


class Condition(StrEnum):
    """What is asked of a value."""

    ABOVE = "above"  # surely above a limit: `>10` is above 5, `>3` may or may not be
    BELOW = "below"
    BETWEEN = "between"  # both ends belong to the inside; a bound such as `<5` is never between
    ANSWER = "answer"  # one of the listed words
    ABOVE_RANGE = "above_range"  # more than the method can measure
    BELOW_RANGE = "below_range"
    FLAG = "flag"  # the instrument sent one of the listed flags


class Action(StrEnum):
    """What a rule does."""

    REFLEX = "reflex"
    RERUN = "rerun"
    DILUTE = "dilute"
    COMMENT = "comment"


REPEATS = frozenset({Action.RERUN, Action.DILUTE})


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The condition of a rule."""

    kind: Condition
    low: Decimal | None = None
    high: Decimal | None = None
    words: frozenset[str] = frozenset()  # answers, or flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """For whom a rule speaks: `[age_from_h, age_to_h)` in hours at collection."""

    sex: Sex | None = None
    age_from_h: int = 0
    age_to_h: int | None = None

    @property
    def is_anyone(self) -> bool:
        return self == Who()


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What follows. `times`: how often at most on one tube."""

    action: Action
    test: str = ""  # REFLEX: the test to add
    factor: Decimal | None = None  # DILUTE
    text: str = ""  # COMMENT: as it stands on the report
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test case beside a rule: a value, a person, and whether the rule must fire."""

    value: str
    fires: bool
    flags: tuple[str, ...] = ()
    sex: Sex = Sex.UNKNOWN
    age_h: int | None = None
    factor: Decimal | None = None  # the value was measured so diluted, and is already multiplied


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRule:
    """One rule."""

    id: str
    test: str
    when: When
    then: Then
    who: Who = Who()
    why: str = ""  # the laboratory's reason, for whoever reads the rule in a year
    cases: tuple[Case, ...] = ()


class Preference(StrEnum):
    """Which run counts. None of these asks which run is newer or nearer to the interval (S20)."""

    FIRST_IF_AGREEING = "first_if_agreeing"  # the first one, when the second confirms it
    DILUTED = "diluted"  # the diluted one, when the undiluted one was above the measuring range


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRule:
    """When the laboratory need not ask a person which run counts."""

    id: str
    test: str
    prefer: Preference
    percent: Decimal | None = None  # largest difference of runs that agree, of the first one
    absolute: Decimal | None = None
    index: str = ""  # test code of the serum index that must be known and not above `index_max`
    index_max: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRules:
    """One version of all rules about repeating."""

    version: str
    definition_id: int = 0
    rules: tuple[RepeatRule, ...] = ()
    choices: tuple[ChoiceRule, ...] = ()
    stopped: frozenset[str] = frozenset()  # ids of rules whose stop switch is pressed; "" = all

    def of(self, test: str) -> tuple[RepeatRule, ...]:
        """The rules that speak about a test, without the stopped ones."""
        if "" in self.stopped:
            return ()
        return tuple(one for one in self.rules if one.test == test and one.id not in self.stopped)

    def choices_of(self, test: str) -> tuple[ChoiceRule, ...]:
        """The choices about a test, without the stopped ones."""
        if "" in self.stopped:
            return ()
        return tuple(one for one in self.choices if one.test == test and one.id not in self.stopped)

    @property
    def tests(self) -> frozenset[str]:
        """Tests about which anything is said."""
        return frozenset([*(one.test for one in self.rules), *(one.test for one in self.choices)])

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.every_id)

    @property
    def every_id(self) -> tuple[str, ...]:
        return (*(one.id for one in self.rules), *(one.id for one in self.choices))


NO_RULES = RepeatRules(version="")


# --- a version on its way into force --------------------------------------------------------------


class ProposalState(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"


class ProposalEvent(StrEnum):
    APPROVE = "approve"  # by a second person
    WITHDRAW = "withdraw"


PROPOSAL: StateTable[ProposalState, ProposalEvent] = StateTable(
    "repeat_proposal",
    {
        (ProposalState.PROPOSED, ProposalEvent.APPROVE): ProposalState.ACTIVE,
        (ProposalState.PROPOSED, ProposalEvent.WITHDRAW): ProposalState.WITHDRAWN,
        (ProposalState.WITHDRAWN, ProposalEvent.WITHDRAW): IGNORE,
    },
)
