"""The virtual Yale lock before a client that knows nothing of it: yalexs_ble, unmodified.

And what the driver relies on of it: the library is read, not used, so a test fails when it says something else.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import anyio
import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from yalexs_ble import const, lock, session, util
from yalexs_ble.lock import Lock
from yalexs_ble.push import get_homekit_state_num
from yalexs_ble.secure_session import SecureSession
from yalexs_ble.session import AuthError, OperationFailedError, Session

from drivers.base import Action, Advertisement, LockState
from drivers.virtual.operation import FOB
from drivers.virtual.peripheral import AttError, VirtualSettings
from drivers.yale import YaleDriver, advert
from drivers.yale.protocol import codes
from drivers.yale.protocol.activity import Activity
from drivers.yale.protocol.crypto import Block, Chain
from drivers.yale.protocol.frames import Frame, SecureFrame, Timers, request, seal
from drivers.yale.session import REST
from drivers.yale.snapshot import REQUESTS, charge

ADDRESS = "54:D2:72:AA:BB:CC"
CODES = {"123456": "Ada"}
KEY = bytes(range(16))
COOLDOWN = session.COOLDOWN_TIME


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    monkeypatch.setattr(session, "COOLDOWN_TIME", 0)  # a virtual lock does not crash


class Client:
    """What the library uses of bleak's client, with the virtual lock at the other end."""

    def __init__(self, twin, gone):
        self._twin = twin
        self._gone = gone
        self._listeners = {}
        self.mtu = 247
        self.is_connected = True
        twin.connected(self)

    @property
    def services(self):
        return self

    def get_characteristic(self, uuid):
        offered = {name for service in self._twin.gatt.values() for name in service}
        return SimpleNamespace(uuid=uuid) if uuid in offered else None

    async def start_notify(self, characteristic, callback):
        self._listeners[characteristic.uuid] = callback

    async def stop_notify(self, characteristic):
        self._listeners.pop(characteristic.uuid)

    async def read_gatt_char(self, characteristic):
        return bytearray(self._twin.read(characteristic.uuid))

    async def write_gatt_char(self, characteristic, data, response):
        assert response
        try:
            self._twin.write(characteristic.uuid, bytes(data))
        except AttError as error:
            raise BleakError("GATT Protocol Error: Unlikely Error") from error

    async def disconnect(self):
        self.drop()

    def notify(self, characteristic, data):
        if callback := self._listeners.get(characteristic):
            callback(0, bytearray(data))

    def drop(self):
        if self.is_connected:
            self.is_connected = False
            self._twin.disconnected(self)
            self._gone()


@asynccontextmanager
async def connected(monkeypatch, *, key=None, slot=None, **settings):
    known = {"motor_time": 0.02, "pin_codes": CODES} | settings
    twin, credential = YaleDriver().twin(ADDRESS, "YA12345", VirtualSettings(**known))

    async def connect(_kind, _device, _name, gone, **_options):
        return Client(twin, gone)

    monkeypatch.setattr(lock, "establish_connection", connect)
    told = []
    device = BLEDevice(ADDRESS, "YA12345", None)
    stored = credential.stored()
    client = Lock(lambda: device, key or stored["key"], stored["slot"] if slot is None else slot, "Yale", told.extend)
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        await client.connect()
        yield twin, client, told
        await client.disconnect()
        group.cancel_scope.cancel()


