"""A Nuki lock that says what a test tells it, over a scripted link."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from drivers.base import Action
from drivers.nuki.credential import NukiCredential, NukiOptions
from drivers.nuki.protocol import commands as c
from drivers.nuki.protocol.codes import Command, LogType, Trigger, Turn, Uuid
from drivers.nuki.protocol.frames import sealed, take_sealed
from drivers.nuki.session import open_session
from tests.support.scripted_link import ScriptedLink

KEY = bytes(range(32))
AUTH_ID = 77
TAG = b"0123456789abcdef0123"
ACCEPTED, COMPLETE = c.Status(1), c.Status(0)
START = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
CREDENTIAL = NukiCredential(app_id=9, auth_id=AUTH_ID, key=SecretStr(KEY.hex()), name="Bridge", pin=SecretStr("1234"))


def states(bolt, *, at=0, battery=200):
    return c.KeyturnerStates(2, bolt, 0, START + timedelta(seconds=at), 0, battery, 0, 0, 0, 0, 0, 2)


@dataclass(frozen=True)
class Malformed:
    """A message of this command that is too short for it."""

    command: int

    def encode(self):
        return b"\x01"


def entry(index, auth_id=0, trigger=Trigger.SYSTEM, name=b""):
    return c.LogEntry(index, START, auth_id, name, LogType.LOCK_ACTION, bytes([Turn.LOCK, trigger, 0, 0, 0]))


def frame(message):
    return sealed(message, KEY, AUTH_ID)


class Lock:
    """The other end: answers a request as told, a challenge always with a new nonce."""

    def __init__(self, link):
        self.link = link
        self.requests = []
        self.nonces = 0
        self.answers = {}
        self._take = take_sealed(lambda _: KEY)
        link.on_write = self._on_write

    @property
    def actions(self):
        return [request for request in self.requests if isinstance(request, c.LockAction)]

    def says(self, *messages):
        self.link.push(*[message if isinstance(message, bytes) else frame(message) for message in messages])

    def _on_write(self, data):
        taken, _ = self._take(data)
        assert taken.auth_id == AUTH_ID
        request = c.decode(c.FROM_HOST, taken.command, taken.payload)
        self.requests.append(request)
        asked = request.wanted if isinstance(request, c.RequestData) else request.command
        answer = self.answers.get(asked)
        if answer is None and asked == Command.CHALLENGE:
            self.nonces += 1
            answer = [c.Challenge(bytes([self.nonces]) * 32)]
        if callable(answer):
            answer()
        elif answer is not None:
            self.says(*answer)


@asynccontextmanager
async def talking(credential=CREDENTIAL, options=None, **kwargs):
    link = ScriptedLink(Uuid.USDIO.value, **kwargs)
    session = await open_session(link, credential, options or NukiOptions())
    try:
        yield session, Lock(link)
    finally:
        await session.aclose()
        assert link.subscriptions == 0


async def act(session, action=Action.UNLOCK, seen=None):
    actuation = await session.prepare(action, TAG)
    return await actuation.run(lambda _: None if seen is None else seen.append(_))
