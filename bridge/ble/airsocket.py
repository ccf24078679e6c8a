"""Virtual locks that live in another process, over a Unix socket. For tests and demos: the locks outlive the bridge.

Each connection of the socket has one purpose, told by its first line. A line is a JSON object, values are in hex.

`{"listen": true}`      the server then sends one line per advertisement
`{"connect": ADDRESS}`  answered by `{"gatt": TABLE, "mtu": N}` or `{"refused": WHY}`; then a GATT connection:
    client: `{"id": N, "read": UUID}` or `{"id": N, "write": UUID, "data": HEX}` or
        `{"id": N, "subscribe": UUID}`
    server: `{"id": N, "data": HEX}` or `{"id": N, "att": CODE}` for each; `{"notify": UUID, "data": HEX}` at any time
    The end of the socket's connection is the end of the GATT connection, from whichever side.

Whoever says anything else is hung up on.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import socket
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import anyio
import anyio.abc
import structlog
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectSendStream

from bridge.ble.air import Connection, LocalAir, Receiver
from bridge.ble.fanout import Fanout
from drivers.base import Advertisement
from drivers.virtual.peripheral import AttError, GattTable, Property

if TYPE_CHECKING:
    from drivers.virtual.peripheral import Twin

T = TypeVar("T")

_Message = dict[str, Any]
_Verb = Literal["read", "write", "subscribe"]

_LONGEST_LINE = 65536
_RETRY = 0.5
"""Seconds between two tries to reach a server that is not there."""


class _Garbled(Exception):
    """The other side said what is not of the protocol, so there is nothing more to be had from it."""


_GONE = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    _Garbled,
)

_log = structlog.get_logger()


class AirServer:
    """Hosts twins, by their upper-case address, on a Unix socket at `path`."""

    def __init__(self, twins: Mapping[str, Twin], path: str) -> None:
        self._air = LocalAir(twins)
        self._path = path
        self._advertisements = Fanout[Advertisement]()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve. Started once a client can connect; ends only by cancellation."""
        async with anyio.create_task_group() as tasks, await anyio.create_unix_listener(self._path) as listener:
            await tasks.start(self._air.run, self._advertisements.send)
            task_status.started()
            await listener.serve(self._serve)

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            wire = _Wire(stream)
            try:
                match await wire.receive():
                    case {"connect": str(address)}:
                        await self._host(wire, address)
                    case _:
                        await self._tell(wire)
            except* _GONE:
                pass  # the client went away, which is how each of its purposes ends

    async def _tell(self, wire: _Wire) -> None:
        """Tell what is on the air until the client hangs up; one that says more is hung up on."""
        async with self._advertisements.listen() as advertisements, anyio.create_task_group() as tasks:
            tasks.start_soon(_heed, wire, tasks.cancel_scope)
            async for advertisement in advertisements:
                await wire.send(_advertisement_out(advertisement))

    async def _host(self, wire: _Wire, address: str) -> None:
        send, receive = anyio.create_memory_object_stream[_Message](math.inf)
        with send, receive:
            try:
                connection = await self._air.connect(address, _Outbound(send))
            except ConnectionError as error:
                await wire.send({"refused": str(error)})
                return
            send.send_nowait({"gatt": _gatt_out(connection.gatt), "mtu": connection.mtu})
            try:
                async with anyio.create_task_group() as tasks:  # ended by `_answer`, when the connection ends
                    tasks.start_soon(_answer, wire, connection, send)
                    async for message in receive:
                        await wire.send(message)
                    wire.hang_up()
            except* _GONE:
                pass  # the client hung up
            finally:
                await connection.close()


async def _heed(wire: _Wire, scope: anyio.CancelScope) -> None:
    """End the scope once the client says something or hangs up."""
    with contextlib.suppress(*_GONE):
        await wire.receive()
    scope.cancel()


