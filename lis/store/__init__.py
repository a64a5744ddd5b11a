"""What is remembered: rows, units of work, inbox, outbox, audit."""

from lis.store.identity import CountingIds, IdSource, RandomIds
from lis.store.lock import Priority, StoreBusy
from lis.store.unit import Hint, NestedUnit, Store, Unit

__all__ = [
    "CountingIds",
    "Hint",
    "IdSource",
    "NestedUnit",
    "Priority",
    "RandomIds",
    "Store",
    "StoreBusy",
    "Unit",
]
