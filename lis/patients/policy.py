"""What a patient may be shown: a pure decision over one result.

Patients never see preliminary values, nor anything that is not released (S03). A sensitive test is shown
by a doctor, not by a page; the page says that a result is ready and where to ask. A doctor sees
sensitive tests too, and nothing else that a patient would not see.
"""

from dataclasses import dataclass
from enum import StrEnum

from lis.domain.catalog import Test
from lis.domain.lifecycle import BenchState
from lis.domain.messages import ResultStatus

SHOWN_STATUSES = frozenset({ResultStatus.FINAL, ResultStatus.CORRECTED, ResultStatus.AMENDED})

CORRECTED_STATUSES = frozenset({ResultStatus.CORRECTED, ResultStatus.AMENDED})


class Showing(StrEnum):
    SHOW = "show"
    ASK_DOCTOR = "ask_doctor"
    HIDE = "hide"
    WITHDRAWN = "withdrawn"  # it was out and is wrong: say so, without the value


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFacts:
    """What the decision needs to know."""

    bench_state: BenchState
    status: ResultStatus
    is_visible_yet: bool


def may_show(facts: ReleasedFacts, test: Test | None) -> Showing:
    """Whether a patient sees this result, and how."""
    if facts.bench_state is not BenchState.RELEASED or not facts.is_visible_yet:
        return Showing.HIDE
    if facts.status is ResultStatus.ENTERED_IN_ERROR:
        return Showing.WITHDRAWN
    if facts.status not in SHOWN_STATUSES or test is None:
        return Showing.HIDE
    return Showing.ASK_DOCTOR if test.is_sensitive else Showing.SHOW


def may_show_doctor(facts: ReleasedFacts) -> Showing:
    """Whether a doctor sees this result, and how."""
    if facts.bench_state is not BenchState.RELEASED or not facts.is_visible_yet:
        return Showing.HIDE
    if facts.status is ResultStatus.ENTERED_IN_ERROR:
        return Showing.WITHDRAWN
    return Showing.SHOW if facts.status in SHOWN_STATUSES else Showing.HIDE
