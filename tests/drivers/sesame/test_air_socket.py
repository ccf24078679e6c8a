"""A virtual Sesame in another process: it greets whoever listens to it, through the socket too."""

import anyio
import pytest

from bridge.ble.airsocket import AirServer, SocketAir
from bridge.ble.virtual import VirtualRadio
from bridge.clock import SystemClock
from drivers.base import Action, Confirmed
from drivers.virtual.peripheral import VirtualSettings
from tests.support.sesame_host import ADDRESS, DRIVER, act


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_it_is_unlocked_through_the_socket(tmp_path):
    twin, key = DRIVER.twin(ADDRESS, "Front door", VirtualSettings(motor_time=0.02))
    path = str(tmp_path / "air.sock")
    async with anyio.create_task_group() as group:
        await group.start(AirServer({ADDRESS: twin}, path).run)
        radio = VirtualRadio(SocketAir(path), SystemClock())
        await group.start(radio.run)
        for action in (Action.UNLOCK, Action.LOCK):  # each over a connection of its own
            link = await radio.connect(ADDRESS, within=10)
            session = await DRIVER.open(link, key, DRIVER.options())
            outcome, _ = await act(session, action)
            assert isinstance(outcome, Confirmed)
            await session.aclose()
            await link.aclose()
        group.cancel_scope.cancel()
    assert [movement.action for movement in twin.lock.movements] == [Action.UNLOCK, Action.LOCK]
