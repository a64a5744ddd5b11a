"""The demo laboratory's catalog. Not for clinical use; see the README beside the data."""

from datetime import datetime
from importlib import resources

import orjson

from lis.domain.catalog_writing import CatalogDocuments
from lis.store.definitions import DefinitionKind, put_definition
from lis.store.unit import Unit

APPROVER = "demo-approver"  # a second person, as the rule asks, though here nobody is real


def demo_documents() -> CatalogDocuments:
    """The three documents as they lie in the package."""
    data = resources.files(__package__).joinpath("demo_catalog.json").read_bytes()
    documents = orjson.loads(data)
    return CatalogDocuments(
        catalog=documents["catalog"], interval=documents["interval"], rule=documents["rule"]
    )


def put_demo_catalog(unit: Unit, *, effective_from: datetime) -> None:
    """Put the demo catalog, its intervals and its rules in force from a moment on."""
    documents = demo_documents()
    for kind, body in (
        (DefinitionKind.CATALOG, documents.catalog),
        (DefinitionKind.INTERVAL, documents.interval),
        (DefinitionKind.RULE, documents.rule),
    ):
        put_definition(unit, kind, body["version"], body, effective_from, APPROVER)
