"""What the writer of a simulated instrument needs to know beyond its profile.

A profile says where a driver looks; it is silent on the rest of the message. That rest is a `Model`, so that a
simulated message looks like a real one: constants of the header, columns padded with blanks, the records that
follow each result. `Model.always` fills places by path in every record that is open. `Model.places` says where this
instrument writes a value that the profile would accept in several places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulators.measuring import TestPlan

__all__ = ["DeviceIdentity", "Model", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Who the instrument says it is; empty = as its model says."""

    name: str = ""
    serial: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One kind of instrument as a writer needs it."""

    identity: DeviceIdentity
    always: Mapping[str, str]
    places: Mapping[str, str] = field(default_factory=dict)
    omits: frozenset[str] = frozenset()
    """Names of `FieldMap` that this instrument leaves empty."""
    widths: Mapping[str, int] = field(default_factory=dict)
    """Texts that are padded with blanks on the left."""
    after_row: Mapping[str, str] = field(default_factory=dict)
    """A record that follows each result; its paths name its letter."""
    listed_at: int = 0
    """The component of O.5 that lists the codes of all results; 0 = none."""
    plans: tuple[TestPlan, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    """How it spells N, L, H and A; "" = it writes none."""
    asks: Mapping[str, str] = field(default_factory=dict)
    """What a query says beyond the specimen, by path of H and Q; `Q.3` is written for each specimen. HL7: by path
    of MSH and the query segments; `{time}` and `{id}` stand for the time and the number of the message."""
    before_rows: tuple[str, ...] = ("PID", "OBR")
    after_rows: tuple[str, ...] = ()
    """HL7: the segments of a report before and behind its OBX."""
    query_segments: tuple[str, ...] = ("ORC",)
    """HL7: the segments of a query behind MSH."""
    panels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Codes that are measured when a panel is ordered."""
    slip_head: str = ""
    """How a slip begins, as a format of `at` and `specimen`; only of instruments that print."""
    slip_row: str = ""
    """How a row of a slip is written, as a format of `code`, `text` and `unit`."""


def plan(code: str, unit: str, usual: tuple[float, float, int], **figures: float) -> TestPlan:
    """A plan whose interval is the mean and two SD, unless told otherwise."""
    mean, sd, decimals = usual
    limits = {"low": round(mean - 2 * sd, decimals), "high": round(mean + 2 * sd, decimals)}
    chosen = {**limits, **figures}
    return TestPlan(
        code=code,
        unit=unit,
        mean=mean,
        sd=sd,
        decimals=decimals,
        low=chosen.get("low"),
        high=chosen.get("high"),
        critical_low=chosen.get("critical_low"),
        critical_high=chosen.get("critical_high"),
        absurd=chosen.get("absurd"),
        limit_of_detection=chosen.get("limit_of_detection"),
    )
