"""Run by Alembic on the connection that `migrating` hands over; there is no ini file and no URL.

Types are written into migrations as plain SQLAlchemy types, so that an old migration does not change
its meaning when a class of ours does. SQLite alters tables by making them anew (batch mode).
"""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Enum, Integer

from lis.store.base import ExactDecimal, FoldedText, StorableText, UtcTime
from lis.store.migrations.migrating import OWN_TABLES
from lis.store.rows import Base


def render_type(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our column types as what the database holds."""
    if kind != "type":
        return False
    match item:
        case UtcTime():
            return "sa.DateTime(timezone=True)"
        case ExactDecimal():
            return "sa.String(length=64)"
        case FoldedText():
            return 'sa.String().with_variant(sa.String(collation="C"), "postgresql")'
        case StorableText():
            return "sa.String()"
        case Enum():
            return f"sa.String(length={item.length})"
        case _ if isinstance(getattr(item, "mapping", {}).get("sqlite"), Integer):
            return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
        case _:
            return False


def is_ours(item: Any, name: str | None, kind: str, *_: object) -> bool:
    """Leave out the tables that migrations themselves use."""
    del item
    return not (kind == "table" and name in OWN_TABLES)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    include_object=is_ours,
    render_item=render_type,
)
with context.begin_transaction():
    context.run_migrations()
