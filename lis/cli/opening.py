"""Opening the laboratory's store from a command: settings, then a migrated store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lis.app.clock import SystemClock
from lis.app.settings import Settings, load_settings
from lis.domain.errors import Malformed
from lis.store.unit import Store


def read_settings(config: Path) -> Settings:
    """The settings; a relative SQLite file and the learned drivers lie beside the configuration file."""
    settings = load_settings(config)
    folder = config.resolve().parent / (settings.drivers.folder or "drivers")
    drivers = settings.drivers.model_copy(update={"folder": str(folder)})
    settings = settings.model_copy(update={"drivers": drivers})
    prefix = "sqlite:///"
    url = settings.store.url
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        place = (config.resolve().parent / url.removeprefix(prefix)).as_posix()
        store = settings.store.model_copy(update={"url": prefix + place})
        settings = settings.model_copy(update={"store": store})
    return settings


@contextmanager
def open_store(config: Path) -> Iterator[Store]:
    """The laboratory's store, brought to the newest schema; raises `Malformed` for a bad configuration."""
    if not config.exists():
        raise Malformed(
            expected="a configuration file (see README)", got="no such file", where=str(config)
        )
    store = Store.open(read_settings(config).store.url, clock=SystemClock())
    try:
        store.migrate()
        yield store
    finally:
        store.close()
