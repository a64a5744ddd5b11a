"""Inputs nobody would think of: known ones mutated, guided by what came out.

An input whose outcome was never seen before joins the pool, and is mutated further. Every roll has a seed; a
failure prints the input itself.

    LIS_FUZZ=1000000 pytest tests/fuzz      a million inputs, shared by all targets
    LIS_FUZZ_SEED=7                         other ones
"""

import os
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lis.wire.capture import Direction, read_capture

TARGETS = 6
INPUTS = int(os.environ.get("LIS_FUZZ", "18000")) // TARGETS  # of each target
SEED = os.environ.get("LIS_FUZZ_SEED", "0")
TIMEOUT_S = 60 + INPUTS // 50  # the long profile runs beside other work, on slow machines

SIZE_MAX = 4_096
SIZE_USUAL = 700  # what goes wrong shows in little; a tenth of the inputs may be larger
POOL_MAX = 600
OPERATIONS_MAX = 6
REPETITIONS_MAX = 400
STEPS_EVERY = 64  # each so many inputs the work is counted
CAPTURES = Path(__file__).resolve().parents[1] / "captures"

Target = Callable[[bytes, Random], Hashable]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a target may cost: so many calls, and so many for each byte."""

    fixed: int
    per_byte: float


def fuzz(
    name: str, target: Target, seeds: Sequence[bytes], tokens: Sequence[bytes], work: Work
) -> int:
    """Play `INPUTS` inputs; returns how many different outcomes there were."""
    chance = Random(f"{name} {SEED}")  # the module is for pictures of numbers, not for secrets
    pool, outcomes = list(seeds), set()
    for count in range(INPUTS):
        data = mutated(pool, tokens, chance)
        try:
            if count % STEPS_EVERY:
                outcome = target(data, chance)
            else:
                with counted_calls() as calls:
                    outcome = target(data, chance)
                assert calls[0] <= work.fixed + work.per_byte * len(data), f"{calls[0]} calls"
        except BaseException as error:
            error.add_note(f"input {count} of {name}, {len(data)} bytes: {data!r}")
            raise
        if outcome not in outcomes:
            outcomes.add(outcome)
            if len(pool) < POOL_MAX + len(seeds):
                pool.append(data)
            else:
                pool[chance.randrange(len(seeds), len(pool))] = data
    return len(outcomes)


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many calls of Python and C functions are made meanwhile: work, measured without a clock."""
    calls = [0]

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            calls[0] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def mutated(pool: Sequence[bytes], tokens: Sequence[bytes], chance: Random) -> bytes:
    """One input of the pool with some things wrong."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.randint(1, OPERATIONS_MAX)):
        chance.choice(_OPERATIONS)(data, pool, tokens, chance)
    return bytes(data[: SIZE_MAX if chance.random() < 0.1 else SIZE_USUAL])


def _flip(
    data: bytearray, _pool: Sequence[bytes], _tokens: Sequence[bytes], chance: Random
) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _put(data: bytearray, _pool: Sequence[bytes], tokens: Sequence[bytes], chance: Random) -> None:
    place = chance.randint(0, len(data))
    data[place:place] = chance.choice(tokens)


def _swap(data: bytearray, _pool: Sequence[bytes], tokens: Sequence[bytes], chance: Random) -> None:
    place = chance.randint(0, len(data))
    data[place : place + chance.randint(0, 4)] = chance.choice(tokens)


def _cut(data: bytearray, _pool: Sequence[bytes], _tokens: Sequence[bytes], chance: Random) -> None:
    place = chance.randint(0, len(data))
    del data[place : place + chance.choice([1, 2, 9, 60, len(data)])]


def _repeat(
    data: bytearray, _pool: Sequence[bytes], _tokens: Sequence[bytes], chance: Random
) -> None:
    place = chance.randint(0, len(data))
    piece = data[place : place + chance.choice([1, 2, 5, 40])]
    data[place:place] = piece * chance.choice([1, 2, 9, REPETITIONS_MAX])


def _splice(
    data: bytearray, pool: Sequence[bytes], _tokens: Sequence[bytes], chance: Random
) -> None:
    other = chance.choice(pool)
    begin = chance.randint(0, len(other))
    data[chance.randint(0, len(data)) :] = other[begin:]


def _random(
    data: bytearray, _pool: Sequence[bytes], _tokens: Sequence[bytes], chance: Random
) -> None:
    place = chance.randint(0, len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 6))


_OPERATIONS = (_flip, _put, _put, _swap, _cut, _repeat, _splice, _random)


def captured() -> list[bytes]:
    """What every known instrument sends, from our own captures."""
    files = sorted(CAPTURES.glob("*/*.cap"))
    return [
        b"".join(
            chunk.data
            for chunk in read_capture(file.read_bytes())
            if chunk.direction is Direction.IN
        )
        for file in files
    ]
