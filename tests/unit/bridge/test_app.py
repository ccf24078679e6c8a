"""The bridge put together: what it takes up from an earlier life, and how it ends."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from bridge import availability
from bridge.lifecycle import FAREWELL, STOP_GRACE
from bridge.readback import BUDGET
from drivers.virtual.faults import Trouble
from tests.support.house import BACK, BASE, FRONT, TTL, House, check, until


@pytest.fixture
def anyio_backend():
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
async def house(tmp_path):
    async with House.standing(tmp_path, FRONT, BACK) as house:
        yield house


async def accepted(house, **fields):
    """Return a command that was recorded in a life that ended before it was carried out."""
    async with house.life() as life:
        return await life.submit(start=False, **fields)


async def committed(house, *, sent):
    """Return a command whose life ended past its commit point."""
    async with house.life() as life:
        if not sent:
            house.lock.faults.arm(Trouble.DROP_BEFORE_WRITE)
        receipt = await life.submit()
        await until(lambda: life.rows("SELECT state FROM attempt") == [("committed",)])
        return receipt


class TestTakingUp:
    async def test_what_was_accepted_in_this_boot_is_carried_out_if_there_is_time(self, house):
        receipt = await accepted(house)
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.changed) == ("confirmed", True)
        assert len(house.movements) == 1

    async def test_what_was_accepted_and_is_over_fails(self, house):
        receipt = await accepted(house)
        await anyio.sleep(TTL)
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
        assert not house.movements

    async def test_what_was_accepted_in_another_boot_is_never_carried_out(self, house):
        receipt = await accepted(house)
        house.clock.boot_id = "boot-2"
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("failed", "ACTION_TIMEOUT")
            await anyio.sleep(60)
        assert not house.movements

    @pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
    @pytest.mark.parametrize(("sent", "state"), [(True, "confirmed"), (False, "unknown")])
    async def test_what_was_committed_is_resolved_and_never_sent_again(self, house, sent, state, boot):
        receipt = await committed(house, sent=sent)
        house.clock.boot_id = boot
        began = anyio.current_time()
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert attempt.state == state
            assert anyio.current_time() - began < 60
            await anyio.sleep(60)
        assert len(house.movements) == sent

    async def test_what_cannot_be_resolved_is_unknown_within_the_minute(self, house):
        receipt = await committed(house, sent=True)
        house.radio.stuck.add(house.twins[FRONT].address)
        began = anyio.current_time()
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == ("unknown", "OUTCOME_UNKNOWN")
            assert anyio.current_time() - began <= BUDGET + 1
            assert life.device()["lock_state"] == "unknown"

    async def test_attempts_are_taken_up_in_their_order(self, house):
        async with house.life() as life:
            receipts = [await life.submit(action, start=False) for action in ("unlock", "lock", "unlatch")]
        async with house.life() as life:
            for receipt in receipts:
                check(house, life, await life.ended(receipt))
        assert [movement.tag for movement in house.movements] == [receipt.attempt.tag for receipt in receipts]

    @pytest.mark.parametrize(
        ("make", "state", "code"),
        [
            (accepted, "failed", "LOCK_NOT_FOUND"),
            (lambda house: committed(house, sent=True), "unknown", "OUTCOME_UNKNOWN"),
        ],
    )
    async def test_an_attempt_whose_lock_is_gone_has_its_outcome(self, house, make, state, code):
        receipt = await make(house)
        moved = len(house.movements)
        house.configured.remove(FRONT)
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
            assert (attempt.state, attempt.code) == (state, code)
        assert len(house.movements) == moved

    async def test_a_journal_that_was_damaged_is_told_of(self, house):
        async with house.life():
            pass
        (house.path / "journal.db").write_bytes(b"no database" * 1000)
        async with house.life() as life:
            connection = life.connect()
            topic = f"{BASE}/events/bridge.journal_reset"
            await until(lambda: connection.on(topic))
            assert connection.on(topic)[0].topic == topic
            assert connection.on(topic)[0].body["epoch"] == life.bridge.journal.epoch


class TestStopping:
    async def test_what_is_past_its_commit_point_has_its_grace(self, house):
        house.lock.motor_time = 60
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            began = anyio.current_time()
            await life.bridge.stop()
            assert STOP_GRACE <= anyio.current_time() - began <= STOP_GRACE + FAREWELL + 1
            assert (await life.attempt(receipt)).state == "committed"
        async with house.life() as life:
            attempt = await life.ended(receipt)
            check(house, life, attempt)
        assert len(house.movements) == 1

    async def test_a_lock_that_is_added_meanwhile_takes_no_grace_away(self, house):
        async with house.life() as life:
            receipt = await life.submit()
            await until(lambda: house.movements)
            async with anyio.create_task_group() as group:
                group.start_soon(life.bridge.stop)
                await until(life.bridge.workers[BACK].stopped.is_set)
                life.bridge.workers["added"] = life.bridge.workers[BACK]
            assert (await life.attempt(receipt)).state == "confirmed"

    async def test_a_fault_of_the_program_is_kept_waiting_for_the_same_grace_and_no_longer(self, house):
        house.lock.motor_time = 60
        began = 0.0
        with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
            async with house.life() as life:
                await life.submit()
                await until(lambda: house.movements)
                began = anyio.current_time()
                raise ZeroDivisionError
        assert anyio.current_time() - began == pytest.approx(STOP_GRACE, abs=1)

    async def test_an_idle_bridge_stops_at_once_and_leaves_no_link(self, house):
        house.lock_fields["connection"] = "always"
        async with house.life() as life:
            connection = life.connect()
            await until(lambda: life.device()["online"] and connection.done)
            began = anyio.current_time()
            await life.bridge.stop()
            assert anyio.current_time() - began < 1
            assert not any(link.is_open for link in house.radio.links)


async def test_what_is_old_is_forgotten_from_time_to_time(house, monkeypatch):
    monkeypatch.setattr(availability, "LOOK", 3600.0)  # it lasts for weeks
    async with house.life() as life:
        connection = life.connect()
        await life.perform()
        await until(lambda: not life.rows("SELECT * FROM event WHERE sent = 0"))
        with life.unwritable():
            await anyio.sleep(7200)
        await anyio.sleep(8 * 24 * 3600)
        assert connection.done
        assert life.rows("SELECT count(*) FROM attempt") == [(1,)]
        assert not life.events
        await anyio.sleep(30 * 24 * 3600)
        assert life.rows("SELECT count(*) FROM attempt") == [(0,)]
