"""What a LAW analyzer asks for: QBP^Q11 as a question, and the question again when it is answered.

A question names a container by an id that we may look up, asks for everything, or names a place or a number of the
analyzer's own. Of the last kind no specimen is ever looked for (S16): its list of specimens is empty, and its
answer is "nothing to do". What nobody knows is no question, and is refused.
"""

from lis.domain.messages import HostQuery
from lis.drivers.law_style import LawStyle
from lis.wire.hl7 import DELETED, Message, Segment

ECHOED_CHARACTERS_MAX = 4_000  # of a query: a QPD of a hundred characters is a long one


def query_of(style: LawStyle, message: Message) -> tuple[HostQuery, ...]:
    """What a QBP^Q11 asks for; an empty list of specimens means that no id was told that we could know."""
    qpd = message.first("QPD")
    if message.code != "QBP" or qpd is None:
        return ()
    name, container = qpd.component(1), qpd.component(3).strip()
    is_named = name in style.container_queries and container not in {"", DELETED}
    known = style.container_queries | style.numberless_queries | style.all_queries
    if name not in known:
        return ()
    return (
        HostQuery(
            specimens=(container,) if is_named else (),
            wants_all=name in style.all_queries,
            echo=(message.control_id, _echoed(message, qpd)),
            record="QPD|1",
        ),
    )


def asked_message(query: HostQuery) -> Message:
    """The query again: its header and its QPD. Raises `RemoteProtocolError` for one that was no LAW query."""
    raw = query.echo[1] if len(query.echo) > 1 else ""
    return Message.parse(raw.encode("utf-8"), fallback=("utf-8",))


def _echoed(message: Message, qpd: Segment) -> str:
    header = message.header.raw
    return f"{header}\r{qpd.raw}\r" if len(header) + len(qpd.raw) <= ECHOED_CHARACTERS_MAX else ""
