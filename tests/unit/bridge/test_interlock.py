"""Remedies and moving bolts."""

from bridge.interlock import Interlock


def test_an_attempt_and_a_remedy_are_seen_while_they_last():
    interlock = Interlock()
    assert not interlock.moving
    assert not interlock.treating
    with interlock.move(), interlock.move():
        assert interlock.moving
        assert not interlock.treating
    assert not interlock.moving
    with interlock.treat():
        assert interlock.treating
        assert not interlock.moving
    assert not interlock.treating
