"""A look at a real mosquitto from outside."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from bridge.mqtt.broker import BrokerRefused, BrokerUnreachable, Settings
from bridge.mqtt.topics import Topics
from bridge.mqtt.visit import visit
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mqtt_client import Upstream

TOPICS = Topics("lockbridge/g1", ["lockbridge/"])


def settings(broker):
    return Settings(client_id="lockbridge-g1", host="127.0.0.1", port=broker.port)


async def test_mosquitto_is_seen_to_do_all_that_the_bridge_needs(tmp_path):
    async with Mosquitto(tmp_path) as broker:
        seen = await visit(settings(broker), TOPICS)
    assert (seen.retain, seen.resumed, seen.session_expiry, seen.shows_retained, seen.denied) == (
        *(True, True, 60, True),
        None,
    )
    assert 0 < seen.answered < 3


async def test_on_mqtt_3_retained_commands_are_seen_where_bridge_mode_is_known(tmp_path):
    async with Mosquitto(tmp_path) as broker:
        seen = await visit(replace(settings(broker), protocol=4), TOPICS)
    assert (seen.shows_retained, seen.resumed, seen.session_expiry) == (True, False, 0)


async def test_the_visitor_leaves_nothing_behind(tmp_path):
    async with Mosquitto(tmp_path, durable=True) as broker, Upstream(broker.port) as upstream:
        await visit(settings(broker), TOPICS)
        await upstream.first("barrier/+")
        assert all(each.payload == b"" for each in upstream.heard)
        async with Upstream(broker.port) as later:
            await upstream.command("front_door", {"action": "lock"})
            await later.first("locks/front_door/actions")
            assert [each.topic for each in later.heard] == ["lockbridge/g1/locks/front_door/actions"]
        seen = await visit(settings(broker), TOPICS)
        assert seen.resumed  # of this visit's own making: the earlier one's session is gone with it


async def test_a_broker_that_keeps_no_session_is_seen_to(tmp_path):
    async with Mosquitto(tmp_path, "persistent_client_expiration 1h\nmax_packet_size 2000\n") as broker:
        seen = await visit(replace(settings(broker), session_expiry=0), TOPICS)
    assert (seen.resumed, seen.packet_size) == (False, 2000)


async def test_a_broker_without_retained_messages_is_seen_to_be(tmp_path):
    async with Mosquitto(tmp_path, "retain_available false\n") as broker:
        seen = await visit(settings(broker), TOPICS)
    assert (seen.retain, seen.shows_retained) == (False, None)
    assert seen.answered is not None


async def test_an_access_list_that_leaves_the_bridge_out_is_seen(tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite elsewhere/#\n")
    async with Mosquitto(tmp_path, f"acl_file {rules}\n") as broker:
        seen = await visit(settings(broker), TOPICS)
    assert seen.denied is not None
    assert seen.answered is None


async def test_a_broker_that_is_away_or_refuses_says_so(tmp_path):
    with pytest.raises(BrokerUnreachable):
        await visit(Settings(client_id="g1", host="127.0.0.1", port=free_port()), TOPICS)
    async with Mosquitto(tmp_path, "allow_anonymous false\n") as broker:
        with anyio.fail_after(20), pytest.raises(BrokerRefused):
            await visit(settings(broker), TOPICS)
