"""A real dbus-daemon with the bridge's policy: what its user may call, and what not."""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

POLICY = Path(__file__).parents[2] / "systemd" / "lock-bridge.dbus.conf"
SYSTEM = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    {default}
  </policy>
  {more}
</busconfig>
"""
OPEN = '<allow send_destination="org.bluez"/><allow send_destination="org.example.Manager"/>'
"""What Debian lets every user do, and what other services do."""
ALLOWED = [
    ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
    ("org.freedesktop.DBus.Properties", "Set"),
    ("org.bluez.Adapter1", "StartDiscovery"),
    ("org.bluez.AdvertisementMonitorManager1", "RegisterMonitor"),
    ("org.bluez.Device1", "Connect"),
    ("org.bluez.GattCharacteristic1", "WriteValue"),
    ("org.bluez.GattDescriptor1", "ReadValue"),
]
DENIED = [
    ("org.bluez.AgentManager1", "RequestDefaultAgent"),
    ("org.bluez.ProfileManager1", "RegisterProfile"),
    ("org.bluez.LEAdvertisingManager1", "RegisterAdvertisement"),
    ("org.bluez.GattManager1", "RegisterApplication"),
    ("org.freedesktop.DBus.Introspectable", "Introspect"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@contextmanager
def bus(folder: Path, default: str, more: str):
    """Run a bus with the system's rules, as far as they matter here."""
    config = folder / "bus.conf"
    config.write_text(SYSTEM.format(folder=folder, default=default, more=more))
    with subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


def policy() -> str:
    """Return the policy, for the user who runs the test."""
    text = POLICY.read_text()
    assert 'user="lock-bridge"' in text
    ours = text[text.index("<policy") : text.index("</busconfig>")]
    return ours.replace('user="lock-bridge"', f'user="{pwd.getpwuid(os.geteuid()).pw_name}"')


async def refused(address: str, destination: str, interface: str, member: str) -> bool:
    """Call a service that answers everything, and tell whether the bus did not let the call through."""
    service = await MessageBus(address).connect()
    client = await MessageBus(address).connect()
    try:
        service.add_message_handler(lambda call: Message.new_method_return(call) if call.member == member else None)
        await service.request_name(destination)
        reply = await client.call(Message(destination, "/org/bluez", interface, member))
    finally:
        for each in (client, service):
            each.disconnect()
            await each.wait_for_disconnect()
    assert reply is not None
    if reply.message_type is MessageType.ERROR:
        assert reply.error_name == "org.freedesktop.DBus.Error.AccessDenied"
        return True
    return False


@pytest.mark.parametrize(("interface", "member"), ALLOWED)
async def test_the_bridge_may_do_its_work_though_the_system_lets_nobody(tmp_path, interface, member):
    with bus(tmp_path, "", policy()) as address:
        assert not await refused(address, "org.bluez", interface, member)


@pytest.mark.parametrize(("interface", "member"), ALLOWED[:1])
async def test_without_the_policy_it_might_not(tmp_path, interface, member):
    with bus(tmp_path, "", "") as address:
        assert await refused(address, "org.bluez", interface, member)


@pytest.mark.parametrize(("interface", "member"), DENIED)
async def test_it_may_ask_nothing_else_of_bluetoothd_though_the_system_lets_everybody(tmp_path, interface, member):
    with bus(tmp_path, OPEN, policy()) as address:
        assert await refused(address, "org.bluez", interface, member)


async def test_it_may_ask_nothing_of_other_services(tmp_path):
    with bus(tmp_path, OPEN, policy()) as address:
        assert await refused(address, "org.example.Manager", "org.freedesktop.DBus.Properties", "Get")
    with bus(tmp_path, OPEN, "") as address:
        assert not await refused(address, "org.example.Manager", "org.freedesktop.DBus.Properties", "Get")
