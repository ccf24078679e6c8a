import pytest
import trio.testing

from bridge.tasks import METHODS, UNSUPPORTED
from drivers.base import Capabilities, LockState, Method
from drivers.nuki import NukiDriver
from tests.support.house import BACK, FRONT, House, until

CODE = "739182"
CONFIGURE = "locks/configure_auto_lock"
ENTRY = "locks/simulate/keypad_code_entry"
MANUAL = "locks/simulate/manual_lock_via_keypad"
RESET = "workspaces/reset_sandbox"


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK, pin_codes={CODE: "Ada"}) as house:
        yield house


def ask(life, method, body, **known):
    return life.bridge.tasks.answer(method, body, Method.REMOTE_API, **known)


async def succeeded(life, answer):
    """Ask for an attempt until it is over, as a client does."""
    named = {"action_attempt_id": answer.body["action_attempt"]["action_attempt_id"]}
    sql = f"SELECT state FROM attempt WHERE attempt_id = '{named['action_attempt_id']}'"
    await until(lambda: life.rows(sql)[0][0] not in ("accepted", "committed"))
    found = await life.bridge.questions.answer("action_attempts/get", named)
    return found.body["action_attempt"]


@pytest.mark.parametrize(
    ("method", "body", "action_type"),
    [
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 60}, None),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 1.0}, None),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": False}, None),
        (ENTRY, {"device_id": FRONT, "code": CODE}, "SIMULATE_KEYPAD_CODE_ENTRY"),
        (MANUAL, {"device_id": FRONT}, "SIMULATE_MANUAL_LOCK_VIA_KEYPAD"),
        (RESET, {}, "RESET_SANDBOX_WORKSPACE"),
    ],
)
async def test_what_is_taken_is_pending_and_ends_with_an_empty_result(house, method, body, action_type):
    async with house.life() as life:
        answer = await ask(life, method, body)
        assert answer.status == 200
        assert answer.body["ok"] is True
        attempt = answer.body["action_attempt"]
        assert attempt["action_type"] == (action_type or "CONFIGURE_AUTO_LOCK")
        assert (attempt["status"], attempt["result"], attempt["error"]) == ("pending", None, None)
        assert await succeeded(life, answer) == attempt | {"status": "success", "result": {}}


async def test_a_device_is_named_by_its_uuid_too(house):
    async with house.life() as life:
        device_id = str(life.bridge.identity.device_id(BACK)).upper()
        await succeeded(life, await ask(life, ENTRY, {"device_id": device_id, "code": CODE}))
    await until(lambda: house.twins[BACK].lock.state is LockState.UNLOCKED)


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        (CONFIGURE, {"device_id": FRONT}, "auto_lock_enabled"),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": "yes"}, "auto_lock_enabled"),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 0}, "auto_lock_delay"),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 61}, "auto_lock_delay"),
        (CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 1.5}, "auto_lock_delay"),
        (ENTRY, {"device_id": FRONT}, "code"),
        (ENTRY, {"device_id": FRONT, "code": ""}, "code"),
        (ENTRY, {"device_id": FRONT, "code": 739182}, "code"),
        (MANUAL, {}, "device_id"),
        (RESET, {"workspace_id": "x"}, "workspace_id"),
    ],
)
async def test_a_mistake_is_named_by_its_field_and_nothing_is_recorded(house, method, body, field):
    async with house.life() as life:
        answer = await ask(life, method, body)
        assert life.rows("SELECT count(*) FROM attempt") == [(0,)]
    assert (answer.status, answer.body["error"]["type"]) == (400, "invalid_input")
    assert any(name.startswith(field) for name in answer.body["error"]["validation_errors"])


async def test_to_be_switched_on_it_needs_a_delay(house):
    async with house.life() as life:
        answer = await ask(life, CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True})
    assert (answer.status, answer.body["error"]["type"]) == (400, "invalid_input")
    assert answer.body["error"]["message"] == '"auto_lock_delay_seconds" is required to switch it on.'


async def test_a_code_that_cannot_be_one_is_not_repeated(house):
    async with house.life() as life:
        answer = await ask(life, ENTRY, {"device_id": FRONT, "code": CODE * 20})
    assert answer.status == 400
    assert CODE not in str(answer.body)


