"""A whole bridge through good and bad days at its most talkative: no secret is in anything that leaves it."""

from __future__ import annotations

import base64
import io
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
from pydantic import SecretStr

import drivers.nuki
from bridge import catalog
from bridge.app import running
from bridge.bell import Bell
from bridge.config import load
from bridge.keys.credentials import Credentials
from bridge.lifecycle import Bridge
from bridge.service import logs
from drivers.base import Action, Credential
from drivers.virtual.faults import Trouble
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from bridge.config import Config
    from drivers.virtual.lock import VirtualLock

FRONT, SIDE, UNPAIRED, DAMAGED = "front_door", "side_door", "unpaired", "damaged"
PASSWORD = "correct-horse-battery"
CODE = "90210731"
PIN = 64517
STRAY = "5ec2e7c0de"
"""What senders put where no secret belongs, and what stands in a damaged key's file."""

TROUBLES = (
    Trouble.JAM_FREES_ITSELF,
    Trouble.DROP_AFTER_WRITE,
    Trouble.MUTE_AFTER_ACCEPTED,
    Trouble.NONCE_REFUSED,
    Trouble.PIN_LOCKED_OUT,
    Trouble.BUSY,
    Trouble.REORDER_INDICATION,
)
BAD_INPUT = (
    b'{"action": "unlock", "pin": "%s"}',
    b'{"action": "unlock", "custom_id": {"code": "%s"}}',
    b'{"action": "unlock", "expires_at": "%s"}',
    b'{"action": "unlock" "%s"}',
    b"%s",
    b'{"action": ["%s"]}',
    b"\xff%s",
)
OWN = ("bridge.", "drivers.")
OPTIONS = {"nuki": "", "yale": "consume_log = true", "switchbot": 'model = "pro"', "sesame": "consume_log = true"}
"""Each driver, with what makes it tell the most."""
WAITS = (
    "drivers.nuki.session.RESPONSE_TIMEOUT",
    "drivers.yale.session.RESPONSE_TIMEOUT",
    "drivers.yale.session.OPTIONAL_TIMEOUT",
    "drivers.switchbot.patience.RESPONSE_TIMEOUT",
    "drivers.sesame.session.RESPONSE_TIMEOUT",
    "drivers.sesame.course.RESPONSE_TIMEOUT",
    "drivers.sesame.course.SETTLE_TIME",
    "bridge.readback.STILL",
)
"""Where there are seconds for which what was lost is waited for: an answer, an outcome."""
KEYS = {"nuki": "key", "yale": "key", "switchbot": "encryption_key", "sesame": "secret"}
KEY_DIGITS = 32
"""Of the shortest key, in hex."""


@pytest.fixture
def anyio_backend():
    return "asyncio"  # bleak's


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, at debug level."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure(verbose=True, stream=stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def recognisable_and_quick(monkeypatch):
    """Give virtual locks a PIN that is found again, and wait for lost outcomes no longer than it takes."""
    monkeypatch.setattr(drivers.nuki, "TWIN_PIN", PIN)
    for wait in WAITS:
        monkeypatch.setattr(wait, 0.4)
    monkeypatch.setattr("drivers.yale.session.REST", 0.01)
    monkeypatch.setattr("drivers.switchbot.patience.QUIET", 0.1)


def configuration(folder: Path, port: int, driver: str, *, air: Path | None) -> Config:
    """Write a configuration with a secret wherever one belongs, and load it."""
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "password").chmod(0o600)
    elsewhere = f'virtual_air = "{air}"' if air else ""
    names = (FRONT, SIDE, UNPAIRED, DAMAGED) if air else (FRONT, SIDE)
    actions = sorted(str(action) for action in catalog.load(driver).capabilities.actions)
    locks = "".join(
        f'[[locks]]\nid = "{name}"\ndriver = "{driver}"\nactions = {actions}\n'
        f'linger = 0.3\n[locks.virtual]\nmotor_time = 0.1\npin_codes = {{ "{CODE}" = "Ann" }}\n'
        f"[locks.{driver}]\n{OPTIONS[driver]}\n"
        for name in names
    )
    (folder / "config.toml").write_text(
        f'[bridge]\nid = "g1"\nstate_dir = "state"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\nusername = "bridge"\npassword_file = "password"\n'
        f'[commands]\nrate_limit = 0\n[http]\nsocket = "api.sock"\n[bluetooth]\nradio = "virtual"\n{elsewhere}\n{locks}'
    )
    return load(folder / "config.toml", {})


@asynccontextmanager
async def bridge_of(
    folder: Path, port: int, driver: str, *, hosted: bool
) -> AsyncIterator[tuple[Config, Bridge, Mapping[str, VirtualLock]]]:
    """Run a bridge whose virtual locks are its own, or another process's as far as it knows."""
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(hosting(folder, FRONT, SIDE, motor_time=0.1)) if hosted else None
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
        if host:
            damaged = Credentials(folder / "state").path(DAMAGED)
            damaged.write_text(f'{{"driver": "nuki", "credential": {{"key": "{STRAY}", "pin": "{STRAY}"}}}}')
            damaged.chmod(0o600)
        config = configuration(folder, port, driver, air=host.air if host else None)
        house = await stack.enter_async_context(running(config))
        yield config, house, host.locks if host else house.twins


