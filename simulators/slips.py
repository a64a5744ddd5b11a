"""Instruments that only print: how a simulated one writes its slip.

The layout of a profile is a pattern and cannot be read backwards, so the model says how the head and each row are
written.
"""

from collections.abc import Sequence
from datetime import datetime

from lis.wire.errors import LocalProtocolError
from lis.wire.printout import block_of
from simulators.measuring import Measured
from simulators.model import Model

__all__ = ["slip_of"]


def slip_of(model: Model, rows: Sequence[Measured], *, specimen: str, at: datetime) -> bytes:
    """The block that reports `rows`; `at` is the local time of the instrument."""
    head = model.slip_head.format(at=at, specimen=specimen)
    lines = [model.slip_row.format(code=row.code, text=row.text, unit=row.unit) for row in rows]
    text = " ".join([head, *lines])
    try:
        return block_of(text.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise LocalProtocolError("a slip holds Latin-1 only") from error
