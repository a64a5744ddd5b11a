"""The doors of the web: headers, origin, size. One plain ASGI middleware around everything.

- Headers: a strict Content-Security-Policy (nothing inline, nothing from elsewhere), no sniffing, no
  referrer to others, no framing, HSTS under HTTPS. Nothing is stored by browsers or proxies but versioned static files.
- Origin: an unsafe request must come from our own origin. Browsers send `Origin` with every one; a request
  that carries a cookie and names no origin is refused (fail closed).
- Size: a body over the cap is refused before anybody parses it, also when it hides its length.
"""

import time
from typing import Final
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lis.api.metrics import Metrics

BODY_BYTES_MAX: Final = 2 * 1024 * 1024  # the largest form is a plate file; a referral is 20 kB
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
STATIC_PREFIX: Final = "/static/"
YEAR_S: Final = 31_536_000
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # nothing leaves this site; "no-referrer" would also blank the Origin of our own forms
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Protection:
    """Wraps the application; keeps no state but the counters."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, is_https: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                is_kept = status == 200 and scope["path"].startswith(STATIC_PREFIX)
                self._add_headers(MutableHeaders(scope=message), is_kept=is_kept)
            await send(message)

        try:
            await self._guard(scope, receive, send_guarded)
        finally:
            self._metrics.count_request(scope, status, time.perf_counter() - started)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["method"] in UNSAFE and not is_own_origin(headers):
            await refuse(send, 403, "foreign_origin")
            return
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > BODY_BYTES_MAX:
            await refuse(send, 413, "body_too_large")
            return
        body = Body(receive)
        has_started = is_replaced = False

        async def send_checked(message: Message) -> None:
            nonlocal has_started, is_replaced
            if body.is_too_large and not has_started:
                # whatever the application made of the broken body, the reason is its size
                has_started = is_replaced = True
                await refuse(send, 413, "body_too_large")
            has_started = True
            if not is_replaced:
                await send(message)

        await self._app(scope, body.receive, send_checked)

    def _add_headers(self, headers: MutableHeaders, *, is_kept: bool) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        if self._is_https:
            headers["strict-transport-security"] = f"max-age={YEAR_S}"
        keep = f"public, max-age={YEAR_S}, immutable"
        headers["cache-control"] = keep if is_kept else "no-store"


def is_own_origin(headers: Headers) -> bool:
    """Whether an unsafe request comes from a page of ours, or from no browser at all."""
    origin = headers.get("origin")
    if origin is None:
        return "cookie" not in headers and "sec-fetch-site" not in headers
    try:
        return urlsplit(origin).netloc == headers.get("host", "")
    except ValueError:  # no address at all
        return False


class Body:
    """Counts a body while it streams, for clients that do not tell its length."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self.is_too_large = False

    async def receive(self) -> Message:
        """The next piece; over the cap the client is as good as gone."""
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > BODY_BYTES_MAX:
            self.is_too_large = True
            return {"type": "http.disconnect"}
        return message


async def refuse(send: Send, status: int, code: str) -> None:
    """A problem without words: no laboratory, no language yet."""
    body = orjson.dumps({"title": code, "status": status, "code": code, "detail": ""})
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
