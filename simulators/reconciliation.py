"""Does it add up? What the analyzers sent against what the house says and what the EMR has.

    sent      results that left the analyzers, resends not counted          counted by the analyzers
    received  results that the house took in                                told by the house
    processed results that went through without waiting: released, and control points
    held      results that wait for a person, each under one reason
    released  results that left, or may leave
    acked     different results that the EMR acknowledged                   counted by the EMR
    dead      deliveries that the house gave up

    sent = received = processed + held         processed = released + controls
    released = acked + not for the EMR         dead = 0

A planned situation must be found: for each reason that the analyzers' logs call for, the house must have held
at least as many. More is no error, because one value may wait for several reasons. Every difference has a code,
and `lis.words` has a sentence for it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lis.words import say
from simulators.analyzer import Counts, SentRun

__all__ = ["Difference", "HouseFigures", "Reconciliation", "expected_reasons", "reconcile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseFigures:
    """What the laboratory says of itself."""

    received: int
    processed: int
    held: Mapping[str, int]
    """Results by the one reason they are counted under."""
    released: int
    dead: int = 0
    controls: int = 0
    not_for_emr: int = 0
    """Released results whose referral came from no EMR."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Results by every reason that spoke; `held` where empty."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up."""

    code: str
    parameters: Mapping[str, Any]

    def in_words(self, language: str) -> str:
        """The sentence for a person."""
        return say(language, f"simulators.{self.code}", **self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The figures side by side, and whether they agree."""

    sent: int
    house: HouseFigures
    acked: int
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """The object that `lis demo --once --json` prints."""
        return {
            "sent": self.sent,
            "received": self.house.received,
            "processed": self.house.processed,
            "held": dict(sorted(self.house.held.items())),
            "released": self.house.released,
            "acked": self.acked,
            "dead": self.house.dead,
            "ok": self.ok,
        }


def expected_reasons(logs: Iterable[SentRun]) -> Counter[str]:
    """How many patients' values must wait for each reason, by the analyzers' own logs."""
    return Counter(
        reason.value
        for sent in logs
        if sent.run.control is None
        for row in sent.run.rows
        for reason in row.expected
    )


def reconcile(
    *,
    analyzers: Iterable[Counts],
    house: HouseFigures,
    acked: int,
    expected: Mapping[str, int] | None = None,
    conflicts: int = 0,
) -> Reconciliation:
    """Put the figures side by side. Pure."""
    counted = tuple(analyzers)
    sent = sum(one.results + one.controls for one in counted)
    differences = (
        *_at_the_analyzers(counted),
        *_in_the_house(sent, house),
        *_at_the_emr(house, acked, conflicts),
        *_planned(house.reasons or house.held, expected or {}),
    )
    return Reconciliation(sent=sent, house=house, acked=acked, differences=differences)


def _at_the_analyzers(counted: Iterable[Counts]) -> Iterable[Difference]:
    counted = tuple(counted)
    messages = sum(one.messages for one in counted)
    acknowledged = sum(one.acknowledged for one in counted)
    if messages != acknowledged:
        yield Difference("not_acknowledged", {"sent": messages, "acknowledged": acknowledged})


def _in_the_house(sent: int, house: HouseFigures) -> Iterable[Difference]:
    held = sum(house.held.values())
    if sent != house.received:
        yield Difference("not_received", {"sent": sent, "received": house.received})
    if house.received != house.processed + held:
        yield Difference(
            "not_accounted",
            {"received": house.received, "processed": house.processed, "held": held},
        )
    if house.processed != house.released + house.controls:
        yield Difference(
            "not_released",
            {
                "processed": house.processed,
                "released": house.released,
                "controls": house.controls,
            },
        )


def _at_the_emr(house: HouseFigures, acked: int, conflicts: int) -> Iterable[Difference]:
    owed = house.released - house.not_for_emr
    if owed != acked:
        yield Difference("not_delivered", {"owed": owed, "acked": acked})
    if house.dead:
        yield Difference("dead_letters", {"dead": house.dead})
    if conflicts:
        yield Difference("conflicts", {"conflicts": conflicts})


def _planned(reasons: Mapping[str, int], expected: Mapping[str, int]) -> Iterable[Difference]:
    for reason, wanted in sorted(expected.items()):
        found = reasons.get(reason, 0)
        if found < wanted:
            yield Difference("not_held", {"reason": reason, "wanted": wanted, "found": found})
