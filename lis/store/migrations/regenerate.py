"""Make the first migration again from the metadata, while no release has it.

python -m lis.store.migrations.regenerate

After the first release this file goes away: then each change of rows is a migration of its own, and a
released one is never touched.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from lis.store.engine import open_engines
from lis.store.migrations.migrating import alembic_config

VERSIONS = Path(__file__).parent / "versions"
FIRST = "0001"
MESSAGE = "All rows of the data model."


def main() -> None:
    """Write `versions/0001_first.py`."""
    for old in VERSIONS.glob("*.py"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        engines = open_engines(f"sqlite:///{folder}/empty.db")
        with engines.write.begin() as connection:
            config = alembic_config(connection)
            command.revision(config, message=MESSAGE, autogenerate=True, rev_id=FIRST)
        engines.dispose()
    written = next(VERSIONS.glob("*.py")).rename(VERSIONS / f"{FIRST}_first.py")
    for action in (["check", "--fix", "-q"], ["format", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *action, str(written)], check=True)  # noqa: S603 - our own file


if __name__ == "__main__":
    main()
