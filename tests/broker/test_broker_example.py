"""The example of a broker with TLS, client certificates and a list of who may do what, as a gateway and others find it.

What this mosquitto forbids it takes and drops, so that something forbidden is seen by what comes of it: nothing.
"""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import AsyncExitStack
from functools import partial

import anyio.to_thread
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.broker_example import EXAMPLE, HOST, client_context, example, make_certificates
from tests.support.daemon import Daemon, configuration
from tests.support.eventually import eventually
from tests.support.mqtt_client import BASE, Upstream

LOCK = "front_door"
QUICK = "[locks.virtual]\nmotor_time = 0"
CLIENTS = ("g1", "g2", "app", "homeassistant", "stranger")
ANSWERS = "lockbridge/answers/app/g1/1"
"""A Response Topic of the program's at the gateway."""


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder, *CLIENTS)
    return folder


@pytest.fixture
def identity(certificates):
    """Returns how a client speaks TLS with its certificate."""
    return partial(client_context, certificates)


def gateway_block(name):
    """Return the example's block for a gateway, for one of another name, as the example says to make it."""
    (block,) = [each for each in (EXAMPLE / "lock-bridge.acl").read_text().split("\n\n") if "user g1\n" in each]
    return f"\n{block.replace('g1', name)}\n"


def gateway(port, certificates, **tables):
    config = configuration(port, LOCK, lock=QUICK, **tables).replace("mqtt://", "mqtts://")
    files = (
        f'ca_file = "{certificates}/ca.pem"\ncert_file = "{certificates}/g1.pem"\nkey_file = "{certificates}/g1.key"\n'
    )
    return config.replace("[http]", f"{files}[http]")


def delivered(broker, client, topic):
    """Return what the broker has sent to a client on topics that begin so."""
    lines = broker.log.read_text().splitlines()
    return [line for line in lines if f"Sending PUBLISH to {client} " in line and f"'{topic}" in line]


