"""Whatever is sent: the bridge lives, answers if it was asked something, moves nothing, and takes the next command."""

from __future__ import annotations

import json

import pytest

from tests.support.daemon import Daemon, configuration
from tests.support.lockhost import hosting
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_client import BASE, Upstream

LOCK = "front_door"


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture
async def upstream(broker: Mosquitto):
    async with Upstream(broker.port) as connected:
        yield connected


@pytest.fixture
async def host(tmp_path):
    async with hosting(tmp_path, LOCK) as hosted:
        yield hosted


@pytest.fixture
async def daemon(broker: Mosquitto, tmp_path, upstream: Upstream, host):
    async with Daemon(tmp_path, configuration(broker.port, LOCK, air=host.air), upstream) as running:
        yield running


async def works(upstream: Upstream, daemon: Daemon, host) -> bool:
    """Tell whether the bridge has moved nothing so far, and still carries a command out."""
    assert daemon.alive
    assert host.movements == []
    await upstream.command(LOCK, {"action": "unlock", "custom_id": "proof"})
    reply = (await upstream.reply(LOCK, custom_id="proof", status="pending")).body
    event = await upstream.completed(reply["action_id"])
    assert "Traceback" not in daemon.log
    return event["status"] == "success" and len(host.movements) == 1


INVALID = {
    "nothing": b"",
    "a word": b"unlock",
    "cut short": b'{"action": "unlock"',
    "two documents": b'{"action": "unlock"}{"action": "unlock"}',
    "a comment as in the guide": b'{"action": "unlock" // optional\n}',
    "binary": bytes(range(256)),
    "zeros": bytes(64),
    "not UTF-8": b'{"action": "unlock", "custom_id": "\xff"}',
    "UTF-16": '{"action": "unlock"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"action": "unlock"}',
    "an array": b'["unlock"]',
    "a string": b'"unlock"',
    "null": b"null",
    "a number": b"1",
    "deeply nested": b"[" * 4000 + b"]" * 4000,
    "deeply nested object": b'{"action":' * 800 + b"1" + b"}" * 800,
    "no action": b"{}",
    "action null": b'{"action": null}',
    "action a number": b'{"action": 1}',
    "action a list": b'{"action": ["unlock"]}',
    "action twice": b'{"action": "lock", "action": "unlock"}',
    "unknown field": b'{"action": "unlock", "force": true}',
    "key of another case": b'{"Action": "unlock"}',
    "custom_id a number": b'{"action": "unlock", "custom_id": 5}',
    "custom_id null": b'{"action": "unlock", "custom_id": null}',
    "custom_id too long": json.dumps({"action": "unlock", "custom_id": "x" * 129}).encode(),
    "custom_id half a character": b'{"action": "unlock", "custom_id": "\\ud800"}',
    "expires_at a number": b'{"action": "unlock", "expires_at": 1795190227}',
    "expires_at no time": b'{"action": "unlock", "expires_at": "soon"}',
    "expires_at without zone": b'{"action": "unlock", "expires_at": "2099-01-01T00:00:00"}',
    "expires_at impossible": b'{"action": "unlock", "expires_at": "2099-02-30T00:00:00Z"}',
    "not a number": b'{"action": NaN}',
    "a huge number": b'{"action": ' + b"9" * 5000 + b"}",
    "8 KiB and one": b'{"action": "unlock"}'.ljust(8193),
    "60 KiB": b'{"action": "unlock"}'.ljust(60 * 1024),
}


async def test_every_malformed_payload_is_answered_as_invalid(upstream: Upstream, daemon: Daemon, host):
    address = {"ResponseTopic": "lockbridge/answers/me"}
    for name, payload in INVALID.items():
        await upstream.command(LOCK, payload, CorrelationData=name.encode(), **address)
    await upstream.until(lambda: [each for each in upstream.heard if each.correlation == b"60 KiB" and each.user])

    answers = {each.correlation.decode(): each for each in upstream.heard if each.topic == "lockbridge/answers/me"}
    assert list(answers) == list(INVALID)
    for name, answer in answers.items():
        assert answer.body["error_code"] == "INVALID_REQUEST", name
        assert set(answer.body) == {"error_code", "message"}
        assert len(answer.payload) < 1024
    assert await works(upstream, daemon, host)


async def test_an_action_that_there_is_not_is_named_so(upstream: Upstream, daemon: Daemon, host):
    actions = ["", "Unlock", "UNLOCK", "open", "toggle", " unlock", "unlock\0", "\N{LOCK}"]
    for number, action in enumerate(actions, 1):
        await upstream.command(LOCK, {"action": action})
        assert (await upstream.reply(LOCK, number)).body["error_code"] == "INVALID_ACTION"
    assert await works(upstream, daemon, host)


async def test_the_longest_request_and_custom_id_are_taken(upstream: Upstream, daemon: Daemon, host):
    custom_id = "\N{LOCK}" * 128
    payload = json.dumps({"action": "unlock", "custom_id": custom_id}, ensure_ascii=False).encode()
    await upstream.command(LOCK, payload.ljust(8192))
    reply = await upstream.reply(LOCK, custom_id=custom_id)
    assert reply.body["status"] == "pending"
    event = await upstream.completed(reply.body["action_id"])
    assert event["custom_id"] == custom_id


async def test_a_packet_that_is_larger_than_the_bridge_takes_does_not_reach_it(
    upstream: Upstream, daemon: Daemon, host
):
    await upstream.command(LOCK, b'{"action": "unlock"}'.ljust(70 * 1024))
    assert await works(upstream, daemon, host)
    assert len(upstream.having("status", online=True)) == 1


async def test_a_lock_that_there_is_not_is_not_found_whatever_it_is_called(upstream: Upstream, daemon: Daemon, host):
    for lock_id in (
        *("cellar", "FRONT_DOOR", "front_door ", "", "..", "%2e", "$SYS", "\N{LOCK}", "a" * 5000),
        "'; DROP TABLE attempt",
    ):
        await upstream.command(lock_id, {"action": "unlock", "custom_id": "c"})
        reply = await upstream.reply(lock_id, custom_id="c")
        assert reply.body["error_code"] == "LOCK_NOT_FOUND"
        assert reply.body["lock_id"] == lock_id
    assert await works(upstream, daemon, host)


async def test_topics_that_are_none_of_the_bridges_change_nothing(upstream: Upstream, daemon: Daemon, host):
    for topic in (f"{BASE}/locks", f"{BASE}/locks/{LOCK}", f"{BASE}/locks/{LOCK}/actions/now", "lockbridge/g2/x"):
        await upstream.publish(topic, b'{"action": "unlock"}')
    await upstream.publish(f"{BASE}/barrier/forged", b"")
    assert await works(upstream, daemon, host)


async def test_correlation_data_and_user_properties_of_any_content_are_returned_or_ignored(
    upstream: Upstream, daemon: Daemon, host
):
    properties = {
        "ResponseTopic": "lockbridge/answers/" + "x" * 3000,
        "CorrelationData": bytes(range(256)) * 200,
        "UserProperty": [("action", "unlock"), ("\N{LOCK}", "\N{LOCK}")] * 50,
        "ContentType": "application/x-nothing",
        "PayloadFormatIndicator": 0,
    }
    await upstream.command(LOCK, {"action": "nonsense"}, **properties)
    answer = await upstream.until(lambda: [each for each in upstream.heard if each.topic.startswith("lockbridge/answ")])
    assert answer[0].correlation == properties["CorrelationData"]
    assert await works(upstream, daemon, host)
