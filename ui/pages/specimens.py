"""One tube: its way, what reception decides of each test, and the steps through the house. No script is needed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request, Response

from lis.access import Actor
from lis.api import specimens as api
from lis.api.deps import PatientReader, WorklistReader, laboratory_of, language_of
from lis.api.orders import NOTES_MAX, TEXT_MAX, OrderClerk
from lis.api.problems import status_of
from lis.app.laboratory import Laboratory
from lis.domain.catalog import Storage
from lis.domain.errors import Refused
from lis.domain.reception import ReceptionVerdict
from lis.domain.roles import Permission
from lis.orders.tube_view import show_tube
from ui.pages.showing import go, refusal_in_words, show
from ui.pages.times import hour_of

Text = Annotated[str, Form(max_length=TEXT_MAX)]
Notes = Annotated[str, Form(max_length=NOTES_MAX)]
Version = Annotated[int, Form()]
Words = Annotated[Sequence[str], Form(max_length=api.TESTS_MAX)]
AT_BENCH: Final = frozenset({"receive", "store", "retrieve", "dispose"})  # else the desk's clerk

router = APIRouter()


def _show(
    request: Request,
    actor: Actor,
    accession: str,
    *,
    storage: Storage | None = None,
    problem: Refused | None = None,
) -> Response:
    laboratory = laboratory_of(request)
    now = laboratory.clock.now()
    with laboratory.store.read() as session:
        tube = show_tube(
            session,
            laboratory.catalog(),
            accession,
            at=now,
            language=language_of(request),
            storage=storage,
        )
    return show(
        request,
        "specimen.html",
        status=status_of(problem) if problem else 200,
        script_areas=("lookuppage",),
        has_keys=True,
        tube=tube,
        may=[one for one in tube.actions if _may(actor, one)],
        may_receive=_may(actor, "receive") and tube.undecided > 0,
        hour=hour_of(request),
        storage=storage,
        storages=tuple(Storage),
        verdicts=tuple(ReceptionVerdict),
        now_local=now.astimezone(_zone(laboratory)).strftime("%Y-%m-%dT%H:%M"),
        problem=refusal_in_words(request, problem) if problem else "",
    )


def _may(actor: Actor, action: str) -> bool:
    """As the API's rules of the same steps."""
    needed = Permission.SEE_WORKLIST if action in AT_BENCH else Permission.ENTER_ORDERS
    return actor.may(needed)


def _zone(laboratory: Laboratory) -> ZoneInfo:
    return ZoneInfo(laboratory.settings.site[0].timezone)


def _asking(request: Request) -> tuple[Laboratory, str]:
    """What the API's functions want to know besides the step itself."""
    return laboratory_of(request), language_of(request)


def _step(
    request: Request,
    actor: Actor,
    accession: str,
    step: Callable[[int], object],
    *,
    storage: Storage | None = None,
) -> Response:
    """Take one step; a refusal is shown over the tube as it is now."""
    laboratory = laboratory_of(request)
    with laboratory.store.read() as session:
        found = show_tube(
            session,
            laboratory.catalog(),
            accession,
            at=laboratory.clock.now(),
            language=language_of(request),
        )
    try:
        step(found.specimen_id)
    except Refused as refusal:
        return _show(request, actor, accession, storage=storage, problem=refusal)
    return go(f"/specimens/{accession}")


@router.get("/specimens/{accession}")
def show_specimen(
    request: Request,
    actor: PatientReader,
    accession: str,
    storage: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """One tube; `storage`: how it was kept since collection, for what is advised."""
    known = Storage(storage) if storage in set(Storage) else None
    return _show(request, actor, accession, storage=known)


@router.post("/specimens/{accession}/collect")
def collect(
    request: Request,
    actor: OrderClerk,
    accession: str,
    *,
    version: Version,
    earliest: Text = "",
    latest: Text = "",
) -> Response:
    """Note when it was drawn; without an end it is one exact moment."""
    zone, asking = _zone(laboratory_of(request)), _asking(request)

    def step(key: int) -> None:
        begin = _moment(earliest, zone)
        end = _moment(latest, zone) if latest.strip() else begin
        api.collect(key, api.Collected(version=version, earliest=begin, latest=end), actor, *asking)

    return _step(request, actor, accession, step)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    """A local time of the site, as a browser writes it."""
    try:
        local = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Refused("orders.collected_unreadable") from error
    return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)


@router.post("/specimens/{accession}/ship")
def ship(
    request: Request, actor: OrderClerk, accession: str, *, version: Version, destination: Text = ""
) -> Response:
    """Send it off."""
    return _step(
        request,
        actor,
        accession,
        lambda key: api.ship(
            key,
            api.Shipped(version=version, destination=destination),
            actor,
            *_asking(request),
        ),
    )


@router.post("/specimens/{accession}/receive")
def receive(
    request: Request,
    actor: WorklistReader,
    accession: str,
    *,
    version: Version,
    storage: Text = "",
    is_irreplaceable: Annotated[bool, Form()] = False,
    test: Words = (),
    verdict: Words = (),
    reason: Words = (),
) -> Response:
    """Receive it with a decision for each test: three fields for each, in one order."""
    known = Storage(storage) if storage in set(Storage) else None
    asking = _asking(request)

    def step(key: int) -> None:
        body = api.Reception(
            version=version,
            decided=_decided(test, verdict, reason),
            storage=known,
            is_irreplaceable=is_irreplaceable,
        )
        api.receive_by_test(key, body, actor, *asking)

    return _step(request, actor, accession, step, storage=known)


def _decided(
    tests: Sequence[str], verdicts: Sequence[str], reasons: Sequence[str]
) -> list[api.TestWord]:
    """What the person said; a test without a verdict is left to the rule, which may refuse that."""
    if not len(tests) == len(verdicts) == len(reasons):
        raise Refused("specimenpage.form_torn")
    return [
        api.TestWord(test=test, verdict=ReceptionVerdict(verdict), reason=reason[:NOTES_MAX])
        for test, verdict, reason in zip(tests, verdicts, reasons, strict=True)
        if verdict in set(ReceptionVerdict)
    ]


@router.post("/specimens/{accession}/store")
def put_away(
    request: Request,
    actor: WorklistReader,
    accession: str,
    *,
    version: Version,
    storage: Annotated[Storage, Form()] = Storage.FRIDGE,
    rack: Text = "",
    position: Text = "",
) -> Response:
    """Put it on a free position of a rack."""
    return _step(
        request,
        actor,
        accession,
        lambda key: api.put_away(
            key,
            api.Placed(version=version, storage=storage, rack=rack, position=position),
            actor,
            *_asking(request),
        ),
    )


@router.post("/specimens/{accession}/retrieve")
def take_out(
    request: Request, actor: WorklistReader, accession: str, *, version: Version, reason: Notes = ""
) -> Response:
    """Take it out of its rack."""
    return _step(
        request,
        actor,
        accession,
        lambda key: api.take_out(
            key, api.Because(version=version, reason=reason), actor, *_asking(request)
        ),
    )


@router.post("/specimens/{accession}/dispose")
def throw_away(
    request: Request, actor: WorklistReader, accession: str, *, version: Version, reason: Notes = ""
) -> Response:
    """Throw it away."""
    return _step(
        request,
        actor,
        accession,
        lambda key: api.throw_away(
            key, api.Because(version=version, reason=reason), actor, *_asking(request)
        ),
    )
