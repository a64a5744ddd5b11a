"""The header's entries: one table. An entry shows only to people who may open the page."""

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


NAVIGATION: Final = (
    Entry("/worklist", "ui.nav.worklist", Permission.SEE_WORKLIST, "KeyW"),
    Entry("/orders", "orderpage.title", Permission.ENTER_ORDERS, "KeyO"),
    Entry("/workplan", "workplanpage.title", Permission.SEE_WORKLIST, "KeyB"),
    Entry("/outstanding", "workplanpage.outstanding", Permission.SEE_WORKLIST, "KeyT"),
    Entry("/lookup", "lookuppage.title", Permission.SEE_PATIENTS, "KeyL"),
    Entry("/labels", "labels.title", Permission.ENTER_ORDERS),
    Entry("/held", "heldpage.title", Permission.SEE_WORKLIST, "KeyE"),
    Entry("/repeat-rules", "repeatpage.title", Permission.SEE_WORKLIST),
    Entry("/qc", "qc.title", Permission.SEE_QC, "KeyQ"),
    Entry("/instruments", "instruments.title", Permission.SEE_INSTRUMENTS, "KeyI"),
    Entry("/routing", "routingpage.title", Permission.SEE_WORKLIST, "KeyR"),
    Entry("/delivery", "delivery.title", Permission.SEE_INSTRUMENTS),
    Entry("/patients", "ui.nav.patients", Permission.SEE_PATIENTS, "KeyP"),
    Entry("/users", "ui.nav.users", Permission.MANAGE_USERS, "KeyU"),
)


def entries_for(actor: Actor | None) -> tuple[Entry, ...]:
    """What this person may open, in the order of the header."""
    if actor is None:
        return ()
    return tuple(entry for entry in NAVIGATION if actor.may(entry.permission))


# Where each kind of work begins; the first page that a person may open.
HOMES: Final = ("/worklist", "/qc", "/users", "/patients")


def home_of(actor: Actor) -> str:
    """Where a person lands after the login."""
    open_to = {entry.path for entry in entries_for(actor)}
    return next((path for path in HOMES if path in open_to), "/account")
