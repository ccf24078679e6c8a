"""Who is let in.

Rules:
1. On the Unix socket, whoever may open it is let in: the file's mode says who.
2. On TCP nothing but `/health` is answered without a key.
3. No web page is let in: what a browser sends for a page of another place is refused by its `Origin`, and a page that
   has its own name resolve to the bridge (DNS rebinding) by its `Host`.
4. A key that is good is never held up by others' wrong ones, not even by wrong ones from the same address.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import anyio
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request

from bridge.http.answers import Problem
from bridge.http.operation import Caller
from bridge.keys.api_keys import ApiKeyError, ApiKeys
from drivers.base import Method

log = structlog.get_logger()

FAILURES = 10
"""Wrong keys from one address in a while, beyond which it is told to wait."""
FORGOTTEN_AFTER = 60.0
"""Seconds of that while."""
MOST_ADDRESSES = 1024
"""Addresses whose failures are remembered."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")
_FROM_ELSEWHERE = frozenset({"cross-site", "same-site"})


class Guard(Protocol):
    """Decides who is let in at one door."""

    def check_source(self, request: Request) -> None:
        """See that no web page sent it.

        Raises:
            Problem: one may have.
        """

    def caller(self, request: Request) -> Caller:
        """Return who asks.

        Raises:
            Problem: who is not let in.
        """
        ...


class LocalGuard:
    """The Unix socket's."""

    def check_source(self, request: Request) -> None:
        """See that no web page sent it: a proxy in front of the socket may be open to one."""
        if "origin" in request.headers:
            raise _foreign()

    def caller(self, request: Request) -> Caller:  # noqa: ARG002 - as the others
        """Let everyone in: the one at the gateway uses the bridge's own key."""
        return Caller(Method.BLUETOOTH_KEY)


@dataclass(slots=True)
class _Failures:
    """Wrong keys from one address."""

    since: float
    number: int = 0


class NetworkGuard:
    """TCP's.

    Args:
        keys: those that are good.
        hosts: names by which the bridge may be called besides those of this machine for itself and the address at
            which the connection was taken.
    """

    def __init__(self, keys: ApiKeys, hosts: Collection[str]) -> None:
        self._keys = keys
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._failures: dict[str, _Failures] = {}

    def check_source(self, request: Request) -> None:
        """See that it is for this bridge by a name of its own, and from no web page but its own."""
        headers = request.headers
        named = headers.getlist("host")
        found = _HOST.fullmatch(named[0]) if len(named) == 1 else None
        if found is None or not self._ours(found[1].lower(), request):
            raise Problem(
                403,
                "host_not_allowed",
                "The bridge is not called by this name; add it to hosts below [http] if it should be.",
            )
        own = f"{request.scope['scheme']}://{named[0].lower()}"
        if any(origin.lower() != own for origin in headers.getlist("origin")):
            raise _foreign()
        if headers.get("sec-fetch-site") in _FROM_ELSEWHERE:
            raise _foreign()

    def caller(self, request: Request) -> Caller:
        """Return who shows a key that is good."""
        secret = _bearer(request.headers)
        try:
            key = None if secret is None else self._keys.find(secret)
        except ApiKeyError as error:
            log.warning("no key is good", reason=str(error))
            key = None
        if key is not None:
            return Caller(Method.REMOTE_API, key)
        if secret is not None:
            self._note_failure(request)
        reason = "There is no API key" if secret is None else "The API key is none of this bridge's"
        raise Problem(
            401,
            "unauthorized",
            f"{reason}; show one as Authorization: Bearer KEY, made by lock-bridge api-key create.",
            {"www-authenticate": "Bearer"},
        )

    def _ours(self, host: str, request: Request) -> bool:
        """Tell whether the bridge is called so; an address cannot be rebound, and this one led here."""
        server = request.scope.get("server")
        at = str(server[0]).lower() if server else ""
        return host in self._hosts or host in (at, f"[{at}]")

    def _note_failure(self, request: Request) -> None:
        """Count a wrong key.

        Raises:
            Problem: there were too many from this address.
        """
        now = anyio.current_time()
        address = request.client.host if request.client else ""
        failures = self._failures.get(address)
        if failures is None or now - failures.since >= FORGOTTEN_AFTER:
            self._failures.pop(address, None)
            while len(self._failures) >= MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]
            failures = self._failures[address] = _Failures(now)
        failures.number += 1
        if failures.number == FAILURES:
            log.warning("many wrong API keys", address=address)
        if failures.number > FAILURES:
            wait = max(1, round(failures.since + FORGOTTEN_AFTER - now))
            raise Problem(429, "rate_limited", "Too many wrong API keys.", {"retry-after": str(wait)})


def _bearer(headers: Headers) -> str | None:
    shown = headers.getlist("authorization")
    if len(shown) != 1:
        return None
    scheme, _, secret = shown[0].partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _foreign() -> Problem:
    return Problem(403, "origin_not_allowed", "Web pages of other places may not use the bridge.")
