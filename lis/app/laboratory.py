"""The running laboratory as pages and endpoints see it: settings, store, bus and what watches links."""

from dataclasses import dataclass, field
from datetime import datetime

from lis.app.bus import Bus
from lis.app.settings import Settings
from lis.domain.catalog import Catalog
from lis.domain.clock import Clock
from lis.store.definitions import catalog_in_force
from lis.store.unit import Store


@dataclass(slots=True, kw_only=True)
class Laboratory:
    """What `lis.app.wiring` made; one per process."""

    settings: Settings
    store: Store
    bus: Bus
    clock: Clock
    installation: str  # names cookies and MQTT topics; no secret
    is_demo: bool = False
    started_at: datetime | None = None
    notices: list[str] = field(
        default_factory=list
    )  # what an administrator should read after start

    def catalog(self) -> Catalog:
        """The catalog in force now."""
        with self.store.read() as session:
            return catalog_in_force(session, self.clock.now())
