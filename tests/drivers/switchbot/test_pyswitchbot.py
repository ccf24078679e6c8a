"""The virtual SwitchBot lock before the vendor's own library, unmodified, and what the driver relies on in it.

The driver does not use the library; its tables are where the protocol is known from. Where they change, these fail.
"""

from collections import deque
from contextlib import asynccontextmanager
from types import SimpleNamespace
from uuid import UUID

import anyio
import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError
from switchbot import SwitchbotLock, SwitchbotModel, parse_advertisement_data
from switchbot.const.lock import LockStatus
from switchbot.devices import device as library
from switchbot.devices import lock as library_lock

from drivers.base import DoorState, LockState
from drivers.switchbot.protocol import commands
from drivers.switchbot.protocol.commands import Turn
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.errors import DONE
from drivers.switchbot.protocol.frames import Uuid
from drivers.switchbot.protocol.models import TRAITS, Layout, Model
from drivers.switchbot.protocol.report import REPORT_BYTES, Bolt, Report
from drivers.switchbot.virtual import SwitchBotTwin
from drivers.virtual.faults import Trouble
from drivers.virtual.peripheral import VirtualSettings
from tests.support.eventually import eventually

ADDRESS = "C1:89:44:4B:2B:A5"
MOTOR_TIME = 0.05
CONNECTION_INTERVAL = 0.0075
"""Seconds: the shortest that there is."""
MODELS = {
    Model.LOCK: SwitchbotModel.LOCK,
    Model.LITE: SwitchbotModel.LOCK_LITE,
    Model.PRO: SwitchbotModel.LOCK_PRO,
    Model.PRO_WIFI: SwitchbotModel.LOCK_PRO_WIFI,
    Model.ULTRA: SwitchbotModel.LOCK_ULTRA,
    Model.ULTRA_MAX: SwitchbotModel.LOCK_ULTRA_MAX,
    Model.VISION: SwitchbotModel.LOCK_VISION,
    Model.VISION_PRO: SwitchbotModel.LOCK_VISION_PRO,
}
MODES = pytest.mark.parametrize("mode", Mode)
EACH_MODEL = pytest.mark.parametrize("model", Model)


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Client:
    """What the library uses of bleak's client, with the virtual lock at the other end."""

    mtu = 247

    def __init__(self, twin, group, writes):
        self._twin = twin
        self._writes = writes
        self._listeners = {}
        self._notified = deque()
        self.is_connected = True
        group.start_soon(self._deliver)
        twin.connected(self)

    @property
    def services(self):
        return self

    def get_characteristic(self, uuid):
        assert isinstance(uuid, UUID)
        offered = {name for service in self._twin.gatt.values() for name in service}
        return SimpleNamespace(uuid=str(uuid)) if str(uuid) in offered else None

    async def start_notify(self, characteristic, callback):
        self._listeners[characteristic.uuid] = callback

    async def write_gatt_char(self, characteristic, data, response):
        assert not response
        self._writes.append(bytes(data))
        self._twin.write(characteristic.uuid, bytes(data))
        if not self.is_connected:
            raise BleakDBusError("org.bluez.Error.Failed", ["Not connected"])

    async def disconnect(self):
        self.drop()

    def notify(self, characteristic, data):
        self._notified.append((characteristic, data))

    async def _deliver(self):
        """Hand out one notification in each connection event, as the air does: the library acts in between."""
        while self.is_connected:
            if self._notified:
                characteristic, data = self._notified.popleft()
                if callback := self._listeners.get(characteristic):
                    callback(SimpleNamespace(uuid=characteristic), bytearray(data))
            await anyio.sleep(CONNECTION_INTERVAL)

    def drop(self):
        self.is_connected = False
        self._twin.disconnected(self)


@asynccontextmanager
async def driven(monkeypatch, *, model=Model.LOCK, locked=True, hears=True, latch=False, **options):
    """A virtual lock, the library's client for it, and all that the client wrote."""
    settings = VirtualSettings(locked=locked, motor_time=MOTOR_TIME)
    twin = SwitchBotTwin(ADDRESS, "Front door", settings, model=model, latch=latch, **options)
    writes = []
    async with anyio.create_task_group() as group:

        async def connect(*_args, **_kwargs):
            return Client(twin, group, writes)

        monkeypatch.setattr(library, "establish_connection", connect)
        await group.start(twin.run)
        lock = SwitchbotLock(
            BLEDevice(ADDRESS, None, None), f"{twin.key_id:02x}", twin.key.hex(), model=MODELS[model], retry_count=1
        )
        if hears:
            lock.update_from_advertisement(advertised(twin))
        yield twin, lock, writes
        lock._cancel_disconnect_timer()
        await lock._execute_disconnect()
        group.cancel_scope.cancel()


