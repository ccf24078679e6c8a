"""The service with all that it can have at once, under its unit's sandbox.

A broker with TLS and client certificates, HTTP over TLS, keys and secrets as systemd credentials, a webhook, signed
commands, and a lock of every driver. Broker and webhook's receiver are processes of the machine around it.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
import httpx
import pytest
from seam import SeamWebhook

from tests.support import checkout, debian
from tests.support.broker_example import client_context, example, make_certificates
from tests.support.certificates import Authority
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mqtt_client import Upstream
from tests.support.receiver import HttpReceiver

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = {f"{driver}_door": driver for driver in ("nuki", "yale", "switchbot", "sesame")}
DISCOVERY = "user g1\n" + "".join(f"topic write homeassistant/+/lockbridge_g1_{lock}/#\n" for lock in LOCKS)
"""What the list of who may do what wants for each lock of a gateway."""
TOLD = ["lock.action_completed", "action_attempt.unlock_door.succeeded", "lock.unlocked"]
SIGN = checkout.ROOT / "examples/signing/sign.py"
CONFIG = """\
[bridge]
id = "g1"
trust_clock = "always"
[mqtt]
url = "mqtts://127.0.0.1:{broker}"
ca_file = "ca.pem"
cert_file = "g1.pem"
[commands]
require_signature = true
[http]
listen = "127.0.0.1:{http}"
cert_file = "http.pem"
[webhooks]
url = "{webhook}"
ca_file = "web.pem"
[bluetooth]
radio = "virtual"
""" + "".join(f'[[locks]]\nid = "{lock}"\ndriver = "{driver}"\n' for lock, driver in LOCKS.items())


@pytest.fixture
def anyio_backend():
    return "asyncio"


@dataclass(frozen=True)
class Keys:
    """What an installed gateway gives to those who use it."""

    signing: str
    pem: str
    bearer: str


def set_up(machine: debian.Machine, config: str, certificates: Path, web: Authority, secret: str) -> Keys:
    """Install the bridge, with its keys and secrets where root alone reads them, and start it."""
    machine.do("/tree/systemd/install --wheels /wheels")
    cert_file, key_file = web.issue("http")
    for name, content in {
        "config.toml": config,
        "ca.pem": (certificates / "ca.pem").read_text(),
        "g1.pem": (certificates / "g1.pem").read_text(),
        "http.pem": cert_file.read_text(),
        "web.pem": web.ca_file.read_text(),
    }.items():
        machine.write(f"/etc/lock-bridge/{name}", content, "0640")
    for name, content in {
        "mqtt_key": (certificates / "g1.key").read_text(),
        "http_key": key_file.read_text(),
        "webhook_secret": secret,
    }.items():
        machine.write(f"/etc/credstore/lock-bridge.{name}", content, "0600")
    machine.do("chgrp -R lock-bridge /etc/lock-bridge && systemctl enable --now lock-bridge")
    return Keys(
        signing=machine.do("lock-bridge signing-key create panel --out /root/panel.pem 2>/dev/null").strip(),
        pem=machine.do("cat /root/panel.pem"),
        bearer=machine.do("lock-bridge api-key create seam --scope read 2>/dev/null").strip(),
    )


@pytest.mark.timeout(300)
async def test_with_all_that_it_can_have_it_unlocks_a_lock_of_every_driver_under_its_sandbox(tmp_path):
    certificates, folder = tmp_path / "certificates", tmp_path / "web"
    make_certificates(certificates, "g1", "app")
    folder.mkdir()
    web = Authority(folder)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    port = free_port()
    shown = {checkout.copy_to(tmp_path / "tree"): "/tree", debian.wheels(): "/wheels"}
    async with (
        example(tmp_path, certificates, DISCOVERY) as broker,
        HttpReceiver.listening(web.serving()) as receiver,
        Upstream(broker.port, tls=client_context(certificates, "app")) as app,
    ):
        config = CONFIG.format(broker=broker.port, http=port, webhook=receiver.url)
        with debian.booted(tmp_path, shown, networked=True) as machine:
            try:
                keys = await anyio.to_thread.run_sync(partial(set_up, machine, config, certificates, web, secret))
                (tmp_path / "panel.pem").write_text(keys.pem)
                for lock in LOCKS:
                    await app.command(lock, {"action": "unlock", "custom_id": "unsigned"})
                    refused = await app.reply(lock, custom_id="unsigned")
                    assert refused.body["error_code"] == "SIGNATURE_REQUIRED"
                    sign = [sys.executable, SIGN, tmp_path / "panel.pem", keys.signing, "g1", lock, "unlock"]
                    command = (await anyio.run_process(sign)).stdout
                    await app.command(lock, command)
                    reply = await app.reply(lock, custom_id=json.loads(command)["custom_id"])
                    told = await app.completed(reply.body["action_id"])
                    assert (told["status"], told.get("changed")) == ("success", True), told
                    assert told["was_confirmed_by_device"] is True
                    of_it = partial(posted, receiver, told["action_attempt_id"])
                    await eventually(lambda of_it=of_it: len(of_it()) >= len(TOLD), 30)
                    assert [post.event["event_type"] for post in of_it()] == TOLD
                    for post in of_it():
                        SeamWebhook(secret).verify(post.body.decode(), post.headers)
                async with httpx.AsyncClient(
                    verify=web.trusting(), headers={"Authorization": f"Bearer {keys.bearer}"}
                ) as client:
                    there = await client.post(f"https://127.0.0.1:{port}/locks/list", json={})
                assert [lock["properties"]["locked"] for lock in there.json()["locks"]] == [False] * len(LOCKS)
                status = machine.do("cat /proc/$(systemctl show --value --property=MainPID lock-bridge)/status")
                fields = dict(line.split(":\t", 1) for line in status.splitlines())
                assert (fields["CapBnd"], fields["NoNewPrivs"], fields["Seccomp"]) == ("0" * 16, "1", "2")
                assert "refused by the broker" not in machine.do("journalctl --no-pager --unit=lock-bridge")
                assert machine.do("systemctl show --value --property=NRestarts lock-bridge").strip() == "0"
            finally:
                print(machine.run("journalctl", "--no-pager", "--unit=lock-bridge").told)  # noqa: T201 - shown where it fails


def posted(receiver, attempt_id):
    """Return what the webhook has of an attempt."""
    return [post for post in receiver.posts if post.event.get("action_attempt_id") == attempt_id]
