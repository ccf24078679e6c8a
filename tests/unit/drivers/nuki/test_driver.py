from importlib.metadata import EntryPoint

import anyio
import pytest
from pydantic import SecretStr

from drivers.base import Action, Advertisement, Credential, Driver, LinkLost, LockState, Options, PairingRequest
from drivers.nuki import NukiCredential, NukiDriver, NukiOptions
from drivers.nuki.protocol.codes import Uuid
from drivers.virtual.link import TwinLink
from drivers.virtual.peripheral import VirtualSettings
from tests.support.scripted_link import ScriptedLink

ADDRESS = "54:D2:72:00:00:01"


def test_the_entry_point_gives_a_driver():
    found = EntryPoint("nuki", "drivers.nuki:NukiDriver", "lock_bridge.drivers").load()()
    assert isinstance(found, Driver)
    assert found.name == "nuki"
    assert found.capabilities.actions == frozenset(Action)
    assert found.options is NukiOptions
    assert found.credential is NukiCredential


async def test_its_twin_is_opened_by_its_credential():
    driver = NukiDriver()
    twin, credential = driver.twin(ADDRESS, "Front door", VirtualSettings(motor_time=0))
    async with anyio.create_task_group() as group:
        await group.start(twin.run)
        with TwinLink.connect(twin) as link:
            session = await driver.open(link, NukiCredential.model_validate(credential.stored()), NukiOptions())
            assert (await session.read()).lock_state is LockState.LOCKED
            assert await session.log(None, 5) == []
            await session.aclose()
        group.cancel_scope.cancel()


async def test_its_twin_is_seen():
    twin, _ = NukiDriver().twin(ADDRESS, "Front door", VirtualSettings())
    assert NukiDriver().sight(twin.advertisement()) is not None
    assert NukiDriver().sight(Advertisement(ADDRESS)) is None


async def test_it_pairs():
    link = ScriptedLink(Uuid.PAIRING.value)
    link.on_write = lambda _: link.drop()
    with pytest.raises(LinkLost):
        await NukiDriver().pair(link, PairingRequest("Bridge", 1))


@pytest.mark.parametrize(
    ("credential", "options"),
    [(Credential(), NukiOptions()), (NukiCredential(app_id=1, auth_id=1, key=SecretStr("00" * 32)), Options())],
)
async def test_it_takes_no_other_drivers_credential(credential, options):
    with pytest.raises(TypeError):
        await NukiDriver().open(ScriptedLink(Uuid.USDIO.value), credential, options)
