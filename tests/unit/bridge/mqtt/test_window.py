"""The outgoing window: order, size, answers."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mqtt.window import Outgoing, Request, Window


def message(name: str = "a") -> Outgoing[str]:
    return Outgoing(name, b"", b"", retain=False)


def test_nothing_is_taken_before_the_size_is_known():
    window = Window[str]()
    window.put(message())
    assert window.take() is None


@given(size=st.integers(1, 4), steps=st.lists(st.booleans(), max_size=60))
def test_messages_leave_in_order_and_never_more_than_the_size_at_once(size, steps):
    window = Window[str]()
    window.size = size
    put, taken, in_flight = [], [], []
    for number, answer in enumerate(steps):
        if answer and in_flight:
            assert window.answered(in_flight.pop(0), "ok").answer == "ok"
        else:
            put.append(one := message(str(number)))
            window.put(one)
        while (one := window.take()) is not None:
            taken.append(one)
            in_flight.append(len(taken))
            window.sent(len(taken), one)
        assert len(in_flight) <= size
        assert str(window) == f"queued={len(put) - len(taken)}, in_flight={len(in_flight)}"
        assert list(window) == [one for one in put if not one.finished]
    assert taken == put[: len(taken)]


async def test_whoever_waits_gets_the_answer():
    window = Window[str]()
    window.size = 1
    window.put(one := message())
    assert window.take() is one
    window.sent(1, one)
    answers = []

    async def wait() -> None:
        answers.append(await one.wait())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert one.awaited is True
        window.answered(1, "ok")
    assert answers == ["ok", "ok"]
    assert await one.wait() == "ok"


async def test_what_is_lost_has_no_answer_and_keeps_nobody_waiting():
    window = Window[str]()
    window.size = 1
    messages = [message("a"), message("b")]
    for one in messages:
        window.put(one)
    assert window.take() is messages[0]
    window.sent(1, messages[0])
    window.lose_all()
    assert [await one.wait() for one in messages] == [None, None]
    assert list(window) == []


async def test_an_answer_that_came_before_anybody_waited_is_there():
    request = Request[str]()
    request.finish("ok")
    assert request.awaited is False
    assert await request.wait() == "ok"


def test_an_answer_to_nothing_is_a_mistake():
    with pytest.raises(KeyError):
        Window[str]().answered(1, "ok")
