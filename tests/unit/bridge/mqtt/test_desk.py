"""Questions from the broker: acknowledged at once, and answered beside the commands."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge.mqtt.desk import MOST_WAITING, PACKET_BYTES
from bridge.mqtt.topics import METHODS
from tests.support.house import BASE, FRONT, House, until
from tests.support.records import make_event

ACTIONS = f"{BASE}/locks/{FRONT}/actions"
GET = f"{BASE}/rpc/locks/get"
LIST = f"{BASE}/rpc/action_attempts/list"
EVENTS = f"{BASE}/rpc/events/list"
MINE = "lockbridge/replies/me"
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


async def ask(connection, topic, payload, **fields):
    """Deliver a question and return its answer."""
    answers = f"{topic}/reply", MINE
    before = len(connection.on(*answers))
    packet = connection.deliver(topic, payload, **fields)
    await until(lambda: len(connection.on(*answers)) > before)
    assert packet in connection.acked
    return connection.on(*answers)[before]


class TestAnswers:
    @pytest.mark.parametrize("method", METHODS)
    async def test_every_method_is_answered_on_its_reply_topic(self, house, method):
        async with house.life() as life:
            connection = life.connect()
            answer = await ask(connection, f"{BASE}/rpc/{method}", {})
            assert answer.topic == f"{BASE}/rpc/{method}/reply"
            assert not answer.retain
            assert answer.properties.content_type == "application/json"
            expected = await life.bridge.questions.answer(method, {})
            assert answer.body["ok"] is expected.body["ok"]
            assert set(answer.body) == set(expected.body)
            assert answer.properties.user == (("schema", method if answer.body["ok"] else "error"),)

    @pytest.mark.parametrize(
        ("method", "fields"), [("keypad_code_entry", {"code": "1234"}), ("manual_lock_via_keypad", {})]
    )
    async def test_a_simulation_is_an_attempt_that_can_be_asked_for(self, house, method, fields):
        async with house.life() as life:
            connection = life.connect()
            answer = await ask(connection, f"{BASE}/rpc/locks/simulate/{method}", {"device_id": FRONT, **fields})
            attempt = answer.body["action_attempt"]
            assert attempt["action_type"] == f"SIMULATE_{method.upper()}"
            await until(lambda: house.lock.log)
            named = {"action_attempt_id": attempt["action_attempt_id"]}
            found = await ask(connection, f"{BASE}/rpc/action_attempts/get", named)
            assert found.body["action_attempt"]["action_attempt_id"] == attempt["action_attempt_id"]

    async def test_what_concerns_a_real_lock_cannot_be_asked_for_here(self):
        assert not any("configure" in method or "door" in method or "reset" in method for method in METHODS)

    async def test_a_response_topic_and_its_correlation_are_used(self, house):
        async with house.life() as life:
            fields = {"response_topic": MINE, "correlation_data": b"\x00\x01"}
            answer = await ask(life.connect(), GET, {"device_id": FRONT}, **fields)
            assert (answer.topic, answer.properties.correlation_data) == (MINE, b"\x00\x01")
            assert answer.body["device"]["custom_metadata"] == {"lock_id": FRONT}

    @pytest.mark.parametrize("topic", ["lockbridge/+/x", "elsewhere/me", "", f"{GET}/reply", ACTIONS])
    async def test_a_response_topic_that_may_not_be_used_is_answered_on_the_default_one(self, house, topic):
        async with house.life() as life:
            answer = await ask(life.connect(), GET, {"device_id": FRONT}, response_topic=topic, correlation_data=b"7")
            assert (answer.topic, answer.body["error"]["type"]) == (f"{GET}/reply", "invalid_input")
            assert answer.properties.correlation_data == b"7"

    @pytest.mark.parametrize("payload", [b"{", b"\xff", b'{"device_id": "a", "device_id": "b"}', b"[" * 5000, b"7"])
    async def test_what_cannot_be_read_is_told(self, house, payload):
        async with house.life() as life:
            answer = await ask(life.connect(), GET, payload)
            assert answer.body["error"]["type"] == "invalid_input"

    async def test_an_empty_question_asks_for_all(self, house):
        async with house.life() as life:
            answer = await ask(life.connect(), f"{BASE}/rpc/locks/list", b"")
            assert [lock["display_name"] for lock in answer.body["locks"]] == [FRONT]

    @pytest.mark.parametrize(("fields", "topic"), [({}, f"{GET}/reply"), ({"response_topic": MINE}, MINE)])
    async def test_a_retained_question_is_refused(self, house, fields, topic):
        async with house.life() as life:
            answer = await ask(life.connect(), GET, {"device_id": FRONT}, retain=True, **fields)
            assert (answer.topic, answer.body["error"]["type"]) == (topic, "retained_command")

    async def test_one_that_the_broker_would_not_take_holds_nothing_up(self, house):
        async with house.life() as life:
            connection = life.connect()
            connection.refused.add(f"{GET}/reply")
            connection.deliver(GET, {"device_id": FRONT})
            assert (await ask(connection, LIST, {})).body["ok"] is True

    async def test_a_journal_that_cannot_be_read_is_told(self, house):
        async with house.life() as life:
            connection = life.connect()
            life.rows("ALTER TABLE attempt RENAME TO a")
            answer = await ask(connection, LIST, {})
            assert answer.body["error"]["type"] == "storage_unavailable"
            life.rows("ALTER TABLE a RENAME TO attempt")
            assert (await ask(connection, LIST, {})).body["ok"] is True


class TestRoom:
    async def test_no_answer_is_longer_than_a_packet_and_nothing_is_lost(self, house):
        async with house.life() as life:
            connection = life.connect()
            await life.bridge.journal.tell([make_event(n=n, filling="x" * 400) for n in range(400)])
            found, cursor = [], {}
            while True:
                correlation = b"c" * 2000
                body = {"since": LONG_AGO, **cursor}
                answer = await ask(connection, EVENTS, body, response_topic=MINE, correlation_data=correlation)
                assert len(answer.payload) + len(correlation) + len(MINE) <= PACKET_BYTES
                found += [event["n"] for event in answer.body["events"]]
                if "pagination" not in answer.body:
                    break
                cursor = {"page_cursor": answer.body["pagination"]["next_page_cursor"]}
            assert found == list(range(400))


class TestBesideCommands:
    async def test_a_question_is_acknowledged_before_the_command_behind_it_and_keeps_it_waiting_for_nothing(
        self, house, monkeypatch
    ):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            never = anyio.Event()

            async def dawdle(*_args, **_fields):
                await never.wait()

            monkeypatch.setattr(type(life.bridge.questions), "answer", dawdle)
            packets = [connection.deliver(LIST, {}) for _ in range(3)]
            command = connection.deliver(ACTIONS, {"action": "unlock"})
            await until(lambda: house.movements)
            assert connection.acked == [*packets, command]
            assert not connection.on(f"{LIST}/reply")

    async def test_of_too_many_the_last_are_refused_at_once(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            house.disk_delay = 1.0
            number = MOST_WAITING + 5
            for each in range(number):
                connection.deliver(LIST, {}, correlation_data=b"%d" % each)
            await until(lambda: len(connection.on(f"{LIST}/reply")) == number)
            answers = connection.on(f"{LIST}/reply")
            refused = [one for one in answers if not one.body["ok"]]
            assert {one.body["error"]["type"] for one in refused} == {"rate_limited"}
            assert 4 <= len(refused) <= 5  # one may be under way
            assert answers[: len(refused)] == refused
            assert {one.properties.correlation_data for one in answers} == {b"%d" % each for each in range(number)}

    async def test_they_are_answered_in_the_order_in_which_they_came(self, house):
        async with house.life() as life:
            connection = life.connect()
            for each in range(8):
                connection.deliver(
                    LIST if each % 2 else GET, {"device_id": FRONT}, response_topic=MINE, correlation_data=b"%d" % each
                )
            await until(lambda: len(connection.on(MINE)) == 8)
            assert [one.properties.correlation_data for one in connection.on(MINE)] == [b"%d" % n for n in range(8)]

    async def test_a_command_that_is_asked_for_is_known_from_its_reply_on(self, house):
        async with house.life() as life:
            connection = life.connect()
            connection.deliver(ACTIONS, {"action": "unlock"})
            await until(lambda: connection.on(f"{ACTIONS}/reply"))
            known = dict(connection.on(f"{ACTIONS}/reply")[0].properties.user)["action_attempt_id"]
            answer = await ask(connection, f"{BASE}/rpc/action_attempts/get", {"action_attempt_id": known})
            assert answer.body["action_attempt"]["action_attempt_id"] == known
            assert answer.body["action_attempt"]["status"] in ("pending", "success")

    async def test_what_waits_when_the_connection_ends_is_forgotten(self, house):
        async with house.life() as life:
            first = life.connect()
            await until(lambda: first.subscriptions)
            house.disk_delay = 1.0
            first.deliver(LIST, {})
            packet = first.deliver(LIST, {})
            await until(lambda: packet in first.acked)
            first.lose()
            house.disk_delay = 0.0
            second = life.connect(generation=2)
            assert (await ask(second, LIST, {})).body["ok"] is True
            assert not first.on(LIST)
            assert len(second.on(LIST)) == 1
