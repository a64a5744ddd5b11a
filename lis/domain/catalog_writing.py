"""The JSON form of a catalog version: writing. `lis.domain.catalog_document` describes the form."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from lis.domain.catalog import (
    AutoverificationRules,
    Catalog,
    Container,
    DeltaLimit,
    Limits,
    Stability,
    Test,
)
from lis.domain.document_fields import age_text


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDocuments:
    """The three documents of one catalog."""

    catalog: dict[str, Any]
    interval: dict[str, Any]
    rule: dict[str, Any]


def documents_of(
    catalog: Catalog, *, version: str, interval_version: str = "", rule_version: str = ""
) -> CatalogDocuments:
    """The three documents of a catalog: the inverse of `catalog_from_document`."""
    tests = catalog.tests.values()
    return CatalogDocuments(
        catalog={
            "version": version,
            "tests": [_test_document(test) for test in tests],
            "panels": [
                {
                    "code": panel.code,
                    "names": dict(panel.names),
                    "tests": list(panel.tests),
                    "short": list(panel.short),
                }
                for panel in catalog.panels.values()
            ],
            "instrument_tests": [
                {
                    "driver": entry.driver,
                    "code": entry.code,
                    "test": entry.test,
                    "unit": entry.unit,
                    "method": entry.method,
                }
                for entry in catalog.instrument_tests
            ],
            "containers": [_container_document(one) for one in catalog.containers.values()],
            "specimen_types": {code: dict(names) for code, names in catalog.specimen_types.items()},
            "sections": {code: dict(names) for code, names in catalog.sections.items()},
        },
        interval={
            "version": interval_version,
            "tests": {test.code: _judgement_document(test) for test in tests},
        },
        rule={
            "version": rule_version,
            "tests": {test.code: _rules_document(test.rules) for test in tests if test.rules},
        },
    )


def _test_document(test: Test) -> dict[str, Any]:
    return {
        "code": test.code,
        "names": dict(test.names),
        "unit": test.unit,
        "ucum": test.ucum,
        "decimals": test.decimals,
        "value_type": test.value_type.value,
        "specimen_type": test.specimen_type,
        "section": test.section,
        "codes": [
            {"system": code.system, "value": code.value, "display": code.display}
            for code in test.codes
        ],
        "qc": {
            "policy": test.qc_policy.value,
            "window_h": test.qc_window // timedelta(hours=1),
            "approver": test.qc_approver,
        },
        "needs_collection_time": test.needs_collection_time,
        "plain_words": dict(test.plain_words),
        "is_sensitive": test.is_sensitive,
        "method": test.method,
        "short": list(test.short),
        "container": test.container,
        "volume_ul": test.volume_ul,
        "stability": [_stability_document(one) for one in test.stability],
        "open_tube_stability": [_stability_document(one) for one in test.open_tube_stability],
        "minimum_interval_h": None
        if test.minimum_interval is None
        else test.minimum_interval // timedelta(hours=1),
        "turnaround_min": dict(test.turnaround_min),
        "needs_fasting": test.needs_fasting,
    }


def _stability_document(stability: Stability) -> dict[str, Any]:
    return {"storage": stability.storage.value, "hours": stability.hours}


def _container_document(container: Container) -> dict[str, Any]:
    return {
        "code": container.code,
        "names": dict(container.names),
        "cap": container.cap,
        "volume_ul": container.volume_ul,
        "dead_volume_ul": container.dead_volume_ul,
        "specimen_types": list(container.specimen_types),
    }


def _judgement_document(test: Test) -> dict[str, Any]:
    return {
        "bands": [
            {
                "sex": band.sex.value if band.sex else "",
                "from": age_text(band.age_from_h),
                "to": None if band.age_to_h is None else age_text(band.age_to_h),
                "low": _decimal_text(band.low),
                "high": _decimal_text(band.high),
                "text": band.text,
            }
            for band in test.intervals
        ],
        "critical": _limits_document(test.critical),
        "critical_codes": sorted(test.critical_codes),
    }


def _rules_document(rules: AutoverificationRules) -> dict[str, Any]:
    return {
        "is_on": rules.is_on,
        "is_never_automatic": rules.is_never_automatic,
        "measuring_range": _limits_document(rules.measuring_range),
        "absurd": _limits_document(rules.absurd),
        "verification": _limits_document(rules.verification),
        "delta": _delta_document(rules.delta),
        "releases_critical": rules.releases_critical,
        "accepted_codes": sorted(rules.accepted_codes),
        "stop_flags": sorted(rules.stop_flags),
    }


def _delta_document(delta: DeltaLimit | None) -> dict[str, Any] | None:
    if delta is None:
        return None
    return {
        "percent": _decimal_text(delta.percent),
        "absolute": _decimal_text(delta.absolute),
        "window_h": delta.window // timedelta(hours=1),
        "releases_first": delta.releases_first,
    }


def _limits_document(limits: Limits) -> dict[str, Any]:
    return {"low": _decimal_text(limits.low), "high": _decimal_text(limits.high)}


def _decimal_text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
