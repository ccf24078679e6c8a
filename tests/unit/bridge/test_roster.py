"""What is added to a running bridge, and a lock that is lent to pairing."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.attempt import State
from bridge.bell import Bell
from bridge.config import ConfigError, load
from bridge.config.fields import virtual_address
from bridge.keys.credentials import Credentials
from bridge.roster import Roster
from drivers.nuki import NukiDriver
from drivers.virtual.peripheral import VirtualSettings
from tests.support.house import BACK, FRONT, TTL, until

CONFIG = """\
[bridge]
id = "g1"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1"
[bluetooth]
radio = "bluez"
"""


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestLending:
    async def test_a_lent_lock_is_let_go_of_and_commands_wait(self, house):
        async with house.life() as life:
            await life.perform("unlock")
            worker = life.bridge.workers[FRONT]
            async with worker.lent():
                assert all(not link.is_open for link in house.radio.links)
                receipt = await life.submit("lock")
                await anyio.sleep(TTL / 2)
                assert len(house.movements) == 1
            assert (await life.ended(receipt)).state is State.CONFIRMED
            assert len(house.movements) == 2

    async def test_an_action_that_is_under_way_is_not_disturbed(self, house):
        async with house.life() as life:
            receipt = await life.submit("unlock")
            await until(lambda: house.movements)
            async with life.bridge.workers[FRONT].lent():
                assert (await life.attempt(receipt)).state is State.CONFIRMED

    async def test_a_command_whose_time_is_over_by_then_does_not_move(self, house):
        async with house.life() as life:
            async with life.bridge.workers[FRONT].lent():
                receipt = await life.submit("unlock")
                await anyio.sleep(TTL + 1)
            assert (await life.ended(receipt)).code == "ACTION_TIMEOUT"
            assert house.movements == []

    async def test_it_is_lent_to_one_at_a_time(self, house):
        async with house.life() as life:
            worker = life.bridge.workers[FRONT]
            had = []

            async def borrow():
                async with worker.lent():
                    had.append(True)

            async with anyio.create_task_group() as group, worker.lent():
                group.start_soon(borrow)
                await anyio.sleep(10)
                assert had == []
            assert had == [True]
            assert (await life.perform()).state is State.CONFIRMED

    async def test_another_key_is_used_from_the_next_session_on(self, house):
        async with house.life() as life:
            await life.perform("unlock")
            worker = life.bridge.workers[FRONT]
            async with worker.lent():
                worker.rekey(None)
            assert (await life.perform("lock")).code == "NOT_AUTHORIZED"
            await until(lambda: life.device().get("offline_reason") == "credentials_refused")
            worker.rekey(house.credentials[FRONT])
            assert (await life.perform("lock")).state is State.CONFIRMED


class Taken:
    """What a roster did: which locks it took in, and with which keys."""

    def __init__(self, tmp_path, *lock_ids):
        self.file = tmp_path / "config.toml"
        self.file.write_text(CONFIG + "".join(map(block, lock_ids)))
        (tmp_path / "state").mkdir(mode=0o700)
        self.keys = Credentials(tmp_path / "state")
        self.workers = {lock_id: FakeWorker() for lock_id in lock_ids}
        self.locks = []
        self.roster = Roster(load(self.file, {}), self.workers, twins={}, take_in=self._take_in)

    def _take_in(self, lock):
        self.locks.append(lock)
        return FakeWorker(lock.credential)


class FakeWorker:
    def __init__(self, credential=None):
        self.lock = self
        self.credential = credential

    def rekey(self, credential):
        self.credential = credential


def block(lock_id):
    return f'[[locks]]\nid = "{lock_id}"\ndriver = "nuki"\naddress = "{virtual_address(lock_id)}"\n'


def key():
    return NukiDriver().twin(virtual_address(FRONT), FRONT, VirtualSettings())[1]


class TestTakingUp:
    async def test_a_lock_that_was_added_to_the_file_is_taken_in_with_its_key(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        credential = key()
        taken.keys.store(BACK, NukiDriver(), credential)
        taken.file.write_text(taken.file.read_text() + block(BACK))
        found = await taken.roster.take_up()
        assert (found.added, found.rekeyed, found.after_restart) == ([BACK], [], [])
        assert [(lock.id, lock.credential) for lock in taken.locks] == [(BACK, credential)]
        assert [lock.id for lock in taken.roster.locks] == [FRONT, BACK]
        assert set(taken.workers) == {FRONT, BACK}

    async def test_a_key_that_pairing_left_is_used(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        credential = key()
        taken.keys.store(FRONT, NukiDriver(), credential)
        assert (await taken.roster.take_up()).rekeyed == [FRONT]
        assert taken.workers[FRONT].credential == credential
        assert (await taken.roster.take_up()).rekeyed == []

    async def test_other_changes_wait_for_the_next_start(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        taken.file.write_text(taken.file.read_text() + 'name = "Other"\n')
        found = await taken.roster.take_up()
        assert (found.added, found.after_restart) == ([], [FRONT])

    async def test_a_lock_that_has_another_id_by_now_is_served_under_its_first_one_alone(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        taken.file.write_text(taken.file.read_text().replace(FRONT, BACK))
        found = await taken.roster.take_up()
        assert (found.added, found.after_restart) == ([], [BACK])
        assert set(taken.workers) == {FRONT}

    async def test_a_file_that_is_mistaken_by_now_changes_nothing(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        taken.file.write_text(taken.file.read_text() + block(BACK) + "nonsense = 1\n")
        with pytest.raises(ConfigError):
            await taken.roster.take_up()
        assert taken.locks == []

    async def test_a_virtual_lock_of_this_process_waits_for_the_next_start(self, tmp_path):
        taken = Taken(tmp_path, FRONT)
        taken.file.write_text(taken.file.read_text().replace('"bluez"', '"virtual"'))
        roster = Roster(load(taken.file, {}), taken.workers, twins={}, take_in=taken._take_in)
        taken.file.write_text(taken.file.read_text() + block(BACK))
        assert (await roster.take_up()).after_restart == [BACK]

    async def test_the_worker_of_an_added_lock_runs(self, tmp_path):
        taken = Taken(tmp_path)
        begun = Bell()

        class Runs(FakeWorker):
            async def run(self):
                begun.ring()

        taken.roster._take_in = lambda _lock: Runs()
        async with anyio.create_task_group() as group:
            group.start_soon(taken.roster.run)
            taken.file.write_text(taken.file.read_text() + block(BACK))
            await taken.roster.take_up()
            await begun.wait()
            group.cancel_scope.cancel()
