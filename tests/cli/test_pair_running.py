"""Pairing and its undoing: through a running bridge, which owns the radio, and without one."""

import json
import re
import stat

import anyio
import pytest

from bridge.cli.client import Bridge, Rejected
from bridge.config import load
from drivers.nuki import NukiDriver
from drivers.nuki.virtual import NukiTwin
from drivers.virtual.peripheral import VirtualSettings
from tests.support.door import CONFIG, Door
from tests.support.terminal import Terminal

ADDRESS = "54:D2:72:00:00:07"
PIN = "4711"


class Place(Door):
    """A door with a lock that nobody is paired with."""

    def __init__(self, folder):
        super().__init__(folder, NukiTwin(ADDRESS, "Front", VirtualSettings(motor_time=0.1), pin=int(PIN)))
        self.pin_file = folder / "pin"
        self.pin_file.write_text(PIN)

    @property
    def users(self):
        """Who may use the lock besides its fob."""
        return [user.name for user in self.twin.keyring.users.values() if user.name != "Fob"]

    async def pair(self, *more):
        self.twin.pairing_mode = True
        return await self.run("pair", "nuki", "--id", "front", "--pin-file", str(self.pin_file), *more)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    place = Place(tmp_path)
    async with place.on_the_air():
        yield place


async def test_a_running_bridge_pairs_and_uses_the_lock_without_a_restart(place):
    async with place.served():
        ended = await place.pair("--write", "--name", "Front")
        assert ended.returncode == 0, ended.stderr
        assert "The running bridge uses it from now on. Try: lock-bridge lock front\n" in ended.stderr
        assert [(lock.id, lock.name) for lock in load(place.file).locks] == [("front", "Front")]
        assert place.file.read_text().startswith(CONFIG)
        assert stat.S_IMODE(place.keys.path("front").stat().st_mode) == 0o600
        ended = await place.run("unlock", "front", "--json")
        assert (ended.returncode, json.loads(ended.stdout)["changed"]) == (0, True)
        assert len(place.twin.lock.movements) == 1
        assert json.loads((await place.run("attempts", "--json")).stdout)[0]["lock_id"] == "front"


@pytest.mark.parametrize("runs", [True, False])
async def test_each_step_is_told_and_no_key_and_no_pin(place, runs):
    async def pair():
        return await place.pair()

    if runs:
        async with place.served():
            ended = await pair()
    else:
        ended = await pair()
    looking, found, proving, paired, *_ = ended.stderr.splitlines()
    assert looking.startswith("Looking for a nuki lock that is ready to pair")
    assert "Hold the lock's button" in looking
    assert found == f"{ADDRESS} is ready. Pairing with it; stay near ..."
    assert proving.startswith("The lock gave the bridge a key.")
    assert paired == "Paired. The lock answers over its new key: it is locked, battery 100 %."
    assert ended.stdout.startswith('[[locks]]\nid = "front"\n')
    key = place.keys.load("front", NukiDriver())
    assert key.pin.get_secret_value() == PIN
    told = ended.stdout + ended.stderr + "".join(f.read_text() for f in place.file.parent.glob("daemon.log"))
    assert key.key.get_secret_value() not in told
    assert PIN not in told


@pytest.mark.parametrize("runs", [True, False])
async def test_unpairing_takes_the_key_from_the_lock_and_from_here(place, runs):
    await place.pair("--write")
    assert place.users == ["lock-bridge g1"]
    if runs:
        async with place.served():
            await place.run("lock", "front")
            ended = await place.run("unpair", "front", "--yes", "--json")
            after = await place.run("lock", "front")
        assert (after.returncode, "[NOT_AUTHORIZED]" in after.stderr) == (1, True)
    else:
        ended = await place.run("unpair", "front", "--yes", "--json")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"lock_id": "front", "revoked": True})
    assert place.users == []
    assert not place.keys.path("front").exists()


async def test_a_lock_that_is_away_is_unpaired_here_and_the_rest_is_said(place):
    await place.pair("--write")
    place.twin.lock.reachable = False
    ended = await place.run("unpair", "front", "--yes")
    assert ended.returncode == 0
    assert ended.stdout.startswith('The key to "front" is removed from this machine. The lock still knows it, since ')
    assert ended.stdout.endswith("; remove the bridge from its users in the vendor's app.\n")
    assert not place.keys.path("front").exists()


async def test_a_running_bridge_takes_a_new_key_of_a_known_lock(place):
    await place.pair("--write")
    async with place.served():
        await place.run("unpair", "front", "--yes")
        ended = await place.pair()
        assert 'The configuration has it as "front" already.' in ended.stderr
        assert (await place.run("unlock", "front")).returncode == 0


