"""A host for the virtual Nuki lock: one GATT connection, frames taken apart by their length alone."""

import struct
from contextlib import asynccontextmanager

import anyio
import trio.testing

from drivers.nuki.protocol.codes import Command, Uuid
from drivers.nuki.protocol.commands import FROM_LOCK, Challenge, LockAction, RequestData
from drivers.nuki.protocol.crypto import unseal
from drivers.nuki.protocol.frames import HEADER, HEADER_BYTES, crc, sealed
from drivers.nuki.virtual import NukiTwin
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "54:D2:72:AA:BB:CC"
APP_ID = 4711


@asynccontextmanager
async def living(**options):
    """A virtual lock, living, with the settings and the options given."""
    settings = {name: options.pop(name) for name in VirtualSettings.model_fields if name in options}
    twin = NukiTwin(ADDRESS, "Front door", VirtualSettings(**settings), **options)
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        yield twin
        group.cancel_scope.cancel()


class Host:
    """A connected central, with or without an authorization."""

    def __init__(self, twin, user=None, *, mtu=247):
        self.mtu = mtu
        self.twin = twin
        self.user = user
        self.heard = []
        self.lost = False
        self._read = 0
        self._stir = anyio.Event()
        twin.connected(self)

    def notify(self, characteristic, data):
        self.heard.append((characteristic, data))
        self._stir.set()

    def drop(self):
        self.lost = True
        self._stir.set()

    def leave(self):
        self.twin.disconnected(self)

    @property
    def messages(self):
        """Everything understood so far."""
        data = b"".join(part for characteristic, part in self.heard if characteristic == Uuid.USDIO)
        found = []
        while data:
            nonce, auth_id, length = struct.unpack_from(HEADER, data)
            body = unseal(self.user.key, nonce, data[HEADER_BYTES : HEADER_BYTES + length])
            assert auth_id == self.user.auth_id
            assert body[:4] == auth_id.to_bytes(4, "little")
            assert body[-2:] == crc(body[:-2])
            command = int.from_bytes(body[4:6], "little")
            kind = FROM_LOCK.get(command)
            found.append(kind.decode(body[6:-2]) if kind else (command, body[6:-2]))
            data = data[HEADER_BYTES + length :]
        return found

    def new(self):
        """What came since it was last asked."""
        found = self.messages[self._read :]
        self._read += len(found)
        return found

    async def send(self, message):
        self.twin.write(Uuid.USDIO, sealed(message, self.user.key, self.user.auth_id))
        await trio.testing.wait_all_tasks_blocked()

    async def ask(self, message):
        """Send and return the first message that came back."""
        self.new()
        await self.send(message)
        return next(iter(self.new()), None)

    async def nonce(self):
        answer = await self.ask(RequestData(Command.CHALLENGE))
        assert isinstance(answer, Challenge)
        return answer.nonce

    async def act(self, turn, *, suffix=b"", nonce=None):
        """Ask for a lock action; return what came at once."""
        nonce = nonce or await self.nonce()
        self.new()
        await self.send(LockAction(turn, APP_ID, nonce, suffix=suffix))
        return self.new()

    async def until(self, condition):
        """Wait until the condition holds, looked at with each indication and at the link's end."""
        while not condition():
            self._stir = anyio.Event()
            await self._stir.wait()
