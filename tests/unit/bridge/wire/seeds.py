"""What Seam's documents show: each example, property list and schema that the outward shapes answer to.

Sources: "The action_attempt Object" (and an older edition of it), "Get an Action Attempt", "List Action Attempts",
"Implementing Lock Actions". The examples' comments, which are no JSON, are left out.
"""

REQUEST = {"action": "unlock", "custom_id": "req_98aa221"}

ACCEPTED = {
    "action_id": "act_23423",
    "custom_id": "req_98aa221",
    "status": "pending",
    "lock_id": "lock_491829",
    "action": "unlock",
}

REJECTED = {
    "offline": {
        "error_code": "DEVICE_OFFLINE",
        "message": "The device is currently offline and cannot accept commands.",
    },
    "obstructed": {"error_code": "BOLT_OBSTRUCTED", "message": "The lock mechanism is obstructed."},
}

COMPLETED = {
    "unlocked": {
        "event_type": "lock.action_completed",
        "device_id": "lock_491829",
        "action_id": "act_39102",
        "custom_id": "req_39102",
        "action": "unlock",
        "status": "success",
        "performed_via": "pin_code",
        "timestamp": "2025-05-22T10:45:12Z",
    },
    "locked": {
        "event_type": "lock.action_completed",
        "device_id": "lock_491829",
        "action_id": "act_99921",
        "custom_id": "req_39102",
        "action": "lock",
        "status": "success",
        "performed_via": "mobile_app",
        "timestamp": "2025-05-22T10:50:31Z",
    },
    "jammed": {
        "event_type": "lock.action_completed",
        "device_id": "lock_491829",
        "action_id": "act_39102",
        "action": "unlock",
        "status": "failed",
        "error_code": "LOCK_JAMMED",
        "message": "The deadbolt could not retract.",
        "timestamp": "2025-05-22T10:46:02Z",
    },
}

ATTRIBUTION = {"performed_via": "fob_card"}
PERFORMED_VIA = ("pin_code", "mobile_app", "remote_api", "bluetooth_key", "fob_card", "manual_turn")

FAILURE_MODES = {
    "lock jammed": "LOCK_JAMMED",
    "bolt obstruction": "BOLT_OBSTRUCTED",
    "bolt not fully extended": "BOLT_NOT_FULLY_EXTENDED",
    "mechanism error": "MECHANISM_ERROR",
    "firmware unable to accept commands": "FIRMWARE_REJECTED",
}
"""The failures that the guide names, and the code that tells each."""

ATTEMPTS = {
    "unlocked": {
        "action_attempt_id": "5f4e3d2c-1b0a-9f8e-7d6c-5b4a3c2d1e0f",
        "action_type": "UNLOCK_DOOR",
        "error": None,
        "result": {"was_confirmed_by_device": False},
        "status": "success",
    },
    "locked": {
        "action_attempt_id": "3f2b1c8d-1b5e-4f8c-9c7d-9a8b7c6d5e4f",
        "action_type": "LOCK_DOOR",
        "error": None,
        "result": {},
        "status": "success",
    },
}

ACTION_TYPES = (
    "LOCK_DOOR",
    "UNLOCK_DOOR",
    "SCAN_CREDENTIAL",
    "ENCODE_CREDENTIAL",
    "RESET_SANDBOX_WORKSPACE",
    "SET_FAN_MODE",
    "SET_HVAC_MODE",
    "ACTIVATE_CLIMATE_PRESET",
    "SIMULATE_KEYPAD_CODE_ENTRY",
    "SIMULATE_MANUAL_LOCK_VIA_KEYPAD",
    "PUSH_THERMOSTAT_PROGRAMS",
    "CONFIGURE_AUTO_LOCK",
)

EVENT_TYPES = tuple(
    f"action_attempt.{kind}.{end}"
    for kind in ("lock_door", "unlock_door", "simulate_keypad_code_entry", "simulate_manual_lock_via_keypad")
    for end in ("succeeded", "failed")
)

_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}

OLDER_EVENT = {
    "type": "object",
    "properties": {
        "action_attempt_id": _UUID,
        "action_type": {"type": "string"},
        "created_at": _TIME,
        "event_id": _UUID,
        "event_type": {"enum": list(EVENT_TYPES)},
        "occurred_at": _TIME,
        "status": {"type": "string"},
        "workspace_id": _UUID,
    },
    "required": [
        "action_attempt_id",
        "action_type",
        "created_at",
        "event_id",
        "event_type",
        "occurred_at",
        "status",
        "workspace_id",
    ],
}
"""The property list of an attempt's event in the older edition (lock and unlock only)."""

EVENT = {
    "type": "object",
    "properties": {**OLDER_EVENT["properties"], "connected_account_id": _UUID, "device_id": _UUID},
    "required": [*OLDER_EVENT["required"], "connected_account_id", "device_id"],
}
"""The property list of an attempt's event."""

ATTEMPT = {
    "type": "object",
    "properties": {
        "action_attempt_id": _UUID,
        "action_type": {"type": "string"},
        "status": {"type": "string", "enum": ["pending", "success", "error"]},
        "result": {"type": ["object", "null"]},
        "error": {
            "type": ["object", "null"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
    },
    "required": ["action_attempt_id", "action_type", "status"],
}
"""The OpenAPI schema of an attempt, which both routes answer with; `nullable` is a type here."""

ATTEMPT_OBJECT = {
    **ATTEMPT,
    "properties": {**ATTEMPT["properties"], "action_type": {"enum": list(ACTION_TYPES)}},
    "required": ["action_attempt_id", "action_type", "status", "result", "error"],
    "oneOf": [
        {"properties": {"status": {"const": "pending"}, "result": {"type": "null"}, "error": {"type": "null"}}},
        {"properties": {"status": {"const": "success"}, "result": {"type": "object"}, "error": {"type": "null"}}},
        {
            "properties": {
                "status": {"const": "error"},
                "result": {"type": "null"},
                "error": {"type": "object", "required": ["type", "message"]},
            }
        },
    ],
}
"""The property list of an attempt: all five, and which are null at which status."""