@pytest.mark.parametrize("method", [CONFIGURE, ENTRY, MANUAL])
async def test_an_unknown_device_is_said_to_be_unknown(house, method):
    body = {"device_id": "nowhere", "code": CODE, "auto_lock_enabled": True, "auto_lock_delay_seconds": 30}
    known = METHODS[method].model_fields
    async with house.life() as life:
        answer = await ask(life, method, {name: value for name, value in body.items() if name in known})
    assert (answer.status, answer.body["error"]["type"]) == (404, "device_not_found")


async def test_a_key_for_one_lock_knows_of_no_other(house):
    only = frozenset({FRONT})
    async with house.life() as life:
        assert (await ask(life, MANUAL, {"device_id": BACK}, locks=only)).status == 404
        assert (await ask(life, MANUAL, {"device_id": FRONT}, locks=only)).status == 200
        reset = await ask(life, RESET, {}, locks=only)
    assert (reset.status, reset.body["error"]["type"]) == (403, "action_not_allowed")


@pytest.mark.parametrize("method", [ENTRY, MANUAL])
async def test_a_real_lock_is_refused_by_name(house, method):
    async with house.life() as life:
        life.bridge.sandbox.locks = {}
        answer = await ask(life, method, {"device_id": FRONT, **({"code": CODE} if method == ENTRY else {})})
    assert (answer.status, answer.body["error"]["type"]) == (409, "action_not_supported")
    assert FRONT in answer.body["error"]["message"]


async def test_a_driver_that_cannot_is_refused_by_name(house, monkeypatch):
    monkeypatch.setattr(NukiDriver, "capabilities", Capabilities(NukiDriver.capabilities.actions))
    async with house.life() as life:
        answer = await ask(
            life, CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 30}
        )
        assert life.rows("SELECT count(*) FROM attempt") == [(0,)]
    assert (answer.status, answer.body["error"]["type"]) == (409, "action_not_supported")
    assert "CONFIGURE_AUTO_LOCK" in answer.body["error"]["message"]
    assert "'nuki'" in answer.body["error"]["message"]


@pytest.mark.parametrize("method", UNSUPPORTED)
async def test_what_is_no_locks_is_refused_by_name(house, method):
    async with house.life() as life:
        answer = await ask(life, method, {"device_id": FRONT})
    assert (answer.status, answer.body["error"]["type"]) == (409, "action_not_supported")
    assert UNSUPPORTED[method] in answer.body["error"]["message"]


async def test_there_is_nothing_else_to_ask_for(house):
    async with house.life() as life:
        answer = await ask(life, "locks/explode", {})
    assert (answer.status, answer.body["error"]["type"]) == (404, "not_found")


async def test_too_many_settings_a_minute_are_refused(house):
    house.commands["rate_limit"] = 2
    body = {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 30}
    async with house.life() as life:
        statuses = [(await ask(life, CONFIGURE, body)).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_bridge_that_wants_an_expiry_takes_settings_from_whoever_waits(house):
    house.commands["require_expiry"] = True
    async with house.life() as life:
        answer = await ask(
            life, CONFIGURE, {"device_id": FRONT, "auto_lock_enabled": True, "auto_lock_delay_seconds": 30}
        )
    assert answer.status == 200


async def test_every_type_of_the_seeds_list_is_done_or_refused_by_name():
    done = {"LOCK_DOOR", "UNLOCK_DOOR", "CONFIGURE_AUTO_LOCK", "RESET_SANDBOX_WORKSPACE"}
    done |= {"SIMULATE_KEYPAD_CODE_ENTRY", "SIMULATE_MANUAL_LOCK_VIA_KEYPAD"}
    others = {"SCAN_CREDENTIAL", "ENCODE_CREDENTIAL", "SET_FAN_MODE", "SET_HVAC_MODE", "ACTIVATE_CLIMATE_PRESET"}
    assert set(UNSUPPORTED.values()) == others | {"PUSH_THERMOSTAT_PROGRAMS"}
    assert not done & set(UNSUPPORTED.values())
