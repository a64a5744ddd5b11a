"""What all benches share: the form of a figure, and counting calls by CPU time."""

import time
from collections.abc import Callable
from typing import TypedDict


class Peer(TypedDict):
    name: str
    version: str
    value: float


class Figure(TypedDict):
    what: str
    value: float
    unit: str
    peer: Peer | None
    ratio: float | None


class BenchPeerMissing(Exception):
    """A peer of the bench is not installed."""


def alone(what: str, value: float, unit: str) -> Figure:
    """A figure without a peer."""
    return Figure(what=what, value=value, unit=unit, peer=None, ratio=None)


def beside(what: str, value: float, unit: str, peer: Peer) -> Figure:
    """A figure with what it is measured against."""
    return Figure(what=what, value=value, unit=unit, peer=peer, ratio=value / peer["value"])


def calls_per_cpu_s(call: Callable[[], object], round_s: float) -> float:
    """How often `call` runs in a second of this process's CPU; measured for `round_s` at least."""
    call()
    calls = 1
    while True:
        started = time.process_time()
        for _ in range(calls):
            call()
        spent = time.process_time() - started
        if spent >= round_s:
            return calls / spent
        calls = max(2 * calls, int(calls * round_s / max(spent, 1e-6)))
