"""What an owner can bring as a Sesame's key, and what the bridge keeps of it."""

import base64

import pytest
from pydantic import SecretStr, ValidationError

from drivers.base import PairingError
from drivers.sesame.credential import KEY, SesameCredential, credential_of, imported

SECRET = bytes([0, 1, 0xFB, 0xEF, 0xBE, *range(11)])
SHARED = bytes([5]) + SECRET + bytes(6) + bytes(range(16))
ENCODED = base64.b64encode(SHARED).decode()


def taken(text):
    return imported({KEY.name: text}).secret_bytes()


@pytest.mark.parametrize(
    "text",
    [
        SECRET.hex(),
        SECRET.hex().upper(),
        f"  {SECRET.hex()}\n",
        f"ssm://UI?t=sk&sk={ENCODED}&l=1&n=Front%20door",
        f"ssm://UI?t=sk&sk={ENCODED}&l=0&n=Front",
        f"ssm://UI?t=sk&sk={ENCODED}AA&l=0&n=",
        "ssm://UI?t=sk&sk=" + ENCODED.replace("+", "%2B"),
    ],
)
def test_a_key_and_the_text_of_a_share_code_are_taken(text):
    assert "+" in ENCODED  # which turns into a space on the way, if it is not escaped
    assert taken(text) == SECRET


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "32 hex digits"),
        ("00" * 15, "32 hex digits"),
        ("0g" * 16, "32 hex digits"),
        ("https://UI?sk=" + ENCODED, "32 hex digits"),
        ("ssm://[UI?t=sk", "no whole share QR code"),
        (f"ssm://UI?t=sk&sk=ä{ENCODED[:-1]}", "no whole share QR code"),
        ("ssm://UI", "no whole share QR code"),
        ("ssm://UI?t=sk&sk=&l=1", "no whole share QR code"),
        (f"ssm://UI?t=sk&sk={ENCODED[:-8]}&l=1", "no whole share QR code"),
        (f"ssm://UI?t=sk&sk={ENCODED[:-1]}!&l=1", "no whole share QR code"),
        (f"ssm://UI?t=sk&sk={ENCODED}&l=2", "guest"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text, words):
    with pytest.raises(PairingError, match=words) as refused:
        taken(text)
    error: BaseException | None = refused.value
    while error is not None:
        assert not text or text not in str(error)
        assert ENCODED[:12] not in repr(error)
        error = error.__cause__ or error.__context__


def test_a_missing_part_is_refused():
    with pytest.raises(PairingError, match="key"):
        imported({})


@pytest.mark.parametrize("secret", ["", "00" * 15, "zz" * 16])
def test_what_is_stored_is_a_secret(secret):
    with pytest.raises(ValidationError) as refused:
        SesameCredential(secret=SecretStr(secret))
    assert "zz" not in str(refused.value)


def test_it_is_stored_and_not_shown():
    key = credential_of(SECRET)
    assert SesameCredential.model_validate(key.stored()) == key
    assert SECRET.hex() not in repr(key)
