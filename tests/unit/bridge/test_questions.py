"""Questions and their answers, from a bridge with two virtual locks."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import anyio
import pytest
import trio.testing
from jsonschema import Draft202012Validator

from bridge import events
from bridge.ble.radio import Absence
from bridge.mqtt.topics import QUESTIONS
from bridge.wire import text
from tests.support.clock import NOON
from tests.support.house import BACK, FRONT, House
from tests.unit.bridge.wire import seeds

LONG_AGO = "2020-01-01T00:00:00Z"
NOBODY = "3f2b1c8d-1b5e-4f8c-9c7d-9a8b7c6d5e4f"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        yield house


@pytest.fixture
async def life(house):
    async with house.life() as life:
        yield life


@pytest.fixture
def ask(life):
    """Asks, and returns the body of an answer that is one."""

    async def ask(method, room=None, **body):
        answer = await life.bridge.questions.answer(method, body, room=room)
        assert (answer.status, answer.body["ok"]) == (200, True), answer.body
        assert UUID(answer.request_id)
        text.encode(answer.body)
        return answer.body

    return ask


@pytest.fixture
def objection(life):
    """Asks, and returns why there is no answer."""

    async def objection(method, /, **body):
        answer = await life.bridge.questions.answer(method, body)
        error = answer.body["error"]
        assert answer.body == {"error": error, "ok": False}
        assert error["request_id"] == answer.request_id
        assert error["message"].endswith(".")
        return answer.status, error

    return objection


def check(value, schema):
    Draft202012Validator(schema).validate(value)


def uuid_of(life, lock_id=FRONT):
    return str(life.bridge.identity.device_id(lock_id))


async def pages(ask, method, key, **body):
    """Every page of a list."""
    found, cursor = [], {}
    while True:
        page = await ask(method, **body, **cursor)
        found.append(page[key])
        pagination = page.get("pagination", {"has_next_page": False})
        if not pagination["has_next_page"]:
            return found
        cursor = {"page_cursor": pagination["next_page_cursor"]}


class TestAnAttempt:
    async def test_is_told_as_it_stands(self, house, life, ask):
        receipt = await life.submit(custom_id="req_1")
        known = str(receipt.attempt.attempt_id)
        pending = (await ask("action_attempts/get", action_attempt_id=known))["action_attempt"]
        assert pending["status"] == "pending"
        await life.ended(receipt)
        for name in (known, known.upper(), receipt.attempt.action_id):
            body = await ask("action_attempts/get", action_attempt_id=name)
            assert body == {
                "action_attempt": {
                    "action_attempt_id": known,
                    "action_type": "UNLOCK_DOOR",
                    "status": "success",
                    "result": {"was_confirmed_by_device": True},
                    "error": None,
                },
                "ok": True,
            }
            check(body["action_attempt"], seeds.ATTEMPT_OBJECT)

    async def test_that_there_is_not_is_named(self, objection):
        status, error = await objection("action_attempts/get", action_attempt_id=NOBODY)
        assert (status, error["type"]) == (404, "action_attempt_not_found")
        assert error["data"] == {"action_attempt_id": NOBODY}

    async def test_has_to_be_named(self, objection):
        status, error = await objection("action_attempts/get")
        assert (status, error["type"]) == (400, "invalid_input")
        assert error["validation_errors"] == {"_errors": [], "action_attempt_id": {"_errors": ["Field required"]}}


class TestAttempts:
    @pytest.fixture
    async def made(self, life):
        """Three attempts, the second of them at the back door."""
        commands = (("unlock", FRONT), ("unlock", BACK), ("lock", FRONT))
        return [str((await life.perform(*command)).attempt_id) for command in commands]

    async def ids(self, ask, **body):
        listed = await pages(ask, "action_attempts/list", "action_attempts", **body)
        return [[attempt["action_attempt_id"] for attempt in page] for page in listed]

    async def test_none_yet(self, ask):
        assert await ask("action_attempts/list", _strict=True) == {
            "action_attempts": [],
            "pagination": {"next_page_cursor": None, "has_next_page": False, "next_page_url": None},
            "ok": True,
        }

    async def test_all_are_listed_the_latest_first(self, ask, made):
        assert await self.ids(ask) == [made[::-1]]
        for attempt in (await ask("action_attempts/list"))["action_attempts"]:
            check(attempt, seeds.ATTEMPT_OBJECT)

    async def test_those_of_a_lock_by_either_of_its_ids(self, life, ask, made):
        for name in (FRONT, uuid_of(life), uuid_of(life).upper()):
            assert await self.ids(ask, device_id=name) == [[made[2], made[0]]]

    async def test_those_that_are_named_in_that_order(self, ask, made):
        wanted = [made[1], NOBODY, made[2].upper(), made[1], made[0]]
        assert await self.ids(ask, action_attempt_ids=wanted) == [[made[1], made[2], made[0]]]
        assert await self.ids(ask, action_attempt_ids=wanted, device_id=FRONT) == [[made[2], made[0]]]
        assert await self.ids(ask, action_attempt_ids=[]) == [[]]

    @pytest.mark.parametrize("limit", [1, 2])
    async def test_page_by_page(self, ask, made, limit):
        latest = made[::-1]
        expected = [latest[begin : begin + limit] for begin in range(0, 3, limit)]
        assert await self.ids(ask, limit=limit) == expected
        assert await self.ids(ask, limit=limit, action_attempt_ids=latest) == expected

    async def test_a_page_of_which_none_is_there_is_not_the_end(self, ask, made):
        assert await self.ids(ask, limit=1, action_attempt_ids=[NOBODY, made[0]]) == [[], [made[0]]]

    async def test_what_comes_meanwhile_moves_no_page(self, life, ask, made):
        first = await ask("action_attempts/list", limit=2)
        await life.perform("lock")
        rest = await ask("action_attempts/list", limit=2, page_cursor=first["pagination"]["next_page_cursor"])
        assert [attempt["action_attempt_id"] for attempt in rest["action_attempts"]] == made[:1]

    async def test_a_cursor_belongs_to_its_question(self, ask, objection, made):
        cursor = (await ask("action_attempts/list", limit=1))["pagination"]["next_page_cursor"]
        status, error = await objection("action_attempts/list", limit=2, page_cursor=cursor)
        assert (status, error["type"]) == (400, "mismatched_page_parameters")

    async def test_a_list_that_has_no_room_goes_on_on_the_next_page(self, ask, made):
        for body in ({}, {"action_attempt_ids": made[::-1]}):
            room = 1024 + 400  # for two
            first = await ask("action_attempts/list", room=room, **body)
            assert len(text.encode(first)) <= room
            assert len(first["action_attempts"]) == 2
            cursor = first["pagination"]["next_page_cursor"]
            rest = await ask("action_attempts/list", room=room, page_cursor=cursor, **body)
            both = first["action_attempts"] + rest["action_attempts"]
            assert [attempt["action_attempt_id"] for attempt in both] == made[::-1]
            assert not rest["pagination"]["has_next_page"]

    async def test_of_a_lock_that_there_is_not(self, objection):
        status, error = await objection("action_attempts/list", device_id="cellar")
        assert (status, error["type"], error["data"]) == (404, "device_not_found", {"device_id": "cellar"})


class TestLocks:
    async def test_one_by_any_of_its_names(self, life, ask):
        await life.perform()
        for body in (
            {"device_id": FRONT},
            {"device_id": uuid_of(life)},
            {"name": FRONT},
            {"device_id": FRONT, "name": FRONT},
        ):
            found = await ask("locks/get", **body)
            assert found["lock"] == found["device"]
            assert found["device"]["device_id"] == uuid_of(life)
            assert found["device"]["properties"]["locked"] is False
            assert found["device"]["custom_metadata"] == {"lock_id": FRONT}

    @pytest.mark.parametrize("body", [{"device_id": "cellar"}, {"name": "cellar"}, {"device_id": FRONT, "name": BACK}])
    async def test_one_that_there_is_not(self, objection, body):
        status, error = await objection("locks/get", **body)
        assert (status, error["type"]) == (404, "device_not_found")

    async def test_one_has_to_be_named(self, objection):
        assert (await objection("locks/get"))[1]["type"] == "invalid_input"

    async def test_what_is_no_longer_known_of_one_is_left_out(self, life, ask):
        await life.perform()
        life.states.lost(FRONT, Absence.OUT_OF_RANGE)
        device = (await ask("locks/get", device_id=FRONT))["device"]
        assert device["properties"]["online"] is False
        assert not {"locked", "door_open"} & set(device["properties"])
        assert [error["error_code"] for error in device["errors"]] == ["device_disconnected"]

    async def names(self, ask, **body):
        found = await ask("locks/list", **body)
        assert found["locks"] == found["devices"]
        return [lock["custom_metadata"]["lock_id"] for lock in found["locks"]]

    async def test_all_in_the_order_of_the_configuration(self, ask):
        assert await self.names(ask) == [FRONT, BACK]
        assert set(await ask("locks/list")) == {"locks", "devices", "ok"}

    async def test_those_that_are_asked_for(self, life, ask):
        account = str(life.bridge.identity.connected_account_id)
        assert await self.names(ask, device_ids=[uuid_of(life, BACK)]) == [BACK]
        assert await self.names(ask, device_ids=[BACK, "cellar"]) == [BACK]
        for everything in (
            {"device_type": "nuki_lock"},
            {"device_types": ["nuki_lock", "yale_lock"]},
            {"manufacturer": "nuki"},
            {"connected_account_id": account},
            {"connected_account_ids": [account]},
        ):
            assert await self.names(ask, **everything) == [FRONT, BACK]
            nothing = {name: [NOBODY] if isinstance(value, list) else NOBODY for name, value in everything.items()}
            assert await self.names(ask, **nothing) == []

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"search": "FRONT"}, [FRONT]),
            ({"search": "ron"}, [FRONT]),
            ({"search": ""}, [FRONT, BACK]),
            ({"search": "cellar"}, []),
            ({"custom_metadata_has": {"lock_id": BACK}}, [BACK]),
            ({"custom_metadata_has": {"lock_id": BACK, "room": None}}, [BACK]),
            ({"custom_metadata_has": {"lock_id": BACK, "room": "hall"}}, []),
            ({"custom_metadata_has": {"lock_id": None}}, []),
            ({"created_before": LONG_AGO}, []),
            ({"created_before": "2999-01-01T00:00:00Z"}, [FRONT, BACK]),
            ({"customer_key": "me"}, []),
            ({"space_id": NOBODY, "device_ids": [FRONT]}, []),
        ],
    )
    async def test_those_that_are_searched_for(self, ask, body, expected):
        assert await self.names(ask, **body) == expected
        listed = await ask("devices/list", **body)
        assert [device["custom_metadata"]["lock_id"] for device in listed["devices"]] == expected

    async def test_those_whose_identity_begins_so(self, life, ask):
        front = uuid_of(life)
        for word in (front, front[:4], front[:9].upper()):
            assert await self.names(ask, search=word) == [FRONT]
        assert await self.names(ask, search=front[:3]) == []
        assert await self.names(ask, search=front[1:]) == []
        assert await self.names(ask, search=str(life.bridge.identity.connected_account_id)[:8]) == [FRONT, BACK]

    async def test_page_by_page(self, ask):
        listed = await pages(ask, "locks/list", "devices", limit=1)
        assert [[lock["custom_metadata"]["lock_id"] for lock in page] for page in listed] == [[FRONT], [BACK]]

    async def test_a_list_that_has_no_room_goes_on_on_the_next_page(self, ask):
        first = await ask("locks/list", room=4096)
        assert len(text.encode(first)) <= 4096
        cursor = first["pagination"]["next_page_cursor"]
        rest = await ask("locks/list", room=4096, page_cursor=cursor)
        assert [lock["display_name"] for lock in first["locks"] + rest["locks"]] == [FRONT, BACK]
        assert "pagination" not in rest

    async def test_they_are_known_since_the_bridge_was_first_started(self, house):
        created = []
        for _ in range(2):
            async with house.life() as life:
                answer = await life.bridge.questions.answer("locks/get", {"device_id": FRONT})
                created.append(answer.body["device"]["created_at"])
            await anyio.sleep(100)
        assert created[0] == created[1]


class TestEvents:
    SHAPES = ("action_attempt.unlock_door.succeeded", "lock.unlocked")

    async def types(self, ask, **body):
        return [event["event_type"] for event in (await ask("events/list", **body))["events"]]

    async def test_those_in_seams_shape_as_they_were_told(self, life, ask):
        await life.perform()
        found = await ask("events/list", since=LONG_AGO)
        assert set(found) == {"events", "ok"}
        assert found["events"] == [event for event in life.events if event["event_type"] in self.SHAPES]
        check(found["events"][0], seeds.EVENT)

    async def test_the_device_makers_where_it_is_named(self, life, ask):
        await life.perform()
        (completed,) = (await ask("events/list", since=LONG_AGO, event_type="lock.action_completed"))["events"]
        assert completed["device_id"] == FRONT
        by_id = {"event_ids": [completed["event_id"].upper()]}
        assert (await ask("events/list", since=LONG_AGO, **by_id))["events"] == [completed]

    async def test_those_after_the_last_one_that_is_known(self, life, ask):
        await life.perform("unlock")
        last = (await ask("events/list", since=LONG_AGO))["events"][-1]
        assert await self.types(ask, since=last["created_at"]) == []
        await life.perform("lock")
        expected = ["action_attempt.lock_door.succeeded", "lock.locked"]
        assert await self.types(ask, since=last["created_at"]) == expected
        assert await self.types(ask, between=[LONG_AGO, last["created_at"]]) == []
        later = text.milliseconds(NOON + timedelta(days=1))
        assert await self.types(ask, between=[last["created_at"], later]) == expected

    async def test_by_lock_and_type(self, life, ask):
        await life.perform()
        await life.perform(lock_id=BACK)
        for device in ({"device_id": BACK}, {"device_id": uuid_of(life, BACK)}, {"device_ids": [uuid_of(life, BACK)]}):
            found = (await ask("events/list", since=LONG_AGO, **device))["events"]
            assert {event["device_id"] for event in found} == {uuid_of(life, BACK)}
            assert len(found) == 2
        assert await self.types(ask, since=LONG_AGO, event_type="lock.unlocked") == ["lock.unlocked"] * 2
        assert await self.types(ask, since=LONG_AGO, event_type="lock.locked", event_types=["lock.unlocked"]) == []
        assert await self.types(ask, since=LONG_AGO, event_types=[]) == []

    async def test_page_by_page(self, life, ask):
        await life.perform("unlock")
        await life.perform("lock")
        everything = await pages(ask, "events/list", "events", since=LONG_AGO)
        assert [len(page) for page in everything] == [4]
        for limit in (1, 3):
            listed = await pages(ask, "events/list", "events", since=LONG_AGO, limit=limit)
            assert [event for page in listed for event in page] == everything[0]
            assert max(map(len, listed)) == limit

    async def test_a_list_that_has_no_room_goes_on_on_the_next_page(self, life, ask):
        await life.perform("unlock")
        first = await ask("events/list", room=1024, since=LONG_AGO)
        assert len(first["events"]) == 1
        cursor = first["pagination"]["next_page_cursor"]
        rest = await ask("events/list", since=LONG_AGO, page_cursor=cursor)
        assert [event["event_type"] for event in rest["events"]] == ["lock.unlocked"]

    async def test_from_an_offset_on(self, life, ask):
        for action in ("unlock", "lock", "unlock"):
            await life.perform(action)
        (everything,) = await pages(ask, "events/list", "events", since=LONG_AGO)
        for offset in range(len(everything) + 2):
            listed = await pages(ask, "events/list", "events", since=LONG_AGO, unstable_offset=offset, limit=2)
            assert [event for page in listed for event in page] == everything[offset:]

    async def test_of_an_account(self, life, ask):
        identity = life.bridge.identity
        await life.bridge.journal.tell([events.of_bridge("bridge.radio_failed", identity, NOON, {})])
        await life.perform("unlock")
        account = str(identity.connected_account_id)
        everything = await self.types(ask, since=LONG_AGO)
        assert everything == ["bridge.radio_failed", *(ours := list(self.SHAPES))]
        for body in (
            {"connected_account_id": account},
            {"connected_account_id": account.upper()},
            {"connected_account_ids": [NOBODY, account]},
        ):
            assert await self.types(ask, since=LONG_AGO, **body) == ours
        for body in (
            {"connected_account_id": NOBODY},
            {"connected_account_id": account, "connected_account_ids": [NOBODY]},
            {"connected_account_ids": []},
        ):
            assert await self.types(ask, since=LONG_AGO, **body) == []

    @pytest.mark.parametrize("body", [{"customer_key": "me"}, {"space_ids": [NOBODY]}, {"access_code_ids": []}])
    async def test_none_by_what_there_is_not_here(self, life, ask, objection, body):
        await life.perform("unlock")
        assert await self.types(ask, since=LONG_AGO, **body) == []
        status, _ = await objection("events/list", since=LONG_AGO, device_id="cellar", **body)
        assert status == 404

    async def test_a_time_has_to_be_given(self, objection):
        status, error = await objection("events/list")
        assert (status, error["type"]) == (400, "invalid_input")
        assert error["validation_errors"] == {"_errors": ['"since" or "between" is required']}

    async def test_of_a_lock_that_there_is_not(self, objection):
        status, error = await objection("events/list", since=LONG_AGO, device_ids=[FRONT, "cellar"])
        assert (status, error["type"]) == (404, "device_not_found")


@pytest.mark.parametrize("method", QUESTIONS)
async def test_a_misspelt_field_is_refused(objection, method):
    status, error = await objection(method, devise_id=FRONT)
    assert (status, error["type"]) == (400, "invalid_input")
    assert "devise_id" in error["validation_errors"]


async def test_there_are_no_other_methods(objection):
    status, error = await objection("locks/unlock_door", device_id=FRONT)
    assert (status, error["type"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("action_attempts/get", {"action_attempt_id": NOBODY}),
        ("action_attempts/list", {}),
        ("action_attempts/list", {"action_attempt_ids": [NOBODY]}),
        ("events/list", {"since": LONG_AGO}),
    ],
)
async def test_a_journal_that_cannot_be_read_is_told(life, objection, method, body):
    life.rows("ALTER TABLE attempt RENAME TO a")
    life.rows("ALTER TABLE event RENAME TO e")
    try:
        status, error = await objection(method, **body)
        assert (status, error["type"]) == (503, "storage_unavailable")
        assert "no such table" not in str(error)
    finally:
        life.rows("ALTER TABLE a RENAME TO attempt")
        life.rows("ALTER TABLE e RENAME TO event")


async def test_a_question_changes_nothing(life, ask):
    await life.perform()
    before = list(life.bridge.journal._store._connection.iterdump())
    await ask("action_attempts/list")
    await ask("events/list", since=LONG_AGO)
    await ask("locks/list")
    assert list(life.bridge.journal._store._connection.iterdump()) == before


class TestADevice:
    async def test_is_a_lock_by_another_name_and_has_pages(self, life, ask):
        (locks,) = await pages(ask, "locks/list", "devices")
        assert [device for page in await pages(ask, "devices/list", "devices", limit=1) for device in page] == locks
        assert (await ask("devices/get", device_id=BACK))["device"] == locks[1]
        assert (await ask("devices/list"))["pagination"]["has_next_page"] is False


class TestAnEvent:
    async def test_is_got_by_its_identity_whatever_it_is(self, life, ask):
        await life.perform("unlock", FRONT)
        (events,) = await pages(ask, "events/list", "events", since=LONG_AGO, event_type="lock.action_completed")
        known = events[0]["event_id"]
        assert (await ask("events/get", event_id=known.upper()))["event"] == events[0]

    async def test_is_else_the_latest_of_its_kind_in_seams_shape(self, life, ask):
        await life.perform("unlock", FRONT)
        await life.perform("lock", BACK)
        assert (await ask("events/get", device_id=FRONT))["event"]["event_type"] == "lock.unlocked"
        latest = (await ask("events/get", event_type="action_attempt.lock_door.succeeded"))["event"]
        assert latest["device_id"] == uuid_of(life, BACK)

    async def test_that_there_is_not_is_named(self, objection):
        status, error = await objection("events/get", event_id=NOBODY)
        assert (status, error["type"], error["data"]) == (404, "event_not_found", {"event_id": NOBODY})


async def test_the_workspace_is_the_bridge(life, ask):
    workspace = (await ask("workspaces/get"))["workspace"]
    assert workspace["workspace_id"] == str(life.bridge.identity.workspace_id)
    assert (workspace["name"], workspace["is_sandbox"]) == ("g1", True)


class TestWhoKnowsOneLock:
    @pytest.fixture
    async def told(self, life):
        """Asks as who knows of the front door alone, after both doors were unlocked."""
        self.hidden = await life.perform("unlock", BACK)
        self.shown = await life.perform("unlock", FRONT)

        async def told(method, **body):
            return (await life.bridge.questions.answer(method, body, known=frozenset([FRONT]))).body

        return told

    async def test_is_told_of_no_other(self, life, told):
        front = uuid_of(life)
        assert [device["device_id"] for device in (await told("devices/list"))["devices"]] == [front]
        assert [device["device_id"] for device in (await told("locks/list"))["locks"]] == [front]
        attempts = (await told("action_attempts/list"))["action_attempts"]
        assert [attempt["action_attempt_id"] for attempt in attempts] == [str(self.shown.attempt_id)]
        both = [str(self.hidden.attempt_id), str(self.shown.attempt_id)]
        attempts = (await told("action_attempts/list", action_attempt_ids=both))["action_attempts"]
        assert [attempt["action_attempt_id"] for attempt in attempts] == both[1:]
        events = (await told("events/list", since=LONG_AGO))["events"]
        assert {event["device_id"] for event in events} == {front}
        assert (await told("events/get", event_type="lock.unlocked"))["event"]["device_id"] == front

    @pytest.mark.parametrize(
        ("method", "body"),
        [
            ("locks/get", {"device_id": BACK}),
            ("devices/get", {"name": BACK}),
            ("action_attempts/list", {"device_id": BACK}),
            ("events/list", {"since": LONG_AGO, "device_ids": [FRONT, BACK]}),
            ("events/get", {"device_id": BACK}),
        ],
    )
    async def test_is_told_that_there_is_no_other(self, told, method, body):
        assert (await told(method, **body))["error"]["type"] == "device_not_found"

    async def test_is_told_that_others_attempts_and_events_are_not_there(self, life, told):
        missing = await told("action_attempts/get", action_attempt_id=self.hidden.action_id)
        assert missing["error"]["type"] == "action_attempt_not_found"
        (event_id,) = life.rows(f"SELECT event_id FROM event WHERE lock_id = '{BACK}' LIMIT 1")[0]
        assert (await told("events/get", event_id=event_id))["error"]["type"] == "event_not_found"
