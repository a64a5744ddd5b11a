"""What the validation screens show: rows ready to be written as JSON.

Codes and parameters only; the page makes sentences of them. Values are shown with the catalog's decimals, and
the text as reported stays beside them. Times are ISO 8601 in UTC.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy.orm import Session

from lis.domain.catalog import Catalog, Test
from lis.domain.errors import NotFound
from lis.domain.quantity import Comparator, ReportedValue
from lis.results.interpretation import shown_value
from lis.results.lanes import LANES
from lis.results.shown import shown_hash
from lis.store.rows import Inbox
from lis.store.worklist_queries import (
    audit_of,
    calls_of,
    histories,
    history_of,
    inbox_row,
    lane_counts,
    open_unreadable,
    results_by_id,
    runs_of,
    waiting_page,
)

PAGE_MAX = 500  # rows of one screen
Row = dict[str, Any]
Decode = Callable[[Inbox, str], str]  # the text of one record of a stored message


def worklist(
    session: Session,
    catalog: Catalog,
    *,
    lane: str = "",
    section: str = "",
    after_key: str = "",
    limit: int = PAGE_MAX,
    language: str = "en",
) -> Row:
    """A page of waiting results and the key of the next page, "" at the end.

    Without a lane all lanes follow each other in the order in which people should look.
    """
    tests = tests_of_section(catalog, section)
    limit = min(limit, PAGE_MAX)
    at_lane, _, at_id = after_key.partition(":")
    lanes = [lane] if lane else [one.value for one in LANES]
    if at_lane in lanes:
        lanes = lanes[lanes.index(at_lane) :]
    found: list[Row] = []
    for one in lanes:
        after = int(at_id) if one == at_lane and at_id else 0
        found += waiting_page(session, lane=one, tests=tests, after=after, limit=limit - len(found))
        if len(found) >= limit:
            break
    rows = render(session, catalog, found, language)
    is_full = len(rows) >= limit
    last = rows[-1] if rows else None
    return {"rows": rows, "next": f"{last['lane']}:{last['id']}" if is_full and last else ""}


def counts(session: Session, catalog: Catalog, *, section: str = "") -> dict[str, int]:
    """How many results wait in each lane; every lane is named."""
    found = lane_counts(session, tests_of_section(catalog, section))
    return {lane.value: found.get(lane.value, 0) for lane in LANES}


def rows_by_id(
    session: Session, catalog: Catalog, ids: Collection[int], *, language: str = "en"
) -> list[Row]:
    """Rows by key, whatever their state: after a hint, or when one has become stale."""
    return render(session, catalog, results_by_id(session, ids), language)


def row(session: Session, catalog: Catalog, observation_id: int, *, language: str = "en") -> Row:
    """One row; raise `NotFound`."""
    found = rows_by_id(session, catalog, [observation_id], language=language)
    if not found:
        raise NotFound("observation", observation_id)
    return found[0]


def detail(
    session: Session,
    catalog: Catalog,
    observation_id: int,
    *,
    decode: Decode,
    language: str = "en",
) -> Row:
    """One result with its runs, every rule that spoke, history, raw record, calls and audit."""
    stored = results_by_id(session, [observation_id])
    if not stored:
        raise NotFound("observation", observation_id)
    (shown,) = render(session, catalog, stored, language)
    values = stored[0]
    test = catalog.tests.get(values["test_code"])
    inbox = inbox_row(session, values["inbox_id"]) if values["inbox_id"] else None
    history = (
        history_of(session, values["patient_id"], values["test_code"])
        if values["patient_id"]
        else []
    )
    return {
        **shown,
        "verdicts": values["verdicts"],
        "runs": render(session, catalog, runs_of(session, values), language),
        "points": [_point(one, test) for one in history],
        "raw": {
            "inbox": values["inbox_id"],
            "record": values["record"],
            "text": decode(inbox, values["record"]) if inbox is not None else "",
        },
        "calls": [
            {
                "id": call.id,
                "state": call.state,
                "opened_at": _iso(call.opened_at),
                "snapshot": call.snapshot,
                "is_confirmed": call.is_confirmed,
                "attempts": call.attempts,
            }
            for call in calls_of(session, observation_id)
        ],
        "audit": [
            {
                "at": _iso(entry.at),
                "actor": entry.actor,
                "action": entry.action,
                "entity": entry.entity,
                "text": orjson.loads(entry.text),
            }
            for entry in audit_of(session, observation_id, values["inbox_id"])
        ],
    }


def unreadable(session: Session, *, after: int = 0, limit: int = PAGE_MAX) -> list[Row]:
    """Records that nobody could read and nobody has resolved."""
    return [
        {
            "id": one.id,
            "inbox": one.inbox_id,
            "record": one.record,
            "field": one.field,
            "raw": one.raw,
            "reason": one.reason,
            "created_at": _iso(one.created_at),
        }
        for one in open_unreadable(session, after=after, limit=min(limit, PAGE_MAX))
    ]


def tests_of_section(catalog: Catalog, section: str) -> tuple[str, ...] | None:
    """The tests of a section; None means all."""
    if not section:
        return None
    return tuple(test.code for test in catalog.tests.values() if test.section == section)


def render(session: Session, catalog: Catalog, found: Sequence[Row], language: str) -> list[Row]:
    """Rows for the screen, with their histories read in one go."""
    pairs = {
        (one["patient_id"], one["test_code"])
        for one in found
        if one["patient_id"] is not None and one["test_code"]
    }
    past = histories(session, pairs)
    return [
        _row(one, catalog, past.get((one["patient_id"], one["test_code"]), ()), language)
        for one in found
    ]


def _row(values: Row, catalog: Catalog, past: Sequence[Row], language: str) -> Row:
    test = catalog.tests.get(values["test_code"])
    earlier = [one for one in past if one["id"] != values["id"] and _is_before(one, values)]
    made: Row = {
        "id": values["id"],
        "public_id": values["public_id"],
        "row_version": values["row_version"],
        "lane": values["lane"],
        "bench_state": values["bench_state"].value,
        "status": values["status"].value,
        "specimen": _specimen(values),
        "patient": _patient(values),
        "test": values["test_code"] or values["instrument_code"],
        "test_name": _name(test, values, language),
        "section": test.section if test else "",
        "value": shown_value(
            values["reported"], _reported(values), test.decimals if test else None
        ),
        "reported": values["reported"],
        "unit": values["unit"],
        "flag": values["flag"],
        "interval": values["interval_text"],
        "interval_reason": values["interval_reason"],
        "previous": _previous(values, earlier, test),
        "history": [_point(one, test) for one in earlier],
        "device": values["device"] or "",
        "instrument_flags": values["reported_flags"],
        "comment": values["comment"],
        "supplements": _supplements(values),
        "dilution": str(values["dilution"]) if values["dilution"] is not None else None,
        "qc": _qc(values["verdicts"]),
        "holds": _holds(values),
        "analysed_at": _iso(values["analysed_at"]),
        "visible_from": _iso(values["visible_from"]),
        "validator": values["validator"],
        "is_chosen": values["is_chosen"],
        "priority": values["priority"] or "R",
        "ward": values["ward"] or "",
        "request": values["service_request_id"],
    }
    made["shown_hash"] = shown_hash(made)
    return made


def _supplements(values: Row) -> list[Row]:
    """Rows behind the value (Ct, end points), named by what they add to its code."""
    own = values["instrument_code"]
    return [
        {**one, "name": " ".join(one["code"].removeprefix(own).split("^")).strip() or one["code"]}
        for one in values["supplements"]
    ]


def _is_before(past: Row, values: Row) -> bool:
    at = values["analysed_at"]
    return at is None or past["analysed_at"] is None or past["analysed_at"] <= at


def _specimen(values: Row) -> Row:
    return {
        "id": values["specimen_id"],
        "accession": values["accession"] or "",
        "text": values["specimen_text"],
        "type": values["specimen_type"] or "",
        "collected_at": _iso(values["collected_from"]),
        "certainty": values["collected_certainty"] or "unknown",
    }


def _patient(values: Row) -> Row | None:
    if values["patient_id"] is None:
        return None
    return {
        "id": values["patient_public_id"],
        "family": values["family_name"],
        "given": values["given_name"],
        "middle": values["middle_name"],
        "sex": values["sex"],
        "birth_date": values["birth_date"],
        "age": age_at(values["birth_date"], values["collected_from"]),
    }


def age_at(birth_date: str, at: datetime | None) -> Row | None:
    """Age at collection in the unit people say it in; None when it is not known to the day."""
    if at is None:
        return None
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    day = at.date()
    days = (day - born).days
    if days < 0:
        return None
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    if years >= 2:
        return {"count": years, "unit": "years"}
    if days >= 60:
        months = (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
        return {"count": months, "unit": "months"}
    return {"count": days, "unit": "days"}


def _name(test: Test | None, values: Row, language: str) -> str:
    if test is None:
        return str(values["instrument_code"])
    return test.names.get(language) or test.names.get("en") or test.code


def _reported(values: Row) -> ReportedValue:
    comparator = Comparator(values["comparator"]) if values["comparator"] else None
    return ReportedValue(text=values["reported"], comparator=comparator, number=values["value"])


def _previous(values: Row, earlier: Sequence[Row], test: Test | None) -> Row | None:
    if not earlier:
        return None
    last = earlier[-1]
    return {
        "value": shown_value(last["reported"], _reported(last), test.decimals if test else None),
        "unit": last["unit"],
        "flag": last["flag"],
        "at": _iso(last["analysed_at"]),
        "delta_percent": _delta_percent(values, last),
    }


def _delta_percent(values: Row, last: Row) -> str | None:
    """Change in percent, only between plain numbers in one unit."""
    now, before = values["value"], last["value"]
    is_plain = not values["comparator"] and not last["comparator"]
    if now is None or before is None or before == 0 or not is_plain:
        return None
    if values["unit"] != last["unit"]:
        return None
    return f"{Decimal(100) * (now - before) / before:+.1f}"


def _point(past: Row, test: Test | None) -> Row:
    return {
        "id": past["id"],
        "at": _iso(past["analysed_at"]),
        "value": shown_value(past["reported"], _reported(past), test.decimals if test else None),
        "number": float(past["value"]) if past["value"] is not None else None,
        "unit": past["unit"],
        "flag": past["flag"],
    }


def _qc(verdicts: Sequence[Row]) -> str:
    """The gate as it was judged for this measurement: open, none, or why it is closed."""
    for verdict in reversed(verdicts):
        if verdict["rule"] == "qc_gate":
            if verdict["outcome"] == "pass":
                return "open"
            return verdict["reason"] or "none"
    return "none"


def _holds(values: Row) -> list[Row]:
    """Open reasons in the order in which rules spoke, with the inputs of the rule that objects."""
    spoke = {verdict["reason"]: verdict for verdict in values["verdicts"] if verdict["reason"]}
    return [
        {
            "code": reason,
            "rule": spoke[reason]["rule"] if reason in spoke else "",
            "parameters": spoke[reason]["parameters"] if reason in spoke else {},
        }
        for reason in values["holds"]
    ]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
