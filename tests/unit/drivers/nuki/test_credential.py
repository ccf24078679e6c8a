import pytest
from pydantic import SecretStr, ValidationError

from drivers.nuki.credential import NukiCredential, NukiOptions
from drivers.nuki.protocol.wire import Pin

KEY = "ab" * 32


def test_what_is_stored_is_taken_back():
    credential = NukiCredential(
        app_id=1, auth_id=2, key=SecretStr(KEY), name="Bridge", pin=SecretStr("0042"), ultra=True
    )
    assert NukiCredential.model_validate(credential.stored()) == credential
    assert credential.stored()["key"] == KEY


def test_no_secret_is_shown():
    credential = NukiCredential(app_id=1, auth_id=2, key=SecretStr(KEY), pin=SecretStr("4711"))
    for shown in (repr(credential), str(credential)):
        assert KEY not in shown
        assert "4711" not in shown


@pytest.mark.parametrize(
    ("field", "value"),
    [("key", "4711secret"), ("key", "zz" * 32), ("pin", "4711secret"), ("pin", "471100"), ("auth_id", -4711)],
)
def test_what_is_no_credential_is_refused_without_showing_it(field, value):
    good = {"app_id": 1, "auth_id": 2, "key": KEY, "pin": "1234"}
    with pytest.raises(ValidationError) as error:
        NukiCredential.model_validate(good | {field: value})
    assert "4711" not in str(error.value)


def test_the_pin_is_as_wide_as_the_lock_wants():
    assert NukiCredential(app_id=1, auth_id=2, key=SecretStr(KEY)).wire_pin() is None
    narrow = NukiCredential(app_id=1, auth_id=2, key=SecretStr(KEY), pin=SecretStr("1234"))
    assert narrow.wire_pin() == Pin(1234)
    assert narrow.model_copy(update={"ultra": True}).wire_pin() == Pin(1234, wide=True)


def test_the_key_is_bytes():
    assert NukiCredential(app_id=1, auth_id=2, key=SecretStr(KEY)).key_bytes() == b"\xab" * 32


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError):
        NukiOptions.model_validate({"log_tags": True})
