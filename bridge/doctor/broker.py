"""Whether the broker can be used, and what of a command it would lose or not show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.doctor.finding import Finding, failure, ok, warning
from bridge.mqtt.broker import BrokerRefused, MqttError
from bridge.mqtt.visit import Visit, visit

if TYPE_CHECKING:
    from bridge.doctor.machine import Machine
    from bridge.mqtt.broker import Settings
    from bridge.mqtt.topics import Topics

_PACKET = 64 * 1024
_SLOW = 1.0
_MOSQUITTO = "/etc/mosquitto/mosquitto.conf"
_MORE = "/etc/mosquitto/conf.d"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the broker."""

    address: str
    version: int
    """5, or 4 for MQTT 3.1.1."""
    tls: bool
    local: bool
    wanted_expiry: int
    """Seconds for which the bridge asks it to keep the session."""
    seen: Visit | None
    """What it was seen to do; None if it was not reached."""
    trouble: str | None = None
    """Why it was not reached, or does not want the bridge."""
    refused: bool = False
    """Whether it was reached and does not want the bridge."""
    persistence: bool | None = None
    """Whether the mosquitto of this machine writes to disk what it keeps; None if that cannot be seen."""


async def look(machine: Machine, settings: Settings, topics: Topics, *, local: bool) -> Facts:
    """Gather the facts."""
    seen, trouble, refused = None, None, False
    try:
        seen = await visit(settings, topics)
    except MqttError as error:
        trouble, refused = error.reason, isinstance(error, BrokerRefused)
    return Facts(
        address=settings.address,
        version=settings.protocol,
        tls=settings.tls is not None,
        local=local,
        wanted_expiry=settings.session_expiry,
        seen=seen,
        trouble=trouble,
        refused=refused,
        persistence=_persistence(machine) if local else None,
    )


def _persistence(machine: Machine) -> bool | None:
    files = [_MOSQUITTO, *(f"{_MORE}/{name}" for name in machine.names(_MORE) if name.endswith(".conf"))]
    texts = [text for file in files if (text := machine.text(file)) is not None]
    return persistence("\n".join(texts)) if texts else None


def persistence(config: str) -> bool:
    """Return whether mosquitto keeps its sessions on disk, from its configuration (mosquitto.conf(5))."""
    said = re.findall(r"^\s*persistence\s+(true|false)\b", config, re.MULTILINE)
    return bool(said) and said[-1] == "true"


def judge(facts: Facts) -> list[Finding]:
    """Tell whether the broker can be used."""
    if facts.seen is None:
        return [_unreached(facts)]
    seen = facts.seen
    if seen.denied:
        return [
            failure(
                "broker.access",
                f"the broker at {facts.address} does not let the bridge use its topics: {seen.denied}",
                "let this user read and write everything below the bridge's base topic in the broker's access list",
            )
        ]
    if seen.answered is None:
        return [
            failure(
                "broker.access",
                f"the broker at {facts.address} takes messages and does not deliver them",
                "look into its log and access list: it must let the bridge read below its own base topic",
            )
        ]
    return [_reached(facts, seen.answered), *_retained(facts, seen), *_limits(seen), _durability(facts, seen)]


def _unreached(facts: Facts) -> Finding:
    if facts.refused:
        return failure(
            "broker",
            f"the broker at {facts.address} refuses the bridge: {facts.trouble}",
            "check username and password_file, and what the broker allows them",
        )
    hint = " (a broker with TLS needs mqtts://)" if not facts.tls else ""
    return failure(
        "broker",
        f"the broker at {facts.address} was not reached: {facts.trouble}",
        f"check mqtt.url{hint}, the certificates, and that the broker runs",
    )


def _reached(facts: Facts, answered: float) -> Finding:
    told = f"the broker at {facts.address} takes the bridge{' over TLS' if facts.tls else ''}"
    protocol = "MQTT 5" if facts.version == 5 else "MQTT 3.1.1"  # noqa: PLR2004 - the protocol level
    told += f", speaks {protocol} and answers in {1000 * answered:.0f} ms"
    if answered > _SLOW:
        return warning("broker", told, "look at the network between them, and at the load of the broker")
    return ok("broker", told)


def _retained(facts: Facts, seen: Visit) -> list[Finding]:
    check = "broker.retained"
    if not seen.retain:
        return [
            failure(
                check,
                "the broker takes no retained messages: nobody sees a lock's state, or that the bridge is gone",
                "allow them (mosquitto: retain_available true)",
            )
        ]
    if seen.shows_retained:
        return [ok(check, "the broker shows that a command was published with retain set, so it is refused")]
    remedy = "use a broker that does, such as mosquitto 1.6 or later"
    if facts.version != 5:  # noqa: PLR2004 - the protocol level
        remedy = 'use protocol = "5", or a broker that knows bridge mode on MQTT 3.1.1, such as mosquitto'
    return [
        warning(
            check,
            "the broker does not show that a command was published with retain set: such a command is carried out, "
            "and stays at the broker",
            f"{remedy}; see that no sender sets retain on commands",
        )
    ]


def _limits(seen: Visit) -> list[Finding]:
    if seen.packet_size >= _PACKET:
        return []
    return [
        warning(
            "broker.limits",
            f"the broker takes packets of at most {seen.packet_size} bytes: long lists may not be answered",
            "allow 65536 (mosquitto: max_packet_size)",
        )
    ]


def _durability(facts: Facts, seen: Visit) -> Finding:
    check = "broker.durability"
    on_disk = "in mosquitto.conf set `persistence true` and `autosave_interval 60`, and restart it"
    if facts.version != 5:  # noqa: PLR2004 - the protocol level
        return warning(
            check,
            "with MQTT 3.1.1 the broker keeps nothing while the bridge is away: a command of that time is lost, untold",
            'use protocol = "5" if the broker can',
        )
    if not seen.resumed:
        return warning(
            check,
            "the broker does not keep the session while the bridge is away: a command of that time is lost, untold",
            "allow sessions of a minute (mosquitto: no max_session_expiry_interval below 60s)",
        )
    told = f"the broker keeps commands for {min(seen.session_expiry, facts.wanted_expiry)} s while the bridge is away"
    if seen.session_expiry > facts.wanted_expiry:
        told += f" (the session for {seen.session_expiry} s, longer than asked)"
    if facts.persistence is None:
        return ok(check, f"{told}; whether it keeps them over its own restart cannot be seen from outside")
    if not facts.persistence:
        return warning(
            check, f"{told}, but not over its own restart: {_MOSQUITTO} does not have it write to disk", on_disk
        )
    return ok(check, f"{told}; {_MOSQUITTO} has it write them to disk now and then")


def unseen(why: str, said: Mapping[str, Any] | None) -> Finding:
    """Tell of a broker that cannot be looked at; what the running bridge says of it stands instead."""
    if said is not None and said["broker"]["trouble"] is None:
        return ok("broker", f"the running bridge is connected to it; nothing more was looked at: {why}")
    return warning("broker", f"the broker was not looked at: {why}", "run the doctor with sudo, while the bridge runs")
