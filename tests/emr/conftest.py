"""The store of `tests.seeded_store`: a site, an analyzer, the demo catalog, and a way to release."""

from tests.seeded_store import catalog, place, report, store

__all__ = ["catalog", "place", "report", "store"]
