"""Versions of the catalog, the intervals and the rules (promise 5).

A version is a document that never changes; a change is a new version with an author, a second person
who approved it, a date of effect and test cases. Which versions are in force is asked in every
transaction, so all processes agree the moment one commits; the frozen catalog made from them is kept in
the store's cache by the three version ids.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog
from lis.domain.catalog_document import EMPTY, catalog_from_document
from lis.domain.errors import NotFound, Refused
from lis.domain.repeat_document import read_repeat_rules
from lis.store.definition_cache import DefinitionCache
from lis.store.rows import DefinitionVersion
from lis.store.unit import DEFINITIONS, Unit


class DefinitionKind(StrEnum):
    CATALOG = "catalog"
    INTERVAL = "interval"
    RULE = "rule"
    REPEAT = "repeat"  # reflex, rerun, dilution: read by `lis.domain.repeat_document`


CATALOG_KINDS = (DefinitionKind.CATALOG, DefinitionKind.INTERVAL, DefinitionKind.RULE)


def catalog_in_force(session: Session, at: datetime) -> Catalog:
    """The catalog that holds at `at`; raise `NotFound` while there is none."""
    ids = tuple(_version_in_force(session, kind, at) for kind in CATALOG_KINDS)
    cache = session.info.get(DEFINITIONS)
    assert isinstance(cache, DefinitionCache), "the session was not opened by a Store"
    kept = cache.get(ids)
    if isinstance(kept, Catalog):
        return kept
    if ids[0] is None:
        raise NotFound("catalog in force", at.isoformat())
    bodies = [_body(session, version_id) for version_id in ids]
    catalog = catalog_from_document(ids[0], *bodies)
    cache.put(ids, catalog)
    return catalog


def put_definition(  # noqa: PLR0917 - the order is the contract's
    unit: Unit,
    kind: DefinitionKind | str,
    version: str,
    body: Mapping[str, Any],
    effective_from: datetime,
    approver: str,
    test_cases: Sequence[Any] = (),
    *,
    author: str = "",
) -> DefinitionVersion:
    """Store a new version by `unit.actor`, or by `author`. Refused when the approver is the author.

    The document must be readable together with the other kinds that will be in force beside it, so
    the catalog comes first, then intervals and rules; raises `Malformed` else.
    """
    kind = DefinitionKind(kind)
    author = author or unit.actor
    if not approver or approver == author:
        raise Refused("definition_needs_second_person", kind=kind.value, author=author)
    if body.get("version") != version:
        raise Refused("definition_version_differs", kind=kind.value, version=version)
    _check_readable(unit.session, kind, body, effective_from)
    row = DefinitionVersion(
        kind=kind.value,
        version=version,
        effective_from=effective_from,
        created_at=unit.now,
        author=author,
        approver=approver,
        body=dict(body),
        test_cases=list(test_cases),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.audit("put", "definition", f"{kind.value} {version}", after={"approver": approver})
    unit.publish("definition", kind.value)
    return row


def body_in_force(session: Session, kind: DefinitionKind, at: datetime) -> Mapping[str, Any]:
    """The document of a kind that holds at `at`, as it was put in; an empty one while there is none."""
    return _body(session, _version_in_force(session, kind, at))


def definition_versions(
    session: Session, kind: DefinitionKind
) -> Sequence[Row[int, str, datetime, str, str]]:
    """All versions of a kind, newest effect first, without their bodies.

    Columns: id, version, effective_from, author, approver.
    """
    return session.execute(
        select(
            DefinitionVersion.id,
            DefinitionVersion.version,
            DefinitionVersion.effective_from,
            DefinitionVersion.author,
            DefinitionVersion.approver,
        )
        .where(DefinitionVersion.kind == kind.value)
        .order_by(DefinitionVersion.effective_from.desc(), DefinitionVersion.id.desc())
    ).all()


def _check_readable(
    session: Session, kind: DefinitionKind, body: Mapping[str, Any], effective_from: datetime
) -> None:
    """Read the new version beside whatever will be in force at each moment of its reign."""
    if kind not in CATALOG_KINDS:
        read_repeat_rules(body, catalog_in_force(session, effective_from))
        return
    later = session.execute(
        select(DefinitionVersion.kind, DefinitionVersion.effective_from)
        .where(
            DefinitionVersion.effective_from > effective_from,
            DefinitionVersion.kind.in_([one.value for one in CATALOG_KINDS]),
        )
        .order_by(DefinitionVersion.effective_from)
    ).all()
    moments = [effective_from]
    for other_kind, moment in later:
        if other_kind == kind.value:
            break
        moments.append(moment)
    for moment in moments:
        bodies = [
            body if other is kind else _body(session, _version_in_force(session, other, moment))
            for other in CATALOG_KINDS
        ]
        if not bodies[0]["version"]:
            raise Refused("definition_needs_catalog", kind=kind.value)
        catalog_from_document(0, *bodies)


def _version_in_force(session: Session, kind: DefinitionKind, at: datetime) -> int | None:
    return session.execute(
        select(DefinitionVersion.id)
        .where(DefinitionVersion.kind == kind.value, DefinitionVersion.effective_from <= at)
        .order_by(DefinitionVersion.effective_from.desc(), DefinitionVersion.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _body(session: Session, version_id: int | None) -> Mapping[str, Any]:
    if version_id is None:
        return EMPTY
    body: Mapping[str, Any] = session.execute(
        select(DefinitionVersion.body).where(DefinitionVersion.id == version_id)
    ).scalar_one()
    return body
