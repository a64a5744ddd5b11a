"""What a verifier saw, as one hash (S07).

The hash covers everything on the row that a person judges by: who, which tube, the value and its meaning,
what it is compared with, and why it waits. It is computed when a row is shown and again when it is
verified; if the two differ, the person saw something else and verifying is refused with the fresh row. Words in
a language are left out: the same row in Russian and in English is the same row.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

SEEN = (
    "id",
    "row_version",
    "bench_state",
    "status",
    "specimen",
    "patient",
    "test",
    "value",
    "reported",
    "unit",
    "flag",
    "interval",
    "interval_reason",
    "previous",
    "instrument_flags",
    "comment",
    "supplements",
    "device",
    "qc",
    "holds",
    "analysed_at",
    "is_chosen",
)
HASH_BYTES = 16  # told apart, not defended: the server computes both sides


def shown_hash(row: Mapping[str, Any]) -> str:
    """The hash of what a person sees of a row."""
    seen = {name: row.get(name) for name in SEEN}
    text = orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=HASH_BYTES).hexdigest()
