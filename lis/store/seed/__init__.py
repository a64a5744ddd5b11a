"""Data a new laboratory can start from."""

from lis.store.seed.demo_catalog import demo_documents, put_demo_catalog

__all__ = ["demo_documents", "put_demo_catalog"]
