"""The virtual Sesame before a client that knows nothing of it, pysesame-ble, unmodified; and both agree on bytes."""

from contextlib import asynccontextmanager
from types import SimpleNamespace
from uuid import UUID

import anyio
import bleak_retry_connector
import pysesame_ble as theirs
import pytest
from bleak.backends.device import BLEDevice
from pysesame_ble import SesameLock, SesameQRCode, SesameSegmentLayer

from drivers.base import LockState
from drivers.sesame import SesameDriver
from drivers.sesame.credential import KEY
from drivers.sesame.protocol import codes
from drivers.sesame.protocol.agreement import Agreement
from drivers.sesame.protocol.codes import Flag, HistoryType, Item
from drivers.sesame.protocol.crypto import Opener, Sealer, token
from drivers.sesame.protocol.mech import MechStatus
from drivers.sesame.protocol.segments import Joiner, split
from drivers.sesame.virtual import SesameTwin
from drivers.virtual.peripheral import VirtualSettings

ADDRESS = "54:D2:72:AA:BB:CC"
MOTOR_TIME = 0.05
"""Long enough for the library to start waiting for the end before it comes."""
RANDOM = bytes.fromhex("01020304")
SECRET = bytes(range(16))


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Client:
    """What the library uses of bleak's client, with the virtual lock at the other end."""

    mtu = 23

    def __init__(self, twin, group, gone):
        self._twin = twin
        self._group = group
        self._gone = gone
        self._listeners = {}
        self.is_connected = True
        twin.connected(self)

    async def start_notify(self, characteristic, callback):
        self._listeners[characteristic] = callback
        self._twin.subscribed(characteristic)

    async def write_gatt_char(self, characteristic, data, *, response):
        assert not response
        self._twin.write(characteristic, bytes(data))

    async def disconnect(self):
        if self.is_connected:
            self.is_connected = False
            self._twin.disconnected(self)

    def notify(self, characteristic, data):
        if callback := self._listeners.get(characteristic):
            callback(SimpleNamespace(uuid=characteristic), bytearray(data))

    def drop(self):
        self.is_connected = False
        self._gone(self)


class Watched:
    """The library's lock, and a way to wait for what it is told."""

    def __init__(self, twin, secret):
        self._stir = anyio.Event()
        self.lock = SesameLock(
            BLEDevice(ADDRESS, "Sesame", None),
            theirs.SesameAdData.decode(twin.advertisement().manufacturer_data[codes.COMPANY]),
            secret_key=secret,
            status_callback=lambda *_: self._stir.set(),
        )

    async def until(self, condition):
        with anyio.fail_after(5):
            while not condition(self.lock):
                self._stir = anyio.Event()
                await self._stir.wait()


@asynccontextmanager
async def living(monkeypatch, *, locked=True, registered=True, secret=None):
    """A virtual lock, and the library's lock connected to it, not logged in."""
    twin = SesameTwin(ADDRESS, "Front door", VirtualSettings(motor_time=MOTOR_TIME, locked=locked))
    if registered:
        twin.register()
    watched = Watched(twin, secret or twin.secret)
    async with anyio.create_task_group() as group:

        async def connect(*_args, disconnected_callback, **_kwargs):
            return Client(twin, group, disconnected_callback)

        monkeypatch.setattr(bleak_retry_connector, "establish_connection", connect)
        await group.start(twin.run)
        await watched.lock.connect()
        yield twin, watched
        await watched.lock.disconnect()
        group.cancel_scope.cancel()


