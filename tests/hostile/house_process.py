"""A house in a process of its own, so that its memory is its own. Prints its addresses; ends with its input.

python -m tests.hostile.house_process DATABASE
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import structlog

from lis.app.clock import SystemClock
from lis.app.settings import parse_settings
from lis.app.wiring import build_house
from lis.cli.null_modem import NullModem
from lis.cli.serving import HouseThread
from lis.store.seed.demo_catalog import put_demo_catalog

NAMES = {"xp-1", "bc-1", "his"}


def settings(database: Path, cable: NullModem):
    listen = "tcp-listen://127.0.0.1:0"
    links = (
        ("xp-1", "sysmex-xp-100", listen),
        ("bc-1", "mindray-bc", listen),
        ("xp-2", "sysmex-xp-100", f"serial://{cable.a}"),
    )
    return parse_settings(
        {
            "store": {"url": f"sqlite:///{database}"},
            "instrument": [
                {"name": name, "driver": driver, "link": link, "timezone": "UTC"}
                for name, driver, link in links
            ],
            "emr": [{"name": "his", "receive": listen}],
        },
        where="test",
    )


def main() -> None:
    # Output is the answer to whoever started us; nobody reads a pipe of logs, and a full one would stop us.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with NullModem() as cable:
        house = build_house(settings(Path(sys.argv[1]), cable), clock=SystemClock())
        with house.store.unit("author") as unit:
            put_demo_catalog(unit, effective_from=unit.now - timedelta(days=1))
        thread = HouseThread(house)
        thread.start()
        while not house.addresses.keys() >= NAMES:
            time.sleep(0.02)
        sys.stdout.write(json.dumps({**house.addresses, "xp-2": cable.b}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        thread.stop()


if __name__ == "__main__":
    main()