def advertised(twin):
    advertisement = twin.advertisement()
    data = AdvertisementData(
        None,
        dict(advertisement.manufacturer_data),
        dict(advertisement.service_data),
        list(advertisement.service_uuids),
        None,
        advertisement.rssi,
        (),
    )
    found = parse_advertisement_data(BLEDevice(twin.address, None, None), data)
    assert found is not None
    return found


class TestDriving:
    @MODES
    @EACH_MODEL
    async def test_it_locks_and_unlocks(self, monkeypatch, model, mode):
        async with driven(monkeypatch, model=model, mode=mode) as (twin, lock, _):
            assert await lock.unlock_without_unlatch()
            await eventually(lambda: lock.get_lock_status() is LockStatus.UNLOCKED)
            assert await lock.lock()
            await eventually(lambda: lock.get_lock_status() is LockStatus.LOCKED)
            assert [movement.action for movement in twin.lock.movements] == ["unlock", "lock"]

    @MODES
    @EACH_MODEL
    async def test_it_reads_the_state(self, monkeypatch, model, mode):
        async with driven(monkeypatch, model=model, mode=mode, locked=False) as (twin, lock, _):
            twin.lock.battery(70)
            twin.lock.open_door()
            await lock.update()
            assert lock.get_lock_status() is LockStatus.UNLOCKED
            assert lock.is_calibrated()
            if model is not Model.ULTRA_MAX:
                assert lock.get_battery_percent() == 70
            if TRAITS[model].layout is not Layout.NARROW_WITHOUT_DOOR:
                assert lock.is_door_open()

    @MODES
    async def test_it_is_told_of_a_turn_by_hand_over_the_connection(self, monkeypatch, mode):
        async with driven(monkeypatch, mode=mode) as (twin, lock, _):
            await lock.update()
            await lock._enable_notifications()
            told = anyio.Event()
            lock.subscribe(told.set)
            twin.lock.manual_unlock()
            with anyio.fail_after(5):
                await told.wait()
            assert lock.get_lock_status() is LockStatus.UNLOCKED

    async def test_it_unlatches_a_european_lock_only_by_the_command_that_does(self, monkeypatch):
        async with driven(monkeypatch, model=Model.PRO, latch=True) as (twin, lock, _):
            assert await lock.unlock_without_unlatch()
            await eventually(lambda: lock.get_lock_status() is LockStatus.NOT_FULLY_LOCKED)
            await lock.unlock()
            await eventually(lambda: len(twin.lock.movements) == 2)
            assert [movement.action for movement in twin.lock.movements] == ["unlock", "unlatch"]

    @pytest.mark.parametrize("right", [True, False])
    @MODES
    async def test_it_finds_a_right_key_right_and_a_wrong_one_wrong(self, monkeypatch, mode, right):
        async with driven(monkeypatch, mode=mode, hears=False) as (twin, lock, _):
            if not right:
                twin.key = bytes(16)
            assert (await lock._get_lock_info() is not None) is right

    async def test_a_low_battery_is_no_failure_to_it(self, monkeypatch):
        async with driven(monkeypatch) as (twin, lock, _):
            twin.lock.battery(5)
            assert await lock.unlock()

    async def test_it_takes_a_lock_that_is_not_calibrated_for_such(self, monkeypatch):
        async with driven(monkeypatch) as (twin, lock, _):
            twin.lock.state = LockState.UNCALIBRATED
            await lock.update()
            assert not lock.is_calibrated()


class TestFaultsThatOurOwnProtocolExcludes:
    """Should one of these fail, the library has become better, and the reasons for a protocol of our own fewer."""

    async def test_it_takes_what_it_remembers_for_the_locks_state_and_sends_nothing(self, monkeypatch):
        async with driven(monkeypatch) as (twin, lock, writes):
            twin.stale = True
            twin.lock.manual_unlock()
            assert await lock.lock()
            assert not writes
            assert not twin.lock.movements

    async def test_it_takes_the_receipt_of_a_command_for_its_success(self, monkeypatch):
        async with driven(monkeypatch) as (twin, lock, _):
            twin.lock.jam()
            assert await lock.unlock()

    async def test_it_sends_a_command_again_after_the_link_is_lost_in_the_cipher_of_before(self, monkeypatch):
        async with driven(monkeypatch) as (twin, lock, writes):
            await lock.update()
            writes.clear()
            twin.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
            assert not await lock.unlock()
            act = 4 + len(commands.act(Model.LOCK, Turn.UNLOCK_AND_UNLATCH))
            first, second = [frame for frame in writes if len(frame) == act and frame[1] == twin.key_id]
            assert first == second

    async def test_it_logs_what_gives_its_messages_away(self, monkeypatch, caplog):
        caplog.set_level("DEBUG")
        async with driven(monkeypatch) as (_, lock, writes):
            await lock.update()
            assert all(frame.hex() in caplog.text for frame in writes)
            assert lock._iv.hex() in caplog.text


