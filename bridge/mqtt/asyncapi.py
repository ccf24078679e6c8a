"""The AsyncAPI document of the MQTT side, made from the topics and from the models that are sent and read. Pure.

Source: AsyncAPI 3.0.0, and its MQTT bindings 0.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from bridge import __version__
from bridge.mqtt.topics import METHODS, Topics
from bridge.questions.requests import QUESTIONS
from bridge.tasks import METHODS as TASKS
from bridge.wire import answer, event, maker, state

if TYPE_CHECKING:
    from bridge.config import Config

_BINDING = "0.2.0"
_KEEPALIVE = 15
_PACKET = 64 * 1024
_REFERENCE = "#/components/schemas/{model}"

ANSWERS: Mapping[str, Any] = {
    "action_attempts/get": answer.ActionAttemptAnswer,
    "action_attempts/list": answer.ActionAttemptsAnswer,
    "locks/get": answer.LockAnswer,
    "locks/list": answer.LocksAnswer,
    "events/list": answer.EventsAnswer,
}
"""What a question is answered with; any other method with an attempt."""


_SHAPES: Mapping[str, tuple[str, Any, str]] = {
    "command": ("validation", maker.ActionBody, "Have a lock locked, unlocked or unlatched."),
    "accepted": ("serialization", maker.Accepted, "The command is taken, and its outcome will be told by an event."),
    "rejected": ("serialization", maker.Rejected, "The command is not taken; nothing moves."),
    "completed": ("serialization", maker.Completed, "The end of an operation, in the device-maker's shape."),
    "attemptEnded": ("serialization", event.AttemptEnded, "The outcome of an attempt, in Seam's shape."),
    "lockMoved": ("serialization", event.LockMoved, "The bolt has moved."),
    "lockTold": ("serialization", event.LockTold, "Anything else about a lock."),
    "bridgeTold": ("serialization", event.BridgeTold, "Something about the bridge itself."),
    "state": ("serialization", state.Device, "How a lock stands; what is not known is unknown or left out."),
    "status": ("serialization", state.Status, "Whether the bridge is there; also the last will."),
    "unanswered": ("serialization", answer.ErrorBody, "Why a question is not answered."),
}
"""Messages: how their schema is made, what they are, and what they say."""

_EVENTS = ("completed", "attemptEnded", "lockMoved", "lockTold")


def document(config: Config) -> dict[str, Any]:
    """Return the document for a bridge."""
    version5 = config.mqtt.protocol == "5"
    topics = Topics(f"{config.mqtt.prefix}/{config.bridge.id}", config.mqtt.response_prefixes)
    schemas, definitions = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"lock-bridge {config.bridge.id}",
            "version": __version__,
            "description": "Bluetooth locks over MQTT: each command moves the bolt at most once and has one outcome. "
            "Everything goes at QoS 1; commands and questions must not be retained.",
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server(config, topics, version5=version5)},
        "channels": _channels(topics, version5=version5),
        "operations": _operations(version5=version5),
        "components": {
            "messages": {name: _message(name, schemas[name], version5=version5) for name in schemas},
            "schemas": definitions,
        },
    }


def _schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of each message by its name, and those that they refer to."""
    inputs: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (name, mode, TypeAdapter[Any](shape)) for name, (mode, shape, _) in _SHAPES.items()
    ]
    for method in METHODS:
        asked = QUESTIONS.get(method) or TASKS[method]
        inputs.append((_question(method), "validation", TypeAdapter[Any](asked)))
        answered = ANSWERS.get(method, answer.ActionAttemptAnswer)
        inputs.append((_answer(method), "serialization", TypeAdapter[Any](answered)))
    found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    return {name: schema for (name, _), schema in found.items()}, rest.get("$defs", {})


def _server(config: Config, topics: Topics, *, version5: bool) -> dict[str, Any]:
    broker = config.mqtt.address
    binding: dict[str, Any] = {
        "clientId": f"lockbridge-{config.bridge.id}",
        "cleanSession": not version5,
        "keepAlive": _KEEPALIVE,
        "lastWill": {"topic": topics.status, "qos": 1, "retain": True},
        "bindingVersion": _BINDING,
    }
    if version5:
        binding |= {"sessionExpiryInterval": config.commands.max_ttl, "maximumPacketSize": _PACKET}
    return {
        "host": "localhost" if broker.path else f"{broker.host}:{broker.port}",
        "protocol": "secure-mqtt" if broker.tls else "mqtt",
        "protocolVersion": config.mqtt.protocol,
        "bindings": {"mqtt": binding},
    }


