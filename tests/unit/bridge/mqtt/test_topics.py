"""The names of topics, and where replies may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Code, Refused
from bridge.mqtt.topics import METHODS, Address, Topics

TOPICS = Topics("lockbridge/g1", ("lockbridge/", "apps/replies/"))


def test_the_filters_are_those_of_the_interface():
    assert TOPICS.actions == "lockbridge/g1/locks/+/actions"
    assert TOPICS.barriers == "lockbridge/g1/barrier/+"
    assert TOPICS.status == "lockbridge/g1/status"
    assert TOPICS.rpc == (
        "lockbridge/g1/rpc/action_attempts/get",
        "lockbridge/g1/rpc/action_attempts/list",
        "lockbridge/g1/rpc/locks/list",
        "lockbridge/g1/rpc/locks/get",
        "lockbridge/g1/rpc/events/list",
        "lockbridge/g1/rpc/locks/simulate/keypad_code_entry",
        "lockbridge/g1/rpc/locks/simulate/manual_lock_via_keypad",
    )


def test_a_locks_topics_are_those_of_the_interface():
    assert TOPICS.action("front_door") == "lockbridge/g1/locks/front_door/actions"
    assert TOPICS.action_reply("front_door") == "lockbridge/g1/locks/front_door/actions/reply"
    assert TOPICS.state("front_door") == "lockbridge/g1/locks/front_door/state"


def test_an_event_of_a_lock_names_it_and_one_of_the_bridge_does_not():
    assert TOPICS.event("lock.locked", "front_door") == "lockbridge/g1/events/lock.locked/front_door"
    assert TOPICS.event("bridge.journal_reset", None) == "lockbridge/g1/events/bridge.journal_reset"


def test_an_answer_has_its_default_topic():
    assert TOPICS.rpc_reply("locks/list") == "lockbridge/g1/rpc/locks/list/reply"


def test_no_topic_has_more_than_seven_slashes():
    longest = [
        TOPICS.action_reply("front_door"),
        TOPICS.event("action_attempt.unlock_door.succeeded", "front_door"),
        TOPICS.rpc_reply("action_attempts/list"),
        TOPICS.barrier("00ff"),
    ]
    assert max(topic.count("/") for topic in longest) <= 7


@pytest.mark.parametrize(
    ("topic", "address"),
    [
        ("lockbridge/g1/locks/front_door/actions", Address("action", "front_door")),
        ("lockbridge/g1/locks//actions", Address("action", "")),
        ("lockbridge/g1/barrier/00ff", Address("barrier", "00ff")),
        *[(f"lockbridge/g1/rpc/{method}", Address("rpc", method)) for method in METHODS],
    ],
)
def test_what_the_bridge_listens_to_is_recognised(topic, address):
    assert TOPICS.read(topic) == address


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "lockbridge/g1",
        "lockbridge/g2/locks/front_door/actions",
        "other/lockbridge/g1/locks/front_door/actions",
        "lockbridge/g1x/locks/front_door/actions",
        "lockbridge/g1/locks/front_door/actions/reply",
        "lockbridge/g1/locks/front_door/state",
        "lockbridge/g1/locks/front/door/actions",
        "lockbridge/g1/barrier/00/ff",
        "lockbridge/g1/rpc/locks/delete",
        "lockbridge/g1/rpc",
        "lockbridge/g1/status",
    ],
)
def test_anything_else_is_not(topic):
    assert TOPICS.read(topic) is None


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1))
def test_a_lock_or_a_mark_is_read_back_from_its_own_topic(name):
    assert TOPICS.read(TOPICS.action(name)) == Address("action", name)
    assert TOPICS.read(TOPICS.barrier(name)) == Address("barrier", name)


@pytest.mark.parametrize(
    "topic",
    [
        "apps/replies/7f",
        "lockbridge/clients/door-app",
        "lockbridge/g1/clients/door-app",
        "lockbridge/g1/locks/front_door/replies",
    ],
)
def test_a_reply_may_go_where_nobody_else_is_hurt(topic):
    TOPICS.check_response(topic)


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("", "wildcard"),
        ("lockbridge/#", "wildcard"),
        ("lockbridge/+/replies", "wildcard"),
        ("apps/replies/a+b", "wildcard"),
        ("apps/replies/\0", "wildcard"),
        ("elsewhere", "prefixes"),
        ("apps/other", "prefixes"),
        ("lockbridge", "prefixes"),
        ("$SYS/broker", "prefixes"),
        ("/lockbridge/replies", "prefixes"),
        (TOPICS.action("front_door"), "itself"),
        (TOPICS.action("no_such_lock"), "itself"),
        (TOPICS.state("front_door"), "itself"),
        (TOPICS.action_reply("front_door"), "itself"),
        (TOPICS.rpc_reply("locks/list"), "itself"),
        (TOPICS.status, "itself"),
        (TOPICS.barrier("00ff"), "itself"),
        (TOPICS.event("lock.locked", "front_door"), "itself"),
        (TOPICS.event("bridge.journal_reset", None), "itself"),
        *[(topic, "itself") for topic in TOPICS.rpc],
    ],
)
def test_a_reply_may_go_nowhere_else(topic, reason):
    with pytest.raises(Refused, match=reason) as caught:
        TOPICS.check_response(topic)
    assert caught.value.code is Code.INVALID_REQUEST


@pytest.mark.parametrize(("discovery_prefix", "refused"), [("homeassistant", True), (None, False)])
def test_a_reply_may_not_pass_for_an_announcement(discovery_prefix, refused):
    topics = Topics("lockbridge/g1", ("",), discovery_prefix)
    topic = "homeassistant/lock/g1/config"
    if refused:
        with pytest.raises(Refused, match="itself"):
            topics.check_response(topic)
    else:
        topics.check_response(topic)
