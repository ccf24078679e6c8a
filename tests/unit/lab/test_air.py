"""The air of the BlueZ lab, between two of its controllers and without a kernel: when connections end, and why."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from bumble.core import UUID, PhysicalTransport
from bumble.device import Device
from bumble.hci import Address, HCI_ErrorCode, OwnAddressType
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from tests.bluez.lab.air import Ether, Moment
from tests.bluez.lab.controller import HostController
from tests.support.echo_twin import ADDRESS, ECHO, EchoTwin
from tests.support.eventually import eventually
from tests.support.on_air import on_air

ADAPTER = "B8:27:EB:00:00:01"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def ether():
    return Ether()


@pytest.fixture
async def twin(ether):
    twin = EchoTwin()
    async with on_air(ether, twin) as peripheral:
        twin.peripheral = peripheral
        yield twin


@pytest.fixture
async def central(ether):
    controller = HostController(ADAPTER, link=ether, public_address=ADAPTER)
    public = Address(ADAPTER, Address.PUBLIC_DEVICE_ADDRESS)
    device = Device(address=public, host=Host(controller, AsyncPipeSink(controller)))
    await device.power_on()
    return device


async def connect(central):
    """Connect; return the connection and the list in which the reason of its end will be."""
    lock = Address(ADDRESS, Address.PUBLIC_DEVICE_ADDRESS)
    transport = PhysicalTransport.LE
    connection = await central.connect(lock, transport, own_address_type=OwnAddressType.PUBLIC, timeout=5)
    reasons = []
    connection.on(connection.EVENT_DISCONNECTION, reasons.append)
    return connection, reasons


async def test_a_lock_that_leaves_is_given_up_at_the_supervision_time_out_and_not_before(ether, twin, central):
    connection, reasons = await connect(central)
    began = anyio.current_time()
    ether.leave(ADDRESS)
    await eventually(lambda: reasons)
    assert reasons == [HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR]
    assert anyio.current_time() - began >= connection.parameters.supervision_timeout / 1000
    assert twin.central is None


async def test_a_lock_that_comes_back_in_time_gets_what_was_sent_meanwhile(ether, twin, central):
    connection, reasons = await connect(central)
    client = connection.gatt_client
    await client.discover_services()
    await client.discover_characteristics([], None)
    (echo,) = client.get_characteristics_by_uuid(UUID(ECHO))
    ether.at(Moment.WRITE, ADDRESS, partial(ether.leave, ADDRESS))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.write_value, echo, b"late", with_response=True))
        await eventually(lambda: not ether.armed(ADDRESS))
        assert twin.written == []
        ether.come_back(ADDRESS)
    assert (twin.written, reasons) == ([b"late"], [])


async def test_each_side_is_told_who_ended_the_connection(ether, twin, central):
    connection, reasons = await connect(central)
    theirs = []
    held = twin.peripheral.central.connection
    held.on(held.EVENT_DISCONNECTION, theirs.append)
    await connection.disconnect()
    await eventually(lambda: theirs)
    assert reasons == [HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR]
    assert theirs == [HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR]


async def test_a_lock_that_does_not_take_the_connection_up_was_never_connected(ether, twin, central):
    ether.at(Moment.CONNECT, ADDRESS, partial(ether.leave, ADDRESS))
    _, reasons = await connect(central)
    await eventually(lambda: reasons)
    assert reasons == [HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR]
    assert twin.central is None


async def test_a_lock_that_a_phone_holds_takes_no_connection(ether, twin, central):
    twin.peripheral.held = True
    await eventually(lambda: not twin.peripheral.controller.connectable)
    with pytest.raises(TimeoutError), anyio.fail_after(0.5):
        await connect(central)
