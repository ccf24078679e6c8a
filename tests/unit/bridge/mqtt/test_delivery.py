"""How a message that was handed over ends."""

from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from bridge.mqtt.broker import ConnectionLost, PublishRefused
from bridge.mqtt.delivery import Delivery
from bridge.mqtt.window import Request


def lost() -> ConnectionLost:
    return ConnectionLost("gone")


async def test_a_message_is_taken_when_the_puback_says_so():
    request: Request[ReasonCode] = Request()
    delivery = Delivery(request, lost)
    assert not delivery.finished
    request.finish(ReasonCode(PacketTypes.PUBACK, "No matching subscribers"))
    assert delivery.finished
    assert await delivery.taken()
    assert delivery.refusal is None


async def test_a_message_that_the_broker_refuses_says_why():
    request: Request[ReasonCode] = Request()
    request.finish(ReasonCode(PacketTypes.PUBACK, "Quota exceeded"))
    delivery = Delivery(request, lost)
    assert not await delivery.taken()
    assert delivery.refusal is not None
    assert delivery.refusal.reason == "Quota exceeded"


async def test_a_message_refused_before_it_is_sent_is_finished():
    delivery = Delivery(None, lost, PublishRefused("Packet too large"))
    assert delivery.finished
    assert not await delivery.taken()


async def test_a_message_whose_connection_ends_is_lost():
    request: Request[ReasonCode] = Request()
    delivery = Delivery(request, lost)
    request.finish()
    with pytest.raises(ConnectionLost, match="gone"):
        await delivery.taken()
