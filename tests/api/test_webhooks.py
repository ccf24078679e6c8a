"""Webhooks of a real daemon to a real HTTP server."""

from __future__ import annotations

import base64
import secrets
from contextlib import asynccontextmanager

import httpx
import pytest
from seam import SeamWebhook

from tests.support.api import FRONT, NOWHERE, QUICK
from tests.support.daemon import Daemon, command_line, configuration
from tests.support.eventually import eventually
from tests.support.receiver import HttpReceiver

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
TOLD = ["lock.action_completed", "action_attempt.unlock_door.succeeded", "lock.unlocked"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def posting_to(receiver, directory):
    (directory / "secret").write_text(SECRET)
    webhooks = f'url = "{receiver.url}?token=T0K3N"\nsecret_file = "secret"'
    daemon = Daemon(directory, configuration(NOWHERE, FRONT, lock=QUICK, webhooks=webhooks), None)
    try:
        await daemon.start()
        yield daemon
    finally:
        daemon.kill()


def gateway(daemon):
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.file.with_name("api.sock")))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def unlock(daemon):
    async with gateway(daemon) as client:
        (await client.post("/locks/unlock_door", json={"device_id": FRONT})).raise_for_status()


async def test_every_event_is_posted_in_order_and_is_genuine(tmp_path):
    async with HttpReceiver.listening() as receiver, posting_to(receiver, tmp_path) as daemon:
        await unlock(daemon)
        await eventually(lambda: len(receiver.posts) >= 3)
        assert [post.event["event_type"] for post in receiver.posts] == TOLD
        for post in receiver.posts:
            event = SeamWebhook(SECRET).verify(post.body.decode(), post.headers)
            assert event.event_id == post.event["event_id"] == post.headers["webhook-id"]


async def test_what_was_not_taken_is_posted_unchanged_by_the_next_life_and_what_was_taken_is_not(tmp_path):
    async with HttpReceiver.listening() as receiver, posting_to(receiver, tmp_path) as daemon:
        receiver.says = lambda post: (204 if post.event["event_type"] == TOLD[0] else 503, "")
        await unlock(daemon)
        await eventually(lambda: len(receiver.posts) >= 2)
        refused = receiver.posts[1]
        daemon.kill()
        receiver.says = lambda _: (204, "")
        receiver.posts.clear()
        await daemon.start()
        await eventually(lambda: len(receiver.posts) >= 2)
        assert [post.event["event_type"] for post in receiver.posts] == TOLD[1:]
        assert receiver.posts[0].body == refused.body
        assert receiver.posts[0].headers["webhook-id"] == refused.headers["webhook-id"]


async def test_neither_the_secret_nor_the_url_is_logged(tmp_path):
    async with HttpReceiver.listening() as receiver, posting_to(receiver, tmp_path) as daemon:
        receiver.says = lambda _: (503, "")
        await unlock(daemon)
        await daemon.logged("event not taken by the webhook")
        assert SECRET not in daemon.log
        assert "T0K3N" not in daemon.log


async def test_what_was_not_taken_is_counted(tmp_path):
    async with HttpReceiver.listening() as receiver, posting_to(receiver, tmp_path) as daemon:
        receiver.says = lambda _: (503, "")
        await unlock(daemon)
        await daemon.logged("event not taken by the webhook")
        async with gateway(daemon) as client:
            figures = (await client.get("/metrics")).text
        assert "lock_bridge_webhook_taken_total 0.0" in figures
        assert "lock_bridge_webhook_given_up_total 0.0" in figures
        assert "lock_bridge_webhook_refused_total 0.0" not in figures


async def test_a_webhook_without_a_secret_is_a_mistake_that_is_named(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(configuration(NOWHERE, FRONT, webhooks='url = "https://hooks.example"'))
    checked = await command_line("--config", str(file), "check-config")
    assert checked.returncode == 2
    assert "webhooks.url: needs secret_file too" in checked.stdout + checked.stderr
