"""A key that its owner brings: proved over the lock and kept, through a running bridge and without one."""

import stat

import anyio
import pytest

from drivers.virtual.peripheral import VirtualSettings
from drivers.yale import YaleDriver
from tests.support.door import Door
from tests.support.terminal import Terminal

ADDRESS = "54:D2:72:00:00:07"
WRONG = "00112233445566778899aabbccddeeff"


class Place(Door):
    """A door with a Yale lock and its owner, who has the key."""

    def __init__(self, folder):
        twin, credential = YaleDriver().twin(ADDRESS, "Front", VirtualSettings(motor_time=0.1))
        super().__init__(folder, twin)
        self.key, self.slot = credential.key.get_secret_value(), credential.slot
        self.key_file = folder / "key.toml"
        self.key_file.write_text(f'key = "{self.key}"\nslot = {self.slot}\n')

    async def pair(self, *more):
        return await self.run("pair", "yale", ADDRESS, "--id", "front", "--key-file", str(self.key_file), *more)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    place = Place(tmp_path)
    async with place.on_the_air():
        yield place


async def test_a_running_bridge_takes_the_key_and_uses_the_lock(place):
    async with place.served():
        ended = await place.pair("--write")
        assert ended.returncode == 0, ended.stderr
        assert "The lock answers over the key that was brought: it is locked" in ended.stderr
        assert place.key not in ended.stdout + ended.stderr
        assert stat.S_IMODE(place.keys.path("front").stat().st_mode) == 0o600
        ended = await place.run("unlock", "front")
        assert ended.returncode == 0, ended.stderr
        assert len(place.twin.lock.movements) == 1


async def test_without_a_bridge_it_is_kept_for_its_start(place):
    ended = await place.pair()
    assert ended.returncode == 0, ended.stderr
    assert place.keys.load("front", YaleDriver()).key.get_secret_value() == place.key


@pytest.mark.parametrize("served", [True, False])
async def test_a_wrong_key_is_not_kept_and_not_shown(place, served):
    place.key_file.write_text(f'key = "{WRONG}"\nslot = {place.slot}\n')
    if served:
        async with place.served():
            ended = await place.pair()
    else:
        ended = await place.pair()
    assert ended.returncode == 1
    assert "No key was kept here. See that the key is this lock's." in ended.stderr
    assert WRONG not in ended.stdout + ended.stderr
    assert not place.keys.path("front").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", 'must hold a line NAME = "VALUE" for each part of the key'),
        (f"key = {WRONG}", 'must hold a line NAME = "VALUE" for each part of the key'),
        (f'key = "{WRONG}"', 'the key lacks "slot"'),
        (f'key = "{WRONG}"\nslot = 0\nuser = "me"', "has no part 'user'"),
        (f'key = "{WRONG}00"\nslot = 0', "key"),
    ],
)
async def test_a_key_file_that_is_none_is_told_before_anybody_goes_to_the_lock(place, content, told):
    place.key_file.write_text(content)
    ended = await place.pair()
    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr
    assert WRONG not in ended.stdout + ended.stderr
    assert not place.twin.lock.movements


async def test_without_a_key_and_a_terminal_it_says_what_is_missing(place):
    ended = await place.run("pair", "yale", ADDRESS)
    assert ended.returncode == 2
    assert "wants the key that its vendor made (key, slot)" in ended.stderr
    assert "--key-file" in ended.stderr


async def test_on_a_terminal_the_key_is_asked_for_and_not_echoed(place):
    def at_the_terminal():
        with Terminal("pair", "yale", ADDRESS, "--id", "front", **place.variables) as terminal:
            terminal.until("digits): ")
            terminal.type(f"{place.key}\n")
            terminal.until("255): ")
            terminal.type(f"{place.slot}\n")
            assert terminal.end() == 0
            return terminal.shown

    shown = await anyio.to_thread.run_sync(at_the_terminal)
    assert "The lock answers over the key that was brought" in shown
    assert place.key not in shown


async def test_the_key_is_forgotten_here_alone(place):
    await place.pair("--write")
    ended = await place.run("unpair", "front", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "The lock still knows it: its vendor made it" in ended.stdout
    assert not place.keys.path("front").exists()
