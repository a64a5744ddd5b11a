"""Routes what waits, and routes again what must not stay where it lies.

A step looks first, with no write lock, and opens a unit of work only where something would change. It is woken by
news of orders, gates and devices, and looks at its own pace besides, for a gate falls overdue without any news. What a
look did not move (a test done by hand, an analyzer that is silent and has no neighbour) is looked at again after
`AGAIN` only: else a bench full of such work would be judged anew every second.
"""

from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from lis.domain.catalog import Catalog
from lis.domain.errors import NotFound
from lis.orders.dispatching import is_routing_due, misplaced, route_again, route_waiting
from lis.store.definitions import catalog_in_force
from lis.store.lock import Priority
from lis.store.routing_queries import ROUTED_MAX, unrouted_ids
from lis.store.unit import Store

ACTOR: Final = "routing"
_K = TypeVar("_K", bound=Hashable)
AGAIN: Final = timedelta(
    seconds=5
)  # a tube that was just received does not wait longer for its analyzer


class Router:
    """Keeps every work order of one store at an analyzer that may have it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked: dict[Hashable, datetime] = {}

    def step(self) -> bool:
        """One bounded part of the work; True while more waits."""
        now = self._store.clock.now()
        self._looked = {key: at for key, at in self._looked.items() if now - at < AGAIN}
        with self._store.read() as session:
            try:
                catalog = catalog_in_force(session, now)
            except NotFound:
                return False  # a laboratory before its first catalog has no work
            waiting = self._not_looked_at(unrouted_ids(session))
            part = waiting[:ROUTED_MAX]
            is_due = is_routing_due(session, catalog, part, now)
            leaving = misplaced(session, catalog, now)
        self._looked |= dict.fromkeys(part, now)
        if is_due:
            with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
                route_waiting(unit, catalog, part)
        for device_id, tests in leaving.items():
            self._leave(catalog, device_id, tests, now)
        return len(waiting) > len(part)

    def _leave(self, catalog: Catalog, device_id: int, tests: list[str], now: datetime) -> None:
        keys = self._not_looked_at((device_id, test) for test in tests)
        if not keys:
            return
        with self._store.unit(ACTOR, priority=Priority.BACKGROUND) as unit:
            route_again(unit, catalog, device_id, [test for _, test in keys])
        self._looked |= dict.fromkeys(keys, now)

    def _not_looked_at(self, keys: Iterable[_K]) -> list[_K]:
        return [key for key in keys if key not in self._looked]
