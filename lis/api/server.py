"""The HTTP server: one FastAPI application over one laboratory.

`create_app` puts together routers, error answers, the protection around everything and the live hub.
It knows no pages: `lis.cli` composes `create_app` with `ui.pages.mount_pages`. Handlers are plain `def`
(FastAPI runs them in its thread pool) over synchronous sessions; only the live channel is async.

Every route has its authorisation rule in its signature (`lis.api.deps.Requires`) or stands in
`PUBLIC_ROUTES`; `tests/api/test_authorisation.py` walks the table.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI

from lis.api import (
    decisions,
    delivery,
    health,
    held,
    identity,
    instruments,
    labels,
    lookup,
    message_lab,
    order_entry,
    orders,
    patients,
    problems,
    qc,
    quarantine,
    receipts,
    referrals,
    repeat_rules,
    routing,
    sessions,
    specimens,
    users,
    worklist,
    workplan,
)
from lis.api.fhir import MOUNT, create_fhir
from lis.api.live import LiveHub, live_router
from lis.api.metrics import Metrics, metrics_router
from lis.api.protection import Protection
from lis.app.laboratory import Laboratory
from lis.domain.errors import NotFound

API_PREFIX: Final = "/api/v1"
TITLE: Final = "lis"
# (method, path) of routes that need no session; everything else names what it requires.
PUBLIC_ROUTES: Final = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/api/openapi.json"),
        ("POST", f"{API_PREFIX}/session"),
        ("POST", f"{API_PREFIX}/receipts"),  # opens with the receipt's code and a date of birth
        ("ANY", "/api/{rest:path}"),
        ("WS", f"{API_PREFIX}/live"),  # checks its own session and closes with a code
    }
)
ROUTERS: Final = (
    sessions.router,
    users.router,
    worklist.router,
    decisions.router,
    repeat_rules.router,
    patients.router,
    receipts.router,
    referrals.router,
    qc.router,
    orders.router,
    specimens.router,
    held.router,
    identity.router,
    order_entry.router,
    labels.router,
    lookup.router,
    workplan.router,
    quarantine.router,
    message_lab.router,
    instruments.router,
    delivery.router,
    routing.router,
)


def create_app(laboratory: Laboratory) -> FastAPI:
    """The application; start it under any ASGI server."""
    metrics = Metrics()
    hub = LiveHub(laboratory, metrics, worklist.fresh_rows)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with hub.running():
            yield

    app = FastAPI(
        title=TITLE,
        lifespan=lifespan,
        docs_url=None,  # its page needs scripts from elsewhere; the document itself is served
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.laboratory = laboratory
    app.state.metrics = metrics
    app.add_middleware(Protection, metrics=metrics, is_https=laboratory.settings.web.is_https)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(metrics_router(metrics))
    for router in ROUTERS:
        app.include_router(router, prefix=API_PREFIX)
    app.include_router(live_router(hub), prefix=API_PREFIX)
    app.mount(MOUNT, create_fhir(laboratory), name="fhir")
    app.include_router(_unknown())  # last: an unknown API path is a problem, not a page
    return app


def _unknown() -> APIRouter:
    router = APIRouter()
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    @router.api_route("/api/{rest:path}", methods=methods, include_in_schema=False)
    def unknown(rest: str) -> None:
        raise NotFound("Path", rest)

    return router
