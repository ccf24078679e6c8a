"""How a session with a virtual SwitchBot lock begins, and when it does not."""

import pytest
import trio.testing

from drivers.base import (
    Action,
    Confirmed,
    Credential,
    DriverError,
    Fault,
    LinkLost,
    Options,
    PairingError,
    PairingRequest,
)
from drivers.switchbot import SwitchBotOptions
from drivers.switchbot.protocol.crypto import Mode
from drivers.switchbot.protocol.frames import Uuid
from drivers.switchbot.protocol.models import Model
from drivers.virtual.link import TwinLink
from tests.support.scripted_link import ScriptedLink
from tests.support.switchbot_bench import DRIVER, living, session_with

EACH_MODE = pytest.mark.parametrize("mode", Mode)


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


class TestOpening:
    @EACH_MODE
    async def test_a_key_of_another_number_is_refused(self, mode):
        async with living(mode=mode) as twin:
            key = twin.credential().model_copy(update={"key_id": f"{twin.key_id ^ 1:02x}"})
            with pytest.raises(DriverError, match="Bring its key") as refused:
                async with session_with(twin, credential=key):
                    pass
            assert refused.value.fault is Fault.NOT_AUTHORIZED

    async def test_another_model_is_found_out(self):
        async with living(model=Model.PRO) as twin:
            with pytest.raises(DriverError, match="another model") as refused:
                async with session_with(twin, model=Model.LOCK):
                    pass
            assert refused.value.fault is Fault.NOT_AUTHORIZED

    async def test_the_configuration_says_which_model_it_is(self):
        async with living(model=Model.ULTRA) as twin:
            key = twin.credential().model_copy(update={"model": Model.LOCK})
            async with session_with(twin, credential=key, model=Model.ULTRA) as found:
                assert isinstance(await found.act(Action.UNLOCK), Confirmed)

    async def test_without_a_model_it_says_what_to_configure(self):
        async with living() as twin:
            key = twin.credential().model_copy(update={"model": None})
            with pytest.raises(DriverError, match=r"model = .* in \[locks.switchbot\]"):
                async with session_with(twin, credential=key):
                    pass

    async def test_another_device_is_none(self):
        async with living() as twin:
            with pytest.raises(DriverError, match="no SwitchBot lock"):
                await DRIVER.open(ScriptedLink(Uuid.WRITE.value), twin.credential(), SwitchBotOptions())

    async def test_a_refused_session_leaves_nothing_behind(self):
        link = ScriptedLink(Uuid.WRITE.value, Uuid.NOTIFY.value)
        link.on_write = lambda _: link.push(b"\x09")
        async with living() as twin:
            with pytest.raises(DriverError, match="Bring its key"):
                await DRIVER.open(link, twin.credential(), SwitchBotOptions())
        assert not link.subscriptions

    async def test_a_mute_lock_is_lost(self):
        link = ScriptedLink(Uuid.WRITE.value, Uuid.NOTIFY.value)
        async with living() as twin:
            with pytest.raises(LinkLost, match="did not answer"):
                await DRIVER.open(link, twin.credential(), SwitchBotOptions())

    async def test_a_busy_lock_does_not_cast_doubt_on_its_key(self):
        async with living() as twin:
            with TwinLink.connect(twin) as link:
                link.on_notify = lambda _, data: [data if len(data) == 20 else b"\x03"]
                with pytest.raises(DriverError, match="busy") as refused:
                    await DRIVER.open(link, twin.credential(), SwitchBotOptions())
            assert refused.value.fault is Fault.REFUSED

    async def test_it_takes_no_other_drivers_key(self):
        async with living() as twin:
            for key, options in ((Credential(), SwitchBotOptions()), (twin.credential(), Options())):
                with pytest.raises(TypeError):
                    await DRIVER.open(ScriptedLink(Uuid.WRITE.value), key, options)

    async def test_it_pairs_with_no_lock_and_says_what_to_bring(self):
        with pytest.raises(PairingError, match="has to be brought"):
            await DRIVER.pair(ScriptedLink(), PairingRequest("Bridge", 1))