class TestCanaries:
    """What the driver's tables were made from."""

    @EACH_MODEL
    def test_its_commands_are_ours(self, model):
        name = MODELS[model]
        theirs = {
            "lock": library_lock.COMMAND_LOCK[name],
            "unlock": library_lock.COMMAND_UNLOCK_WITHOUT_UNLATCH[name],
            "unlock and unlatch": library_lock.COMMAND_UNLOCK[name],
            "ask": library_lock.COMMAND_LOCK_INFO[name],
            "listen": library_lock.COMMAND_ENABLE_NOTIFICATIONS[name],
            "silence": library_lock.COMMAND_DISABLE_NOTIFICATIONS,
            "basic info": library.DEVICE_GET_BASIC_SETTINGS_KEY,
        }
        ours = {
            "lock": commands.act(model, Turn.LOCK),
            "unlock": commands.act(model, Turn.UNLOCK),
            "unlock and unlatch": commands.act(model, Turn.UNLOCK_AND_UNLATCH),
            "ask": commands.ask(model),
            "listen": commands.listen(model),
            "silence": commands.SILENCE,
            "basic info": commands.BASIC_INFO,
        }
        assert {name: "57" + message.hex() for name, message in ours.items()} == theirs

    def test_it_knows_no_model_that_we_do_not(self):
        assert set(library_lock.COMMAND_LOCK) == set(MODELS.values())

    @EACH_MODEL
    def test_it_reads_a_report_as_we_do(self, model):
        size = REPORT_BYTES[TRAITS[model].layout]
        for first in range(256):
            for second in (0x00, 0x10, 0xEF, 0xFF):
                data = bytes((first, second)).ljust(size, b"\0")
                ours = Report.decode(model, data)
                try:
                    theirs = SwitchbotLock._parse_lock_data(data, MODELS[model])
                except ValueError:
                    assert ours.bolt not in set(Bolt)
                    continue
                assert theirs["status"].value == ours.bolt
                assert theirs["calibration"] is ours.calibrated
                assert theirs.get("door_open") is ours.door_open

    def test_its_states_are_ours(self):
        assert {status.value for status in LockStatus} == set(Bolt)
        assert LockStatus(Bolt.LOCKING_BLOCKED) in library_lock.BLOCKED_STATUSES
        assert LockStatus(Bolt.UNLOCKING_BLOCKED) in library_lock.BLOCKED_STATUSES
        assert {status.value for status in library_lock.MOVING_STATUSES} == {Bolt.LOCKING, Bolt.UNLOCKING}

    def test_its_answers_and_its_characteristics_are_ours(self):
        assert set(DONE) == library_lock.COMMAND_RESULT_EXPECTED_VALUES
        assert str(library.WRITE_CHAR_UUID) == Uuid.WRITE
        assert str(library.READ_CHAR_UUID) == Uuid.NOTIFY
        assert str(library._sb_uuid()) == Uuid.SERVICE
        assert {mode.name: mode.value for mode in library.AESMode} == {mode.name: mode.value for mode in Mode}
        assert library.COMMAND_GET_CK_IV == "570f2103"

    @pytest.mark.parametrize("state", [LockState.LOCKED, LockState.UNLOCKED, LockState.LOCKING, LockState.JAMMED])
    @EACH_MODEL
    def test_it_reads_what_the_virtual_lock_advertises(self, model, state):
        twin = SwitchBotTwin(ADDRESS, "Front door", VirtualSettings(), model=model)
        twin.from_secondary = True
        twin.lock.battery(42)
        twin.lock.door = DoorState.OPEN
        twin.lock._show(state, twin.lock.origin)
        found = advertised(twin).data
        assert found["modelName"] is MODELS[model]
        told = found["data"]
        assert (
            told["sequence_number"]
            == twin.sequence
            == (1 if state is LockState.LOCKED and not told.get("door_open") else 2)
        )
        assert told["status"].value == twin._report().bolt
        assert told["calibration"]
        assert told["battery"] == 42
        assert told["update_from_secondary_lock"]
        assert bool(told.get("door_open")) is (
            TRAITS[model].advert is not Layout.NARROW_WITHOUT_DOOR and twin._report().door_open is True
        )
