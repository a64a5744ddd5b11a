"""How many streams are rolled, and from which seeds: each failure names the one that shows it again.

LIS_STREAMS=100000 pytest tests/streams                         the long profile
LIS_STREAMS=1 LIS_STREAMS_SEED=4711 pytest tests/streams -k astm     one stream again
"""

import os
from collections.abc import Callable
from random import Random

STREAMS = int(os.environ.get("LIS_STREAMS", "5000"))
FIRST_SEED = int(os.environ.get("LIS_STREAMS_SEED", "0"))
TIMEOUT_S = 60 + STREAMS  # the long profile runs beside other work, on slow machines


def roll(stream: Callable[[Random], int], count: int = STREAMS) -> int:
    """Play so many streams; returns how many messages were delivered by them."""
    delivered = 0
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        try:
            delivered += stream(Random(seed))
        except BaseException as error:
            error.add_note(f"again with LIS_STREAMS=1 LIS_STREAMS_SEED={seed}")
            raise
    return delivered


def pieces(data: bytes, chance: Random) -> list[bytes]:
    """The bytes as a transport may cut them: whole, one by one, or anyhow."""
    how = chance.random()
    if how < 0.4 or len(data) < 2:
        return [data]
    if how < 0.5 and len(data) < 300:
        return [data[n : n + 1] for n in range(len(data))]
    cuts = sorted(chance.randrange(1, len(data)) for _ in range(chance.randint(1, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
