"""What the bridge has done and how it is, for Prometheus.

Everything is read off the core when it is asked for: the core counts for itself and knows of no metrics, and who never
asks never loads Prometheus' library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.attempt import State

if TYPE_CHECKING:
    from bridge.lifecycle import Bridge

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OUTCOMES: Mapping[State, str] = {State.CONFIRMED: "confirmed", State.FAILED: "failed", State.UNKNOWN: "unknown"}


async def page(bridge: Bridge, locks: frozenset[str] | None) -> bytes:
    """Return all figures, in Prometheus' text format.

    Args:
        bridge: is looked at.
        locks: the ones that whoever asks may know of; None for all.
    """
    registry = CollectorRegistry()
    registry.register(_Figures(bridge, locks, await bridge.journal.backlog()))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Figures(Collector):
    """The figures at one moment."""

    bridge: Bridge
    locks: frozenset[str] | None
    backlog: int

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        yield from self._commands()
        yield from self._bridge()
        yield from self._webhooks()
        yield from self._locks()

    def _commands(self) -> Iterator[Metric]:
        journal = self.bridge.journal
        accepted = CounterMetricFamily(
            "lock_bridge_commands_accepted", "Commands that were taken.", labels=["action", "via"]
        )
        for (action, method), number in journal.begun.items():
            accepted.add_metric([action, method.value], number)
        yield accepted
        refused = CounterMetricFamily("lock_bridge_commands_refused", "Commands that were refused.", labels=["code"])
        for code, number in self.bridge.refusals.counts.items():
            refused.add_metric([code.value], number)
        yield refused
        ended = CounterMetricFamily(
            "lock_bridge_attempts_ended", "Attempts that have their outcome.", labels=["action", "outcome", "code"]
        )
        for (action, state, reason), number in journal.ended.items():
            ended.add_metric([action, _OUTCOMES[state], "" if reason is None else reason.value], number)
        yield ended

    def _bridge(self) -> Iterator[Metric]:
        bridge = self.bridge
        info = {"version": __version__, "bridge_id": bridge.identity.bridge_id, "journal_epoch": bridge.journal.epoch}
        yield InfoMetricFamily("lock_bridge", "Which bridge this is.", info)
        for name, text, value in (
            ("outbox_events", "Events that the broker has not acknowledged yet.", self.backlog),
            ("broker_connected", "Whether there is a connection to the broker.", bridge.outbox.serving),
            ("radio_usable", "Whether there is a Bluetooth adapter that works.", bridge.radio.usable),
            ("journal_writable", "Whether the last write of the journal reached the disk.", bridge.journal.writable),
            ("clock_trusted", "Whether wall time is known to be right.", bridge.clock.trusted()),
        ):
            yield GaugeMetricFamily(f"lock_bridge_{name}", text, value)
        if bridge.caretaker is not None:
            remedies = CounterMetricFamily(
                "lock_bridge_radio_remedies", "Steps taken to bring the radio back to work.", labels=["adapter", "step"]
            )
            for adapter, counts in bridge.caretaker.counts.items():
                for step, number in counts.items():
                    remedies.add_metric([adapter or "", step.name.lower()], number)
            yield remedies

    def _webhooks(self) -> Iterator[Metric]:
        if self.bridge.webhooks is None:
            return
        counts = self.bridge.webhooks.counts
        for name, text in (
            ("taken", "Events that the webhook has taken."),
            ("refused", "Posts of an event that the webhook did not take."),
            ("given_up", "Events that the webhook did not take for days."),
        ):
            yield CounterMetricFamily(f"lock_bridge_webhook_{name}", text, counts[name])

    def _locks(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "lock_bridge_commands_waiting", "Commands that wait for a lock, but for the one under way.", labels=["lock"]
        )
        online = GaugeMetricFamily("lock_bridge_lock_online", "Whether a lock can be reached.", labels=["lock"])
        battery = GaugeMetricFamily("lock_bridge_lock_battery_ratio", "A lock's battery.", labels=["lock"])
        signal = GaugeMetricFamily("lock_bridge_lock_signal_dbm", "How strongly a lock is heard.", labels=["lock"])
        for lock_id, worker in self.bridge.workers.items():
            if self.locks is not None and lock_id not in self.locks:
                continue
            known = self.bridge.states.device(lock_id)
            waiting.add_metric([lock_id], worker.waiting)
            online.add_metric([lock_id], known["online"])
            if "battery_level" in known:
                battery.add_metric([lock_id], known["battery_level"] / 100)
            if "signal_quality" in known:
                signal.add_metric([lock_id], known["signal_quality"])
        yield from (waiting, online, battery, signal)