def secrets_of(house: Bridge) -> set[str]:
    """Return every secret, in every shape in which it might be written."""
    found = {PASSWORD, CODE, str(PIN), STRAY}
    for worker in house.workers.values():
        values = [value.get_secret_value() for _, value in worker.lock.credential or () if isinstance(value, SecretStr)]
        found |= {*values, *(shape for value in values if len(value) >= KEY_DIGITS for shape in written_as(value))}
    return found


def written_as(digits: str) -> set[str]:
    """Return the shapes in which a key might be written."""
    key = bytes.fromhex(digits)
    found = {key.hex(), key.hex().upper(), base64.b64encode(key).decode(), repr(key)[2:-1], str(list(key))}
    return found | {key.hex(":"), key.hex(" "), key[:8].hex(), str(int.from_bytes(key))}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("driver", "hosted"),
    [*((driver, False) for driver in OPTIONS), ("nuki", True)],
    ids=[*OPTIONS, "locks with stored keys"],
)
async def test_no_secret_leaves_the_bridge(tmp_path, written, driver, hosted):
    async with (
        Mosquitto(tmp_path) as broker,
        Upstream(broker.port, also=["homeassistant/#"]) as upstream,
        bridge_of(tmp_path, broker.port, driver, hosted=hosted) as (config, house, locks),
    ):
        await upstream.first(f"locks/{FRONT}/state")
        boldest = Action.UNLATCH if Action.UNLATCH in house.workers[FRONT].lock.offered else Action.UNLOCK
        await good_days(upstream, locks[FRONT], boldest)
        shown = [*shapes(config), *shapes(house)]
        await bad_days(upstream, locks[FRONT], boldest)
        await bad_input(upstream)
        if hosted:
            await commands_to(upstream, UNPAIRED, DAMAGED)
        shown += [*shapes(config), *shapes(house)]
        needles = secrets_of(house)
        assert written_as(house.workers[FRONT].lock.credential.stored()[KEYS[driver]]) <= needles
        state = [path.read_bytes().decode("latin-1") for path in kept(tmp_path / "state")]
    told = [each for each in upstream.heard if not each.topic.endswith("/actions")]
    said = [f"{each.topic} {each.user} {each.correlation} {each.payload.decode()}" for each in told]
    log = written.getvalue()
    assert all(word in log for word in ("attempt ended", "command refused", "ready"))
    assert len(state) >= 1
    assert len(said) > 20
    for place, texts in {"log": [log], "MQTT": said, "state": state, "repr": shown}.items():
        for text in texts:
            assert not [needle for needle in needles if needle in text], place


def kept(state: Path) -> list[Path]:
    """Return the files of the state folder that are no keys."""
    return [path for path in state.rglob("*") if path.is_file() and path.parent.name != "credentials"]


async def perform(upstream: Upstream, lock_id: str, action: str, number: list[int]) -> dict[str, Any]:
    """Give a command and return what is told of its end."""
    number[0] += 1
    custom_id = f"c{id(number)}-{number[0]}"
    await upstream.command(lock_id, {"action": action, "custom_id": custom_id})
    reply = await upstream.reply(lock_id, custom_id=custom_id)
    return await upstream.completed(reply.body["action_id"])


async def good_days(upstream: Upstream, lock: VirtualLock, boldest: Action) -> None:
    number = [0]
    for action in ("unlock", "lock", boldest, "lock", "lock"):
        assert (await perform(upstream, FRONT, action, number))["status"] == "success"
    if lock._codes:
        assert lock.keypad(CODE)
    assert not lock.keypad(STRAY)
    await anyio.sleep(0.3)
    await perform(upstream, FRONT, "lock", number)


async def bad_days(upstream: Upstream, lock: VirtualLock, boldest: Action) -> None:
    number = [0]
    lock.manual_unlock()
    for trouble in TROUBLES:
        lock.faults.arm(trouble)
        await perform(upstream, FRONT, boldest, number)
        lock.faults.clear()


async def bad_input(upstream: Upstream) -> None:
    before = len(upstream.on(f"locks/{FRONT}/actions/reply"))
    for body in BAD_INPUT:
        await upstream.command(FRONT, body.replace(b"%s", STRAY.encode()))
    await upstream.command(FRONT, {"action": "unlock"}, retain=True)
    await upstream.command(FRONT, b"", retain=True)
    due = before + len(BAD_INPUT) + 1
    await upstream.until(lambda: len(upstream.on(f"locks/{FRONT}/actions/reply")) >= due)


async def commands_to(upstream: Upstream, *lock_ids: str) -> None:
    for lock_id in lock_ids:
        told = await perform(upstream, lock_id, "unlock", [0])
        assert told["error_code"] == "NOT_AUTHORIZED"


def shapes(root: object) -> Iterator[str]:
    """Return `repr` and `str` of everything of ours that an object leads to."""
    seen: set[int] = set()
    waiting: list[object] = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            waiting += each
        elif type(each).__module__.startswith(OWN):
            yield f"{each!r} {each} {format(each)}"
            if not isinstance(each, Bell | Credential):
                waiting += inside(each)


def inside(each: object) -> list[object]:
    names = {*getattr(each, "__dict__", ()), *getattr(type(each), "__slots__", ())}
    if is_dataclass(each):
        names |= {field.name for field in fields(each)}
    return [getattr(each, name, None) for name in names]


def test_the_search_finds_a_secret_deep_inside():
    class Leak:
        __module__ = "bridge.leak"

        def __init__(self, *within: object) -> None:
            self.within = {"x": [within]}

        def __repr__(self) -> str:
            return "nothing" if self.within["x"][0] else STRAY

    assert any(STRAY in shape for shape in shapes(Leak(Leak())))
