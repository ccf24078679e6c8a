"""The virtual Nuki lock before a client that knows nothing of it: pyNukiBt, unmodified.

It cannot join split indications, so the lock sends them whole.
"""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import anyio
import pytest
from bleak.backends.device import BLEDevice
from pyNukiBT import NukiDevice, const, nuki

from drivers.base import LockState
from drivers.nuki.protocol.codes import AuthorizationType
from drivers.nuki.virtual import NukiTwin
from drivers.nuki.virtual.report import battery_report
from drivers.virtual.lock import VirtualLock
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "54:D2:72:AA:BB:CC"
PIN = 123456
CODES = {"123456": "Ada"}
MOTOR_TIME = 0.05
"""Long enough for the library to start waiting for the end before it comes."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Client:
    """What the library uses of bleak's client, with the virtual lock at the other end."""

    mtu = 247

    def __init__(self, twin, group):
        self._twin = twin
        self._group = group
        self._listeners = {}
        self.is_connected = True
        twin.connected(self)

    @property
    def services(self):
        return self

    def get_characteristic(self, uuid):
        offered = {name for service in self._twin.gatt.values() for name in service}
        return SimpleNamespace(uuid=uuid) if uuid in offered else None

    async def start_notify(self, characteristic, callback):
        self._listeners[characteristic] = callback

    async def write_gatt_char(self, characteristic, data, *, response):
        assert response
        self._twin.write(characteristic, bytes(data))

    async def disconnect(self):
        self.drop()

    def notify(self, characteristic, data):
        if callback := self._listeners.get(characteristic):
            self._group.start_soon(callback, SimpleNamespace(uuid=characteristic), data)

    def drop(self):
        self.is_connected = False
        self._twin.disconnected(self)


@asynccontextmanager
async def paired(monkeypatch, *, ultra=False):
    pin = PIN if ultra else PIN & 0xFFFF
    settings = VirtualSettings(motor_time=MOTOR_TIME, pin_codes=CODES)
    twin = NukiTwin(ADDRESS, "Front door", settings, ultra=ultra, pin=pin, fragment=None)
    device = new_device()
    async with anyio.create_task_group() as group:

        async def connect(*_args, **_kwargs):
            return Client(twin, group)

        monkeypatch.setattr(nuki, "establish_connection", connect)
        await group.start(twin.run)
        twin.pairing_mode = True
        await device.connect()
        await device.pair(**({"security_pin": pin} if ultra else {}))
        yield twin, device
        await device.disconnect()
        group.cancel_scope.cancel()


def new_device():
    keys = nuki.nacl.utils.random(32)
    public = nuki.nacl.bindings.crypto_scalarmult_base(keys)
    return NukiDevice(
        ADDRESS,
        None,
        None,
        public,
        keys,
        4711,
        "pyNukiBt",
        client_type=const.NukiConst.NukiClientType.APP,
        ble_device=BLEDevice(ADDRESS, "Nuki", None),
    )


@pytest.fixture(params=[False, True], ids=["smart lock", "ultra"])
def ultra(request):
    return request.param


async def test_it_pairs(monkeypatch, ultra):
    async with paired(monkeypatch, ultra=ultra) as (twin, _):
        user = list(twin.keyring.users.values())[-1]
        assert (user.name, user.app_id, user.kind) == ("pyNukiBt", 4711, AuthorizationType.APP)
        assert not twin.pairing_mode


async def test_it_cannot_pair_outside_the_pairing_mode(monkeypatch):
    async with paired(monkeypatch):
        stranger = new_device()
        await stranger.connect()
        with pytest.raises(const.NukiErrorException, match="P_ERROR_NOT_PAIRING"):
            await stranger.pair()
        await stranger.disconnect()


