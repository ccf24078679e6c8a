"""What a configured SwitchBot lock is said to be able to do."""

import pytest
from pydantic import SecretStr

from drivers.base import Action, Options, Varied, capabilities
from drivers.switchbot import SwitchBotCredential, SwitchBotDriver, SwitchBotOptions
from drivers.switchbot.protocol.models import Model

DRIVER = SwitchBotDriver()
WITHOUT_DOOR = {Model.LITE, Model.VISION}
WITHOUT_BATTERY = {Model.ULTRA_MAX}


def key(**told):
    return SwitchBotCredential(key_id="00", encryption_key=SecretStr(16 * "00"), **told)


def can(credential=None, **options):
    assert isinstance(DRIVER, Varied)
    return capabilities(DRIVER, SwitchBotOptions(**options), credential)


@pytest.mark.parametrize("model", Model)
def test_a_model_can_do_what_is_known_of_it(model):
    known = can(model=model)
    assert (known.door, known.battery_level) == (model not in WITHOUT_DOOR, model not in WITHOUT_BATTERY)
    assert can(key(model=model)) == known


def test_what_is_configured_counts_before_what_was_told_with_the_key():
    assert can(key(model=Model.LITE, night_latch=False), model=Model.LOCK, night_latch=True) == DRIVER.capabilities


def test_without_its_magnet_it_tells_of_no_door():
    assert not can(door_sensor=False).door
    assert not can(key(model=Model.PRO), door_sensor=False).door


@pytest.mark.parametrize("known", [can(night_latch=False), can(key(night_latch=False))])
def test_a_latch_that_is_not_there_is_not_pulled(known):
    assert known.actions == {Action.LOCK, Action.UNLOCK}


@pytest.mark.parametrize("credential", [None, key()])
def test_what_nobody_told_is_taken_to_be_there(credential):
    assert can(credential) == DRIVER.capabilities


def test_another_drivers_options_are_not_taken():
    with pytest.raises(TypeError):
        capabilities(DRIVER, Options(), None)