def _channels(topics: Topics, *, version5: bool) -> dict[str, Any]:
    lock: dict[str, Any] = {"lock_id": {"description": "The lock's id, as it is configured."}}
    kind: dict[str, Any] = {"event_type": {"description": "Such as lock.action_completed or lock.unlocked."}}
    channels = {
        "commands": _channel(topics.action("{lock_id}"), ["command"], lock),
        "replies": _channel(topics.action_reply("{lock_id}"), ["accepted", "rejected"], lock),
        "events": _channel(topics.event("{event_type}", "{lock_id}"), [*_EVENTS], kind | lock),
        "bridgeEvents": _channel(topics.event("{event_type}", None), ["bridgeTold"], kind),
        "states": _channel(topics.state("{lock_id}"), ["state"], lock),
        "status": _channel(topics.status, ["status"]),
    }
    for method in METHODS:
        channels[_question(method)] = _channel(f"{topics.base}/rpc/{method}", [_question(method)])
        channels[_answer(method)] = _channel(topics.rpc_reply(method), [_answer(method), "unanswered"])
    if version5:
        answers = [_answer(method) for method in METHODS]
        channels["responses"] = _channel(None, ["accepted", "rejected", *answers, "unanswered"])
    return channels


def _channel(address: str | None, messages: list[str], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    if parameters:
        channel["parameters"] = parameters
    if address is None:
        channel["description"] = "The Response Topic that the sender names."
    return channel


def _operations(*, version5: bool) -> dict[str, Any]:
    operations: dict[str, Any] = {
        "takeCommand": _receive("commands", "replies", ["accepted", "rejected"], version5=version5),
        "tellEvent": _send("events", retain=False),
        "tellBridgeEvent": _send("bridgeEvents", retain=False),
        "tellState": _send("states", retain=True),
        "tellStatus": _send("status", retain=True),
    }
    for method in METHODS:
        question, answered = _question(method), _answer(method)
        operations[f"answer{question[0].upper()}{question[1:]}"] = _receive(
            question, answered, [answered, "unanswered"], version5=version5
        )
    return operations


def _receive(channel: str, replies: str, messages: list[str], *, version5: bool) -> dict[str, Any]:
    """Tell of what the bridge takes and replies to: by the Response Topic on MQTT 5, if there is one."""
    reply: dict[str, Any] = {}
    if version5:
        reply["address"] = {
            "location": "$message.header#/responseTopic",
            "description": f"Without one the reply goes to the channel {replies}.",
        }
        replies = "responses"
    reply["channel"] = {"$ref": f"#/channels/{replies}"}
    reply["messages"] = [{"$ref": f"#/channels/{replies}/messages/{name}"} for name in messages]
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "reply": reply,
        "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": _BINDING}},
    }


def _send(channel: str, *, retain: bool) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _BINDING}},
    }


def _message(name: str, payload: dict[str, Any], *, version5: bool) -> dict[str, Any]:
    told = _SHAPES[name][2] if name in _SHAPES else "A question, or the answer to it, as over HTTP."
    message: dict[str, Any] = {"name": name, "summary": told, "contentType": "application/json", "payload": payload}
    if version5:
        headers = _headers(name)
        if headers:
            message["headers"] = {"type": "object", "properties": headers}
        if "correlationData" in headers:
            message["correlationId"] = {"location": "$message.header#/correlationData"}
    return message


def _headers(name: str) -> dict[str, Any]:
    """Return the properties of MQTT 5 that go with a message: its own ones, and user properties."""
    text = {"type": "string"}
    if name in ("state", "status"):
        return {}
    if name in (*_EVENTS, "bridgeTold"):
        return dict.fromkeys(("event_id", "seq", "schema", "action_attempt_id", "custom_id"), text)
    headers: dict[str, Any] = {"correlationData": {"type": "string", "description": "Comes back with the reply."}}
    if name == "command" or name.endswith("Question"):
        headers["responseTopic"] = text
    if name == "command":
        headers["messageExpiryInterval"] = {"type": "integer", "description": "Seconds for which the command is good."}
    return headers


def _question(method: str) -> str:
    return f"{_words(method)}Question"


def _answer(method: str) -> str:
    return f"{_words(method)}Answer"


def _words(method: str) -> str:
    first, *rest = method.replace("/", "_").split("_")
    return first + "".join(word.capitalize() for word in rest)
