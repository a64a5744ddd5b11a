"""What today's driver and catalog would read in a message, held against what is stored of it (S13).

Pure, and without consequence: candidates and differences are shown to a person. Nothing here is stored, judged or
released; what was reported stays as it was reported.

    stored and read again, equal       nothing to say
    stored and read again, unlike      CHANGED, field by field
    read only now                      ADDED: a candidate, unless its run came with another message (RESENT)
    stored, and not read any more      GONE
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lis.domain.catalog import Catalog
from lis.domain.messages import HostQuery, Reason, ReportedObservation, Translation
from lis.orders.hostquery import ASKED_MAX
from lis.results.batch import mapping_of
from lis.results.dilution import back_calculated
from lis.results.observation_row import split_supplements
from lis.results.runs import run_key


class ReadingKind(StrEnum):
    RESULT = "result"
    CONTROL = "control"
    UNREADABLE = "unreadable"
    QUERY = "query"


class Change(StrEnum):
    CHANGED = "changed"
    ADDED = "added"
    GONE = "gone"
    RESENT = "resent"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReading:
    """What is stored of one record of a message; `values` holds what this kind of row keeps."""

    kind: ReadingKind
    record: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a record would become today."""

    kind: ReadingKind
    record: str
    values: Mapping[str, str]
    holds: tuple[str, ...] = ()
    run_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field of one record; with no field, the record as a whole."""

    change: Change
    kind: ReadingKind
    record: str
    field: str = ""
    before: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A message read again."""

    candidates: tuple[Candidate, ...]
    differences: tuple[Difference, ...]


def candidates_of(
    translation: Translation, catalog: Catalog | None, *, driver: str, device_id: int
) -> tuple[Candidate, ...]:
    """Everything the message says today, record by record; without a catalog no test is known."""
    own, _ = split_supplements(translation.observations)
    readings = [_reading(one, catalog, driver, device_id) for one in own]
    readings += [
        Candidate(
            kind=ReadingKind.UNREADABLE,
            record=one.record,
            values={"field": one.field, "reason": one.reason.value, "raw": one.raw},
        )
        for one in translation.unreadable
    ]
    readings += [
        Candidate(
            kind=ReadingKind.QUERY,
            record=one.record or f"Q|{number}",
            values={"asked": asked_text(one)},
        )
        for number, one in enumerate(translation.queries, 1)
    ]
    return tuple(readings)


def asked_text(query: HostQuery) -> str:
    """What a query asks for, as the log of host queries keeps it."""
    if query.wants_all and not query.is_cancel:
        return "ALL"
    return ", ".join(filter(None, (*query.specimens[:ASKED_MAX], query.range_end)))


def compare(
    candidates: Sequence[Candidate],
    stored: Sequence[StoredReading],
    *,
    known_runs: Collection[str] = (),
) -> tuple[Difference, ...]:
    """The differences by the table above, in the order of the message. `known_runs`: stored elsewhere."""
    left = {_place(one): one for one in stored}
    found: list[Difference] = []
    for candidate in candidates:
        before = left.pop(_place(candidate), None)
        if before is not None:
            found.extend(_changes(candidate, before))
            continue
        is_known = bool(candidate.run_key) and candidate.run_key in known_runs
        change = Change.RESENT if is_known else Change.ADDED
        found.append(_whole(change, candidate, now=_said(candidate.values)))
    found.extend(_whole(Change.GONE, one, before=_said(one.values)) for one in left.values())
    return tuple(found)


def _reading(
    reported: ReportedObservation, catalog: Catalog | None, driver: str, device_id: int
) -> Candidate:
    reported = back_calculated(reported)  # as intake reads it
    test, entry = mapping_of(catalog, driver, reported) if catalog is not None else (None, None)
    holds = list(reported.holds)
    if test is None:
        holds.append(Reason.UNKNOWN_TEST)
    elif entry is not None and entry.unit != reported.unit:
        holds.append(Reason.UNIT_CHANGED)
    return Candidate(
        kind=ReadingKind.RESULT,
        record=reported.record,
        values={
            "specimen": reported.specimen,
            "code": reported.test,
            "test": test.code if test else "",
            "value": reported.value.text,
            "comparator": reported.value.comparator.value if reported.value.comparator else "",
            "number": f"{reported.value.number}" if reported.value.number is not None else "",
            "unit": reported.unit,
            "flags": " ".join(reported.flags),
            "status": reported.status.value,
            "dilution": f"{reported.dilution}" if reported.dilution is not None else "",
            "basis": reported.basis.value,
            "read_mode": reported.read_mode.value,
            "run": reported.run,
            "identity": run_key(device_id, reported),
        },
        holds=tuple(dict.fromkeys(reason.value for reason in holds)),
        run_key=run_key(device_id, reported),
    )


def _place(one: StoredReading | Candidate) -> tuple[str, ...]:
    """Where in the message. Whether a record is a control was decided by the lots of that day, not by it."""
    if one.kind is ReadingKind.QUERY:
        return one.kind.value, one.values["asked"]
    if one.kind is ReadingKind.UNREADABLE:
        return one.kind.value, one.record, one.values["field"]
    return ReadingKind.RESULT.value, one.record


def _changes(candidate: Candidate, before: StoredReading) -> list[Difference]:
    """Fields that both know and that differ; time and run are told once, as the identity of the run."""
    return [
        Difference(
            change=Change.CHANGED,
            kind=before.kind,
            record=before.record,
            field=name,
            before=before.values[name],
            now=now,
        )
        for name, now in candidate.values.items()
        if name in before.values and before.values[name] != now
    ]


def _whole(
    change: Change, one: StoredReading | Candidate, *, before: str = "", now: str = ""
) -> Difference:
    return Difference(change=change, kind=one.kind, record=one.record, before=before, now=now)


def _said(values: Mapping[str, str]) -> str:
    """The gist of a reading in one line."""
    names = ("asked", "specimen", "code", "value", "unit", "reason", "raw")
    return " ".join(values[name] for name in names if values.get(name))