async def test_it_reads_the_states_and_the_configuration(monkeypatch, ultra):
    async with paired(monkeypatch, ultra=ultra) as (twin, device):
        twin.lock.battery(70)
        twin.lock.open_door()
        await device.update_state()
        state = device.last_state
        assert str(state["nuki_state"]) == "DOOR_MODE"
        assert str(state["lock_state"]) == "LOCKED"
        assert str(state["door_sensor_state"]) == "DOOR_OPENED"
        assert device.battery_percentage == 70
        assert not device.is_battery_critical
        assert device.config["name"] == "Front door"
        assert device.config["nuki_id"] == twin.nuki_id


async def test_it_understands_the_battery_report():
    lock = VirtualLock(VirtualSettings())
    lock.battery(50)
    report = const.NukiLockConst.BatteryReport.parse(battery_report(lock).encode())
    assert (report.battery_voltage, report.critical_battery_state) == (5000, 0)
    assert (report.start_temperature, report.battery_resistance) == (21, 600)


async def test_it_unlocks_and_locks_and_finds_itself_in_the_log(monkeypatch, ultra):
    async with paired(monkeypatch, ultra=ultra) as (twin, device):
        await device.update_state()
        actions = const.NukiLockConst.LockAction
        for action, suffix in ((actions.UNLOCK, None), (actions.LOCK, "tag-1")):
            status = await device.lock_action(action, name_suffix=suffix, wait_for_completed=True)
            assert str(status.status) == "COMPLETED"
        await device.update_state()
        assert str(device.last_state["lock_state"]) == "LOCKED"
        assert [movement.tag for movement in twin.lock.movements] == [b"", b"tag-1"]
        entries = await device.request_log_entries(twin.pin, count=10)
        assert [entry.index for entry in entries] == [2, 1]
        assert [str(entry.data.lock_action) for entry in entries] == ["LOCK", "UNLOCK"]
        assert [str(entry.data.completion_status) for entry in entries] == ["SUCCESS", "SUCCESS"]
        assert [entry.name for entry in entries] == ["pyNukiBttag-1", "pyNukiBt"]
        assert {bytes(entry.auth_id) for entry in entries} == {bytes(device._auth_id)}


async def test_it_is_told_what_others_do(monkeypatch):
    async with paired(monkeypatch) as (twin, device):
        await device.update_state()
        told = anyio.Event()
        device.subscribe(lambda _command: told.set())
        twin.lock.manual_unlock()
        await told.wait()
        assert str(device.last_state["lock_state"]) == "UNLOCKED"
        assert str(device.last_state["trigger"]) == "MANUAL"


async def test_it_reads_who_else_was_at_the_door(monkeypatch):
    async with paired(monkeypatch) as (twin, device):
        await device.update_state()
        twin.lock.keypad("000000")
        twin.lock.open_door()
        unlocked = anyio.Event()
        twin.lock.watch(lambda: twin.lock.state is LockState.UNLOCKED and unlocked.set())
        twin.lock.keypad("123456")
        await unlocked.wait()
        entries = await device.request_log_entries(twin.pin, sort_order=0, count=10)
        assert [str(entry.type) for entry in entries] == ["KEYPAD_ACTION", "DOOR_SENSOR", "KEYPAD_ACTION"]
        assert str(entries[0].data.completion_status) == "INVALID_CODE"
        assert (entries[2].name, entries[2].data.code_id) == ("Ada", 1)


async def test_it_reports_a_jam(monkeypatch):
    async with paired(monkeypatch) as (twin, device):
        await device.update_state()
        twin.lock.jam()
        with pytest.raises(const.NukiErrorException, match="K_ERROR_MOTOR_BLOCKED"):
            await device.lock_action(const.NukiLockConst.LockAction.UNLOCK, wait_for_completed=True)
        assert str(device.last_state["lock_state"]) == "MOTOR_BLOCKED"
        assert str(device.last_state["last_lock_action_completion_status"]) == "MOTOR_BLOCKED"


async def test_its_pin_is_checked(monkeypatch, ultra):
    async with paired(monkeypatch, ultra=ultra) as (twin, device):
        assert await device.verify_security_pin(twin.pin)
        assert not await device.verify_security_pin(twin.pin - 1)