async def test_it_logs_in_and_reads_the_state(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        twin.lock.battery(70)
        await watched.lock.login()
        await watched.until(lambda lock: lock.mech_status is not None)
        lock = watched.lock
        assert (lock.is_locked, lock.is_unlocked, lock.is_moving) == (True, False, False)
        assert (lock.battery_percentage, lock.is_battery_critical) == (70, False)
        assert (lock.lock_position, lock.unlock_position, lock.auto_lock_second) == (10, 266, 0)
        assert lock.current_angle == 10


async def test_it_unlocks_and_locks(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        await watched.lock.login()
        await watched.lock.unlock("Ada")
        await watched.until(lambda lock: lock.is_unlocked)
        await watched.lock.lock("Ada")
        await watched.until(lambda lock: lock.is_locked)
        assert [movement.tag for movement in twin.lock.movements] == [b"Ada", b"Ada"]
        assert twin.lock.state is LockState.LOCKED


async def test_it_is_told_what_others_do(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        await watched.lock.login()
        twin.lock.manual_unlock()
        await watched.until(lambda lock: lock.is_unlocked)


async def test_it_sees_that_a_jammed_bolt_is_neither_locked_nor_unlocked(monkeypatch):
    async with living(monkeypatch, locked=False) as (twin, watched):
        await watched.lock.login()
        twin.lock.jam()
        await watched.lock.lock()
        await watched.until(lambda lock: not lock.is_moving and not lock.is_unlocked)
        assert not watched.lock.is_locked


async def test_a_busy_lock_refuses(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        await watched.lock.login()
        await watched.lock.unlock()
        with pytest.raises(theirs.SesameCommandError) as refused:
            await watched.lock.lock()
        assert refused.value.error_code == codes.Result.BUSY
        assert len(twin.lock.movements) <= 1


async def test_a_wrong_key_is_refused(monkeypatch):
    async with living(monkeypatch, secret=bytes(16)) as (_, watched):
        with pytest.raises(theirs.SesameAuthenticationError):
            await watched.lock.login()


async def test_it_registers_a_reset_lock_and_its_key_is_good(monkeypatch):
    async with living(monkeypatch, registered=False) as (twin, watched):
        assert not watched.lock.ad_data.is_registered
        secret = await watched.lock.register()
        assert bytes.fromhex(secret) == twin.secret
        with pytest.raises(theirs.SesameRegistrationError):
            await watched.lock.register()


async def test_it_sets_the_auto_lock(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        await watched.lock.login()
        await watched.lock.set_auto_lock_second(30)
        await watched.until(lambda lock: lock.auto_lock_second == 30)
        assert twin.lock.auto_lock == 30


async def test_it_reads_the_history_and_deletes_it(monkeypatch):
    async with living(monkeypatch) as (twin, watched):
        await watched.lock.login()
        twin.lock.manual_unlock()
        await watched.lock.lock("Ada")
        await watched.until(lambda lock: lock.is_locked)
        records = await watched.lock.fetch_and_flush_history()
        kinds = [HistoryType.MANUAL_UNLOCKED, HistoryType.BLE_LOCK, HistoryType.DRIVE_LOCKED]
        assert [record["type"] for record in records] == kinds
        assert await watched.lock.fetch_and_flush_history() == []


# ---- canaries: what the library has to say of bytes


def test_the_names_and_numbers_are_the_same():
    assert (theirs.SERVICE_UUID, theirs.TX_CHAR_UUID, theirs.RX_CHAR_UUID) == (codes.SERVICE, codes.WRITE, codes.NOTIFY)
    assert theirs.COMPANY_ID == codes.COMPANY
    assert (theirs.OP_RESPONSE, theirs.OP_PUBLISH) == (codes.Op.RESPONSE, codes.Op.PUBLISH)
    named = {
        Item.REGISTRATION: theirs.ITEM_REGISTRATION,
        Item.LOGIN: theirs.ITEM_LOGIN,
        Item.HISTORY: theirs.ITEM_HISTORY,
        Item.VERSION: theirs.ITEM_VERSION_TAG,
        Item.TIME: theirs.ITEM_TIME,
        Item.AUTO_LOCK: theirs.ITEM_AUTOLOCK,
        Item.INITIAL: theirs.ITEM_INITIAL,
        Item.HISTORY_DELETE: theirs.ITEM_HISTORY_DELETE,
        Item.MECH_SETTING: theirs.ITEM_MECH_SETTING,
        Item.MECH_STATUS: theirs.ITEM_MECH_STATUS,
        Item.LOCK: theirs.ITEM_LOCK,
        Item.UNLOCK: theirs.ITEM_UNLOCK,
    }
    assert set(named) == set(Item)
    assert all(ours == number for ours, number in named.items())


def test_the_models_are_locks_to_both():
    assert all(theirs.is_lock_model(theirs.ProductModels(number)) for number in codes.MODELS)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("size", [1, 18, 19, 20, 38, 39, 77])
def test_messages_are_taken_apart_and_joined_alike(size, sealed):
    message = bytes(range(size))
    segments = split(message, sealed=sealed)
    assert segments == SesameSegmentLayer().segment_payload(message, encrypt=sealed)
    joiner, layer = Joiner(), SesameSegmentLayer()
    ours = [joiner.feed(segment) for segment in segments]
    found = [layer.feed_packet(segment) for segment in segments]
    assert ours == [None if each is None else (each[0], each[2]) for each in found]
    assert ours[-1] == (message, sealed)


def test_the_sessions_key_is_the_same():
    assert token(SECRET, RANDOM) == theirs.derive_session_token_key(SECRET, RANDOM)


def test_what_one_encrypts_the_other_reads():
    key = token(SECRET, RANDOM)
    cipher, sealer, opener = theirs.SesameCipher(RANDOM, key), Sealer(key, RANDOM), Opener(key, RANDOM)
    for message in (b"\x05", b"first", bytes(77)):
        sealed = sealer.seal(message)
        assert cipher.decrypt_payload(sealed) == message
        assert cipher.encrypt_payload(message) == sealed
        assert opener.open(sealed) == message


def test_both_agree_on_a_secret():
    ours = Agreement()
    public, private = theirs.generate_ecc_keypair()
    assert ours.secret(public) == theirs.derive_device_secret(ours.public, private)


def test_a_battery_is_as_full_to_both():
    for raw in range(2200, 3000):
        shown = theirs.calculate_battery_percentage(raw * 2 / 1000)
        assert abs(MechStatus(raw, 0, 0, Flag(0)).charge - shown) <= 1  # they round in floating point


@pytest.mark.parametrize("registered", [True, False])
def test_both_read_the_same_advertisement(registered):
    twin = SesameTwin(ADDRESS, "Front door", VirtualSettings(), model=20)
    if registered:
        twin.register()
    advertisement = twin.advertisement()
    found = theirs.SesameAdData.decode(theirs.get_sesame_mfg_data(dict(advertisement.manufacturer_data))[1])
    sighting = SesameDriver().sight(advertisement)
    assert found.model_id == theirs.ProductModels.SESAME6
    assert sighting.model == "Sesame 6"
    assert found.is_registered is registered is not sighting.pairable


def test_the_text_of_their_share_code_is_a_key():
    code = SesameQRCode("Haustür & Hof", 1, 5, UUID(int=7), SECRET)
    assert SesameDriver().key_from({KEY.name: code.to_url()}).secret_bytes() == SECRET