def die_leaving_a_will(port, context):
    """Connect with a will like the bridge's, but for its delay, and end without a word."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(context)
    client.will_set(f"{BASE}/status", b'{"online": false}', qos=1, retain=True)
    client.connect(HOST, port)
    while not client.is_connected():
        client.loop(0.1)
    client.socket().shutdown(socket.SHUT_RDWR)
    client._reset_sockets()
    client._sock_close()


async def test_a_gateway_works_in_full_and_a_program_can_command_ask_and_listen(tmp_path, certificates, identity):
    async with (
        example(tmp_path, certificates) as broker,
        Upstream(broker.port, tls=identity("app")) as app,
        Upstream(broker.port, tls=identity("homeassistant"), also=["homeassistant/#"]) as assistant,
        Daemon(tmp_path, gateway(broker.port, certificates), app) as daemon,
    ):
        await app.command(LOCK, {"action": "unlock", "custom_id": "one"})
        reply = await app.reply(LOCK, custom_id="one")
        assert (await app.completed(reply.body["action_id"]))["status"] == "success"
        await app.first(f"locks/{LOCK}/state", lock_state="unlocked")

        to_me = {"ResponseTopic": ANSWERS, "CorrelationData": b"1"}
        await app.command(LOCK, {"action": "lock", "custom_id": "two"}, **to_me)
        await app.until(lambda: [each for each in app.heard if each.topic == ANSWERS])
        for method, body in (
            ("locks/get", {"device_id": LOCK}),
            ("locks/list", {}),
            ("action_attempts/list", {}),
            ("action_attempts/get", {"action_attempt_id": reply.body["action_id"]}),
            ("events/list", {"since": "2020-01-01T00:00:00Z"}),
        ):
            await app.publish(f"{BASE}/rpc/{method}", json.dumps(body).encode())
            await app.first(f"rpc/{method}/reply", ok=True)
        await app.command(LOCK, b"{")
        await app.first("events/bridge.command_refused")

        await assistant.command(LOCK, {"action": "unlock"})
        await assistant.first(f"events/lock.unlocked/{LOCK}", 2)
        found = {each.topic.split("/")[-2] for each in assistant.heard if each.topic.endswith("/config")}
        assert found == {"connectivity", "lock", "battery", "door", "operation"}

        # Back within its session, it writes itself the message that tells what has waited from what has not.
        daemon.kill()
        await daemon.serve()
        await eventually(lambda: delivered(broker, "g1", f"{BASE}/barrier/"))
        assert "Denied" not in broker.log.read_text()
        assert "not sent" not in daemon.log
        assert "refused by the broker" not in daemon.log

        daemon.kill()
        await anyio.to_thread.run_sync(die_leaving_a_will, broker.port, identity("g1"))
        await app.first("status", online=False)


async def test_nobody_forges_what_a_gateway_says_nor_reads_what_it_is_told(tmp_path, certificates, identity):
    forged = b'{"forged": true}'
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        broker = await enter(example(tmp_path, certificates, gateway_block("g2")))
        app = await enter(Upstream(broker.port, tls=identity("app")))
        witness = await enter(Upstream(broker.port, tls=identity("homeassistant"), also=["homeassistant/#"]))
        await enter(Daemon(tmp_path, gateway(broker.port, certificates), app))
        other = await enter(Upstream(broker.port, tls=identity("g2"), also=["homeassistant/#"]))
        stranger = await enter(Upstream(broker.port, tls=identity("stranger"), also=["homeassistant/#"]))
        # What is retained would reach whoever subscribes later.
        topics = [
            f"{BASE}/events/lock.unlocked/{LOCK}",
            f"{BASE}/events/bridge.command_refused",
            f"{BASE}/locks/{LOCK}/state",
            f"{BASE}/locks/{LOCK}/actions/reply",
            f"{BASE}/rpc/locks/get/reply",
            f"{BASE}/status",
            f"{BASE}/barrier/1",
            ANSWERS,
            f"homeassistant/lock/lockbridge_g1_{LOCK}/lock/config",
        ]
        for client in (app, other, stranger):
            for topic in topics:
                await client.publish(topic, forged, retain=True)
        for client in (other, stranger):
            await client.command(LOCK, {"action": "unlock", "custom_id": "forged"})
            await client.publish(f"{BASE}/rpc/locks/list", b"{}")
        await witness.publish("lockbridge/g2/status", forged)

        await app.command(LOCK, {"action": "unlock", "custom_id": "true"}, ResponseTopic=ANSWERS)
        reply = await app.until(lambda: [each for each in app.heard if each.topic == ANSWERS])
        assert [each.body.get("custom_id") for each in reply] == ["true"]
        await app.completed(reply[0].body["action_id"])
        await other.publish("lockbridge/g2/status", b'{"online": true}')
        await witness.until(lambda: [each for each in witness.heard if each.topic == "lockbridge/g2/status"])
        late = await enter(Upstream(broker.port, tls=identity("app"), also=["homeassistant/#"]))
        await late.first("status", online=True)

        for client in (app, witness, late):
            assert forged not in [each.payload for each in client.heard]
        assert app.having(f"locks/{LOCK}/actions/reply", custom_id="forged") == []
        assert len(app.on(f"events/lock.unlocked/{LOCK}")) == 1
        assert [each.topic for each in other.heard] == []
        assert [each.topic for each in stranger.heard] == []
        assert not [each.topic for each in witness.heard if "/actions" in each.topic or "/rpc/" in each.topic]
        denied = {line.split()[4] for line in broker.log.read_text().splitlines() if "Denied PUBLISH from" in line}
        assert denied == {"app", "g2", "stranger", "homeassistant"}


async def test_a_connection_cannot_be_taken_over_by_its_name(tmp_path, certificates, identity):
    async with (
        example(tmp_path, certificates) as broker,
        Upstream(broker.port, tls=identity("homeassistant")) as watching,
        Daemon(tmp_path, gateway(broker.port, certificates), watching) as daemon,
        Upstream(broker.port, tls=identity("app"), session="lockbridge-g1") as taker,
    ):
        await taker.command(LOCK, {"action": "unlock"})
        await watching.first(f"events/lock.unlocked/{LOCK}")
        assert daemon.log.count("connected to the broker") == 1


@pytest.mark.parametrize("who", ["nobody", "somebody of another authority", "in clear"])
async def test_without_a_certificate_of_the_authority_nobody_is_let_in(tmp_path, certificates, identity, who):
    context = identity(None)
    if who == "somebody of another authority":
        elsewhere = tmp_path / "elsewhere"
        await anyio.to_thread.run_sync(make_certificates, elsewhere, "app")
        context.load_cert_chain(elsewhere / "app.pem", elsewhere / "app.key")
    async with example(tmp_path, certificates) as broker:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        connected = []
        client.on_connect = lambda *told: connected.append(told[3].is_failure)
        if who != "in clear":
            client.tls_set_context(context)
        try:
            await anyio.to_thread.run_sync(partial(client.connect, HOST, broker.port))
            client.loop_start()
            await eventually(lambda: "rror" in broker.log.read_text() or "disconnect" in broker.log.read_text())
        except (ssl.SSLError, ConnectionError):
            pass
        finally:
            client.loop_stop()
            client._reset_sockets()
        assert False not in connected
