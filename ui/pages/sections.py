"""Sections of the laboratory as a choice: their code, and their name where the catalog has one."""

from dataclasses import dataclass

from lis.domain.catalog import Catalog
from lis.orders.workplan import sections_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionShown:
    """One section."""

    code: str
    name: str


def sections_shown(catalog: Catalog, language: str) -> tuple[SectionShown, ...]:
    """The sections that tests name, by name."""
    shown = []
    for code in sections_of(catalog):
        names = catalog.sections.get(code, {})
        shown.append(SectionShown(code=code, name=names.get(language) or names.get("en") or code))
    return tuple(sorted(shown, key=lambda one: one.name))
