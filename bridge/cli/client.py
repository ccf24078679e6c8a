"""The running bridge, as the command line talks to it: HTTP over its Unix socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from bridge.cli.boundary import Exit, Stop

SERVICE_FOLDER = Path("/run/lock-bridge")
SOCKET = "api.sock"
ANSWERING = 30.0
"""Seconds in which the bridge must say something, over what it was asked to wait."""

_START = "start it with `systemctl start lock-bridge` (`systemctl status lock-bridge` says why it stopped), or in a \
terminal with `lock-bridge run`"


class NotRunning(Stop):
    """No bridge listens."""

    def __init__(self) -> None:
        super().__init__(f"the bridge is not running; {_START}", Exit.NOT_RUNNING)


class Denied(Stop):
    """The socket is somebody else's."""

    def __init__(self) -> None:
        super().__init__(
            "no permission to talk to the bridge; add yourself to its group with "
            "`sudo usermod -aG lock-bridge $USER` and log in again, or use sudo",
            Exit.DENIED,
        )


class Rejected(Stop):
    """The bridge said no, for the reason that it gives."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        error: object = body.get("error")
        told = cast("dict[str, Any]", error) if isinstance(error, dict) else body
        super().__init__(str(told.get("message") or f"the bridge answered with HTTP status {status}"))
        self.status = status
        self.kind = str(told.get("error_code") or told.get("type") or "")
        """Its `error_code`, or Seam's `error.type`."""


class Bridge:
    """The bridge of this machine, whether or not it runs.

    Args:
        file: the configuration that says where it listens, if one was named; without one it listens where the service
            does, and the configuration is not read unless nothing is there.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._is_ours = False

    @property
    def running(self) -> bool:
        """Whether a bridge listens.

        Raises:
            Stop: it may not be asked.
        """
        try:
            self._connected(ANSWERING).close()
        except NotRunning:
            return False
        return True

    def get(self, *path: str, wait: float = 0, **query: object) -> Any:  # noqa: ANN401 - any JSON
        """Ask for what is at a path.

        Args:
            path: its parts.
            wait: seconds for which the bridge may wait for something to tell.
            query: of the query, what is not None.

        Raises:
            Stop: the bridge is not running, may not be asked, or says no.
        """
        asked = {name: value for name, value in query.items() if value is not None}
        if wait:
            asked["wait"] = f"{wait:g}"
        with self._asked("GET", _target(path, asked), None, ANSWERING + wait) as response:
            return _body(response)

    def post(self, *path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Have something done, or raise as `get` does.

        Args:
            path: the parts of where.
            body: a JSON object.
        """
        with self._asked("POST", _target(path, {}), body, ANSWERING) as response:
            return _body(response)

    def lines(self, *path: str, body: dict[str, Any], pause: float) -> Generator[dict[str, Any]]:
        """Have something done that is told line by line, or raise as `get` does.

        Args:
            path: the parts of where.
            body: a JSON object.
            pause: the longest time in seconds between two lines.
        """
        with self._asked("POST", _target(path, {}), body, ANSWERING + pause) as response:
            while line := response.readline():
                yield _object(line)

    def _asked(
        self, method: str, target: str, body: dict[str, Any] | None, patience: float
    ) -> AbstractContextManager[http.client.HTTPResponse]:
        return _exchange(self._connected(patience), patience, method, target, body)

    def _connected(self, patience: float) -> socket.socket:
        """Return a connection to it."""
        try:
            made = _service() if self._file is None else None
            made = made or self._configured()
        except PermissionError:
            raise Denied from None
        except OSError:
            raise NotRunning from None
        made.settimeout(patience)
        return made

    def _configured(self) -> socket.socket:
        from bridge.config import ConfigError, load
        from bridge.http import sockets

        try:
            config = load(self._file)
        except (ConfigError, PermissionError):
            if self._file is not None:
                raise
            raise NotRunning from None
        if self._file is not None and not self._is_ours:
            self._check(sockets.connect(config), config.bridge.id)
        return sockets.connect(config)

    def _check(self, made: socket.socket, bridge_id: str) -> None:
        """See that what listens is the bridge that was named: a door of another one must not move in its stead."""
        made.settimeout(ANSWERING)
        with _exchange(made, ANSWERING, "GET", "/bridge/status", None) as response:
            running = _body(response)["bridge_id"]
        if running != bridge_id:
            raise Stop(
                f'the bridge "{bridge_id}" of {self._file} is not running; the one that runs here is "{running}"',
                Exit.NOT_RUNNING,
            )
        self._is_ours = True


def _service() -> socket.socket | None:
    """Return a connection to where the service listens, if anything does.

    Raises:
        PermissionError: something does, and this user may not use it.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY") or str(SERVICE_FOLDER)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(Path(folder.split(":")[0]) / SOCKET))
    except PermissionError:
        made.close()
        raise
    except OSError:
        made.close()
        return None
    return made


@contextmanager
def _exchange(
    made: socket.socket, patience: float, method: str, target: str, body: dict[str, Any] | None
) -> Generator[http.client.HTTPResponse]:
    """Ask over a connection, which this ends, and give the answer."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = made
    try:
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with suppress(BrokenPipeError):  # it may answer before it has read all
            connection.request(method, target, None if body is None else json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise Rejected(response.status, _body(response, lenient=True))
        yield response
    except TimeoutError:
        raise Stop(f"the bridge did not answer within {patience:g} s; see its log") from None
    except (ConnectionError, http.client.HTTPException):
        raise Stop("the bridge stopped while it was asked; see its log", Exit.NOT_RUNNING) from None
    finally:
        connection.close()


def _target(path: tuple[str, ...], query: dict[str, object]) -> str:
    target = "/" + "/".join(quote(part, safe="") for part in path)
    return f"{target}?{urlencode(query)}" if query else target


def _body(response: http.client.HTTPResponse, *, lenient: bool = False) -> Any:  # noqa: ANN401 - any JSON
    content = response.read()
    try:
        return json.loads(content) if content else {}
    except ValueError:
        if lenient:
            return {}
        raise Stop("the bridge's answer is not JSON; is another program listening at its socket?") from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Stop("the bridge stopped in the middle of a sentence; see its log")
    return cast("dict[str, Any]", found)
