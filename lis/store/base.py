"""The declarative base of all rows, and the column types that keep their meaning on both stores.

Rows are SQLAlchemy 2 mapped dataclasses: plain, typed, comparable, and defined once. SQLite and
PostgreSQL differ in what a number, a time or a text may be, so five types keep the meaning:

* `UtcTime`: aware datetimes, stored in UTC, read back aware;
* `ExactDecimal`: decimals as text, because SQLite's NUMERIC is a binary float;
* `StorableText`: text, with a visible sign for NUL and for lone surrogates, which PostgreSQL refuses;
* `FoldedText`: text whose index serves searches by the beginning;
* `Key`: 64-bit integer keys that SQLite can autoincrement.
"""

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


NUL_SIGN = "\u2400"  # the picture of NUL


class UtcTime(TypeDecorator[datetime]):
    """An aware moment; a naive datetime is refused because its zone would be a guess."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an aware time is needed, got {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal kept as the text it was written in."""

    impl = String(64)
    cache_ok = True

    def process_bind_param(
        self,
        value: Decimal | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> str | None:
        return None if value is None else str(value)

    def process_result_value(
        self,
        value: Any | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> Decimal | None:
        return None if value is None else Decimal(value)


def storable_text(text: str) -> str:
    """Text as both stores can hold it; what was sent stays in the raw message."""
    if text.isascii():
        return text.replace("\x00", NUL_SIGN) if "\x00" in text else text
    return text.replace("\x00", NUL_SIGN).encode("utf-8", "replace").decode()


class StorableText(TypeDecorator[str]):
    """Any text, as `storable_text` makes it."""

    impl = String()
    cache_ok = True

    def process_bind_param(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> str | None:
        return None if value is None else storable_text(value)


class FoldedText(StorableText):
    """Text that is searched by its beginning: sorted by code points on both stores, so an index serves ranges."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(collation=collation))


BigKey = BigInteger().with_variant(Integer, "sqlite")
Key = Annotated[int, mapped_column(BigKey, primary_key=True, autoincrement=True)]
Moment = Annotated[datetime, mapped_column(UtcTime())]
Document = Annotated[dict[str, Any], mapped_column(JSON)]


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Base of every row."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute
        datetime: UtcTime(),
        Decimal: ExactDecimal(),
        str: StorableText(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        # enums as their values in plain text: readable in any SQL tool, no type to migrate
        enum.Enum: Enum(
            enum.Enum,
            native_enum=False,
            length=32,
            values_callable=lambda members: [member.value for member in members],
        ),
    }