async def test_a_lock_that_is_paired_anew_forgets_the_earlier_key(place):
    await place.pair("--write")
    async with place.served():
        ended = await place.pair()
        assert "Having the lock forget the key that the bridge had before" in ended.stderr
        assert place.users == ["lock-bridge g1"]
        assert (await place.run("unlock", "front")).returncode == 0


async def test_a_new_key_is_used_even_if_nobody_waits_until_the_earlier_one_is_forgotten(place):
    await place.pair("--write")

    def at_the_terminal():
        with Terminal(
            "pair", "nuki", "--id", "front", "--pin-file", str(place.pin_file), **place.variables
        ) as terminal:
            terminal.until("The new key works and is kept.")
            terminal.interrupt()
            terminal.end()
            return terminal.shown

    async with place.served():
        place.twin.pairing_mode = True
        await anyio.to_thread.run_sync(at_the_terminal)
        ended = await place.run("unlock", "front")
        assert ended.returncode == 0, ended.stderr


async def test_a_failure_in_the_running_bridge_is_told_with_its_exit_code(place):
    await place.pair("--write")
    async with place.served():
        ended = await place.run("pair", "nuki", "--id", "other", ADDRESS)
        assert (ended.returncode, ended.stderr) == (
            2,
            f'error: the lock at {ADDRESS} is configured as "front"; leave --id out\n',
        )
        place.twin.pairing_mode = False
        ended = await place.run("unpair", "nowhere", "--yes")
        assert (ended.returncode, ended.stderr.startswith("error: ")) == (1, True)


async def test_a_running_bridge_scans(place):
    async with place.served():
        ended = await place.run("scan", "--seconds", "2", "--json")
    (lock,) = json.loads(ended.stdout)
    assert (lock["address"], lock["pairable"], lock["lock_id"]) == (ADDRESS, False, None)


async def test_who_stands_at_the_door_is_guided_on_a_terminal(place):
    def at_the_terminal():
        with Terminal("pair", "nuki", "--id", "front", **place.variables) as terminal:
            terminal.until("none): ")
            terminal.type(f"{PIN}\n")
            terminal.until("is in range (-60 dBm), but not ready to pair. Hold the lock's button")
            place.twin.pairing_mode = True
            assert terminal.end() == 0
            return terminal.shown

    async with place.served():
        shown = await anyio.to_thread.run_sync(at_the_terminal)
    assert "Paired. The lock answers over its new key" in shown
    assert PIN not in shown
    assert 'id = "front"' in shown


async def test_who_stops_pairing_ends_it_in_the_bridge_too(place):
    def at_the_terminal():
        with Terminal("pair", "nuki", "--pin-file", str(place.pin_file), **place.variables) as terminal:
            terminal.until("not ready to pair")
            terminal.interrupt()
            assert terminal.end() == 1
            return terminal.shown

    async with place.served():
        assert "Stopped, and nothing is kept here." in await anyio.to_thread.run_sync(at_the_terminal)
        place.twin.pairing_mode = True
        ended = await place.run("scan", "--seconds", "2", "--json")
        assert json.loads(ended.stdout)[0]["pairable"] is True
    assert place.users == []


@pytest.mark.parametrize(("arguments", "told"), [(("unpair", "front"), "without a terminal say --yes")])
async def test_without_a_terminal_nothing_is_asked(place, arguments, told):
    ended = await place.run(*arguments)
    assert (ended.returncode, told in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("route", "body", "told"),
    [
        ("pair", {}, "driver: "),
        ("pair", {"driver": "nuki", "pin": "47x11"}, "pin: "),
        ("pair", {"driver": "nuki", "address": "nowhere"}, "address: "),
        ("pair", {"driver": "nuki", "more": 1}, "more: "),
        ("scan", {"seconds": 0}, "seconds: "),
        ("scan", {"seconds": "x" * 5000}, "The body is longer"),
        ("unpair", {"lock_id": "a/b"}, "lock_id: "),
    ],
)
async def test_what_the_bridge_is_asked_wrongly_it_refuses(place, route, body, told):
    async with place.served():
        with pytest.raises(Rejected, match=re.escape(told)) as rejected:
            await anyio.to_thread.run_sync(lambda: list(Bridge(place.file).lines("bridge", route, body=body, pause=1)))
    assert (rejected.value.status, rejected.value.kind) == (400, "INVALID_REQUEST")
    assert "47x11" not in str(rejected.value)