class SocketAir:
    """The way to the twins that an `AirServer` hosts at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tasks: anyio.abc.TaskGroup | None = None

    async def run(
        self,
        heard: Callable[[Advertisement], None],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen, coming back whenever the server does. Ends only by cancellation."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            while True:
                try:
                    await self._listen(heard)
                except (OSError, *_GONE) as error:
                    _log.debug("air.server_gone", error=type(error).__name__)
                await anyio.sleep(_RETRY)

    async def connect(self, address: str, receiver: Receiver) -> Connection:
        """Connect to a twin of the server's.

        Raises:
            ConnectionRefusedError: it refuses, is held by another central, or there is none of that address.
            ConnectionError: the server is not there.
        """
        if self._tasks is None:
            raise ConnectionError("The virtual radio is not running")
        try:
            stream = await anyio.connect_unix(self._path)
        except OSError as error:
            raise ConnectionError("The virtual locks' process is not there") from error
        try:
            connection = await _open(_Wire(stream), address, receiver)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        self._tasks.start_soon(connection.run)
        return connection

    async def _listen(self, heard: Callable[[Advertisement], None]) -> None:
        async with await anyio.connect_unix(self._path) as stream:
            wire = _Wire(stream)
            await wire.send({"listen": True})
            while True:
                message = await wire.receive()
                with _reading():
                    advertisement = _advertisement_in(message)
                heard(advertisement)


class _Wire:
    """JSON objects, one a line."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._lines = BufferedByteReceiveStream(stream)

    async def send(self, message: _Message) -> None:
        await self._stream.send(json.dumps(message).encode() + b"\n")

    async def receive(self) -> _Message:
        line = await self._lines.receive_until(b"\n", _LONGEST_LINE)
        with _reading():
            message: object = json.loads(line)
            if not isinstance(message, dict):
                raise TypeError("no object")
        return cast("_Message", message)

    def hang_up(self) -> None:
        """End the connection, from any task: whoever waits in `receive`, on either side, learns of its end."""
        with contextlib.suppress(OSError):  # it has ended already
            self._stream.extra(SocketAttribute.raw_socket).shutdown(socket.SHUT_RDWR)  # noqa: S610 - anyio's `extra`

    async def aclose(self) -> None:
        """Let go of the socket. For the task that receives from it."""
        await self._stream.aclose()


class _Outbound:
    """The server's receiver: what the twin says goes to the client."""

    def __init__(self, send: MemoryObjectSendStream[_Message]) -> None:
        self._send = send

    def notified(self, characteristic: str, data: bytes) -> None:
        self._send.send_nowait({"notify": characteristic, "data": data.hex()})

    def dropped(self) -> None:
        self._send.close()


async def _answer(wire: _Wire, connection: Connection, send: MemoryObjectSendStream[_Message]) -> None:
    """Answer a client's reads and writes until either side ends the connection."""
    while True:
        request = await wire.receive()
        with _reading():
            verb, characteristic, data = _request_in(request)
        reply: _Message = {"id": request.get("id")}
        try:
            reply["data"] = (await _do(connection, verb, characteristic, data)).hex()
        except AttError as error:
            reply["att"] = error.code
        except ConnectionError:
            return  # the twin hung up, and `dropped` has closed `send`
        send.send_nowait(reply)


async def _do(connection: Connection, verb: _Verb, characteristic: str, data: bytes) -> bytes:
    if verb == "read":
        return await connection.read(characteristic)
    if verb == "subscribe":
        await connection.subscribe(characteristic)
    else:
        await connection.write(characteristic, data)
    return b""


async def _open(wire: _Wire, address: str, receiver: Receiver) -> _SocketConnection:
    try:
        await wire.send({"connect": address})
        answer = await wire.receive()
        if "refused" in answer:
            raise ConnectionRefusedError(str(answer["refused"]))
        with _reading():
            return _SocketConnection(wire, _gatt_in(answer["gatt"]), _typed(int, answer["mtu"]), receiver)
    except _GONE as error:
        raise ConnectionError("The virtual locks' process went away") from error


