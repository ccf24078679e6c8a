"""An actuation is good for one run, whatever came of the first."""

from __future__ import annotations

import anyio
import pytest

from drivers.base import Confirmed, LockState, Snapshot, unconditionally
from drivers.once import Once

DONE = Confirmed(Snapshot(LockState.LOCKED))


async def test_it_is_run_with_what_its_caller_gives():
    given = []

    async def act(seen, check):
        given.append((seen, check))
        return DONE

    seen, check = object(), object()
    assert await Once(act).run(seen, check) is DONE
    assert await Once(act).run(seen) is DONE
    assert given == [(seen, check), (seen, unconditionally)]
    assert unconditionally() is None


@pytest.mark.parametrize("ending", ["done", "called off", "raised"])
async def test_it_runs_once(ending):
    runs = []

    async def act(_seen, check):
        runs.append(1)
        check()
        await anyio.sleep(0 if ending == "done" else 60)
        return DONE

    def check():
        if ending == "raised":
            raise TimeoutError

    actuation = Once(act)
    with anyio.move_on_after(0.01 if ending == "called off" else 10):
        try:
            await actuation.run(print, check)
        except TimeoutError:
            assert ending == "raised"
    with pytest.raises(RuntimeError, match="once"):
        await actuation.run(print)
    assert runs == [1]
