"""The header's entries: one table. An entry shows only to people who may open the page.

What people open all day stands in the header; the rest stands behind "More", so that the header stays one line.
"""

from dataclasses import dataclass
from typing import Final

from lis.access import Actor
from lis.domain.roles import Permission


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the header; `key` is the physical key that follows G (DESIGN 5.4)."""

    path: str
    title: str  # key of lis.words
    permission: Permission
    key: str = ""
    is_more: bool = False  # behind "More"


NAVIGATION: Final = (
    Entry("/worklist", "ui.nav.worklist", Permission.SEE_WORKLIST, "KeyW"),
    Entry("/orders", "orderpage.title", Permission.ENTER_ORDERS, "KeyO"),
    Entry("/workplan", "workplanpage.title", Permission.SEE_WORKLIST, "KeyB"),
    Entry(
        "/outstanding", "workplanpage.outstanding", Permission.SEE_WORKLIST, "KeyT", is_more=True
    ),
    Entry("/lookup", "lookuppage.title", Permission.SEE_PATIENTS, "KeyL"),
    Entry("/labels", "labels.title", Permission.ENTER_ORDERS, is_more=True),
    Entry("/held", "heldpage.title", Permission.SEE_WORKLIST, "KeyE", is_more=True),
    Entry("/repeat-rules", "repeatpage.title", Permission.SEE_WORKLIST, is_more=True),
    Entry("/qc", "qc.title", Permission.SEE_QC, "KeyQ"),
    Entry("/instruments", "instruments.title", Permission.SEE_INSTRUMENTS, "KeyI"),
    Entry("/routing", "routingpage.title", Permission.SEE_WORKLIST, "KeyR", is_more=True),
    Entry("/delivery", "delivery.title", Permission.SEE_INSTRUMENTS, is_more=True),
    Entry("/patients", "ui.nav.patients", Permission.SEE_PATIENTS, "KeyP", is_more=True),
    Entry("/users", "ui.nav.users", Permission.MANAGE_USERS, "KeyU", is_more=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The entries as the header shows them."""

    first: tuple[Entry, ...]
    more: tuple[Entry, ...]
    is_more_open: bool = False  # the page that is open stands behind "More"


def header_for(actor: Actor | None, here: str) -> Header:
    """The header of one person. A single entry is not hidden: it would take as much room."""
    entries = entries_for(actor)
    more = tuple(entry for entry in entries if entry.is_more)
    if len(more) < MORE_MIN:
        return Header(first=entries, more=())
    return Header(
        first=tuple(entry for entry in entries if not entry.is_more),
        more=more,
        is_more_open=any(entry.path == here for entry in more),
    )


def entries_for(actor: Actor | None) -> tuple[Entry, ...]:
    """What this person may open, in the order of the header."""
    if actor is None:
        return ()
    return tuple(entry for entry in NAVIGATION if actor.may(entry.permission))


MORE_MIN: Final = 2

# Where each kind of work begins; the first page that a person may open.
HOMES: Final = ("/worklist", "/qc", "/users", "/patients")


def home_of(actor: Actor) -> str:
    """Where a person lands after the login."""
    open_to = {entry.path for entry in entries_for(actor)}
    return next((path for path in HOMES if path in open_to), "/account")
