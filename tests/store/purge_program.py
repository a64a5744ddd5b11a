"""Forgets old traffic of a store until it is killed in the middle of a transaction.

    python -m tests.store.purge_program URL DELETES TIME

The process ends itself with SIGKILL after that many DELETE statements, before their commit. It takes TIME for now.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, event

from lis.domain.clock import ManualClock
from lis.store import Store
from lis.store.retention import Retention


def main() -> None:
    url, deletes, at = sys.argv[1], int(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
    done = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal done
        done += statement.startswith("DELETE")
        if done == deletes:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)
    store = Store.open(url, clock=ManualClock(at.astimezone(UTC)))
    retention = Retention(store, keep_days=30)
    while retention.step():
        pass


if __name__ == "__main__":
    main()
