import json

import pytest
from pydantic import SecretStr, ValidationError

from drivers.base import KeyImporting, PairingError
from drivers.switchbot import SwitchBotCredential, SwitchBotDriver, SwitchBotOptions
from drivers.switchbot.protocol.models import Model

KEY = "00112233445566778899aabbccddeeff"
PARTS = {"key_id": "ff", "encryption_key": KEY, "model": "pro"}


def test_a_key_is_brought_in_parts():
    driver = SwitchBotDriver()
    assert isinstance(driver, KeyImporting)
    assert [part.name for part in driver.key_parts] == list(PARTS)
    assert [part.secret for part in driver.key_parts] == [False, True, False]
    assert driver.key_needed
    key = driver.key_from(PARTS)
    assert (key.key_number, key.key_bytes(), key.model) == (0xFF, bytes.fromhex(KEY), Model.PRO)


@pytest.mark.parametrize("given", [{"model": ""}, {"model": " PRO "}, {"key_id": " FF\n"}])
def test_it_is_taken_as_people_write_it(given):
    assert SwitchBotDriver().key_from(PARTS | given).key_id == "ff"


def test_the_model_may_be_left_to_the_configuration():
    parts = {name: PARTS[name] for name in ("key_id", "encryption_key")}
    assert SwitchBotDriver().key_from(parts).model is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"key_id": "f"}, "2 hex digits"),
        ({"key_id": "zz"}, "2 hex digits"),
        ({"key_id": ""}, "2 hex digits"),
        ({"encryption_key": KEY[:-1]}, "32 hex digits"),
        ({"encryption_key": "z" + KEY[1:]}, "32 hex digits"),
        ({"model": "nuki"}, "lock, lite, pro"),
    ],
)
def test_a_part_without_its_form_is_named_and_not_shown(wrong, named):
    with pytest.raises(PairingError, match=named) as refused:
        SwitchBotDriver().key_from(PARTS | wrong)
    error = refused.value
    while error is not None:
        assert KEY[1:-1] not in repr(error) + str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_it_is_stored_as_json_and_comes_back():
    key = SwitchBotDriver().key_from(PARTS)
    assert SwitchBotCredential.model_validate(json.loads(json.dumps(key.stored()))) == key


def test_it_is_not_shown():
    assert KEY not in repr(SwitchBotDriver().key_from(PARTS))
    with pytest.raises(ValidationError) as refused:
        SwitchBotCredential(key_id="ff", encryption_key=SecretStr(KEY + "0"))
    assert KEY not in str(refused.value)


def test_the_options_are_those_of_the_table():
    assert SwitchBotOptions.model_validate({"model": "ultra_max"}).model is Model.ULTRA_MAX
    with pytest.raises(ValidationError):
        SwitchBotOptions.model_validate({"modle": "pro"})
