"""Every code of this package has a sentence in both languages."""

import pytest

from lis.domain.messages import Reason
from lis.results.autoverification import RULES
from lis.results.lanes import LANES, OVERRIDABLE
from lis.results.verdicts import Outcome
from lis.words import LANGUAGES, messages


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_lane_and_outcome_has_words(language):
    known = messages(language)
    needed = {f"results.reason.{reason.value}" for reason in Reason}
    needed |= {f"results.reason_short.{reason.value}" for reason in Reason}
    needed |= {f"results.lane.{lane.value}" for lane in LANES}
    needed |= {f"results.outcome.{outcome.value}" for outcome in Outcome}
    needed |= {f"results.rule.{rule.__name__.strip('_')}" for rule in RULES}
    assert needed <= known.keys()


def test_every_reason_says_whether_a_person_may_pass_it():
    assert set(OVERRIDABLE) == set(Reason)
