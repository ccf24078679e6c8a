"""What is told upstream of the radio's health."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager

import pytest

from bridge.bell import Bell
from bridge.ble.caretaker import Failure, Remedy
from bridge.ble.health import Ailment, Symptom
from bridge.ble.recovery import Step
from bridge.journal import open_journal
from bridge.radionews import RadioNews
from bridge.wire.seam import Identity
from tests.support.clock import FakeClock

ADAPTER = "B8:27:EB:00:00:01"
DEAF = Ailment(Symptom.DEAF, 0.0, "It hears nothing.")
STUCK = Ailment(Symptom.STUCK, 0.0, "It is stuck.", "54:D2:72:00:00:01")
IDENTITY = Identity(uuid.UUID(int=1), uuid.UUID(int=2), "g1")


@asynccontextmanager
async def life(path):
    clock = FakeClock()
    journal = await open_journal(path / "journal.db", clock, Bell())
    try:
        yield journal, RadioNews(journal, clock, IDENTITY)
    finally:
        await journal.close()


async def told(journal) -> list[tuple[str, dict]]:
    events = await journal.unsent(0, 99)
    common = {"event_id", "event_type", "workspace_id", "bridge_id", "created_at", "occurred_at"}
    assert all(common <= event.body.keys() and event.lock_id is None for event in events)
    return [(event.event_type, {key: event.body[key] for key in event.body.keys() - common}) for event in events]


async def test_every_remedy_is_told(tmp_path):
    async with life(tmp_path) as (journal, news):
        await news.remedy(Remedy(ADAPTER, STUCK, Step.FORGET, worked=True, count=2))
        await news.remedy(Remedy(None, DEAF, Step.RESET, worked=False, count=1))
        assert await told(journal) == [
            (
                "bridge.radio_remedy",
                {
                    "adapter": ADAPTER,
                    "symptom": "stuck",
                    "message": "It is stuck.",
                    "address": "54:D2:72:00:00:01",
                    "step": "forget",
                    "taken": True,
                    "count": 2,
                },
            ),
            (
                "bridge.radio_remedy",
                {
                    "adapter": None,
                    "symptom": "deaf",
                    "message": "It hears nothing.",
                    "step": "reset",
                    "taken": False,
                    "count": 1,
                },
            ),
        ]


async def test_a_failure_and_its_end_are_told_once_each_even_across_restarts(tmp_path):
    failure = Failure(DEAF, {Step.RESCAN: 2, Step.RESET: 1})
    async with life(tmp_path) as (journal, news):
        assert await news.failed(ADAPTER, None)
        assert await told(journal) == []
        assert await news.failed(ADAPTER, failure)
        assert await news.failed(ADAPTER, failure)
        assert await news.failed(None, None)
    async with life(tmp_path) as (journal, news):
        assert await news.failed(ADAPTER, failure)
        assert await news.failed(ADAPTER, None)
        assert await news.failed(ADAPTER, None)
        assert await told(journal) == [
            (
                "bridge.radio_failed",
                {
                    "adapter": ADAPTER,
                    "symptom": "deaf",
                    "message": "It hears nothing.",
                    "steps": {"rescan": 2, "reset": 1},
                },
            ),
            ("bridge.radio_recovered", {"adapter": ADAPTER, "message": "The Bluetooth adapter works again."}),
        ]


async def test_bluetoothd_as_a_whole_has_news_of_its_own(tmp_path):
    async with life(tmp_path) as (journal, news):
        await news.failed(None, Failure(DEAF, {}))
        await news.failed(ADAPTER, None)
        await news.failed(None, None)
        assert [event for event, _ in await told(journal)] == ["bridge.radio_failed", "bridge.radio_recovered"]


@pytest.mark.parametrize("failure", [None, Failure(DEAF, {})])
async def test_a_journal_that_cannot_be_written_is_asked_again_later(tmp_path, failure):
    async with life(tmp_path) as (journal, news):
        await journal.close()
        assert not await news.failed(ADAPTER, failure)
        await news.remedy(Remedy(ADAPTER, DEAF, Step.RESCAN, worked=True, count=1))