class TestAtTheVirtualLock:
    async def test_it_shakes_hands_and_says_goodbye(self, monkeypatch):
        async with connected(monkeypatch) as (twin, client, _):
            assert client.is_secure
            assert twin.air.central is not None
        assert twin.air.central is None

    @pytest.mark.parametrize("wrong", [{"key": "00" * 16}, {"slot": 9}])
    async def test_it_is_refused_with_a_wrong_key_or_slot(self, monkeypatch, wrong):
        refused = None
        try:
            async with connected(monkeypatch, **wrong):
                pass
        except* AuthError as group:
            refused = group
        assert refused is not None

    async def test_it_reads_lock_door_battery_and_model(self, monkeypatch):
        async with connected(monkeypatch, locked=False) as (twin, client, _):
            twin.lock.open_door()
            twin.lock.battery(70)
            assert await client.lock_status() is const.LockStatus.UNLOCKED
            assert await client.door_status() is const.DoorStatus.OPENED
            assert (await client.battery()).percentage in range(60, 80)
            assert (await client.lock_info()).model == twin.model

    @pytest.mark.parametrize(
        ("operate", "action", "end"),
        [
            (Lock.force_lock, Action.LOCK, LockState.LOCKED),
            (Lock.force_unlock, Action.UNLOCK, LockState.UNLOCKED),
            (Lock.force_unlatch, Action.UNLATCH, LockState.UNLATCHED),
        ],
    )
    async def test_it_operates_the_lock_and_is_told_of_every_state(self, monkeypatch, operate, action, end):
        async with connected(monkeypatch, locked=action is not Action.LOCK) as (twin, client, told):
            twin.lock.hold_time = 60
            await operate(client)
            assert [movement.action for movement in twin.lock.movements] == [action]
            assert twin.lock.state is end
            moving = {Action.LOCK: "LOCKING", Action.UNLOCK: "UNLOCKING", Action.UNLATCH: "UNLATCHING"}[action]
            assert [each.name for each in told] == [moving, end.name]

    async def test_it_reports_a_jam(self, monkeypatch):
        async with connected(monkeypatch, locked=False) as (twin, client, told):
            twin.lock.jam()
            with pytest.raises(OperationFailedError, match="MECH_TIMEOUT"):
                await client.force_lock()
            assert told[-1] is const.LockStatus.JAMMED

    async def test_it_is_told_what_others_do(self, monkeypatch):
        async with connected(monkeypatch) as (twin, client, told):
            twin.lock.manual_unlock()
            twin.lock.open_door()
            await client.lock_status()
            assert told[:2] == [const.LockStatus.UNLOCKED, const.DoorStatus.OPENED]

    async def test_it_reads_who_was_at_the_door_and_the_lock_forgets_it(self, monkeypatch):
        async with connected(monkeypatch) as (twin, client, _):
            twin.lock.manual_unlock()
            twin.lock.open_door()
            twin.lock.close_door()
            twin.lock.manual_lock()
            await client.force_unlock()
            twin.lock.keypad("999999")
            twin.lock.operate(Action.LOCK, FOB, finished=lambda _: done.set())
            done = anyio.Event()
            await done.wait()
            activities = [activity async for activity in client.drain_lock_activity()]
            assert [each.source.name for each in activities if isinstance(each, const.LockActivity)] == [
                "MANUAL",
                "MANUAL",
                "REMOTE",
                "UNKNOWN",
            ]
            assert activities[4].remote_type is const.LockOperationRemoteType.BLE
            assert [each.status.name for each in activities if isinstance(each, const.DoorActivity)] == [
                "OPENED",
                "CLOSED",
            ]
            assert abs(activities[0].timestamp.timestamp() - time.time()) < 5
            assert [activity async for activity in client.drain_lock_activity()] == []

    async def test_it_reads_whose_code_it_was(self, monkeypatch):
        async with connected(monkeypatch) as (twin, client, _):
            unlocked = anyio.Event()
            twin.lock.watch(lambda: unlocked.set() if twin.lock.state is LockState.UNLOCKED else None)
            twin.lock.keypad("123456")
            await unlocked.wait()
            activity = await client.lock_activity()
            assert (activity.source, activity.slot) == (const.LockOperationSource.PIN, 1)

    @pytest.mark.parametrize(
        ("mode", "timers"),
        [(const.AutoLockMode.TIMER, Timers(90, 90)), (const.AutoLockMode.INSTANT, Timers(90, 0))],
    )
    async def test_it_sets_and_reads_the_auto_lock(self, monkeypatch, mode, timers):
        async with connected(monkeypatch) as (twin, client, told):
            await client.set_auto_lock(mode, 90)
            assert twin.timers == timers
            assert told[-1] == const.AutoLockState(mode, 90)
            await client.set_auto_lock(const.AutoLockMode.OFF, 0)
            assert twin.timers == Timers()
            await client.auto_lock_status()
            assert told[-1] == const.AutoLockState(const.AutoLockMode.OFF, 0)

    @pytest.mark.parametrize("stray", [b"\xaa" * 17, b"\xbb" * 19, b""])
    async def test_a_stray_notification_disturbs_neither_side(self, monkeypatch, stray):
        async with connected(monkeypatch) as (_, client, _):
            client.client.notify(codes.Uuid.NOTIFY, stray)
            assert await client.lock_status() is const.LockStatus.LOCKED


