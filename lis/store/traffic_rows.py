"""Rows about traffic: devices, links, the journal, the inbox, the outbox, host queries.

The inbox is where an ACK becomes a promise: a row there, committed with fsync, is what an analyzer was
told we have. The journal holds every frame both ways; a message that went into the inbox whole is not
repeated there, its journal line points to the inbox row.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from lis.store.base import Base, Key


class InboxState(StrEnum):
    NEW = "new"
    PROCESSED = "processed"
    HELD = "held"  # the message as a whole waits for a person: see hold_reason
    INCOMPLETE = "incomplete"  # evidence of a cut message; never delivered as final


class OutboxState(StrEnum):
    NEW = "new"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DEAD = "dead"  # refused: a person looks and replays
    CANCELLED = "cancelled"  # undone before anybody saw it


class Device(Base):
    """One analyzer."""

    __tablename__ = "device"

    id: Mapped[Key] = mapped_column(init=False)
    public_id: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"))
    name: Mapped[str] = mapped_column(unique=True)
    driver: Mapped[str]
    profile_version: Mapped[str] = mapped_column(default="")
    timezone: Mapped[str] = mapped_column(default="")
    charset: Mapped[str] = mapped_column(default="")
    serial: Mapped[str] = mapped_column(default="")
    clock_offset_s: Mapped[int | None] = mapped_column(default=None)
    last_message_at: Mapped[datetime | None] = mapped_column(default=None)
    quarantine_reason: Mapped[str] = mapped_column(default="")
    is_simulator: Mapped[bool] = mapped_column(default=False)
    has_reliable_barcode: Mapped[bool] = mapped_column(
        default=False
    )  # S16: its protocol does not tell how an id was read, and a person vouches for its reader
    seen_name: Mapped[str] = mapped_column(default="")  # as its headers said first (S23)
    seen_serial: Mapped[str] = mapped_column(default="")


class Quarantine(Base):
    """A device, or one test on it, from which nothing leaves until a person clears it (S23)."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index(
            "ix_quarantine_open",
            "device_id",
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    kind: Mapped[str]  # serial, name, driver, unit
    expected: Mapped[str]
    got: Mapped[str]
    opened_at: Mapped[datetime]
    test_code: Mapped[str] = mapped_column(default="")  # "" = everything from the device
    instrument_code: Mapped[str] = mapped_column(default="")
    inbox_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"), default=None)
    cleared_at: Mapped[datetime | None] = mapped_column(default=None)
    cleared_by: Mapped[str] = mapped_column(default="")
    clear_reason: Mapped[str] = mapped_column(default="")
    is_accepted: Mapped[bool] = mapped_column(default=False)  # what came is right from now on


class Link(Base):
    """One configured connection: an instrument's or an EMR's."""

    __tablename__ = "link"

    id: Mapped[Key] = mapped_column(init=False)
    name: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    purpose: Mapped[str]  # instrument, emr_receive, emr_send
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id"), default=None)
    state: Mapped[str] = mapped_column(default="stopped")
    peer: Mapped[str] = mapped_column(default="")
    changed_at: Mapped[datetime | None] = mapped_column(default=None)


class Journal(Base):
    """One line of traffic."""

    __tablename__ = "journal"
    __table_args__ = (Index("ix_journal_link", "link_id", "id"),)

    id: Mapped[Key] = mapped_column(init=False)
    link_id: Mapped[int]
    at: Mapped[datetime]
    direction: Mapped[str]  # "in" or "out"
    data: Mapped[bytes | None] = mapped_column(default=None)
    inbox_id: Mapped[int | None] = mapped_column(default=None)
    note: Mapped[str] = mapped_column(default="")


class Inbox(Base):
    """One received message, as raw bytes."""

    __tablename__ = "inbox"
    __table_args__ = (
        # a resend is looked for by its control id; no index on the digest, for random pages are
        # what a commit costs most
        Index(
            "ix_inbox_identity",
            "link_id",
            "control_id",
            sqlite_where=text("control_id <> ''"),
            postgresql_where=text("control_id <> ''"),
        ),
        Index(
            "ix_inbox_new",
            "id",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
        Index("ix_inbox_state", "state", "id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    link_id: Mapped[int]
    received_at: Mapped[datetime]
    protocol: Mapped[str]
    lane: Mapped[str]
    raw: Mapped[bytes]
    sha256: Mapped[bytes]
    control_id: Mapped[str] = mapped_column(default="")
    state: Mapped[InboxState] = mapped_column(default=InboxState.NEW)
    device_id: Mapped[int | None] = mapped_column(default=None)
    driver: Mapped[str] = mapped_column(default="")
    driver_version: Mapped[str] = mapped_column(default="")
    hold_reason: Mapped[str] = mapped_column(default="")
    reply: Mapped[bytes | None] = mapped_column(default=None)
    processed_at: Mapped[datetime | None] = mapped_column(default=None)
    is_session_closed: Mapped[bool | None] = mapped_column(
        default=None
    )  # EOT seen after our last ACK
    verdict: Mapped[dict[str, Any]] = mapped_column(
        JSON, default_factory=dict
    )  # counts, error text


class Outbox(Base):
    """One delivery to one destination; `key` makes it idempotent, `order_key` keeps order."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "destination",
            "not_before",
            sqlite_where=text("state IN ('new','sent')"),
            postgresql_where=text("state IN ('new','sent')"),
        ),
        Index("ix_outbox_order", "destination", "order_key", "id"),
    )

    id: Mapped[Key] = mapped_column(init=False)
    destination: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    order_key: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]
    state: Mapped[OutboxState] = mapped_column(default=OutboxState.NEW)
    body: Mapped[bytes | None] = mapped_column(
        default=None
    )  # the bytes sent: the same on every try
    lease_until: Mapped[datetime | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(default=None)
    last_error: Mapped[str] = mapped_column(default="")
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)


class QueryKind(StrEnum):
    """What an instrument asked for."""

    LIST = "list"  # one tube, or several by their numbers
    RANGE = "range"
    ALL = "all"
    CANCEL = "cancel"


class HostQueryLog(Base):
    """What an instrument asked, what it was answered, and why the answer was empty."""

    __tablename__ = "host_query_log"

    id: Mapped[Key] = mapped_column(init=False)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), index=True)
    at: Mapped[datetime]
    asked: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    answered: Mapped[list[Any]] = mapped_column(JSON, default_factory=list)
    empty_reason: Mapped[str] = mapped_column(default="")
    inbox_id: Mapped[int | None] = mapped_column(default=None)
    kind: Mapped[QueryKind] = mapped_column(default=QueryKind.LIST)
    is_cut: Mapped[bool] = mapped_column(default=False)  # there was more than one answer holds
    records: Mapped[int] = mapped_column(default=0)  # ASTM records or HL7 segments of the reply
    took_ms: Mapped[int | None] = mapped_column(default=None)  # from the question kept to the reply


class Alarm(Base):
    """Something a person must look at: dead letters, silence, clock, a crashed task."""

    __tablename__ = "alarm"
    __table_args__ = (Index("ix_alarm_open", "closed_at", "kind"),)

    id: Mapped[Key] = mapped_column(init=False)
    kind: Mapped[str]
    subject: Mapped[str]
    opened_at: Mapped[datetime]
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default_factory=dict)
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
