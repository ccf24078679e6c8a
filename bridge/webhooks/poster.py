"""One POST over HTTP. httpx is used here alone, and imported only where webhooks are configured."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx

from bridge import __version__
from bridge.webhooks.delivery import AT_ONCE, Posted
from bridge.webhooks.settings import Settings

TIMEOUT = 15.0
"""Seconds that one POST may take in all."""
ANSWER_BYTES = 64 * 1024
"""How much of an answer is read, so that the connection may be used again; what it says does not matter."""


class HttpPoster:
    """A `Poster` over HTTP. Made by `connect`."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings) -> AsyncGenerator[HttpPoster]:
        """Keep connections for the length of the context."""
        async with httpx.AsyncClient(
            verify=settings.tls or False,
            follow_redirects=False,
            trust_env=False,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=1),
            headers={"content-type": "application/json", "user-agent": f"lock-bridge/{__version__}"},
        ) as client:
            yield cls(client, settings.url)

    async def post(self, headers: dict[str, str], body: bytes) -> Posted:
        """Post once."""
        with anyio.move_on_after(TIMEOUT):
            try:
                return await self._post(headers, body)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last: a host that is no IDNA
                return Posted(None, trouble=type(error).__name__)
        return Posted(None, trouble="no answer in time")

    async def _post(self, headers: dict[str, str], body: bytes) -> Posted:
        async with self._client.stream("POST", self._url, headers=headers, content=body) as response:
            posted = Posted(response.status_code, _seconds(response.headers.get("retry-after")))
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > ANSWER_BYTES:
                    break
            return posted


def _seconds(text: str | None) -> float | None:
    """Return what a Retry-After in seconds says; its other form, a date, is not worth a clock."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 8 else None  # noqa: PLR2004 - a quarter of a year