class _SocketConnection:
    """The client's hold on a connection to one of the server's twins."""

    def __init__(self, wire: _Wire, gatt: GattTable, mtu: int, receiver: Receiver) -> None:
        self.gatt = gatt
        self.mtu = mtu
        self._wire = wire
        self._receiver = receiver
        self._open = True
        self._ids = itertools.count()
        self._asked: dict[int, MemoryObjectSendStream[_Message]] = {}

    async def run(self) -> None:
        """Take what the server sends until the connection ends."""
        try:
            while True:
                message = await self._wire.receive()
                if "notify" in message:
                    with _reading():
                        characteristic, data = _typed(str, message["notify"]), bytes.fromhex(message["data"])
                    self._receiver.notified(characteristic, data)
                    continue
                with _reading():
                    asked = self._asked.pop(message["id"], None)
                if asked is not None:
                    asked.send_nowait(message)
        except _GONE:
            pass  # which is how a connection ends
        finally:
            self._end()
            with anyio.CancelScope(shield=True):
                await self._wire.aclose()

    async def read(self, characteristic: str) -> bytes:
        return await self._ask({"read": characteristic})

    async def write(self, characteristic: str, data: bytes) -> None:
        await self._ask({"write": characteristic, "data": data.hex()})

    async def subscribe(self, characteristic: str) -> None:
        await self._ask({"subscribe": characteristic})

    async def close(self) -> None:
        self._open = False
        self._wire.hang_up()

    async def _ask(self, request: _Message) -> bytes:
        number = next(self._ids)
        send, receive = anyio.create_memory_object_stream[_Message](1)
        with send, receive:
            self._asked[number] = send
            try:
                await self._wire.send({"id": number, **request})
                answer = await receive.receive()
                with _reading():
                    att = _typed(int, answer["att"]) if "att" in answer else None
                    data = bytes.fromhex(answer["data"]) if att is None else b""
            except _GONE as error:
                raise ConnectionResetError("The connection has ended") from error
            finally:
                self._asked.pop(number, None)
        if att is not None:
            raise AttError(att)
        return data

    def _end(self) -> None:
        for asked in self._asked.values():
            asked.close()
        if self._open:
            self._open = False
            self._receiver.dropped()


@contextlib.contextmanager
def _reading() -> Generator[None]:
    """Read a message.

    Raises:
        _Garbled: it is not as it should be.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _Garbled from error


def _typed(kind: type[T], value: object) -> T:
    """Return a value that is of its kind."""
    if not isinstance(value, kind):
        raise TypeError(kind.__name__)
    return value


def _request_in(message: _Message) -> tuple[_Verb, str, bytes]:
    """Return what is asked for, the characteristic, and what is to be written."""
    if "read" in message:
        return "read", _typed(str, message["read"]), b""
    if "subscribe" in message:
        return "subscribe", _typed(str, message["subscribe"]), b""
    return "write", _typed(str, message["write"]), bytes.fromhex(message["data"])


def _gatt_out(gatt: GattTable) -> _Message:
    return {
        service: {uuid: sorted(properties) for uuid, properties in characteristics.items()}
        for service, characteristics in gatt.items()
    }


def _gatt_in(message: _Message) -> GattTable:
    return {
        service: {uuid: frozenset(map(Property, properties)) for uuid, properties in characteristics.items()}
        for service, characteristics in message.items()
    }


def _advertisement_out(advertisement: Advertisement) -> _Message:
    return {
        "address": advertisement.address,
        "name": advertisement.name,
        "rssi": advertisement.rssi,
        "manufacturer_data": {key: value.hex() for key, value in advertisement.manufacturer_data.items()},
        "service_data": {key: value.hex() for key, value in advertisement.service_data.items()},
        "service_uuids": advertisement.service_uuids,
    }


def _advertisement_in(message: _Message) -> Advertisement:
    return Advertisement(
        address=_typed(str, message["address"]),
        name=None if message["name"] is None else _typed(str, message["name"]),
        rssi=None if message["rssi"] is None else _typed(int, message["rssi"]),
        manufacturer_data={int(key): bytes.fromhex(value) for key, value in message["manufacturer_data"].items()},
        service_data={key: bytes.fromhex(value) for key, value in message["service_data"].items()},
        service_uuids=tuple(_typed(str, uuid) for uuid in message["service_uuids"]),
    )
