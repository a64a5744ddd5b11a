"""Too little volume to dilute: the value is reported as above the limit (S25).

The number that the analyzer gave lies outside what it can measure and cannot be measured again. A person says so; a
new version carries `>` and the limit of the method, multiplied where the value was. The number stays readable in the
version before, and the new one waits for a person like every censored value.
"""

from dataclasses import replace
from decimal import Decimal

from lis.domain.catalog import Catalog
from lis.domain.errors import Refused
from lis.domain.messages import IdReadMode, Reason, ValueBasis
from lis.domain.quantity import Comparator, ReportedValue
from lis.results.desk import Desk, Shown, needed, reported_of, say
from lis.results.interpretation import UNCOMPARABLE_BASES
from lis.results.lanes import WAITING
from lis.results.reads import Row
from lis.results.rejudging import judge_stored, next_version
from lis.results.run_choice import MULTIPLIED_BASES
from lis.results.verdicts import passed
from lis.store.observation_queries import specimen_facts
from lis.store.rows import Observation
from lis.store.unit import Unit

ABOVE = frozenset({Comparator.GREATER.value, Comparator.GREATER_OR_EQUAL.value})


def report_as_limit(unit: Unit, catalog: Catalog, shown: Shown, *, reason: str, user: str) -> Row:
    """Replace a value above the measuring range by `>` and the limit, as a new version that waits."""
    text = needed(reason)
    desk = Desk.load(unit, catalog, [shown.observation_id])
    row = desk.as_shown(shown)
    if row.bench_state not in WAITING:
        raise Refused("already_decided", state=row.bench_state.value)
    tube = desk.specimens.get(row.specimen_id or 0)
    if tube is None:
        raise Refused("not_bound")
    limit = limit_of(catalog, row)
    value = ReportedValue.read(f"{Comparator.GREATER.value}{limit.normalize():f}")
    specimen = specimen_facts(unit.session, [tube.accession])[tube.accession]
    reported = replace(reported_of(row, read_mode=IdReadMode.BARCODE), value=value)
    judged, around = judge_stored(desk, row, replace(specimen, received_again_at=None), reported)
    made = next_version(
        desk,
        row,
        judged,
        around,
        reported=value.text,
        comparator=Comparator.GREATER.value,
        value=limit,
        comment="\n".join(part for part in (row.comment, text) if part),
    )
    say(made, passed("limit", user=user, reason=text, value=row.reported))
    desk.moved(row, "report_limit", user, reason=text, version=made.version)
    desk.moved(made, "report_limit", user, reason=text)
    return desk.shows(made)


def limit_of(catalog: Catalog, row: Observation) -> Decimal:
    """The upper limit that this value lies above; refused where it does not, or nobody knows."""
    test = catalog.tests.get(row.test_code)
    high = test.rules.measuring_range.high if test is not None and test.rules else None
    if high is None:
        raise Refused("no_measuring_limit")
    if Reason.UNIT_CHANGED.value in row.holds:
        raise Refused(Reason.UNIT_CHANGED.value)
    if ValueBasis(row.basis) in UNCOMPARABLE_BASES:
        raise Refused(Reason.DILUTION_UNKNOWN.value)
    is_multiplied = ValueBasis(row.basis) in MULTIPLIED_BASES and row.dilution is not None
    limit = high * row.dilution if is_multiplied and row.dilution is not None else high
    if row.value is None or (row.value <= limit and row.comparator not in ABOVE):
        raise Refused("not_above_limit", limit=str(limit))
    return limit
