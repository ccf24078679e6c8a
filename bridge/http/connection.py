"""One HTTP connection, which is cut off if its client is too slow.

uvicorn speaks the protocol. It lets a client take any time to send a request and to take the answer; here each of the
two has its limit, so that nobody holds a connection by holding back bytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.http import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

REQUEST_TIME = 10.0
"""Seconds that a request may take to come, from the connection's opening or its own first byte to its last."""
ANSWER_TIME = 30.0
"""Seconds for which a client may take nothing of the answer that waits for it."""


class _Patience:
    """A time that runs out unless it is called off."""

    def __init__(self, seconds: float, over: Callable[[], None]) -> None:
        self._seconds = seconds
        self._over = over
        self._timer: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._timer is not None

    def begin(self) -> None:
        """Let it run, from now."""
        self.call_off()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._over)

    def call_off(self) -> None:
        """Let it not run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GuardedConnection(H11Protocol):
    """A connection with limits to what its client may hold back."""

    def __init__(self, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, app_state={})
        self.closed = asyncio.Event()
        """Set once the connection has ended."""
        self._open = False
        self._request = _Patience(REQUEST_TIME, self.abort)
        self._answer = _Patience(ANSWER_TIME, self.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream socket has
        super().connection_made(transport)
        self._open = True
        # What is not taken at once is waited for. One byte, since with a limit of 0 asyncio's TLS always waits.
        transport.set_write_buffer_limits(high=1)
        self._request.begin()

    def data_received(self, data: bytes) -> None:
        """Go on with the request, or begin to wait for the rest of it."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE and self.conn.their_state is not h11.SEND_BODY:
            self._request.call_off()
        elif not self._request.runs:
            self._request.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._open = False
        self._request.call_off()
        self._answer.call_off()
        super().connection_lost(exc)
        self.closed.set()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what it is sent."""
        super().pause_writing()
        self._answer.begin()

    def resume_writing(self) -> None:
        """Go on: it has."""
        self._answer.call_off()
        super().resume_writing()

    def abort(self) -> None:
        """End at once, whatever is under way."""
        if self._open:
            self.transport.abort()

    def end(self) -> None:
        """End, now or once the answer that is under way is out."""
        if self._open and not self.transport.is_closing():
            self.shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered: in JSON."""
        if self.conn.our_state is h11.IDLE or self.conn.our_state is h11.SEND_RESPONSE:
            answer = answers.problem(400, "invalid_http", msg)
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
