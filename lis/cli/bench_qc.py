"""Figures of `lis bench qc`: our exact Westgard engine on long control histories.

    points_per_s_break_mode   points judged a CPU-second, two levels, all rules; a rejected run ends the windows
    points_per_s_all_mode     the same, every run counts
    judge_one_p99_ms          one run judged after a history, as intake does it, without commit

`history_16000_of_westgard_python` is left out: that peer is on no package registry, so nobody could repeat the
figure. The points are normal around their targets with a shift now and then, so that rules fire.
"""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from lis.cli.bench_timing import Figure, alone
from lis.qc.westgard import NO_HISTORY, Conventions, Mode, Point, Run, judge, judge_run

RUNS: Final = 4_000
LEVELS: Final = (("L1", Decimal("5.0"), Decimal("0.2")), ("L2", Decimal("15.0"), Decimal("0.5")))
SHIFT_EVERY: Final = 97  # runs; a shift of 2 SD that lasts five runs
ROUNDS: Final = 3
SEED: Final = 20261122


def figures(*, runs: int = RUNS, rounds: int = ROUNDS) -> list[Figure]:
    """Measure; some seconds."""
    series = _series(runs)
    speeds = [
        alone(f"points_per_s_{name}_mode", _points_per_s(series, mode, rounds), "points/CPU-s")
        for name, mode in (("break", Mode.BREAK), ("all", Mode.ALL))
    ]
    return [*speeds, alone("judge_one_p99_ms", _judge_one_p99_ms(series), "ms")]


def _series(runs: int) -> Sequence[Run]:
    dice = random.Random(SEED)  # noqa: S311 - a series that is the same each time
    return [
        Run(points=tuple(_point(dice, number, place) for place in range(len(LEVELS))))
        for number in range(runs)
    ]


def _point(dice: random.Random, number: int, place: int) -> Point:
    level, mean, sd = LEVELS[place]
    shift = 2.0 if number % SHIFT_EVERY < 5 else 0.0
    value = float(mean) + (dice.gauss(0, 1) + shift) * float(sd)
    return Point(level=level, value=Decimal(f"{value:.2f}"), mean=mean, sd=sd, place=place)


def _points_per_s(series: Sequence[Run], mode: Mode, rounds: int) -> float:
    conventions = replace(Conventions(), mode=mode)
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        judge(series, conventions)
        taken.append(len(series) * len(LEVELS) / (time.process_time() - started))
    return statistics.median(taken)


def _judge_one_p99_ms(series: Sequence[Run]) -> float:
    history, taken = NO_HISTORY, []
    for run in series:
        started = time.perf_counter()
        _, history = judge_run(history, run, Conventions())
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)[int(len(taken) * 0.99)]
