"""The JSON form of a catalog version: reading. `lis.domain.catalog_writing` is its inverse.

A catalog is kept as three documents, because three people answer for them and they change at different
times:

    catalog   tests, panels, what instruments call them
    interval  reference intervals and critical limits per test
    rule      autoverification per test

    catalog  {"version", "tests": [{"code", "names": {"ru", "en"}, "unit", "ucum", "decimals", ...}],
              "panels": [{"code", "names", "tests": [code, ...], "short"}],
              "containers": [{"code", "names", "cap", "volume_ul", "dead_volume_ul", "specimen_types"}],
              "specimen_types": {code: {"ru", "en"}}, "sections": {code: {"ru", "en"}},
              "instrument_tests": [{"driver", "code", "test", "unit", "method"}]}
    interval {"version", "tests": {code: {"bands": [{"sex", "from", "to", "low", "high", "text"}],
              "critical": {"low", "high"}, "critical_codes": [...]}}}
    rule     {"version", "tests": {code: {"is_on", "measuring_range", "absurd", "verification", ...}}}

Ages are "36h", "28d" or "18y"; `from` is inside the band and `to` is not. Decimals are texts. What does
not fit raises `Malformed` with the path: a definition that is half understood is worse than none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from lis.domain.catalog import (
    AutoverificationRules,
    Catalog,
    Code,
    Container,
    DeltaLimit,
    InstrumentTest,
    Interval,
    Limits,
    Panel,
    Sex,
    Stability,
    Storage,
    Test,
    ValueType,
)
from lis.domain.control import GATE_WINDOW_DEFAULT, QcPolicy
from lis.domain.document_fields import Fields, age_text, word
from lis.domain.errors import Malformed

LANGUAGES = ("ru", "en")  # both are complete, always
EMPTY: Mapping[str, Any] = {"version": "", "tests": {}}  # no intervals, or no rules, in force yet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    bands: tuple[Interval, ...]
    critical: Limits
    critical_codes: frozenset[str]


_UNJUDGED = _Judgement(bands=(), critical=Limits(), critical_codes=frozenset())


# --- reading ------------------------------------------------------------------------------------


def catalog_from_document(
    version_id: int,
    catalog: Mapping[str, Any],
    interval: Mapping[str, Any] = EMPTY,
    rule: Mapping[str, Any] = EMPTY,
) -> Catalog:
    """Read the frozen catalog from its three documents; raises `Malformed`."""
    fields = Fields(catalog, "catalog")
    version = fields.name("version")
    panels = fields.items("panels", _read_panel)
    instrument_tests = fields.items("instrument_tests", _read_instrument_test)
    containers = fields.items("containers", _read_container)
    specimen_types = fields.mapping("specimen_types", _read_names)
    sections = fields.mapping("sections", _read_names)
    interval_version, judgements = read_intervals(interval)
    rule_version, rules = read_rules(rule)
    tests = fields.items(
        "tests", lambda item, where: _read_test(item, where, judgements=judgements, rules=rules)
    )
    fields.end()
    _check_references(tests, panels, instrument_tests)
    _check_tubes(tests, containers, specimen_types)
    known = {test.code for test in tests}
    _check_known(judgements, known, "interval.tests")
    _check_known(rules, known, "rule.tests")
    versions = dict.fromkeys(part for part in (version, interval_version, rule_version) if part)
    return Catalog(
        version_id=version_id,
        version="+".join(versions),
        tests={test.code: test for test in tests},
        panels={panel.code: panel for panel in panels},
        instrument_tests=instrument_tests,
        containers={container.code: container for container in containers},
        specimen_types=specimen_types,
        sections=sections,
    )


def read_intervals(document: Mapping[str, Any]) -> tuple[str, dict[str, _Judgement]]:
    """Version and content of an interval document."""
    fields = Fields(document, "interval")
    version = fields.text("version")
    judgements = fields.mapping("tests", _read_judgement)
    fields.end()
    return version, judgements


def read_rules(document: Mapping[str, Any]) -> tuple[str, dict[str, AutoverificationRules]]:
    """Version and content of a rule document; each test's rules carry the document's version."""
    fields = Fields(document, "rule")
    version = fields.text("version")
    rules = fields.mapping("tests", lambda item, where: _read_rules_of_test(item, where, version))
    fields.end()
    return version, rules


def _read_test(
    item: object,
    where: str,
    *,
    judgements: Mapping[str, _Judgement],
    rules: Mapping[str, AutoverificationRules],
) -> Test:
    fields = Fields(item, where)
    code = fields.name("code")
    judgement = judgements.get(code, _UNJUDGED)
    policy, window, approver = _read_qc(fields.part("qc"), where)
    test = Test(
        code=code,
        names=_read_words(fields, "names"),
        unit=fields.text("unit", ""),
        ucum=fields.text("ucum", ""),
        decimals=fields.count("decimals"),
        value_type=fields.choice("value_type", ValueType, ValueType.NUMERIC),
        specimen_type=fields.name("specimen_type"),
        section=fields.name("section"),
        codes=fields.items("codes", _read_code),
        intervals=judgement.bands,
        critical=judgement.critical,
        critical_codes=judgement.critical_codes,
        rules=rules.get(code),
        qc_policy=policy,
        qc_window=window,
        qc_approver=approver,
        needs_collection_time=fields.flag("needs_collection_time"),
        plain_words=_read_words(fields, "plain_words", is_required=False),
        is_sensitive=fields.flag("is_sensitive"),
        method=fields.text("method", ""),
        short=fields.items("short", word),
        container=fields.text("container", ""),
        volume_ul=fields.count("volume_ul"),
        stability=fields.items("stability", _read_stability),
        open_tube_stability=fields.items("open_tube_stability", _read_stability),
        minimum_interval=_read_hours(fields, "minimum_interval_h"),
        turnaround_min=fields.mapping("turnaround_min", _minutes),
        needs_fasting=fields.flag("needs_fasting"),
    )
    fields.end()
    return test


def _read_stability(item: object, where: str) -> Stability:
    fields = Fields(item, where)
    stability = Stability(
        storage=fields.choice("storage", Storage), hours=fields.count("hours") or 0
    )
    fields.end()
    return stability


def _read_hours(fields: Fields, name: str) -> timedelta | None:
    hours = fields.count(name)
    return None if hours is None else timedelta(hours=hours)


def _minutes(item: object, where: str) -> int:
    if isinstance(item, bool) or not isinstance(item, int) or item <= 0:
        raise Malformed(expected="minutes, a whole number above zero", got=item, where=where)
    return item


def _read_container(item: object, where: str) -> Container:
    fields = Fields(item, where)
    container = Container(
        code=fields.name("code"),
        names=_read_words(fields, "names"),
        cap=fields.text("cap", ""),
        volume_ul=fields.count("volume_ul") or 0,
        dead_volume_ul=fields.count("dead_volume_ul") or 0,
        specimen_types=fields.items("specimen_types", word),
    )
    fields.end()
    return container


def _read_names(item: object, where: str) -> dict[str, str]:
    fields = Fields(item, where)
    names = {language: fields.name(language) for language in LANGUAGES}
    fields.end()
    return names


def _read_words(fields: Fields, name: str, *, is_required: bool = True) -> dict[str, str]:
    words = fields.mapping(name, word)
    missing = [language for language in LANGUAGES if not words.get(language)]
    if missing and (is_required or words):
        raise Malformed(
            expected="a text in " + " and ".join(LANGUAGES),
            got=words,
            where=f"{fields.where}.{name}",
        )
    return words


def _read_code(item: object, where: str) -> Code:
    fields = Fields(item, where)
    code = Code(
        system=fields.name("system"), value=fields.name("value"), display=fields.text("display", "")
    )
    fields.end()
    return code


def _read_qc(fields: Fields | None, where: str) -> tuple[QcPolicy, timedelta, str]:
    if fields is None:
        return QcPolicy.EXTERNAL, GATE_WINDOW_DEFAULT, ""
    policy = fields.choice("policy", QcPolicy, QcPolicy.EXTERNAL)
    hours = fields.count("window_h")
    approver = fields.text("approver", "")
    fields.end()
    if policy is QcPolicy.NONE and not approver:
        raise Malformed(expected="an approver of a test without QC", got="", where=f"{where}.qc")
    return policy, GATE_WINDOW_DEFAULT if hours is None else timedelta(hours=hours), approver


def _read_panel(item: object, where: str) -> Panel:
    fields = Fields(item, where)
    panel = Panel(
        code=fields.name("code"),
        names=_read_words(fields, "names"),
        tests=fields.items("tests", word),
        short=fields.items("short", word),
    )
    fields.end()
    return panel


def _read_instrument_test(item: object, where: str) -> InstrumentTest:
    fields = Fields(item, where)
    entry = InstrumentTest(
        driver=fields.name("driver"),
        code=fields.name("code"),
        test=fields.name("test"),
        unit=fields.text("unit", ""),
        method=fields.text("method", ""),
    )
    fields.end()
    return entry


def _read_judgement(item: object, where: str) -> _Judgement:
    fields = Fields(item, where)
    judgement = _Judgement(
        bands=fields.items("bands", _read_band),
        critical=_read_limits(fields, "critical"),
        critical_codes=fields.words("critical_codes"),
    )
    fields.end()
    _check_bands(judgement.bands, where)
    return judgement


def _read_band(item: object, where: str) -> Interval:
    fields = Fields(item, where)
    sex = fields.text("sex", "")
    if sex not in ("", Sex.FEMALE.value, Sex.MALE.value):
        raise Malformed(expected='"F", "M" or no sex', got=sex, where=f"{where}.sex")
    band = Interval(
        sex=Sex(sex) if sex else None,
        age_from_h=fields.age_h("from") or 0,
        age_to_h=fields.age_h("to"),
        low=fields.decimal("low"),
        high=fields.decimal("high"),
        text=fields.text("text", ""),
    )
    fields.end()
    _check_order(band.low, band.high, where)
    if band.age_to_h is not None and band.age_to_h <= band.age_from_h:
        raise Malformed(expected="an age band that is not empty", got=item, where=where)
    return band


def _read_limits(parent: Fields, name: str) -> Limits:
    fields = parent.part(name)
    if fields is None:
        return Limits()
    limits = Limits(low=fields.decimal("low"), high=fields.decimal("high"))
    fields.end()
    _check_order(limits.low, limits.high, fields.where)
    return limits


def _read_rules_of_test(item: object, where: str, version: str) -> AutoverificationRules:
    fields = Fields(item, where)
    rules = AutoverificationRules(
        version=version,
        is_on=fields.flag("is_on"),
        is_never_automatic=fields.flag("is_never_automatic"),
        measuring_range=_read_limits(fields, "measuring_range"),
        absurd=_read_limits(fields, "absurd"),
        verification=_read_limits(fields, "verification"),
        delta=_read_delta(fields.part("delta")),
        releases_critical=fields.flag("releases_critical"),
        accepted_codes=fields.words("accepted_codes"),
        stop_flags=fields.words("stop_flags"),
    )
    fields.end()
    return rules


def _read_delta(fields: Fields | None) -> DeltaLimit | None:
    if fields is None:
        return None
    hours = fields.count("window_h")
    delta = DeltaLimit(
        percent=fields.decimal("percent"),
        absolute=fields.decimal("absolute"),
        window=DeltaLimit().window if hours is None else timedelta(hours=hours),
        releases_first=fields.flag("releases_first"),
    )
    fields.end()
    if delta.percent is None and delta.absolute is None:
        raise Malformed(expected="percent or absolute", got="neither", where=fields.where)
    return delta


# --- checks over several entries ----------------------------------------------------------------


def _check_order(low: Decimal | None, high: Decimal | None, where: str) -> None:
    if low is not None and high is not None and low > high:
        raise Malformed(expected=f"high not below low {low}", got=high, where=where)


def _check_bands(bands: tuple[Interval, ...], where: str) -> None:
    """Refuse bands that overlap for one sex: a value must meet one interval or none."""
    for sex in (Sex.FEMALE, Sex.MALE):
        mine = sorted(
            (band for band in bands if band.sex in (None, sex)), key=lambda band: band.age_from_h
        )
        for earlier, later in pairwise(mine):
            if earlier.age_to_h is None or earlier.age_to_h > later.age_from_h:
                raise Malformed(
                    expected=f"bands that do not overlap for sex {sex.value}",
                    got=f"{_ages(earlier)} and {_ages(later)}",
                    where=f"{where}.bands",
                )


def _ages(band: Interval) -> str:
    end = "" if band.age_to_h is None else age_text(band.age_to_h)
    return f"[{age_text(band.age_from_h)}, {end})"


def _check_references(
    tests: tuple[Test, ...], panels: tuple[Panel, ...], entries: tuple[InstrumentTest, ...]
) -> None:
    by_code = {test.code: test for test in tests}
    known = set(by_code)
    orderables = [test.code for test in tests] + [panel.code for panel in panels]
    _check_unique(orderables, "catalog: codes of tests and panels")
    _check_unique([f"{entry.driver} {entry.code}" for entry in entries], "catalog.instrument_tests")
    for panel in panels:
        _check_unique(panel.tests, f"catalog.panels {panel.code}")
        _check_known(panel.tests, known, f"catalog.panels {panel.code}")
    _check_known((entry.test for entry in entries), known, "catalog.instrument_tests")
    for entry in entries:
        _check_unit(entry, by_code[entry.test])


def _check_tubes(
    tests: tuple[Test, ...],
    containers: tuple[Container, ...],
    specimen_types: Mapping[str, Mapping[str, str]],
) -> None:
    """A test's tube must exist, and hold what the test is measured in."""
    _check_unique([container.code for container in containers], "catalog.containers")
    by_code = {container.code: container for container in containers}
    if specimen_types:
        named = (test.specimen_type for test in tests)
        _check_known(named, set(specimen_types), "catalog.tests: specimen_type")
    for test in tests:
        if not test.container:
            continue
        container = by_code.get(test.container)
        if container is None or test.specimen_type not in container.specimen_types:
            raise Malformed(
                expected=f"a container for {test.specimen_type}",
                got=test.container,
                where=f"catalog.tests {test.code}.container",
            )


def _check_unit(entry: InstrumentTest, test: Test) -> None:
    """Limits are judged in the test's unit and nothing is converted, so the instrument must use it."""
    if entry.unit not in (test.unit, test.ucum):
        raise Malformed(
            expected=f"the unit of {test.code}, {test.unit!r}",
            got=entry.unit,
            where=f"catalog.instrument_tests {entry.driver} {entry.code}",
        )


def _check_unique(codes: Iterable[str], where: str) -> None:
    twice = [code for code, times in Counter(codes).items() if times > 1]
    if twice:
        raise Malformed(expected="each code once", got=twice, where=where)


def _check_known(codes: Iterable[str], known: set[str], where: str) -> None:
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise Malformed(expected="codes of tests in this catalog", got=unknown, where=where)
