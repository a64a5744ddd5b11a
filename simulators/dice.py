"""Chance that repeats itself: the same words give the same numbers, on every machine and in any order.

Each thing that chance decides has dice of its own, named by what it is about (seed, specimen, test, run). So a
value does not depend on which analyzer was quicker, and a day can be played again and compared.
"""

import random

__all__ = ["dice"]


def dice(*words: object) -> random.Random:
    """Dice named by `words`; the same words, the same throws."""
    return random.Random("/".join(str(word) for word in words))  # noqa: S311  # a game, no secret
