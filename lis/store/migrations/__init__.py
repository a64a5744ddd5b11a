"""Migrations: the way from any released schema to the present one."""

from lis.store.migrations.migrating import MigrationLocked, head_revision, migrate, stamp

__all__ = ["MigrationLocked", "head_revision", "migrate", "stamp"]
