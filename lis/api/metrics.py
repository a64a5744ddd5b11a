"""Counters in Prometheus' text form: no patient data, no ids, a few lines of our own.

Requests are counted by route template (never by path: a path may hold an id), method and status class.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from starlette.types import Scope

from lis.api.deps import Snapshot
from lis.store.queue_queries import queue_depths

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.3, 1.0, 5.0)  # 0.15 verify, 0.3 first screen


class Metrics:
    """Counts requests; written from the event loop, read by /metrics in a worker thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._seconds: dict[str, float] = {}
        self.live_sockets = 0

    def count_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Note one finished request."""
        route = getattr(scope.get("route"), "path", "other")
        with self._lock:
            self._requests[route, scope["method"], f"{status // 100}xx"] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds
            for bound in BUCKETS_S:
                if seconds <= bound:
                    self._buckets[route, bound] += 1

    def lines(self) -> Iterable[str]:
        """The counters as Prometheus reads them."""
        with self._lock:
            requests, buckets = dict(self._requests), dict(self._buckets)
            seconds, totals = dict(self._seconds), Counter[str]()
        yield "# TYPE lis_http_requests_total counter"
        for (route, method, status), count in sorted(requests.items()):
            totals[route] += count
            labels = f'route="{route}",method="{method}",status="{status}"'
            yield f"lis_http_requests_total{{{labels}}} {count}"
        yield "# TYPE lis_http_request_seconds histogram"
        for route, total in sorted(totals.items()):
            for bound in BUCKETS_S:
                labels = f'route="{route}",le="{bound}"'
                yield f"lis_http_request_seconds_bucket{{{labels}}} {buckets.get((route, bound), 0)}"
            yield f'lis_http_request_seconds_bucket{{route="{route}",le="+Inf"}} {total}'
            yield f'lis_http_request_seconds_sum{{route="{route}"}} {seconds[route]:.6f}'
            yield f'lis_http_request_seconds_count{{route="{route}"}} {total}'
        yield "# TYPE lis_live_sockets gauge"
        yield f"lis_live_sockets {self.live_sockets}"


def metrics_router(metrics: Metrics) -> APIRouter:
    """GET /metrics."""
    router = APIRouter(tags=["operation"])

    @router.get("/metrics", response_class=PlainTextResponse)
    def read_metrics(snapshot: Snapshot) -> str:
        """Counters of this process and the depth of the queues, as Prometheus text."""
        depths = (
            f'lis_queue_rows{{queue="{queue}",state="{state}"}} {count}'
            for queue, state, count in queue_depths(snapshot)
        )
        return "\n".join((*metrics.lines(), "# TYPE lis_queue_rows gauge", *depths)) + "\n"

    return router
