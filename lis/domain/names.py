"""Names of people as a search compares them: without case, without the two dots of ё, with single spaces.

Folding is done here and not in the database: SQLite lowers ASCII only, and a search by the start of a name
must be able to use an index on both stores.
"""

from typing import Final

_SAME_LETTERS: Final = str.maketrans({"ё": "е", "'": None, "\u2019": None, "`": None})
LAST: Final = "\U0010ffff"  # sorts after every letter


def folded(*parts: str) -> str:
    """The parts of a name as one comparable text: `Ёлкина  Анна` is `елкина анна`."""
    text = " ".join(part for part in parts if part).casefold().translate(_SAME_LETTERS)
    return " ".join(text.split())


def prefix_range(prefix: str) -> tuple[str, str]:
    """The half-open range of folded names that begin with this folded prefix, by code points."""
    return prefix, prefix + LAST
