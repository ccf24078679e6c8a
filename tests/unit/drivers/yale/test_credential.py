import pytest
from pydantic import SecretStr, ValidationError

from drivers.base import KeyImporting, PairingError, PairingRequest
from drivers.yale import YaleCredential, YaleDriver, YaleOptions
from tests.support.scripted_link import ScriptedLink

KEY = "00112233445566778899aabbccddeeff"
DRIVER = YaleDriver()


def test_a_key_is_brought():
    assert isinstance(DRIVER, KeyImporting)
    assert DRIVER.key_needed
    assert [(part.name, part.secret) for part in DRIVER.key_parts] == [("key", True), ("slot", False)]


@pytest.mark.parametrize("key", [KEY, KEY.upper(), f" {KEY[:16]} {KEY[16:]}\n"])
def test_what_the_owner_gave_is_the_credential(key):
    credential = DRIVER.key_from({"key": key, "slot": " 7 "})
    assert credential == YaleCredential(key=SecretStr(KEY), slot=7)
    assert credential.key_bytes() == bytes.fromhex(KEY)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "0", "x" * 32])
def test_a_key_without_its_form_is_told_by_its_name_alone(key):
    with pytest.raises(PairingError, match=r"`key`.*32 hexadecimal digits") as refused:
        DRIVER.key_from({"key": key, "slot": "7"})
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize("slot", ["", "-1", "256", "x", "1.0", "²"])
def test_a_slot_without_its_form_is_told_by_its_name(slot):
    with pytest.raises(PairingError, match=r"`slot`.*0 to 255"):
        DRIVER.key_from({"key": KEY, "slot": slot})


def test_a_part_that_is_missing_is_told():
    with pytest.raises(PairingError, match="`key`"):
        DRIVER.key_from({})


@pytest.mark.parametrize("fields", [{"key": KEY[:-2]}, {"key": "x" * 32}, {"slot": 256}, {"slot": -1}])
def test_what_is_stored_has_its_form(fields):
    with pytest.raises(ValidationError) as refused:
        YaleCredential.model_validate({"key": KEY, "slot": 1} | fields)
    assert str(fields.get("key", "none")) not in str(refused.value)


def test_the_key_is_not_shown():
    assert KEY not in repr(DRIVER.key_from({"key": KEY, "slot": "1"}))


async def test_it_cannot_be_paired_with():
    with pytest.raises(PairingError, match="have to be brought"):
        await DRIVER.pair(ScriptedLink(), PairingRequest("Bridge", 1))


def test_the_log_is_consumed_where_its_owner_says_so_alone():
    assert not YaleOptions().consume_log
    with pytest.raises(ValidationError):
        YaleOptions.model_validate({"consume_logs": True})
