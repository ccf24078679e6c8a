"""The Sesame driver and its virtual lock: logging in, registering, bringing a key."""

import anyio
import pytest
import trio.testing

from drivers.base import (
    Credential,
    DriverError,
    Fault,
    KeyImporting,
    LinkLost,
    LockState,
    Options,
    PairingError,
    PairingRequest,
)
from drivers.sesame import SesameOptions
from drivers.sesame.credential import KEY, credential_of
from drivers.sesame.patience import RESPONSE_TIMEOUT, STEP_TIMEOUT, WRITE_TIME
from drivers.sesame.protocol.codes import NOTIFY, WRITE, Item, Result
from drivers.sesame.protocol.messages import Response
from drivers.virtual.faults import Trouble
from drivers.virtual.link import TwinLink
from tests.support.scripted_link import ScriptedLink
from tests.support.sesame_host import DRIVER, reached, session_with


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_a_refused_login_says_that_the_key_is_wrong():
    async with reached() as (twin, link):
        twin.lock.faults.arm(Trouble.NONCE_REFUSED)
        with pytest.raises(DriverError, match="key") as refused:
            await DRIVER.open(link, credential_of(twin.secret), SesameOptions())
        assert (refused.value.fault, refused.value.vendor_code) == (Fault.NOT_AUTHORIZED, Result.INVALID_SIGNATURE)


async def test_a_lock_that_hangs_up_on_the_key_without_a_word_is_told_so():
    async with reached() as (twin, link):
        twin._login = lambda _: twin.air.drop()
        with pytest.raises(LinkLost, match="hung up on the bridge's key"):
            await DRIVER.open(link, credential_of(twin.secret), SesameOptions())


@pytest.mark.parametrize("silent", ["subscribed", "_login", "_tell_status"])
async def test_a_lock_that_falls_silent_while_it_is_connected_to_is_as_good_as_gone(silent):
    async with reached() as (twin, link):
        setattr(twin, silent, lambda *_: None)
        with anyio.fail_after(3 * RESPONSE_TIMEOUT):
            with pytest.raises(LinkLost):
                await DRIVER.open(link, credential_of(twin.secret), SesameOptions())


async def test_a_device_that_shows_no_service_may_be_one_that_bluez_does_not_see():
    with pytest.raises(DriverError, match=r"BlueZ is too old for it: 5\.82"):
        await DRIVER.open(ScriptedLink(), credential_of(bytes(16)), SesameOptions())


async def test_a_radio_that_takes_no_segment_is_not_waited_for():
    async with session_with() as (session, _, link):

        async def write(*_args, **_kwargs):
            await anyio.sleep_forever()

        link.write = write
        began = anyio.current_time()
        for _ in range(2):
            with pytest.raises(LinkLost):
                await session.read()
        assert anyio.current_time() - began == WRITE_TIME


@pytest.mark.parametrize("wrong", [(Credential(), SesameOptions()), (credential_of(bytes(16)), Options())])
async def test_it_takes_no_other_drivers_credential(wrong):
    with pytest.raises(TypeError):
        await DRIVER.open(ScriptedLink(WRITE, NOTIFY), *wrong)


async def test_a_reset_lock_is_registered_and_opened_with_its_new_key():
    async with reached(registered=False) as (twin, link):
        assert DRIVER.sight(twin.advertisement()).pairable
        key = await DRIVER.pair(link, PairingRequest("Bridge", 1))
        assert key.secret_bytes() == twin.secret
        assert DRIVER.sight(twin.advertisement()).pairable is False
        link.drop()
        with TwinLink.connect(twin) as again:
            session = await DRIVER.open(again, key, SesameOptions())
            assert (await session.read()).lock_state is LockState.LOCKED
            await session.aclose()


async def test_a_registered_lock_takes_no_other_key():
    async with reached() as (twin, link):
        before = twin.secret
        with pytest.raises(PairingError, match="registered already"):
            await DRIVER.pair(link, PairingRequest("Bridge", 1))
        assert twin.secret == before


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response(Item.REGISTRATION, Result.STORAGE_FAIL), "could not store"),
        (Response(Item.REGISTRATION, Result.SUCCESS, bytes(77)), "could not be understood"),
        (Response(Item.REGISTRATION, Result.SUCCESS), "could not be understood"),
    ],
)
async def test_a_registration_that_fails_says_what_to_do(answer, words):
    async with reached(registered=False) as (twin, link):
        twin._register = lambda _: twin._say(answer, sealed=False)
        with pytest.raises(PairingError, match=words) as refused:
            await DRIVER.pair(link, PairingRequest("Bridge", 1))
        assert "pair again" in refused.value.message


async def test_a_lock_that_is_mute_is_not_waited_for():
    async with reached(registered=False) as (twin, link):
        twin._register = lambda _: None
        began = anyio.current_time()
        with pytest.raises(LinkLost):
            await DRIVER.pair(link, PairingRequest("Bridge", 1))
        assert anyio.current_time() - began == STEP_TIMEOUT


async def test_its_owner_can_bring_a_key():
    assert isinstance(DRIVER, KeyImporting)
    assert not DRIVER.key_needed
    assert "share" in DRIVER.key_guide
    assert "reset" in DRIVER.pairing_guide.lower()
    async with reached() as (twin, link):
        session = await DRIVER.open(link, DRIVER.key_from({KEY.name: twin.secret.hex()}), SesameOptions())
        assert (await session.read()).lock_state is LockState.LOCKED
        await session.aclose()
