"""Whatever the broker delivers: one reply, one acknowledgement, and nothing moves that was not asked for."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.mqtt.properties import of_publish, topic_name
from tests.support.fake_connection import Acked, FakeConnection, Sent
from tests.support.fuzzing import effort, virtually
from tests.support.house import BACK, BASE, FRONT, House, check, until

REPLIES = ("action-accepted", "action-rejected")

# What MQTT's strings can hold (MQTT 5.0, 1.5.4): no half surrogate pair, no NUL.
utf8 = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=6,
)
moments = st.one_of(
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.from_regex(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", fullmatch=True),
)
requests = st.fixed_dictionaries(
    {"action": st.sampled_from(["lock", "unlock", "unlatch", "Unlock", "unlock "]) | anything},
    optional={
        "custom_id": st.sampled_from(["a", "b"]) | st.text(st.characters(), max_size=140) | anything,
        "expires_at": moments | anything,
        "more": anything,
    },
)
bodies = (requests | anything).map(json.dumps)
payloads = st.one_of(
    st.just(b'{"action": "unlock"}'),
    bodies.map(str.encode),
    bodies.map(lambda text: text.encode("utf-16")),
    st.tuples(bodies, st.integers(0, 80)).map(lambda cut: cut[0].encode()[: cut[1]]),
    st.binary(max_size=40),
    st.integers(0, 9000).map(lambda size: b"[" * size),
    st.integers(0, 9000).map(lambda size: b'{"action": ' + b"9" * size + b"}"),
    st.just(b""),
)
topics = st.one_of(
    st.sampled_from([FRONT, BACK, "cellar"]).map(lambda lock_id: f"{BASE}/locks/{lock_id}/actions"),
    utf8.map(lambda lock_id: f"{BASE}/locks/{lock_id}/actions"),
    st.sampled_from(["rpc/locks/list", "barrier/x", "locks//actions", "status", ""]).map(lambda end: f"{BASE}/{end}"),
    utf8,
)
responses = st.one_of(
    st.none(),
    utf8,
    utf8.map(lambda name: f"lockbridge/{name}"),
    st.sampled_from(["lockbridge/replies/me", f"{BASE}/status", f"{BASE}/locks/{FRONT}/actions", "homeassistant/x"]),
)
deliveries = st.fixed_dictionaries(
    {"topic": topics, "payload": payloads},
    optional={
        "retain": st.booleans(),
        "dup": st.booleans(),
        "packet_id": st.integers(0, 3) | st.integers(0, 0xFFFF),
        "response_topic": responses,
        "correlation_data": st.none() | st.binary(max_size=40),
        "expires_in": st.none() | st.integers(0, 60) | st.integers(0, 0xFFFF_FFFF),
    },
)


class StrictConnection(FakeConnection):
    """Takes only what goes into an MQTT packet."""

    def send(self, topic, payload, *, retain=False, properties=None) -> None:
        topic_name(topic)
        of_publish(properties)
        super().send(topic, payload, retain=retain, properties=properties)


@effort(120)
@given(st.lists(deliveries, min_size=1, max_size=6), st.booleans())
@example([{"topic": f"{BASE}/locks/{FRONT}/actions", "payload": b"[" * 8000}], False)
@example(
    [{"topic": f"{BASE}/locks/{FRONT}/actions", "payload": rb'{"action": "unlock", "custom_id": "\ud800"}'}],
    False,
)
def test_any_delivery_is_answered_once_and_acknowledged_once(messages, resumed):
    virtually(_deliver, messages, resumed)


async def _deliver(messages: list[dict[str, Any]], resumed: bool) -> None:  # noqa: FBT001 - hypothesis gives it by place
    with TemporaryDirectory() as folder:
        async with House.standing(Path(folder), FRONT, BACK) as house, house.life() as life:
            connection = StrictConnection(session_present=resumed)
            life.bridge.session.connect(connection)
            for message in messages:
                connection.deliver(**message)
            await until(lambda: len(connection.acked) >= len(messages))
            _check_replies(connection, messages)
            await until(lambda: not life.rows("SELECT * FROM attempt WHERE state IN ('accepted', 'committed')"))
            await anyio.sleep(60)
            assert len(connection.acked) == len(messages)
            for (action_id,) in life.rows("SELECT action_id FROM attempt"):
                attempt = await life.bridge.journal.search.attempt(action_id)
                assert attempt is not None
                check(house, life, attempt)
            taken = [action_id.encode() for (action_id,) in life.rows("SELECT action_id FROM attempt")]
            assert all(movement.tag in taken for twin in house.twins.values() for movement in twin.lock.movements)


def _check_replies(connection: FakeConnection, messages: list[dict[str, Any]]) -> None:
    """Check that each message was acknowledged in its turn, right after the one reply that it is due."""
    done = [one for one in connection.done if isinstance(one, Acked) or _schema(one) in REPLIES]
    for message in messages:
        replies = []
        while isinstance(one := done.pop(0), Sent):
            replies.append(one)
        due = _due(message)
        assert due is None or len(replies) == due
        for reply in replies:
            assert reply.retain is False
            assert reply.properties is not None
            assert reply.properties.correlation_data == message.get("correlation_data")
            assert ("error_code" in reply.body) is (_schema(reply) == "action-rejected")
            assert not (message.get("retain") and "action_id" in reply.body)
    assert not done


def _due(message: dict[str, Any]) -> int | None:
    """Return how many replies a message is due; None where a reply's topic may be one that MQTT forbids."""
    topic = message["topic"]
    lock_id = topic.removeprefix(f"{BASE}/locks/").removesuffix("/actions")
    if topic != f"{BASE}/locks/{lock_id}/actions" or "/" in lock_id:
        return None if topic.startswith(f"{BASE}/rpc/") else 0
    if message.get("retain") and not message["payload"]:
        return 0
    return None if set(lock_id) & set("+#") else 1


def _schema(sent: Sent) -> str | None:
    return dict(sent.properties.user).get("schema") if sent.properties else None
