"""An attempt's course and times, for bug reports."""

from datetime import timedelta

from bridge.attempt import State
from bridge.errors import Code
from bridge.wire.timings import timing
from drivers.base import Stage
from tests.support.clock import NOON
from tests.support.samples import make_attempt


def test_an_attempt_under_way_has_no_end():
    assert timing(make_attempt(custom_id="chosen by its sender")) == {
        "action_id": "act_0123456789abcdef",
        "lock_id": "front_door",
        "action": "unlock",
        "performed_via": "remote_api",
        "state": "accepted",
        "accepted_at": "2026-01-31T12:00:00.000Z",
    }


def test_an_attempt_that_ended_tells_how_and_after_how_long():
    ended = make_attempt(
        State.FAILED,
        ended_at=NOON + timedelta(seconds=1.5),
        stage=next(iter(Stage)),
        code=Code.LOCK_JAMMED,
        message="The bolt is jammed.",
        changed=False,
    )
    told = timing(ended)
    assert (told["state"], told["seconds"], told["error_code"], told["message"], told["changed"]) == (
        *("failed", 1.5, "LOCK_JAMMED"),
        "The bolt is jammed.",
        False,
    )
    assert told["stage"] == next(iter(Stage)).value