class TestWhatTheDriverReliesOn:
    """Canaries: the numbers and the bytes are the library's."""

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (codes.Uuid.SERVICE, const.COMMAND_SERVICE_UUID),
            (codes.Uuid.WRITE, const.WRITE_CHARACTERISTIC),
            (codes.Uuid.NOTIFY, const.READ_CHARACTERISTIC),
            (codes.Uuid.SECURE_WRITE, const.SECURE_WRITE_CHARACTERISTIC),
            (codes.Uuid.SECURE_NOTIFY, const.SECURE_READ_CHARACTERISTIC),
            (codes.Uuid.MODEL, const.MODEL_NUMBER_CHARACTERISTIC),
            (advert.COMPANIES, const.YALE_MFR_IDS),
            (advert.APPLE, const.APPLE_MFR_ID),
            (advert.HOMEKIT, const.HAP_FIRST_BYTE),
            (codes.MASTER_CODE, const.KEYPAD_MASTER_CODE_SLOT),
            (codes.BLUETOOTH, const.LockOperationRemoteType.BLE.value),
            (codes.Variant.UNLATCH, lock.UNLATCH_OPERATION_BYTE),
            (codes.Variant.SECURE_MODE, lock.SECUREMODE_OPERATION_BYTE),
            (codes.Setting.AUTO_LOCK, const.SettingType.AUTOLOCK),
            (codes.Record.END, const.LockActivityType.NONE.value),
        ],
    )
    def test_a_number(self, ours, theirs):
        assert ours == theirs

    @pytest.mark.parametrize(
        ("ours", "theirs", "names"),
        [
            (
                codes.Bolt,
                const.LockStatus,
                {"CALIBRATING": "UNKNOWN_01", "FINDING_POLARITY": "UNKNOWN_06", "SECURE_MODE": "SECUREMODE"},
            ),
            (codes.Door, const.DoorStatus, {"INITIAL": "UNKNOWN", "OPEN": "OPENED", "UNKNOWN": "UNKNOWN_04"}),
            (
                codes.Subject,
                const.StatusType,
                {"LOCK": "LOCK_ONLY", "DOOR": "DOOR_ONLY", "BOTH": "DOOR_AND_LOCK"},
            ),
            (codes.Record, const.LockActivityType, {"END": "NONE"}),
            (codes.Source, const.LockOperationSource, {}),
            (
                codes.Op,
                const.Commands,
                {
                    "STATUS": "GETSTATUS",
                    "WRITE_SETTING": "WRITESETTING",
                    "READ_SETTING": "READSETTING",
                    "ACTIVITY": "LOCK_ACTIVITY",
                },
            ),
            (
                codes.Result,
                const.OperationError,
                {
                    "SUCCESS": "COMM_SUCCESS",
                    "NOT_PAIRED": "PARAM_NOT_PAIRED",
                    "TIMEOUT": "MECH_TIMEOUT",
                    "POSITION": "MECH_POSITION",
                    "MOTOR_POLARITY": "MECH_MOTPOL",
                    "CALIBRATION_TIMEOUT": "MECH_TIMEOUT_CAL",
                    "BACKED_OFF": "MECH_BACKOFF",
                    "HANDLE_NOT_LIFTED": "MECH_HANDLE_NOT_LIFTED",
                    "LOW_BATTERY": "VBAT_LOW",
                    "TOO_HOT": "OVERTEMP",
                    "NO_MAGNET": "MAG_READ",
                    "BAD_MAGNET": "MAG_BAD_DATA",
                    "BAD_EXTENTS": "CAL_BAD_EXTENTS",
                    "BAD_ANGLE": "CAL_BAD_ANGLE",
                    "EXTERNAL_TIMEOUT": "EXT_TIMEOUT",
                },
            ),
        ],
    )
    def test_a_table_of_numbers(self, ours, theirs, names):
        assert {each: theirs[names.get(each.name, each.name)].value for each in ours} == {each: each for each in ours}

    @pytest.mark.parametrize("table", [const.LockStatus, const.LockActivityType, const.LockOperationSource])
    def test_a_table_has_nothing_that_is_not_known_here(self, table):
        known = {const.LockStatus: codes.Bolt, const.LockActivityType: codes.Record}.get(table, codes.Source)
        assert {each.value for each in table} - {each.value for each in known} <= {0xFF}

    @pytest.mark.parametrize("action", Action)
    async def test_what_an_action_sends(self, action):
        op, variant = REQUESTS[action]
        theirs = self._session().build_operation_command(op, variant)
        self._session()._write_checksum(theirs)
        assert request(op, variant).encode() == bytes(theirs)

    def _session(self):
        client = SimpleNamespace(services=SimpleNamespace(get_characteristic=lambda _: None))
        return Session(client, "Yale", asyncio.Lock(), set())

    @pytest.mark.parametrize("subject", codes.Subject)
    async def test_what_a_question_sends_and_how_it_travels(self, subject):
        theirs = self._session()
        theirs.set_key(KEY)
        chain = Chain(Block(KEY))
        for _ in range(3):
            command = theirs.build_operation_command(codes.Op.STATUS, subject)
            theirs._write_checksum(command)
            theirs._encrypt_command(command, "status")
            assert seal(chain, request(codes.Op.STATUS, subject).encode()) == bytes(command)

    async def test_how_the_handshake_travels(self):
        client = SimpleNamespace(services=SimpleNamespace(get_characteristic=lambda _: None))
        theirs = SecureSession(client, "Yale", asyncio.Lock(), set(), 7)
        theirs.set_key(KEY)
        command = theirs.build_command(codes.Secure.KEY_EXCHANGE)
        util._copy(command, b"12345678", destLocation=4)
        theirs._write_checksum(command)
        theirs._encrypt_command(command, "hello")
        frame = SecureFrame(codes.Secure.KEY_EXCHANGE, b"12345678", 7)
        assert seal(Block(KEY), frame.encode()) == bytes(command)

    def test_the_checksums(self):
        numbers = random.Random(7)
        for _ in range(200):
            frame = Frame(codes.Flag.RESULT, numbers.randrange(256), numbers.randbytes(12)).encode()
            assert util._simple_checksum(frame) == 0
            secure = SecureFrame(numbers.randrange(256), numbers.randbytes(8), numbers.randrange(256)).encode()
            assert util._security_checksum(secure) == int.from_bytes(secure[12:16], "little")

    @pytest.mark.parametrize(
        "activity",
        [
            Activity(codes.Record.LOCK, datetime(2026, 3, 7, tzinfo=UTC), codes.Bolt.LOCKED, codes.Source.AUTO_LOCK),
            Activity(codes.Record.DOOR, datetime(2026, 3, 7, tzinfo=UTC), door=codes.Door.AJAR),
            Activity(codes.Record.PIN, datetime(2026, 3, 7, tzinfo=UTC), codes.Bolt.LOCKED, codes.Source.PIN, slot=9),
            Activity(
                codes.Record.KEYPAD_UNLOCK,
                datetime(2026, 3, 7, tzinfo=UTC),
                codes.Bolt.UNLOCKED,
                codes.Source.PIN,
                slot=codes.MASTER_CODE,
            ),
        ],
    )
    def test_how_a_record_is_laid_out(self, activity):
        device = BLEDevice(ADDRESS, "YA12345", None)
        theirs = Lock(lambda: device, KEY.hex(), 1, "Yale", lambda _: None)._parse_lock_activity(
            activity.encode().encode()
        )
        assert theirs.timestamp.timestamp() == activity.at.timestamp()
        assert theirs.status.value == (activity.door if activity.kind == codes.Record.DOOR else activity.bolt)
        assert getattr(theirs, "slot", None) == activity.slot
        assert activity.source is None or theirs.source.value == activity.source

    @pytest.mark.parametrize("millivolts", range(4900, 6300, 20))
    def test_the_battery_is_within_ten_percent(self, millivolts):
        assert abs(charge(millivolts) - lock.convert_voltage_to_percentage(millivolts / 4000)) <= 10

    def test_the_rest_that_a_lock_is_given(self):
        assert REST == COOLDOWN

    @pytest.mark.parametrize("number", [0, 1, 258, 65535])
    def test_the_state_number_of_homekit(self, number):
        data = bytes([6, 0x31, 0, *range(6), 6, 0, *number.to_bytes(2, "little"), 1, 2])
        heard = Advertisement(ADDRESS, manufacturer_data={76: data}, service_uuids=(codes.Uuid.SERVICE.value,))
        assert get_homekit_state_num(data) == number
        assert advert.sight(heard).marks == {"homekit": str(number)}
