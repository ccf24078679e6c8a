"""Commands from the broker: each answered, then acknowledged, then carried out."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge import crash
from bridge.errors import StorageUnavailable
from tests.support.fake_connection import Acked, Sent
from tests.support.house import BASE, FRONT, TTL, House, until

ACTIONS = f"{BASE}/locks/{FRONT}/actions"
REPLY = f"{ACTIONS}/reply"
MINE = "lockbridge/replies/me"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path) as house:
        yield house


async def exchange(connection, payload, topic=ACTIONS, **fields):
    """Deliver a command and return the reply, once the command is acknowledged."""
    before = len(connection.done)
    packet = connection.deliver(topic, payload, **fields)
    await until(lambda: packet in connection.acked)
    done = connection.done[before : connection.done.index(Acked(packet))]
    (reply,) = [one for one in done if isinstance(one, Sent) and (one.topic.endswith("/reply") or one.topic == MINE)]
    return reply


async def unwritable():
    raise StorageUnavailable("It is full.")


class TestTheOrder:
    async def test_journal_then_reply_then_puback_then_execution(self, house, monkeypatch):
        order = []
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            monkeypatch.setattr(crash, "point", lambda name: order.append((name, len(house.movements), progress())))

            def progress():
                replies = len(connection.on(REPLY))
                states = [state for (state,) in life.rows("SELECT state FROM attempt")]
                return *states, replies, len(connection.acked)

            connection.deliver(ACTIONS, {"action": "unlock"})
            await until(lambda: "after_outcome" in [name for name, *_ in order])
        assert order[:8] == [
            ("before_accept", 0, (0, 0)),
            ("after_accept", 0, ("accepted", 0, 0)),
            ("before_puback", 0, ("accepted", 1, 0)),
            ("after_puback", 0, ("accepted", 1, 1)),
            ("before_commit", 0, ("accepted", 1, 1)),
            ("after_commit", 0, ("committed", 1, 1)),
            ("before_outcome", 1, ("committed", 1, 1)),
            ("after_outcome", 1, ("confirmed", 1, 1)),
        ]

    @pytest.mark.parametrize(
        ("payload", "fields"),
        [
            ({"action": "unlock"}, {}),
            (b"{", {}),
            ({"action": "dance"}, {}),
            ({"action": "unlock"}, {"retain": True}),
            ({"action": "unlock"}, {"response_topic": "elsewhere"}),
            ({"action": "unlock"}, {"expires_in": 0}),
            ({"action": "unlock"}, {"topic": f"{BASE}/locks/cellar/actions"}),
        ],
    )
    async def test_every_command_is_acknowledged_once_after_its_reply(self, house, payload, fields):
        async with house.life() as life:
            connection = life.connect()
            await exchange(connection, payload, **fields)
            await anyio.sleep(5)
            assert len(connection.acked) == 1

    async def test_what_cannot_be_recorded_is_refused_and_acknowledged(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            with life.unwritable():
                reply = await exchange(connection, {"action": "unlock"})
                assert reply.body["error_code"] == "STORAGE_UNAVAILABLE"
                await anyio.sleep(60)
        assert not house.movements

    @pytest.mark.parametrize(("name", "acked"), [("after_accept", 0), ("before_puback", 0), ("after_puback", 1)])
    async def test_dying_before_the_execution_loses_no_command(self, house, name, acked):
        async with house.last_moments(name) as life:
            connection = life.connect()
            packet = connection.deliver(ACTIONS, {"action": "unlock"}, packet_id=7)
        assert len(connection.acked) == acked
        async with house.life() as life:
            again = life.connect(session_present=True)
            if not acked:
                reply = await exchange(again, {"action": "unlock"}, packet_id=packet, dup=True, expires_in=10)
                assert reply.body["replayed"] is True
            await until(lambda: life.rows("SELECT state FROM attempt") == [("confirmed",)])
        assert len(house.movements) == 1

    async def test_a_connection_lost_while_a_command_is_recorded_does_not_lose_it(self, house):
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: connection.subscriptions)
            house.disk_delay = 0.1
            connection.deliver(ACTIONS, {"action": "unlock"})
            await until(lambda: life.rows("SELECT state FROM attempt"))
            connection.lose()
            house.disk_delay = 0
            await until(lambda: life.rows("SELECT state FROM attempt") == [("confirmed",)])
        assert len(house.movements) == 1


class TestReplies:
    @pytest.mark.parametrize("custom", [{}, {"custom_id": "req_98aa221"}])
    async def test_an_accepted_command_is_answered_with_the_seeds_keys(self, house, custom):
        async with house.life() as life:
            reply = await exchange(life.connect(), {"action": "unlock", **custom})
            (attempt,) = await life.bridge.journal.open_attempts()
        assert reply.topic == REPLY
        assert not reply.retain
        assert reply.body == {
            "action_id": attempt.action_id,
            "status": "pending",
            "lock_id": FRONT,
            "action": "unlock",
            **custom,
        }
        assert reply.properties.content_type == "application/json"
        assert dict(reply.properties.user) == {
            "schema": "action-accepted",
            "action_attempt_id": str(attempt.attempt_id),
            **custom,
        }

    async def test_a_response_topic_and_its_correlation_are_used(self, house):
        async with house.life() as life:
            fields = {"response_topic": MINE, "correlation_data": b"\x00\x01"}
            accepted = await exchange(life.connect(), {"action": "unlock"}, **fields)
            assert (accepted.topic, accepted.properties.correlation_data) == (MINE, b"\x00\x01")

    @pytest.mark.parametrize(
        ("fields", "extra"),
        [
            ({"response_topic": MINE}, {}),
            ({"correlation_data": b"7"}, {}),
            ({}, {"custom_id": "req_1", "action": "dance", "lock_id": FRONT}),
        ],
    )
    async def test_a_refusal_has_two_keys_and_what_it_is_recognised_by_where_nothing_else_tells(
        self, house, fields, extra
    ):
        async with house.life() as life:
            reply = await exchange(life.connect(), {"action": "dance", "custom_id": "req_1"}, **fields)
        assert reply.topic == fields.get("response_topic", REPLY)
        body = reply.body
        assert body.pop("message")
        assert body == {"error_code": "INVALID_ACTION", **extra}
        assert dict(reply.properties.user) == {"schema": "action-rejected"}

    @pytest.mark.parametrize(
        "topic",
        [
            "lockbridge/+/x",
            "lockbridge/#",
            "elsewhere/me",
            "",
            ACTIONS,
            f"{BASE}/locks/{FRONT}/state",
            f"{BASE}/status",
            f"{BASE}/events/x",
        ],
    )
    async def test_a_response_topic_that_may_not_be_used_refuses_the_command_on_the_default_one(self, house, topic):
        async with house.life() as life:
            reply = await exchange(life.connect(), {"action": "unlock"}, response_topic=topic)
            assert (reply.topic, reply.body["error_code"]) == (REPLY, "INVALID_REQUEST")
            await anyio.sleep(5)
        assert not house.movements

    async def test_a_reply_that_the_broker_would_not_take_holds_nothing_up(self, house):
        async with house.life() as life:
            connection = life.connect()
            connection.refused.add(REPLY)
            packet = connection.deliver(ACTIONS, {"action": "unlock"})
            await until(lambda: house.movements)
            assert packet in connection.acked


class TestRetained:
    async def test_a_retained_command_is_refused(self, house):
        async with house.life() as life:
            reply = await exchange(life.connect(), {"action": "unlock"}, retain=True)
            assert (reply.topic, reply.body["error_code"]) == (REPLY, "RETAINED_COMMAND")
            await anyio.sleep(5)
        assert not house.movements

    async def test_a_retained_command_that_is_cleared_is_nothing(self, house):
        async with house.life() as life:
            connection = life.connect()
            packet = connection.deliver(ACTIONS, b"", retain=True)
            await until(lambda: packet in connection.acked)
            assert not connection.on(REPLY)
            assert not life.rows("SELECT * FROM attempt")

    async def test_a_message_on_a_topic_of_nobody_is_acknowledged_and_nothing_else(self, house):
        async with house.life() as life:
            connection = life.connect()
            packet = connection.deliver(f"{BASE}/locks/{FRONT}/else", {"action": "unlock"})
            await until(lambda: packet in connection.acked)
            assert not life.rows("SELECT * FROM attempt")


class TestReplay:
    @pytest.mark.parametrize(
        ("body", "fields", "again"),
        [
            ({"custom_id": "req_1"}, {}, {}),
            ({}, {"response_topic": MINE, "correlation_data": b"7"}, {}),
            ({}, {"packet_id": 9}, {"dup": True}),
        ],
    )
    async def test_a_repetition_gets_the_same_reply_and_moves_nothing(self, house, body, fields, again):
        async with house.life() as life:
            connection = life.connect()
            payload = {"action": "unlock", **body}
            first = await exchange(connection, payload, **fields)
            connection.done.clear()
            second = await exchange(connection, payload, **fields, **again)
            assert second.body == {**first.body, "replayed": True}
            await until(lambda: life.rows("SELECT state FROM attempt") == [("confirmed",)])
            connection.done.clear()
            third = await exchange(connection, payload, **fields, **again)
            assert third.body == {**first.body, "status": "success", "replayed": True}
            await anyio.sleep(5)
        assert len(house.movements) == 1

    @pytest.mark.parametrize(
        ("fields", "again"),
        [
            ({"response_topic": MINE}, {}),
            ({"correlation_data": b"7"}, {}),
            ({"response_topic": MINE, "correlation_data": b"7"}, {"correlation_data": b"8"}),
            ({"packet_id": 9}, {}),
            ({"packet_id": 9}, {"packet_id": 10, "dup": True}),
            ({"packet_id": 0}, {"dup": True}),
        ],
    )
    async def test_what_only_looks_like_a_repetition_is_a_command_of_its_own(self, house, fields, again):
        async with house.life() as life:
            connection = life.connect()
            for each in (fields, fields | again):
                connection.deliver(ACTIONS, {"action": "unlock"}, **each)
            await until(lambda: len(life.rows("SELECT * FROM attempt")) == 2)

    @pytest.mark.parametrize(("packet", "moved"), [(9, 1), (10, 2)])
    async def test_what_a_broker_with_an_old_store_delivers_as_new_is_known_by_its_packet(self, house, packet, moved):
        async with house.life() as life:
            before = life.connect()
            await exchange(before, {"action": "unlatch"}, packet_id=9, expires_in=20)
            await until(lambda: life.rows("SELECT state FROM attempt") == [("confirmed",)])
            before.lose()
            reply = await exchange(
                life.connect(session_present=True, generation=2), {"action": "unlatch"}, packet_id=packet, expires_in=20
            )
            assert reply.body.get("replayed") == (True if moved == 1 else None)
            await anyio.sleep(5)
        assert len(house.movements) == moved

    async def test_after_a_restart_a_repetition_is_still_one(self, house):
        async with house.life() as life:
            await exchange(life.connect(), {"action": "unlock", "custom_id": "req_1"})
            await until(lambda: life.rows("SELECT state FROM attempt") == [("confirmed",)])
        house.clock.boot_id = "boot-2"
        async with house.life() as life:
            reply = await exchange(life.connect(), {"action": "unlock", "custom_id": "req_1"})
            assert (reply.body["status"], reply.body["replayed"]) == ("success", True)
            await anyio.sleep(5)
        assert len(house.movements) == 1


class TestBarrier:
    """What comes before the bridge's message to itself was queued while it was away."""

    async def known(self, house):
        """Begin the journal in a life before, in which nothing can have been queued."""
        async with house.life() as life:
            life.connect()
            await until(lambda: not life.bridge.journal.fresh)

    async def barrier(self, connection):
        await until(lambda: connection.on(f"{BASE}/barrier/"))
        return connection.on(f"{BASE}/barrier/")[0]

    @pytest.mark.parametrize(
        ("fields", "code"),
        [({}, "COMMAND_EXPIRED"), ({"expires_in": 10}, None), ({"expires_in": 0}, "COMMAND_EXPIRED")],
    )
    async def test_a_queued_command_is_taken_only_with_an_expiry(self, house, fields, code):
        await self.known(house)
        async with house.life() as life:
            reply = await exchange(life.connect(session_present=True), {"action": "unlock"}, **fields)
            assert reply.body.get("error_code") == code

    async def test_after_the_barrier_has_come_back_a_command_needs_none(self, house):
        await self.known(house)
        async with house.life() as life:
            connection = life.connect(session_present=True)
            barrier = await self.barrier(connection)
            for topic in (f"{BASE}/barrier/guessed", barrier.topic):
                reply = await exchange(connection, {"action": "unlock"})
                assert reply.body["error_code"] == "COMMAND_EXPIRED"
                connection.deliver(topic, b"")
                connection.done.clear()
            assert "action_id" in (await exchange(connection, {"action": "unlock"})).body

    async def test_a_barrier_that_never_comes_back_counts_as_passed_after_the_longest_time_to_live(self, house):
        await self.known(house)
        async with house.life() as life:
            connection = life.connect(session_present=True)
            await anyio.sleep(61)
            assert "action_id" in (await exchange(connection, {"action": "unlock"})).body

    async def test_a_journal_begun_anew_is_one_still_after_a_life_that_saw_no_barrier(self, house):
        async with house.life():
            pass
        async with house.life() as life:
            connection = life.connect(session_present=True)
            reply = await exchange(connection, {"action": "unlock"}, expires_in=50)
            assert reply.body["error_code"] == "COMMAND_EXPIRED"
            connection.deliver((await self.barrier(connection)).topic, b"")
            await until(lambda: not life.bridge.journal.fresh)
        async with house.life() as life:
            connection = life.connect(session_present=True)
            assert "action_id" in (await exchange(connection, {"action": "unlock"}, expires_in=50)).body

    async def test_a_journal_that_cannot_be_written_stays_begun_anew(self, house):
        async with house.life() as life:
            life.bridge.journal.settle = unwritable
            connection = life.connect()
            reply = await exchange(connection, {"action": "unlock"})
            assert "action_id" in reply.body
            assert life.bridge.journal.fresh

    async def test_in_a_new_session_nothing_was_queued(self, house):
        async with house.life() as life:
            connection = life.connect()
            assert "action_id" in (await exchange(connection, {"action": "unlock"})).body
            assert not connection.on(f"{BASE}/barrier/")

    @pytest.mark.parametrize("connections", [1, 2, 3])
    async def test_a_journal_begun_anew_takes_nothing_that_was_queued_until_a_barrier_comes_back(
        self, house, connections
    ):
        async with house.life() as life:
            for number in range(connections):
                # The generation counts the connections that failed, too.
                connection = life.connect(session_present=True, generation=number + 5)
                reply = await exchange(connection, {"action": "unlock"}, expires_in=30)
                assert reply.body["error_code"] == "COMMAND_EXPIRED"
                assert "begun anew" in reply.body["message"]
                if number + 1 < connections:
                    connection.lose()
            connection.deliver((await self.barrier(connection)).topic, b"")
            connection.done.clear()
            assert "action_id" in (await exchange(connection, {"action": "lock"}, expires_in=30)).body
            connection.lose()
            connection = life.connect(session_present=True, generation=20)
            assert "action_id" in (await exchange(connection, {"action": "unlock"}, expires_in=30)).body

    async def test_a_journal_begun_anew_forgets_nothing_that_a_new_session_brings(self, house):
        async with house.life() as life:
            connection = life.connect()
            await exchange(connection, {"action": "unlock"})
            connection.lose()
            connection = life.connect(session_present=True, generation=2)
            assert "action_id" in (await exchange(connection, {"action": "lock"}, expires_in=30)).body


async def test_a_commands_deadline_is_counted_from_its_arrival(house):
    async with house.life() as life:
        connection = life.connect()
        for fields, seconds in (({}, TTL), ({"expires_in": 5}, 5), ({"expires_in": 3600}, TTL)):
            await anyio.sleep(100)
            await exchange(connection, {"action": "unlock"}, **fields)
            ((deadline,),) = life.rows("SELECT deadline FROM attempt ORDER BY seq DESC LIMIT 1")
            assert deadline == pytest.approx(anyio.current_time() + seconds, abs=0.1)
            connection.done.clear()
