"""The device-maker shapes: what is read, what is refused, what is answered."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.attempt import State
from bridge.errors import Code, Refused
from bridge.keys.signing import Signature
from bridge.wire import maker, text
from drivers.base import Action, Method
from tests.support.samples import make_attempt

SIGNATURE = f"1f0c9a3e:{'A' * 86}=="
UNTIL = "2026-01-31T12:00:30Z"


def refusal_of(payload):
    with pytest.raises(Refused) as caught:
        maker.parse_request(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return caught.value


class TestRequest:
    @pytest.mark.parametrize("action", Action)
    def test_an_action_alone_is_a_request(self, action):
        assert maker.parse_request(json.dumps({"action": action.value}).encode()) == maker.ActionRequest(
            action, None, None
        )

    def test_every_field_is_read(self):
        request = maker.parse_request(
            b'{"expires_at": "2026-01-31T12:00:30Z", "custom_id": "req_1", "action": "unlock"}'
        )
        assert request == maker.ActionRequest(Action.UNLOCK, "req_1", datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC))

    def test_a_signature_is_read_with_what_it_is_of_as_it_was_written(self):
        body = {"action": "unlock", "custom_id": "ö", "expires_at": "2026-01-31t12:00:30+00:00"}
        request = maker.parse_request(json.dumps(body | {"signature": SIGNATURE}).encode())
        assert request.signature == Signature("1f0c9a3e", bytes(64), "ö", "2026-01-31t12:00:30+00:00")
        assert request.expires_at == datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"signature": SIGNATURE}, '"custom_id" and "expires_at"'),
            ({"signature": SIGNATURE, "custom_id": "a"}, '"custom_id" and "expires_at"'),
            ({"signature": SIGNATURE, "expires_at": UNTIL}, '"custom_id" and "expires_at"'),
            ({"signature": 1, "custom_id": "a", "expires_at": UNTIL}, "is not a string"),
            ({"signature": None, "custom_id": "a", "expires_at": UNTIL}, "is not a string"),
            ({"signature": "x", "custom_id": "a", "expires_at": UNTIL}, "a key's id, a colon and"),
            ({"signature": SIGNATURE, "custom_id": "a\n", "expires_at": UNTIL}, "control character"),
        ],
    )
    def test_a_signature_that_says_too_little_is_refused(self, fields, told):
        refusal = refusal_of({"action": "unlock", **fields})
        assert refusal.code is Code.INVALID_REQUEST
        assert told in refusal.message

    @pytest.mark.parametrize("custom_id", ["x", "x" * 128, "ö" * 128, "req 1", "🚪"])
    def test_a_custom_id_of_up_to_128_characters_is_kept_as_it_is(self, custom_id):
        payload = text.encode({"action": "lock", "custom_id": custom_id})
        assert maker.parse_request(payload).custom_id == custom_id

    def test_a_request_of_8_kib_is_read(self):
        payload = b'{"action": "lock"}'.ljust(8192)
        assert maker.parse_request(payload).action is Action.LOCK

    def test_a_longer_one_is_refused(self):
        refusal = refusal_of(b'{"action": "lock"}'.ljust(8193))
        assert refusal.code is Code.INVALID_REQUEST
        assert "8193" in refusal.message

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"unlock",
            b'"unlock"',
            b"[]",
            b"null",
            b"{}",
            b'{"action": "unlock", "custom_id": "req_98aa221" // optional\n}',
            b'{"action": "unl\xffock"}',
            b'{"action": "lock", "action": "unlock"}',
            b"[" * 8000,
            {"action": None},
            {"action": True},
            {"action": ["unlock"]},
            {"action": "unlock", "custom_id": None},
            {"action": "unlock", "custom_id": 7},
            {"action": "unlock", "custom_id": ""},
            {"action": "unlock", "custom_id": "x" * 129},
            {"action": "unlock", "custom_id": "line\nbreak"},
            {"action": "unlock", "custom_id": "nul\0"},
            b'{"action": "unlock", "custom_id": "\\ud800"}',
            {"action": "unlock", "expires_at": None},
            {"action": "unlock", "expires_at": 1769860800},
            {"action": "unlock", "expires_at": "soon"},
            {"action": "unlock", "expires_at": "2026-01-31T12:00:00"},
            {"action": "unlock", "code": "1234"},
            {"Action": "unlock"},
        ],
    )
    def test_what_is_not_well_formed_is_an_invalid_request(self, payload):
        assert refusal_of(payload).code is Code.INVALID_REQUEST

    @pytest.mark.parametrize("action", ["", "toggle", "UNLOCK", "Lock", " lock", "open", "x" * 5000])
    def test_an_action_that_there_is_not_is_an_invalid_action(self, action):
        refusal = refusal_of({"action": action})
        assert refusal.code is Code.INVALID_ACTION
        assert len(refusal.message) < 200

    def test_a_malformed_field_comes_before_an_unknown_action(self):
        assert refusal_of({"action": "toggle", "surprise": 1}).code is Code.INVALID_REQUEST

    def test_the_refusal_names_the_unknown_field(self):
        assert "'door'" in refusal_of({"action": "lock", "door": 1, "zone": 2}).message

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"{", "Expecting property name enclosed in double quotes."),
            (b'{"action": "\xff"}', "it is not UTF-8."),
            (b'{"a": NaN}', "NaN is not JSON."),
            ({"action": "lock", "expires_at": "soon"}, "such as 2026-01-31T10:00:00Z."),
            (
                {"action": "lock", "expires_at": "2026-02-30T12:00:00Z"},
                "cannot be used: day is out of range for month.",
            ),
            ({}, '"action" is missing; it is "lock", "unlock" or "unlatch".'),
            ({"action": 1}, '"action" is not a string; it is "lock", "unlock" or "unlatch".'),
        ],
    )
    def test_the_refusal_says_why_in_a_whole_sentence(self, payload, reason):
        assert refusal_of(payload).message.endswith(reason)

    @pytest.mark.parametrize(
        "payload",
        [
            b'{"action": "hunter2',
            b'hunter2: {"action": "unlock"}',
            {"action": "lock", "expires_at": "hunter2: 2026"},
            {"action": "lock", "custom_id": "hunter2\n"},
            {"action": "lock", "custom_id": ["hunter2"]},
        ],
    )
    def test_the_refusal_does_not_repeat_what_was_sent(self, payload):
        assert "hunter2" not in refusal_of(payload).message

    @given(
        st.binary(max_size=64)
        | st.dictionaries(
            st.sampled_from(["action", "custom_id", "expires_at", "x"]),
            st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([*Action]) | st.lists(st.text()),
        ).map(lambda body: json.dumps(body).encode())
    )
    def test_parsing_raises_nothing_but_refusals_and_what_it_reads_can_be_sent_back(self, payload):
        try:
            request = maker.parse_request(payload)
        except Refused as refusal:
            reply = maker.rejected(refusal)
            assert reply["error_code"] in {"INVALID_REQUEST", "INVALID_ACTION"}
            text.encode(reply)
            return
        text.encode(maker.accepted(make_attempt(action=request.action, custom_id=request.custom_id)))


class TestReplies:
    def test_the_reply_to_an_accepted_command_is_pending(self):
        assert maker.accepted(make_attempt(custom_id="req_1")) == {
            "action_id": "act_0123456789abcdef",
            "custom_id": "req_1",
            "status": "pending",
            "lock_id": "front_door",
            "action": "unlock",
        }

    def test_a_custom_id_that_was_not_sent_is_not_in_the_reply(self):
        assert "custom_id" not in maker.accepted(make_attempt())

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            (State.ACCEPTED, "pending"),
            (State.COMMITTED, "pending"),
            (State.CONFIRMED, "success"),
            (State.FAILED, "failed"),
            (State.UNKNOWN, "failed"),
        ],
    )
    def test_a_replayed_reply_says_so_and_has_the_status_of_now(self, state, status):
        reply = maker.accepted(make_attempt(state), replayed=True)
        assert (reply["status"], reply["replayed"]) == (status, True)

    def test_a_rejection_has_its_code_and_message_alone(self):
        refusal = Refused(Code.RATE_LIMITED, "Too often.", retry_after=4.0)
        assert maker.rejected(refusal) == {"error_code": "RATE_LIMITED", "message": "Too often."}


class TestRecognisable:
    @pytest.mark.parametrize(
        ("payload", "fields"),
        [
            ({"action": "lock", "custom_id": "req_1", "surprise": 1}, {"action": "lock", "custom_id": "req_1"}),
            ({"action": "toggle"}, {"action": "toggle"}),
            ({"action": 1, "custom_id": ["x"]}, {}),
            ({"action": "x" * 129, "custom_id": "x" * 128}, {"custom_id": "x" * 128}),
            ({"action": "lock\n"}, {}),
            (b'{"action": "\\ud800"}', {}),
            (b"[]", {}),
            (b"{", {}),
            (b"", {}),
            (b"\xff", {}),
        ],
    )
    def test_what_can_be_read_of_a_refused_request_is_given_back(self, payload, fields):
        sent = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        assert maker.recognisable(sent) == fields

    def test_nothing_is_read_of_a_request_that_is_cut_off(self):
        assert maker.recognisable(json.dumps({"action": "lock", "x": "x" * 10_000}).encode()) == {}

    @given(st.binary(max_size=64))
    def test_it_never_raises_and_what_it_gives_can_be_sent(self, payload):
        text.encode(maker.recognisable(payload))


class TestCompleted:
    def test_a_confirmed_attempt_is_a_success_that_the_device_confirmed(self):
        assert maker.completed(make_attempt(State.CONFIRMED, custom_id="req_1", changed=True), "event-1") == {
            "event_type": "lock.action_completed",
            "event_id": "event-1",
            "device_id": "front_door",
            "action_id": "act_0123456789abcdef",
            "custom_id": "req_1",
            "action_attempt_id": "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f",
            "action": "unlock",
            "status": "success",
            "performed_via": "remote_api",
            "was_confirmed_by_device": True,
            "changed": True,
            "timestamp": "2026-01-31T12:00:00Z",
        }

    @pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
    def test_any_other_outcome_failed_with_its_code_and_message(self, state):
        event = maker.completed(make_attempt(state, code=Code.LOCK_JAMMED, message="It is jammed."), "event-1")
        assert (event["status"], event["was_confirmed_by_device"]) == ("failed", False)
        assert (event["error_code"], event["message"]) == ("LOCK_JAMMED", "It is jammed.")

    def test_a_failure_without_a_reason_is_uncategorized(self):
        event = maker.completed(make_attempt(State.FAILED), "event-1")
        assert (event["error_code"], event["message"]) == ("UNCATEGORIZED_ERROR", "The action failed.")

    def test_what_is_not_known_is_absent(self):
        event = maker.completed(make_attempt(State.CONFIRMED), "event-1")
        assert not {"custom_id", "changed", "error_code", "message"} & set(event)

    def test_a_lock_that_was_there_already_is_an_unchanged_success(self):
        event = maker.completed(make_attempt(State.CONFIRMED, changed=False), "event-1")
        assert (event["status"], event["changed"]) == ("success", False)

    def test_it_is_told_how_the_operation_was_performed(self):
        event = maker.completed(make_attempt(State.CONFIRMED, method=Method.BLUETOOTH_KEY), "event-1")
        assert event["performed_via"] == "bluetooth_key"

    def test_an_outcome_without_a_time_of_its_own_has_that_of_the_acceptance(self):
        assert maker.completed(make_attempt(State.FAILED, ended_at=None), "e")["timestamp"] == "2026-01-31T12:00:00Z"
