"""What is asked of bluetoothd beside bleak."""

import pytest
from dbus_fast import Message, MessageType, Variant

from bridge.ble import bluetoothd
from bridge.ble.bluetoothd import ADAPTER, DEVICE, Bluetoothd, choose_adapter, devices_at
from bridge.ble.radio import RadioDown

LOCK = "54:D2:72:00:00:01"


def adapter(address: str, *, powered: bool = True) -> dict[str, dict[str, object]]:
    return {ADAPTER: {"Address": address, "Powered": powered}}


TWO = {
    "/org/bluez/hci10": adapter("00:00:00:00:00:10"),
    "/org/bluez/hci2": adapter("00:00:00:00:00:AB"),
    "/org/bluez/hci1": adapter("00:00:00:00:00:01", powered=False),
    "/org/bluez": {"org.bluez.AgentManager1": {}},
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_without_a_wish_the_first_powered_adapter_is_used():
    assert choose_adapter(TWO, ()) == "/org/bluez/hci2"


def test_an_adapter_is_found_by_its_address_whatever_its_number():
    assert choose_adapter(TWO, ["00:00:00:00:00:10"]) == "/org/bluez/hci10"
    assert choose_adapter(TWO, ["00:00:00:00:00:ab"]) == "/org/bluez/hci2"


def test_the_first_wish_that_can_be_met_is_met():
    assert choose_adapter(TWO, ["00:00:00:00:00:99", "00:00:00:00:00:01", "00:00:00:00:00:10"]) == "/org/bluez/hci10"


def test_an_adapter_whose_path_has_no_number_can_be_used():
    assert choose_adapter({"/odd": adapter("00:00:00:00:00:01")}, ()) == "/odd"


@pytest.mark.parametrize(
    ("objects", "wanted", "words"),
    [
        ({}, (), "no Bluetooth adapter"),
        (TWO, ["00:00:00:00:00:99"], "has the address 00:00:00:00:00:99"),
        (TWO, ["00:00:00:00:00:01"], "powered off"),
    ],
)
def test_why_no_adapter_can_be_used_is_told(objects, wanted, words):
    with pytest.raises(RadioDown, match=words):
        choose_adapter(objects, wanted)


def test_our_locks_are_found_on_every_adapter():
    objects = {
        "/org/bluez/hci0/dev_1": {DEVICE: {"Address": LOCK.lower(), "Connected": True}},
        "/org/bluez/hci1/dev_1": {DEVICE: {"Address": LOCK, "Connected": False}},
        "/org/bluez/hci0/dev_2": {DEVICE: {"Address": "00:00:00:00:00:02", "Connected": True}},
        **TWO,
    }
    assert devices_at(objects, {LOCK}) == ["/org/bluez/hci0/dev_1", "/org/bluez/hci1/dev_1"]


async def test_a_machine_without_d_bus_has_no_radio(monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(RadioDown, match="D-Bus cannot be reached"):
        async with Bluetoothd.reach():
            pass


class FakeBus:
    """A D-Bus connection that gives a prepared answer and notes what was asked."""

    answer = Message(message_type=MessageType.METHOD_RETURN, reply_serial=1)
    asked: Message | None = None
    open = False

    def __init__(self, **_: object) -> None:
        FakeBus.open = True

    async def connect(self) -> None:
        pass

    async def call(self, message: Message) -> Message:
        FakeBus.asked = message
        return FakeBus.answer

    def add_message_handler(self, handler) -> None:
        FakeBus.handler = handler

    def disconnect(self) -> None:
        FakeBus.open = False


def returned(signature: str, *body: object) -> Message:
    return Message(message_type=MessageType.METHOD_RETURN, reply_serial=1, signature=signature, body=list(body))


@pytest.fixture
async def reached(monkeypatch):
    monkeypatch.setattr(bluetoothd, "MessageBus", FakeBus)
    async with Bluetoothd.reach() as reached:
        yield reached
    assert not FakeBus.open


async def test_the_owner_is_asked_of_the_bus_itself(reached):
    FakeBus.answer = returned("s", ":1.7")
    assert await reached.owner() == ":1.7"
    assert FakeBus.asked.destination == "org.freedesktop.DBus"
    assert FakeBus.asked.body == ["org.bluez"]


async def test_objects_come_with_plain_values(reached):
    FakeBus.answer = returned("a{oa{sa{sv}}}", {"/org/bluez/hci0": {ADAPTER: {"Powered": Variant("b", True)}}})
    assert await reached.objects() == {"/org/bluez/hci0": {ADAPTER: {"Powered": True}}}


async def test_an_adapter_is_asked_for_its_properties(reached):
    FakeBus.answer = returned("a{sv}", {"Powered": Variant("b", False)})
    assert await reached.adapter("/org/bluez/hci0") == {"Powered": False}
    assert FakeBus.asked.path == "/org/bluez/hci0"
    assert FakeBus.asked.body == [ADAPTER]


async def test_a_device_is_disconnected_by_its_path(reached):
    FakeBus.answer = returned("")
    await reached.disconnect("/org/bluez/hci0/dev_1")
    assert (FakeBus.asked.path, FakeBus.asked.interface) == ("/org/bluez/hci0/dev_1", DEVICE)
    assert FakeBus.asked.member == "Disconnect"


async def test_a_device_is_forgotten_by_its_adapter(reached):
    FakeBus.answer = returned("")
    await reached.remove("/org/bluez/hci0", "/org/bluez/hci0/dev_1")
    asked = FakeBus.asked
    assert (asked.path, asked.interface, asked.member) == ("/org/bluez/hci0", ADAPTER, "RemoveDevice")
    assert (asked.signature, asked.body) == ("o", ["/org/bluez/hci0/dev_1"])


@pytest.mark.parametrize("on", [True, False])
async def test_an_adapter_is_powered_on_and_off(reached, on):
    FakeBus.answer = returned("")
    await reached.power("/org/bluez/hci0", on=on)
    assert (FakeBus.asked.path, FakeBus.asked.member) == ("/org/bluez/hci0", "Set")
    assert (FakeBus.asked.signature, FakeBus.asked.body) == ("ssv", [ADAPTER, "Powered", Variant("b", on)])


def removed(path: str, interface: str) -> Message:
    body = [path, [interface]]
    return Message(
        message_type=MessageType.SIGNAL,
        path="/",
        interface="org.freedesktop.DBus.ObjectManager",
        member="InterfacesRemoved",
        signature="oas",
        body=body,
    )


def changed(path: str, name: str, *, value: bool) -> Message:
    return Message(
        message_type=MessageType.SIGNAL,
        path=path,
        interface="org.freedesktop.DBus.Properties",
        member="PropertiesChanged",
        signature="sa{sv}as",
        body=[ADAPTER, {name: Variant("b", value)}, []],
    )


@pytest.mark.parametrize(
    ("signal", "departs"),
    [
        (removed("/org/bluez/hci0", ADAPTER), True),
        (removed("/org/bluez/hci1", ADAPTER), False),
        (removed("/org/bluez/hci0", "org.bluez.GattManager1"), False),
        (changed("/org/bluez/hci0", "Powered", value=False), True),
        (changed("/org/bluez/hci0", "Powered", value=True), False),
        (changed("/org/bluez/hci0", "Discovering", value=False), False),
        (changed("/org/bluez/hci1", "Powered", value=False), False),
    ],
)
async def test_an_adapter_that_goes_away_is_told_of_at_once(reached, signal, departs):
    FakeBus.answer = returned("")
    gone = []
    await reached.on_departure("/org/bluez/hci0", lambda: gone.append(True))
    assert FakeBus.asked.member == "AddMatch"
    FakeBus.handler(signal)
    assert bool(gone) is departs


async def test_a_bluetoothd_that_is_not_there_is_a_radio_that_is_down(reached):
    FakeBus.answer = Message(
        message_type=MessageType.ERROR,
        reply_serial=1,
        error_name="org.freedesktop.DBus.Error.ServiceUnknown",
        signature="s",
        body=["no"],
    )
    with pytest.raises(RadioDown, match="not running"):
        await reached.objects()
