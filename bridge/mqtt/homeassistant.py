"""Home Assistant's MQTT discovery: what it needs to show a lock. Pure.

Source: Home Assistant, "MQTT discovery" and the MQTT lock, binary sensor, sensor and event platforms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge import __version__
from bridge.lock import Lock
from bridge.mqtt.topics import Topics
from drivers.base import Action

Discovery = tuple[str, dict[str, Any]]
"""A topic, and what is to be retained there."""

_STATES = {
    "state_locked": "locked",
    "state_unlocked": "unlocked",
    "state_locking": "locking",
    "state_unlocking": "unlocking",
    "state_jammed": "jammed",
    "state_open": "unlatched",
}


def discoveries(
    prefix: str, bridge_id: str, topics: Topics, locks: Iterable[Lock], *, expiry: int | None = None
) -> list[Discovery]:
    """Return every entity of the bridge and its locks.

    Args:
        prefix: of the topics, as Home Assistant is configured.
        bridge_id: the bridge's.
        topics: where states come and commands go.
        locks: those that are announced.
        expiry: seconds that a command says it is good for; None if it need not say.
    """
    found = [_bridge(prefix, bridge_id, topics)]
    for lock in locks:
        found += _lock(prefix, bridge_id, topics, lock, expiry)
    return found


def _bridge(prefix: str, bridge_id: str, topics: Topics) -> Discovery:
    node = _node(bridge_id)
    return f"{prefix}/binary_sensor/{node}/connectivity/config", {
        "unique_id": f"{node}_connectivity",
        "default_entity_id": f"binary_sensor.{node}_connectivity",
        "name": "Connectivity",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.status,
        "value_template": "{{ 'ON' if value_json.online else 'OFF' }}",
        "qos": 1,
        "device": _bridge_device(bridge_id),
        "origin": _ORIGIN,
    }


def _lock(prefix: str, bridge_id: str, topics: Topics, lock: Lock, expiry: int | None) -> list[Discovery]:
    node = _node(bridge_id, lock.id)
    state = topics.state(lock.id)
    common: dict[str, Any] = {
        "qos": 1,
        "availability": [
            {"topic": topics.status, "value_template": "{{ 'online' if value_json.online else 'offline' }}"},
            {"topic": state, "value_template": "{{ 'online' if value_json.online else 'offline' }}"},
        ],
        "availability_mode": "all",
        "device": {
            "identifiers": [node],
            "name": lock.name,
            "manufacturer": lock.driver.name.capitalize(),
            "via_device": _node(bridge_id),
        },
        "origin": _ORIGIN,
    }

    def entity(component: str, key: str, **fields: Any) -> Discovery:  # noqa: ANN401 - what the platform wants
        identity = {"unique_id": f"{node}_{key}", "default_entity_id": f"{component}.{node}_{key}"}
        return f"{prefix}/{component}/{node}/{key}/config", common | identity | fields

    can = lock.capabilities
    found = [entity("lock", "lock", **_lock_fields(topics, lock, expiry))]
    if lock.require_signature:  # Home Assistant cannot sign, so it has nothing to press
        found = [entity("binary_sensor", "lock", **_bolt_fields(topics, lock))]
    if can.door:
        found.append(
            entity(
                "binary_sensor",
                "door",
                name="Door",
                device_class="door",
                state_topic=state,
                value_template="{{ {'open': 'ON', 'closed': 'OFF'}.get(value_json.door_state, 'None') }}",
            )
        )
    if can.battery_level:
        found.append(
            entity(
                "sensor",
                "battery",
                name="Battery",
                device_class="battery",
                state_class="measurement",
                unit_of_measurement="%",
                entity_category="diagnostic",
                state_topic=state,
                value_template="{{ value_json.battery_level | default(none) }}",
            )
        )
    found.append(
        entity(
            "event",
            "operation",
            name="Last operation",
            state_topic=topics.event("lock.action_completed", lock.id),
            event_types=["success", "failed"],
            value_template=(
                "{{ {'event_type': value_json.status, 'action': value_json.action,"
                " 'performed_via': value_json.performed_via, 'error_code': value_json.error_code | default(none)}"
                " | to_json }}"
            ),
        )
    )
    return found


def _lock_fields(topics: Topics, lock: Lock, expiry: int | None) -> dict[str, Any]:
    """Commands go to the topic that everybody uses, as JSON, never retained and never assumed to have worked."""
    fields = {
        "name": None,
        "command_topic": topics.action(lock.id),
        "command_template": _command_template(expiry),
        "payload_lock": Action.LOCK.value,
        "payload_unlock": Action.UNLOCK.value,
        "retain": False,
        "optimistic": False,
        "state_topic": topics.state(lock.id),
        "value_template": "{{ 'None' if value_json.lock_state == 'unknown' else value_json.lock_state }}",
        "json_attributes_topic": topics.state(lock.id),
        **_STATES,
    }
    if Action.UNLATCH in lock.offered:
        fields["payload_open"] = Action.UNLATCH.value
    return fields


def _command_template(expiry: int | None) -> str:
    """Return what makes a command of an action; Home Assistant cannot send a Message Expiry."""
    if expiry is None:
        return '{"action": "{{ value }}"}'
    expires_at = f"{{{{ (utcnow() + timedelta(seconds={expiry})).isoformat() }}}}"
    return f'{{"action": "{{{{ value }}}}", "expires_at": "{expires_at}"}}'


def _bolt_fields(topics: Topics, lock: Lock) -> dict[str, Any]:
    """Show the bolt alone; where it is on its way or jammed, neither locked nor unlocked is known."""
    return {
        "name": None,
        "device_class": "lock",
        "state_topic": topics.state(lock.id),
        "value_template": (
            "{{ {'locked': 'OFF', 'unlocked': 'ON', 'unlatched': 'ON'}.get(value_json.lock_state, 'None') }}"
        ),
        "json_attributes_topic": topics.state(lock.id),
    }


_ORIGIN = {"name": "lock-bridge", "sw_version": __version__}


def _bridge_device(bridge_id: str) -> dict[str, Any]:
    return {"identifiers": [_node(bridge_id)], "name": f"Lock bridge {bridge_id}", "sw_version": __version__}


def _node(*names: str) -> str:
    """Return a name that discovery topics allow: letters, digits, `_` and `-`."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "_-") else f"_{ord(c):x}_" for c in "_".join(("lockbridge", *names))
    )
